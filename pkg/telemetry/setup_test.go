package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/lianhu/lianhu/pkg/telemetry"
)

// Not parallel: Setup installs the process's provider.
func TestSpansReachTheExporterWithTheirLinks(t *testing.T) {
	var out bytes.Buffer
	provider, err := telemetry.Setup(t.Context(), telemetry.Config{Service: "relief", Exporter: telemetry.NewLines(&out)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, report := otel.Tracer("test").Start(t.Context(), "report")
	link, _ := telemetry.Link(telemetry.Traceparent(ctx))
	_, payment := otel.Tracer("test").Start(t.Context(), "payment", trace.WithLinks(link))
	payment.End()
	report.End()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var first telemetry.Span
	if err := json.NewDecoder(&out).Decode(&first); err != nil {
		t.Fatal(err)
	}
	if first.Service != "relief" || first.Name != "payment" || len(first.Links) != 1 || first.Links[0].TraceID != report.SpanContext().TraceID().String() {
		t.Errorf("span %+v", first)
	}
}

// Not parallel: it reads the process's environment.
func TestWithoutAnExporterSpansStillHaveIDs(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	provider, err := telemetry.Setup(t.Context(), telemetry.Config{Service: "relief"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := provider.Tracer("test").Start(t.Context(), "call")
	defer span.End()
	if telemetry.Traceparent(ctx) == "" {
		t.Error("no trace context without an exporter")
	}
}

func TestLogLinesCarryTheTraceAndReadableText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	telemetry.NewLogger(&out, slog.LevelInfo).With("service", "relief").InfoContext(ctx, "已启动")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	if line["trace_id"] != span.TraceID().String() || line["span_id"] != span.SpanID().String() || line["service"] != "relief" {
		t.Errorf("line %v", line)
	}
	if !strings.Contains(out.String(), "已启动") {
		t.Errorf("Chinese text is escaped: %s", out.String())
	}
}
