package surface

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	"github.com/lianhu/lianhu/services/gateway/internal/door"
)

// call is one request on its way through the chain; what the steps find out stands here.
type call struct {
	correlation string
	route       route
	// body is what was sent, and query what the address says.
	body  []byte
	query url.Values
	// ifMatch is the version the caller insists on; empty for none.
	ifMatch string
}

type callKey struct{}

// of is the call of a context; an empty one outside of a request.
func of(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// step looks at one side of a request and refuses it, or lets it pass. The steps run in order, before anything of the contract does.
type step func(c *call, r *http.Request) error

// steps are the chain, from the address to the content.
func (s *Surface) steps() []step {
	return []step{s.routed, homely, acceptable, addressed, jsonOnly, readBody, oneMessage, conditional}
}

// serve leads a request through the chain, then to the contract's HTTP rules, as the caller whom its certificate names.
func (s *Surface) serve(w http.ResponseWriter, r *http.Request) {
	ctx, span := otel.Tracer("lianhu/gateway").Start(r.Context(), "HTTP "+r.Method, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, door.UnaryTimeout)
	defer cancel()
	c := of(r.Context())
	r = r.WithContext(ctx)
	for _, pass := range s.steps() {
		if err := pass(c, r); err != nil {
			refuse(w, r, err)
			return
		}
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", allow(s.routes.at(r.URL.EscapedPath())))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	md, err := door.Outgoing(*r.TLS, s.trustDomain, r.Header, c.correlation)
	if err != nil {
		refuse(w, r, err)
		return
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // net/http leaves the body out
	}
	r.Header.Del("Te") // the answer is whole: it has no trailers
	r.URL.RawPath = folded(r.URL)
	s.mux.ServeHTTP(w, r.WithContext(metadata.NewOutgoingContext(ctx, md)))
}

// routed finds the rule of the address. OPTIONS finds the place alone.
func (s *Surface) routed(c *call, r *http.Request) error {
	found := s.routes.at(r.URL.EscapedPath())
	if len(found) == 0 {
		return nowhere()
	}
	verb := r.Method
	if verb == http.MethodHead {
		verb = http.MethodGet
	}
	for _, one := range found {
		if one.verb == verb {
			c.route = one
			return nil
		}
	}
	if verb == http.MethodOptions {
		return nil
	}
	return wrongVerb(allow(found))
}

func nowhere() error {
	return fault.New(faultv1.Reason_REASON_METHOD_UNKNOWN, "no method at this path: see /openapi.json")
}

func wrongVerb(allowed string) error {
	return fault.New(faultv1.Reason_REASON_HTTP_METHOD_UNKNOWN, "this path takes "+allowed, "allow", allowed)
}

// homely refuses what a page of another site makes a browser send. A browser that holds the unit's certificate would present it; programs
// send neither of these headers. Reads are refused too: each leaves a look in the audit, in the officer's name.
func homely(_ *call, r *http.Request) error {
	for _, from := range r.Header.Values("Sec-Fetch-Site") {
		if from != "same-origin" && from != "none" {
			return fault.New(faultv1.Reason_REASON_HTTP_ORIGIN_FOREIGN, "a page of another site sent this", "header", "Sec-Fetch-Site")
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		if at, err := url.Parse(origin); err != nil || at.Scheme != "https" || !strings.EqualFold(at.Host, r.Host) {
			return fault.New(faultv1.Reason_REASON_HTTP_ORIGIN_FOREIGN, "a page of another site sent this", "header", "Origin")
		}
	}
	return nil
}

// acceptable refuses a caller who wants no JSON, before anything is done that it could not read about.
func acceptable(_ *call, r *http.Request) error {
	wanted := r.Header.Values("Accept")
	if strings.TrimSpace(strings.Join(wanted, "")) == "" || weigh(wanted, "application/json", "application/*", "*/*") {
		return nil
	}
	return fault.New(faultv1.Reason_REASON_HTTP_ANSWER_NOT_ACCEPTABLE, "answers are application/json alone", "header", "Accept")
}

// weigh tells whether a list such as `a;q=0.5, b` wants one of some names. Of several that are there the first of the names counts.
func weigh(lists []string, names ...string) bool {
	weights := map[string]string{}
	for part := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		weights[strings.ToLower(strings.TrimSpace(name))] = strings.ReplaceAll(strings.ToLower(parameters), " ", "")
	}
	for _, name := range names {
		if parameters, ok := weights[name]; ok {
			return !slices.ContainsFunc(strings.Split(parameters, ";"), func(p string) bool {
				weight, q := strings.CutPrefix(p, "q=")
				return q && strings.Trim(weight, "0.") == ""
			})
		}
	}
	return false
}

// addressed looks at path and query: they are text, and every parameter is a field of the method.
func addressed(c *call, r *http.Request) (err error) {
	if r.Method == http.MethodOptions {
		return nil
	}
	if !utf8.ValidString(r.URL.Path) {
		return fault.Invalid("path", "is not UTF-8")
	}
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return fault.Invalid("query", "a parameter cannot be read")
	}
	if err := c.parameters(); err != nil {
		return err
	}
	for key, values := range c.query {
		if slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return fault.Invalid(key, "is not UTF-8")
		}
	}
	return nil
}

// jsonOnly looks at what the headers say of the body. A body without a type is taken as JSON: no browser sends one across sites without
// the headers that homely looks at.
func jsonOnly(_ *call, r *http.Request) error {
	for _, coding := range r.Header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return fault.New(faultv1.Reason_REASON_HTTP_CONTENT_UNSUPPORTED, "the body must not be compressed", "header", "Content-Encoding")
		}
	}
	types := r.Header.Values("Content-Type")
	if len(types) == 0 {
		return nil
	}
	kind, parameters, err := mime.ParseMediaType(types[0])
	charset, given := parameters["charset"]
	if len(types) > 1 || err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8") {
		return fault.New(faultv1.Reason_REASON_HTTP_CONTENT_UNSUPPORTED, "the body must be JSON: Content-Type: application/json", "header", "Content-Type")
	}
	return nil
}
