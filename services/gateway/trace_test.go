package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// outsideTrace is a trace id that a caller's own tracing made, and what spreads it, in every usual spelling.
const outsideTrace = "0af7651916cd43dd8448eb211c80319c"

func traceHeaders() map[string]string {
	return map[string]string{
		"traceparent": "00-" + outsideTrace + "-b7ad6b7169203331-01", "tracestate": "school=" + outsideTrace, "baggage": "user=" + outsideTrace,
		"b3": outsideTrace + "-b7ad6b7169203331-1", "x-b3-traceid": outsideTrace, "x-b3-spanid": "b7ad6b7169203331", "uber-trace-id": outsideTrace + ":1:0:1",
		"x-request-id": outsideTrace, "x-correlation-id": outsideTrace, "grpc-trace-bin": outsideTrace,
	}
}

// Any client with OpenTelemetry sends its trace id with each call. Kept or passed on, it would tie a report to the calls of the school that made it.
func TestNothingOfACallersTraceComesIn(t *testing.T) {
	t.Parallel()
	seen := make(chan metadata.MD, 1)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		seen <- md
		return empty(method, s)
	}})
	clean := func(what string, md metadata.MD) {
		t.Helper()
		for key, values := range md {
			if strings.Contains(strings.Join(values, " "), outsideTrace) {
				t.Errorf("%s: %s reaches the service", what, key)
			}
		}
	}
	c, web := h.unit(t, township), h.browser(t, township)
	for key, value := range traceHeaders() {
		for _, method := range []string{read, watch} {
			request, answer := []byte{}, []byte{}
			ok(t, c.Invoke(metadata.AppendToOutgoingContext(t.Context(), key, value), method, &request, &answer))
			clean(key, wait(t, seen, key))
		}
		status, _ := h.ask(t, web, http.MethodGet, "/v1/reporting/reports/x", "", http.Header{http.CanonicalHeaderKey(key): {value}})
		if status != http.StatusOK {
			t.Errorf("%s over JSON: %d", key, status)
			continue
		}
		clean(key+" over JSON", wait(t, seen, key))
	}
}
