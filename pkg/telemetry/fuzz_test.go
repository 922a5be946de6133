package telemetry_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/lianhu/lianhu/pkg/telemetry"
)

// A stored trace context is a link to a real span or none, and a link is stored as the same one.
func FuzzLink(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("00-00000000000000000000000000000000-00f067aa0ba902b7-01")
	f.Add("")
	f.Fuzz(func(t *testing.T, stored string) {
		link, ok := telemetry.Link(stored)
		if ok != link.SpanContext.IsValid() {
			t.Fatalf("%q is a link: %v", stored, ok)
		}
		if !ok {
			return
		}
		again, ok := telemetry.Link(telemetry.Traceparent(trace.ContextWithSpanContext(context.Background(), link.SpanContext)))
		if !ok || again.SpanContext.TraceID() != link.SpanContext.TraceID() || again.SpanContext.SpanID() != link.SpanContext.SpanID() {
			t.Errorf("%q came back as another link", stored)
		}
	})
}
