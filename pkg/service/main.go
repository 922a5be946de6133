package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/lianhu/lianhu/pkg/telemetry"
)

// traceFile is the environment variable naming a file that spans are appended to, one JSON object a line: what a trace looks
// like where there is no collector.
const traceFile = "LIANHU_TRACE_FILE"

// Main is the main function of a process of the suite: logs and traces on, run until SIGTERM or interrupt, exit status.
func Main(name string, run func(ctx context.Context) error) {
	Process(func(ctx context.Context) error { return Traced(ctx, name, run) })
}

// Process is Main without traces, for a command that decides itself what is traced, and under which name.
func Process(run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), farewells...)
	slog.SetDefault(telemetry.NewLogger(os.Stderr, slog.LevelInfo))
	err := run(ctx)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Traced runs something with tracing on and flushes what was traced.
func Traced(ctx context.Context, name string, run func(ctx context.Context) error) (err error) {
	var exporter sdktrace.SpanExporter
	if path := os.Getenv(traceFile); path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("%s: %w", traceFile, err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		exporter = telemetry.NewLines(file)
	}
	provider, err := telemetry.Setup(ctx, telemetry.Config{Service: name, Version: BuildVersion(), Exporter: exporter})
	if err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = provider.Shutdown(bounded) // spans that do not get out are lost, nothing else
	}()
	return run(ctx)
}
