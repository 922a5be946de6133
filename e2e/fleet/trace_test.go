package fleet_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/e2e/fleet"
	"github.com/lianhu/lianhu/pkg/telemetry"
)

// traces is everything that the processes of a fleet traced.
type traces struct {
	spans map[string]telemetry.Span // by span id
	files map[string]int            // spans of calls per process
}

func readSpans(t *testing.T, f *fleet.Fleet) traces {
	t.Helper()
	files, err := f.TraceFiles()
	if err != nil {
		t.Fatal(err)
	}
	out := traces{map[string]telemetry.Span{}, map[string]int{}}
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(file)
		for {
			var s telemetry.Span
			if err := decoder.Decode(&s); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			out.spans[s.SpanID] = s
			if s.Kind == "server" && strings.HasPrefix(s.Name, "lianhu.") && !strings.Contains(s.Name, "devclock") {
				out.files[filepath.Base(path)]++
			}
		}
		_ = file.Close() // it was only read
	}
	return out
}

// everyReplicaWorked: a replica that nobody calls proves nothing about replicas.
func (w traces) everyReplicaWorked(t *testing.T) {
	t.Helper()
	for _, name := range fleet.Services {
		for _, replica := range []string{"-0.trace", "-1.trace"} {
			if w.files[name+replica] == 0 {
				t.Errorf("%s took no call", name+replica)
			}
		}
	}
}

// walkBack starts at the span that settled the payment - the only change after which nothing is open - and goes from span to parent and from
// span to link, as a person with a trace viewer does, until nothing is left. On the way it must meet every service and the report.
func (w traces) walkBack(t *testing.T) {
	t.Helper()
	start := w.last("command /lianhu.relief.v1.ReliefService/RecordBankReturn")
	met, root := w.from(t, start)
	services := map[string]bool{}
	report := ""
	for _, s := range met {
		services[s.Service] = true
		if s.Name == "command /lianhu.reporting.v1.ReportingService/SubmitReport" {
			report = s.TraceID
		}
	}
	for _, name := range fleet.Services {
		if !services[name] {
			t.Errorf("the walk does not pass %s", name)
		}
	}
	switch report {
	case "":
		t.Error("the walk does not reach the report")
	case start.TraceID:
		t.Error("the report and the payment are one trace: calls were not started apart")
	}
	if root.Service != "gateway" {
		t.Errorf("the payment's call begins at %s; every call begins at the gateway, without a parent", root.Service)
	}
}

// from gives everything that can be reached from a span, and the root of its own trace.
func (w traces) from(t *testing.T, start telemetry.Span) (met []telemetry.Span, root telemetry.Span) {
	t.Helper()
	seen := map[string]bool{start.SpanID: true}
	met = append(met, start)
	for i := 0; i < len(met); i++ {
		s := met[i]
		if s.TraceID == start.TraceID && s.ParentID == "" {
			root = s
		}
		next := []string{s.ParentID}
		for _, link := range s.Links {
			next = append(next, link.SpanID)
		}
		for _, id := range next {
			if id == "" || seen[id] {
				continue
			}
			seen[id] = true
			to, ok := w.spans[id]
			if !ok {
				t.Errorf("%s %s leads to a span that nobody wrote down", s.Service, s.Name)
				continue
			}
			met = append(met, to)
		}
	}
	return met, root
}

// last gives the latest span of a name.
func (w traces) last(name string) (found telemetry.Span) {
	for _, s := range w.spans {
		if s.Name == name && s.Start.After(found.Start) {
			found = s
		}
	}
	return found
}
