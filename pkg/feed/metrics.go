package feed

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// meter is asked for at each use: the provider is set by main, after packages are loaded.
func meter() metric.Meter { return otel.Meter("github.com/lianhu/lianhu/pkg/feed") }

// instrument reports a wrong name or unit to OpenTelemetry's handler; the instrument then does nothing, and the feed goes on.
func instrument[I any](i I, err error) I {
	if err != nil {
		otel.Handle(err)
	}
	return i
}

func counter(name, unit, description string) metric.Int64Counter {
	return instrument(meter().Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description)))
}

func gauge(name, unit, description string) metric.Int64Gauge {
	return instrument(meter().Int64Gauge(name, metric.WithUnit(unit), metric.WithDescription(description)))
}

// serverMetrics are the readers at present, and those cut off for being slow.
func serverMetrics() (readers metric.Int64UpDownCounter, slow metric.Int64Counter) {
	readers = instrument(meter().Int64UpDownCounter("lianhu.feed.readers",
		metric.WithUnit("{stream}"), metric.WithDescription("Open feed streams")))
	return readers, counter("lianhu.feed.readers_slow", "{stream}", "Feed streams ended because the reader did not take a batch in time")
}
