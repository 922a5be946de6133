package feed_test

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/feed"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// TestCursorModel lets readers with different filters read, lose their connection and resume in any order while events
// arrive, and compares each with what a reader of the whole table would have picked out.
func TestCursorModel(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Heartbeat: 10 * time.Millisecond})
	filters := []*feedv1.Filter{nil, {Types: []string{"report.closed"}}, {SubjectKinds: []string{"incident"}}}
	types := []event{{}, {what: "closed"}, {kind: "incident", what: "closed"}}
	wants := func(f int, e event) bool {
		return f == 0 || f == 1 && e.kind == "" && e.what == "closed" || f == 2 && e.kind == "incident"
	}
	var written []event // the model: what is in the feed, from position 1
	rapid.Check(t, func(r *rapid.T) {
		chains, tokens := make([]chain, len(filters)), make([]string, len(filters))
		// A reader resumes by token, by stream or by Read, takes some batches and goes away.
		read := func(f, batches int, stream bool) {
			at := &feedv1.Position{Token: tokens[f], Filter: filters[f]}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			recv := feed.Stream(func() (*feedv1.Batch, error) {
				return s.server.Read(ctx, whole, &feedv1.Position{Token: tokens[f], Filter: filters[f]}, 0)
			})
			if stream {
				recv = s.subscribe(ctx, whole, at)
			}
			for range batches {
				b, err := recv()
				if err != nil {
					r.Fatal(err)
				}
				if err := chains[f].check(b); err != nil {
					r.Fatal(err)
				}
				tokens[f] = b.GetToken()
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"emit": func(r *rapid.T) {
				events := rapid.SliceOfN(rapid.SampledFrom(types), 1, 5).Draw(r, "events")
				s.emit(t, events...)
				written = append(written, events...)
			},
			"read": func(r *rapid.T) {
				read(rapid.IntRange(0, len(filters)-1).Draw(r, "reader"), rapid.IntRange(1, 3).Draw(r, "batches"), rapid.Bool().Draw(r, "stream"))
			},
			"": func(r *rapid.T) {
				for f := range filters {
					var want []int64
					for i, e := range written[:chains[f].through] {
						if wants(f, e) {
							want = append(want, int64(i)+1)
						}
					}
					if len(want) != len(chains[f].seqs) {
						r.Fatalf("reader %d has %d events through %d, want %d", f, len(chains[f].seqs), chains[f].through, len(want))
					}
					for i := range want {
						if want[i] != chains[f].seqs[i] {
							r.Fatalf("reader %d has event %d instead of %d", f, chains[f].seqs[i], want[i])
						}
					}
				}
			},
		})
	})
	if len(written) == 0 {
		t.Error("nothing was ever written")
	}
}
