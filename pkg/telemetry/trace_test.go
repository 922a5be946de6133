package telemetry_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/lianhu/lianhu/pkg/telemetry"
)

func TestALinkLeadsBackToTheStoredSpan(t *testing.T) {
	t.Parallel()
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(context.Background(), "report")
	link, ok := telemetry.Link(telemetry.Traceparent(ctx))
	if !ok || link.SpanContext.TraceID() != span.SpanContext().TraceID() || link.SpanContext.SpanID() != span.SpanContext().SpanID() {
		t.Errorf("link %v, span %v", link.SpanContext, span.SpanContext())
	}
}

func TestWithoutASpanThereIsNoLink(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{telemetry.Traceparent(context.Background()), "damaged", "00-0-0-01"} {
		if _, ok := telemetry.Link(stored); ok {
			t.Errorf("%q made a link", stored)
		}
	}
}
