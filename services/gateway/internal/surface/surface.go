// Package surface is the gateway's JSON side: the contract's HTTP rules, answered by the same services over the same gRPC. A request goes
// through a chain of small steps (chain.go), then to the rules; its answer is kept until it is whole (answer.go), and every refusal has one
// shape (refusal.go).
package surface

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/services/gateway/internal/door"
	"github.com/lianhu/lianhu/services/gateway/internal/gen"
)

// Limits of the HTTP listener.
const (
	bodyBytes = 4 << 20
	// drainBytes is how much of a body that is refused is still taken in, so that its sender reads why.
	drainBytes    = 64 << 20
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	// answerTimeout is how long a request may take with its answer: who does not read is cut off.
	answerTimeout = time.Minute
	stopWithin    = 10 * time.Second
)

// Surface is the outside HTTP server.
type Surface struct {
	http        *http.Server
	mux         *runtime.ServeMux
	routes      routes
	trustDomain string
}

// New makes the JSON surface over connections by area.
func New(ctx context.Context, source *identity.Source, upstreams map[string]door.Upstream) (*Surface, error) {
	s := &Surface{routes: newRoutes(), trustDomain: source.Identity().TrustDomain}
	s.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler()),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }), // see serve
		// The mux makes metadata of its own and would lose what serve has put into the context.
		runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD {
			md, _ := metadata.FromOutgoingContext(r.Context())
			return md
		}),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(explain),
		runtime.WithForwardResponseOption(tag),
		runtime.WithDisablePathLengthFallback(), // a form is no way to a GET
		runtime.WithUnescapingMode(runtime.UnescapingModeAllCharacters),
		runtime.WithMiddlewares(unfold),
	)
	for _, area := range door.Areas() {
		for _, register := range gen.Handlers()[area] {
			if err := register(ctx, s.mux, upstreams[area].Unary); err != nil {
				return nil, err
			}
		}
	}
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.answer), TLSConfig: source.ServerTLS("h2", "http/1.1"),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: door.UnaryTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug), // handshakes that fail are the caller's business
	}
	return s, nil
}

// Serve answers until ctx is done, then lets running calls end.
func (s *Surface) Serve(ctx context.Context, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- s.http.ServeTLS(listener, "", "") }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := s.http.Shutdown(bounded); err != nil {
		_ = s.http.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// answer gives every request a name and its answer one form. No mux of net/http stands before it: that would answer in HTML.
func (s *Surface) answer(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		wrongDoor(w)
		return
	}
	c := &call{correlation: uuid.NewString()}
	w.Header().Set(access.KeyCorrelation, c.correlation)
	whole, body, head := &answer{ResponseWriter: w}, r.Body, r.Method == http.MethodHead
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	switch r.URL.EscapedPath() {
	case "/openapi.json":
		fixed(whole, r, gen.OpenAPI)
	case "/healthz":
		fixed(whole, r, nil)
	default:
		s.serve(whole, r)
		whole.settle(r, c)
	}
	drain(w, r, body)
	whole.send(r, head)
}

// fixed answers with what never changes; nil is an answer without content.
func fixed(w http.ResponseWriter, r *http.Request, content []byte) {
	allowed := allow([]route{{verb: http.MethodGet}})
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allowed)
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		refuse(w, r, wrongVerb(allowed))
	case content == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(content) // a buffer takes everything
	}
}

// wrongDoor answers a gRPC call at once and in its own language. Its body may be a stream that never ends: read here, it would keep a caller who
// has mistaken the port waiting.
func wrongDoor(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", strconv.Itoa(int(codes.Unimplemented)))
	w.Header().Set("Grpc-Message", "this port takes JSON over HTTP; gRPC is at another port of the gateway, 7443 by default")
}
