package feed_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/telemetry"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

func TestTheEffectOfAnEventLeadsBackToItsCause(t *testing.T) {
	t.Parallel()
	provider := otel.GetTracerProvider()
	ctx, cause := provider.Tracer("test").Start(t.Context(), "the teacher's report")
	cause.End()
	s, c := openSource(t, feed.Limits{}), newClerk(t)
	s.emit(t, event{trace: telemetry.Traceparent(ctx)})
	var effect trace.Span
	f := c.follow(s, func(ctx context.Context, ev *feedv1.Event, call command.Call) error {
		effect = trace.SpanFromContext(ctx)
		return c.note(ctx, ev, call)
	})
	if err := f.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	made, ok := effect.(sdktrace.ReadOnlySpan)
	if !ok || len(made.Links()) != 1 || made.Links()[0].SpanContext.SpanID() != cause.SpanContext().SpanID() {
		t.Fatalf("the handler's span does not link to the span of the change")
	}
	if n := count(t, c.owner, "SELECT count(*) FROM note WHERE trace LIKE '%' || $1 || '%'", made.SpanContext().TraceID().String()); n != 1 {
		t.Error("the effect's row does not name the handler's trace")
	}
}

// The trace of a change is for the suite: a partner who received it could join the changes of one caller.
func TestAPartnersEventsCarryNoTrace(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{})
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s.emit(t, event{trace: trace, audience: []string{"court"}})
	for name, c := range map[string]struct {
		reader feed.Reader
		want   string
	}{"a partner": {feed.Reader{Unit: "court"}, ""}, "a service": {whole, trace}} {
		batch, err := s.server.Read(t.Context(), c.reader, &feedv1.Position{}, 0)
		if err != nil || len(batch.GetEvents()) != 1 {
			t.Fatalf("%s: %v, %v", name, batch, err)
		}
		if got := batch.GetEvents()[0].GetTraceparent(); got != c.want {
			t.Errorf("%s receives the trace %q", name, got)
		}
	}
}
