// Package surface is the gateway's JSON side: the contract's HTTP rules, answered by the same services over the same gRPC.
package surface

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	"github.com/lianhu/lianhu/services/gateway/internal/door"
	"github.com/lianhu/lianhu/services/gateway/internal/gen"
)

// Limits of the HTTP listener.
const (
	bodyBytes     = 4 << 20
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	stopWithin    = 10 * time.Second
)

// Surface is the outside HTTP server.
type Surface struct {
	http *http.Server
}

// New makes the JSON surface over connections by area.
func New(ctx context.Context, source *identity.Source, upstreams map[string]door.Upstream) (*Surface, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{EmitUnpopulated: true},
			// A misspelt field must not be taken for an absent one.
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
		}),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }), // see call
		// The mux makes metadata of its own and would lose what call has put into the context.
		runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD {
			md, _ := metadata.FromOutgoingContext(r.Context())
			return md
		}),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(explain),
	)
	for _, area := range door.Areas() {
		for _, register := range gen.Handlers()[area] {
			if err := register(ctx, mux, upstreams[area].Unary); err != nil {
				return nil, err
			}
		}
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /openapi.json", document)
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	routes.Handle("/", call(mux, source.Identity().TrustDomain))
	return &Surface{&http.Server{
		Handler: routes, TLSConfig: source.ServerTLS("h2", "http/1.1"),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: door.UnaryTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug), // handshakes that fail are the caller's business
	}}, nil
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

// call names the caller, begins the trace and bounds the time, then leaves the rest to the contract's HTTP rules.
func call(next http.Handler, trustDomain string) http.Handler {
	tracer := otel.Tracer("lianhu/gateway")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			wrongDoor(w)
			return
		}
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, "HTTP "+r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		ctx, cancel := context.WithTimeout(ctx, door.UnaryTimeout)
		defer cancel()
		md, err := door.Outgoing(*r.TLS, trustDomain, r.Header.Values)
		if err != nil {
			explain(ctx, nil, &runtime.JSONPb{}, w, r, err)
			return
		}
		// Read here and whole, so that its size is told apart from its form, and a place in it can be found again.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytes))
		if err != nil {
			explain(ctx, nil, &runtime.JSONPb{}, w, r, unread(err))
			return
		}
		r = r.WithContext(context.WithValue(metadata.NewOutgoingContext(ctx, md), bodyKey{}, body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// wrongDoor answers a gRPC call at once and in its own language. Its body may be a stream that never ends: read here, it would keep a caller who
// has mistaken the port waiting.
func wrongDoor(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", strconv.Itoa(int(codes.Unimplemented)))
	w.Header().Set("Grpc-Message", "this port takes JSON over HTTP; gRPC is at another port of the gateway, 7443 by default")
}

// bodyKey is where the context of a request keeps its body.
type bodyKey struct{}

// unread is the fault for a body that did not arrive whole.
func unread(err error) error {
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return door.TooLarge("the body", bodyBytes)
	}
	return fault.Invalid("body", "did not arrive whole")
}

// explain writes a refusal. What comes from a service has its reason already; the mux's own refusals get one here.
func explain(ctx context.Context, mux *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if mux == nil {
		mux = runtime.NewServeMux()
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, marshaler, w, r, reasoned(r, err))
}

func reasoned(r *http.Request, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return server.Status(f).Err()
	}
	var routing *runtime.HTTPStatusError
	if errors.As(err, &routing) {
		return &runtime.HTTPStatusError{HTTPStatus: routing.HTTPStatus, Err: server.Status(
			fault.New(faultv1.Reason_REASON_METHOD_UNKNOWN, "no method at this path: see /openapi.json")).Err()}
	}
	s := status.Convert(err)
	for _, detail := range s.Details() {
		if _, ok := detail.(*errdetails.ErrorInfo); ok {
			return err
		}
	}
	switch s.Code() {
	case codes.InvalidArgument: // the mux could not read the request
		body, _ := r.Context().Value(bodyKey{}).([]byte)
		return server.Status(unreadable(s.Message(), body)).Err()
	case codes.ResourceExhausted:
		return server.Status(door.TooLarge("the answer", door.MessageBytes)).Err()
	case codes.Unavailable:
		return server.Status(fault.New(faultv1.Reason_REASON_UNAVAILABLE, "a part of the system is away; repeat with the same request_id").RetryAfter(time.Second)).Err()
	case codes.NotFound, codes.Unimplemented:
		return server.Status(fault.New(faultv1.Reason_REASON_METHOD_UNKNOWN, "no method at this path: see /openapi.json")).Err()
	}
	return err
}

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(gen.OpenAPI) // the caller is gone if this fails
}
