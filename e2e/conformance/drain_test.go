package conformance

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lianhu/lianhu/e2e/fleet"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/services/suite/dispatch"
)

// follower pushes as lianhu dispatch push does, from an outbox that grows until it is told to stop.
type follower struct {
	mu     sync.Mutex
	cuts   []string // by reason, or what was said
	acked  int64
	heard  chan struct{} // has a token after each acknowledgement
	result dispatch.Result
}

func (f *follower) told(e dispatch.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Cut != nil {
		reason := client.Refusal(e.Cut).GetReason()
		if reason == "" {
			reason = e.Cut.Error()
		}
		f.cuts = append(f.cuts, reason)
	}
	if e.Ack != nil {
		f.acked = e.Ack.GetDurableThrough()
		select {
		case f.heard <- struct{}{}:
		default:
		}
	}
}

// beyond waits until so many more numbers are acknowledged.
func (f *follower) beyond(ctx context.Context, more int64) error {
	f.mu.Lock()
	due := f.acked + more
	f.mu.Unlock()
	for {
		f.mu.Lock()
		now := f.acked
		f.mu.Unlock()
		if now >= due {
			return nil
		}
		select {
		case <-f.heard:
		case <-ctx.Done():
			return fmt.Errorf("acknowledged through %d of %d: %w", now, due, ctx.Err())
		}
	}
}

// met gives how the streams ended since it was last asked.
func (f *follower) met() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	cuts := f.cuts
	f.cuts = nil
	return cuts
}

// endless gives a number every few milliseconds until stop is closed, and all of them again after a cut.
func endless(stop <-chan struct{}) dispatch.Outbox {
	made := int64(0)
	return func(ctx context.Context, above int64) iter.Seq2[*dispatch.Item, error] {
		return func(yield func(*dispatch.Item, error) bool) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for n := above + 1; ; n++ {
				if n > made {
					select {
					case <-tick.C:
						made = n
					case <-stop:
						return
					case <-ctx.Done():
						return
					}
				}
				if !yield(&dispatch.Item{Update: said(n, fmt.Sprintf("D%p-%d", &made, n%5), n, `{"summary":"drained"}`)}, nil) || n == made && !yield(nil, nil) {
					return
				}
			}
		}
	}
}

// Replicas of reporting are drained behind the gateway, one after the other: the sources on it are told DRAINING and go on at once, those on the
// other replica do not notice. Then PostgreSQL is killed under both and comes back. Nothing is lost and nothing kept apart.
func TestDrainingAndAnOutageBehindTheGateway(t *testing.T) {
	t.Parallel()
	f, err := fleet.Start(t.Context(), fleet.Options{Root: root, Dir: folder(t), Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	}()
	stop := make(chan struct{})
	var sources [2]*follower
	var running sync.WaitGroup
	for i, unit := range []string{"police", "police/320411101000"} {
		// One gateway, which leads streams to the replicas in turn.
		conn := dial(t, f.Home, f.Layout.GRPC["gateway"][0], unit, "dispatch")
		one := &follower{heard: make(chan struct{}, 1)}
		sources[i] = one
		running.Go(func() {
			var err error
			if one.result, err = (&dispatch.Client{Conn: conn, Told: one.told}).Push(t.Context(), endless(stop)); err != nil {
				t.Errorf("%s: %v", unit, err)
			}
		})
		if err := one.beyond(t.Context(), 20); err != nil {
			t.Fatal(err)
		}
	}
	// Where the gateway has led the sources nobody can tell, until a drain has left them one replica: after the first they are all at 1, after
	// the second all at 0, and so the third is noticed by none.
	for step, drained := range []struct {
		replica int
		met     func([]string) bool
	}{
		{0, func(met []string) bool { return len(met) == 0 || slices.Equal(met, []string{"DRAINING"}) }},
		// The gateway looks for a replica that was away once in a second: until it has found 0 again there is none.
		{1, func(met []string) bool {
			return len(met) > 0 && met[0] == "DRAINING" && !slices.ContainsFunc(met[1:], func(reason string) bool { return reason != "UNAVAILABLE" })
		}},
		{1, func(met []string) bool { return len(met) == 0 }},
	} {
		if err := f.Process("reporting", drained.replica).Terminate(); err != nil {
			t.Error(err)
		}
		for i, one := range sources {
			if err := one.beyond(t.Context(), 50); err != nil {
				t.Fatal(err)
			}
			if met := one.met(); !drained.met(met) {
				t.Errorf("drain %d, of replica %d: source %d met %v", step, drained.replica, i, met)
			}
		}
		if err := f.Restart(t.Context(), "reporting", drained.replica); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.RestartDatabase(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, one := range sources {
		if err := one.beyond(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	running.Wait()
	for i, one := range sources {
		for _, reason := range one.met() { // a stream waits for the database, but not for ever
			if reason != "UNAVAILABLE" {
				t.Errorf("source %d met %s while PostgreSQL was restarted", i, reason)
			}
		}
		if len(one.result.Gaps)+len(one.result.Quarantined) > 0 || one.result.DurableThrough != one.acked || one.result.DurableThrough < 120 {
			t.Errorf("source %d ended with %+v", i, one.result)
		}
	}
}
