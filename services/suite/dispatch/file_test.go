package dispatch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func TestALineIsAnUpdateOrAVoid(t *testing.T) {
	t.Parallel()
	item, err := ParseLine([]byte(`{"sequence":"7","incident_number":"J1","incident_version":2,"source_time":"2026-03-02T08:00:00+08:00","payload": {"summary": "a b"}}`))
	if err != nil {
		t.Fatal(err)
	}
	u := item.Update
	if u.GetSequence() != 7 || u.GetIncidentVersion() != 2 || u.GetSourceTime().GetSeconds() != 1772409600 ||
		string(u.GetPayload()) != `{"summary":"a b"}` || u.GetPayloadFormat() != reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON {
		t.Errorf("read as %v", u)
	}
	if item, err = ParseLine([]byte(`{"sequence":7,"incidentNumber":"J1","payload":"Chk="}`)); err != nil || string(item.Update.GetPayload()) != "\n\x19" || item.Update.GetPayloadFormat() != 0 {
		t.Errorf("a binary payload is read as %v, %v", item, err)
	}
	if item, err = ParseLine([]byte(`{"void":{"from":2,"to":4,"reason":"never"}}`)); err != nil || item.Void.GetFrom() != 2 || item.Void.GetTo() != 4 || item.Void.GetReason() != "never" {
		t.Errorf("a void is read as %v, %v", item, err)
	}
	for line, says := range map[string]string{
		`[]`:                                    "no JSON object",
		`{"sequence":0,"incident_number":"J1"}`: "sequence is 0",
		`{"sequence":9007199254740992}`:         "sequence is 9007199254740992",
		`{"sequence":1,"incident_nummer":"J1"}`: "no IncidentUpdate",
		`{"void":{"from":5,"to":4}}`:            "from 5 to 4",
		`{"sequence":1,"sequence":2}`:           `says "sequence" twice`,
		`{"sequence":1,"incidentNumber":"J1","incident_number":"J1"}`:                        `says "incident_number" twice`,
		`{"sequence":1,"payload":{"summary":"a","summary":"b"}}`:                             `says "summary" twice`,
		`{"sequence":1,"payload":{"reportId":"","report_id":""}}`:                            `says "report_id" twice`,
		`{"sequence":1,"payload":{"milestones":[{"kind":"KIND_SENT"},{"kind":1,"kind":2}]}}`: `says "kind" twice`,
		`{"void":{"from":5,"to":6,"from":7}}`:                                                `says "from" twice`,
		"{\"sequence\":1,\"payload\":{\"summary\":\"\xb6\xf9\xcd\xaf\"}}":                    "is not UTF-8",
		`{"void":{"from":1,"to":2},"sequence":3}`:                                            "a line of its own",
	} {
		if _, err := ParseLine([]byte(line)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAFileIsLookedThroughBeforeItIsSent(t *testing.T) {
	t.Parallel()
	read := func(content string) (*File, error) {
		path := filepath.Join(t.TempDir(), "updates.ndjson")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		return ReadFile(file)
	}
	f, err := read(`{"sequence":3}` + "\n\n" + `{"sequence":1}` + "\n" + `{"void":{"from":6,"to":9}}` + "\n" + `{"sequence":3,"incident_number":"J2"}`)
	if err != nil {
		t.Fatal(err)
	}
	if f.Numbers() != 6 || f.Through(3) != 2 || f.Through(7) != 4 || len(f.Gaps()) != 2 || len(f.Twice) != 1 || f.Twice[0] != (Repeated{3, 5}) {
		t.Errorf("%d numbers, gaps %v, twice %v", f.Numbers(), f.Gaps(), f.Twice)
	}
	var order []int64
	for item, err := range f.Outbox(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		from, _ := item.span()
		order = append(order, from)
	}
	if !slices.Equal(order, []int64{3, 6, 3}) {
		t.Errorf("sent in the order %v", order)
	}
	if _, err := read(`{"sequence":1}` + "\n" + `{"sequence":}`); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a broken line is reported as %v", err)
	}
}

// The set of ranges holds what a set of numbers would.
func TestRangesAreASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r ranges
		plain := map[int64]bool{}
		for range rapid.IntRange(0, 30).Draw(t, "adds") {
			from := rapid.Int64Range(1, 60).Draw(t, "from")
			to := from + rapid.Int64Range(0, 5).Draw(t, "length")
			again := false
			for n := from; n <= to; n++ {
				again = again || plain[n]
				plain[n] = true
			}
			if got := r.add(from, to); got != again {
				t.Fatalf("adding %d to %d says %v", from, to, got)
			}
		}
		for n := int64(0); n <= 70; n++ {
			want := int64(0)
			for m := range plain {
				if m <= n {
					want++
				}
			}
			if got := r.through(n); got != want {
				t.Fatalf("%d numbers through %d, want %d", got, n, want)
			}
		}
		for _, g := range r.gaps() {
			for n := g.GetFrom(); n <= g.GetTo(); n++ {
				if plain[n] {
					t.Fatalf("%d is in a gap", n)
				}
			}
		}
	})
}
