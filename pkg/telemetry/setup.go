// Package telemetry switches on traces and logs for one process, and carries trace context through what is stored:
// from a payment anybody can walk back, link by link, to the report it began with.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// endpoint is OpenTelemetry's own variable; everything else about the exporter is read by the exporter itself.
const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

// Config says what a process tells about itself.
type Config struct {
	// Service is the name under which the process's spans appear.
	Service string
	// Version of the binary.
	Version string
	// Exporter receives the spans in place of OTLP; the owner of the exporter closes what it writes to.
	Exporter sdktrace.SpanExporter
}

// Setup makes the process's tracer provider and installs it, so that libraries which ask the global one trace too. Spans
// go to Config.Exporter, else to OTLP when OTEL_EXPORTER_OTLP_ENDPOINT is set, else nowhere; ids exist in every case, because
// logs, refusals and stored links need them. The caller shuts the provider down last, which flushes it.
func Setup(ctx context.Context, c Config) (*sdktrace.TracerProvider, error) {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", c.Service), attribute.String("service.version", c.Version),
	))}
	exporter := c.Exporter
	if exporter == nil && os.Getenv(endpoint) != "" {
		otlp, err := otlptracegrpc.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry: open the OTLP exporter: %w", err)
		}
		exporter = otlp
	}
	if exporter != nil {
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	provider := sdktrace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider, nil
}

// NewLogger writes lines of text to a terminal and JSON anywhere else; each line that belongs to a call carries its
// trace and span id. Chinese text stays readable in both.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.New(traced{slog.NewTextHandler(w, options)})
		}
	}
	return slog.New(traced{slog.NewJSONHandler(w, options)})
}
