package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Lines is an exporter that writes one JSON object per span: what a trace looks like without any backend.
type Lines struct {
	mu  sync.Mutex
	out *json.Encoder
}

// NewLines writes to w, which the caller closes after the provider has been shut down.
func NewLines(w io.Writer) *Lines { return &Lines{out: json.NewEncoder(w)} }

// Span is one line.
type Span struct {
	Service    string         `json:"service"`
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	TraceID    string         `json:"trace_id"`
	SpanID     string         `json:"span_id"`
	ParentID   string         `json:"parent_id,omitempty"`
	Start      time.Time      `json:"start"`
	End        time.Time      `json:"end"`
	Status     string         `json:"status"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Links      []SpanLink     `json:"links,omitempty"`
}

// SpanLink names a span of another trace that this one follows from.
type SpanLink struct {
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
}

// ExportSpans implements sdktrace.SpanExporter.
func (l *Lines) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range spans {
		if err := l.out.Encode(line(s)); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter; there is nothing to flush.
func (l *Lines) Shutdown(context.Context) error { return nil }

func line(s sdktrace.ReadOnlySpan) Span {
	out := Span{
		Name: s.Name(), Kind: s.SpanKind().String(), Start: s.StartTime(), End: s.EndTime(), Status: s.Status().Code.String(),
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(),
	}
	if s.Parent().IsValid() {
		out.ParentID = s.Parent().SpanID().String()
	}
	for _, a := range s.Resource().Attributes() {
		if a.Key == "service.name" {
			out.Service = a.Value.AsString()
		}
	}
	if attributes := s.Attributes(); len(attributes) > 0 {
		out.Attributes = make(map[string]any, len(attributes))
		for _, a := range attributes {
			out.Attributes[string(a.Key)] = a.Value.AsInterface()
		}
	}
	for _, link := range s.Links() {
		out.Links = append(out.Links, SpanLink{link.SpanContext.TraceID().String(), link.SpanContext.SpanID().String()})
	}
	return out
}
