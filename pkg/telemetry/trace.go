package telemetry

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Traceparent is the W3C trace context of the span in ctx, empty when there is none. Commands store it with what they
// write, so that whoever acts on it later can link back.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// Link makes a span link from a stored trace context; ok is false when there is none.
func Link(traceparent string) (link trace.Link, ok bool) {
	if traceparent == "" {
		return trace.Link{}, false
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	remote := trace.SpanContextFromContext(ctx)
	return trace.Link{SpanContext: remote}, remote.IsValid()
}

// Apart is ctx without the span it carries: what is done with it belongs to no trace of the call.
func Apart(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.SpanContext{})
}

// Fresh begins a trace of its own within a call: nothing leads from it to the trace of the call, nor back. What is stored under it can be
// published without telling who called. The caller ends it.
func Fresh(ctx context.Context, name string) (fresh context.Context, end func()) {
	ctx, span := otel.Tracer("github.com/lianhu/lianhu/pkg/telemetry").Start(Apart(ctx), name, trace.WithNewRoot())
	return ctx, func() { span.End() }
}
