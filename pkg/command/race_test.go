package command_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// persist repeats a request as the documentation tells callers to: after CONTENTION and UNAVAILABLE, with the same request_id.
func persist[A any](ctx context.Context, do func() (A, error)) (A, error) {
	for {
		a, err := do()
		if err == nil || ctx.Err() != nil ||
			!fault.Is(err, faultv1.Reason_REASON_CONTENTION) && !fault.Is(err, faultv1.Reason_REASON_UNAVAILABLE) {
			return a, err
		}
	}
}

func TestRacingCreatesOnOneBusinessKeyGiveOneEffectAndOneHonestAnswer(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	for round := range 40 {
		number := fmt.Sprintf("N-%d", round)
		// Three rivals, each of whom sends its request three times at once.
		requests := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
		ids := make([]string, 9)
		var made, taken atomic.Int64
		var group errgroup.Group
		for i := range ids {
			group.Go(func() error {
				got, err := persist(t.Context(), func() (*specimenv1.ChangeTicketResponse, error) {
					return d.open(t.Context(), &specimenv1.ChangeTicketRequest{RequestId: requests[i%3], Number: number})
				})
				switch {
				case err == nil:
					made.Add(1)
					ids[i] = got.GetStanding().GetId()
				case fault.Is(err, specimenv1.Reason_REASON_NUMBER_TAKEN):
					taken.Add(1)
				default:
					return err
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if made.Load() != 3 || taken.Load() != 6 {
			t.Fatalf("%d were told it is theirs and %d that it is taken; want 3 and 6", made.Load(), taken.Load())
		}
		distinct := map[string]bool{}
		for _, id := range ids {
			if id != "" {
				distinct[id] = true
			}
		}
		if len(distinct) != 1 {
			t.Fatalf("the winner's duplicates were answered with %d different ids", len(distinct))
		}
	}
	if got := d.tally(t)["ticket"]; got != 40 {
		t.Errorf("%d tickets, want 40", got)
	}
}

// Thousands of commands, each sent several times at once, on few rows, while backends are killed: in the end there is
// one effect for each key, and its whole trail.
func TestEffectsEqualKeysUnderRacesAndKilledConnections(t *testing.T) {
	t.Parallel()
	const tickets, keys, copies, workers = 8, 1200, 3, 24
	d := openDesk(t)
	var ids []string
	for i := range tickets {
		ids = append(ids, d.mustOpen(t, fmt.Sprintf("N-%d", i)).GetStanding().GetId())
	}
	type order struct{ key, ticket string }
	var orders []order
	for range keys {
		o := order{uuid.NewString(), ids[rand.N(tickets)]}
		for range copies {
			orders = append(orders, o)
		}
	}
	rand.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })

	ctx, cancel := context.WithCancel(t.Context())
	killed := make(chan int)
	go func() { killed <- killBackends(ctx, d.DB) }()
	queue := make(chan order, len(orders))
	for _, o := range orders {
		queue <- o
	}
	close(queue)
	var mu sync.Mutex
	versions := map[string]int64{}
	var group errgroup.Group
	for range workers {
		group.Go(func() error {
			for o := range queue {
				got, err := persist(ctx, func() (*specimenv1.ChangeTicketResponse, error) {
					return d.count(ctx, "court", &specimenv1.ChangeTicketRequest{RequestId: o.key, Id: o.ticket})
				})
				if err != nil {
					return err
				}
				mu.Lock()
				before, seen := versions[o.key]
				versions[o.key] = got.GetStanding().GetVersion()
				mu.Unlock()
				if seen && before != got.GetStanding().GetVersion() {
					return fmt.Errorf("one key was answered with versions %d and %d", before, got.GetStanding().GetVersion())
				}
			}
			return nil
		})
	}
	err := group.Wait()
	cancel()
	kills := <-killed
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d backends killed", kills)
	if kills == 0 {
		t.Error("no connection was killed: the test proved less than it says")
	}
	d.DB.Reset() // the last one killed may still lie in the pool, and the counts below are no commands that try again
	d.checkTrail(t, ids, keys)
}

// killBackends ends random connections of the pool's role until ctx is done and returns how many it ended.
func killBackends(ctx context.Context, db *pgxpool.Pool) int {
	own, err := pgxpool.NewWithConfig(ctx, db.Config())
	if err != nil {
		return 0
	}
	defer own.Close()
	kills := 0
	for ctx.Err() == nil {
		var n int
		err := own.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM (
				SELECT pid FROM pg_stat_activity
				WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND state = 'active'
				ORDER BY random() LIMIT 1) victim, pg_sleep(0.02)`).Scan(&n)
		if err == nil {
			kills += n
		}
	}
	return kills
}

// checkTrail compares what is stored with the number of effects.
func (d *desk) checkTrail(t *testing.T, ids []string, keys int) {
	t.Helper()
	effects := 0
	for _, id := range ids {
		m := d.ticket(t, id)
		effects += int(m.GetCount())
		if int64(m.GetCount())+1 != m.GetStanding().GetVersion() {
			t.Errorf("a ticket counts %d at version %d", m.GetCount(), m.GetStanding().GetVersion())
		}
	}
	if effects != keys {
		t.Errorf("%d effects of %d keys", effects, keys)
	}
	want := keys + len(ids)
	tally := d.tally(t)
	for _, table := range []string{"idempotency", "custody", "outbox", "audit"} {
		if tally[table] != want {
			t.Errorf("%s has %d rows, want %d", table, tally[table], want)
		}
	}
}

// The same rule with an idempotency row that does not hang on the effect acknowledges commands that never happened; this
// shows that the checks above would see it.
func TestTheTrailCheckSeesAnUnhungAcknowledgement(t *testing.T) {
	t.Parallel()
	d := newDesk(t, pgtest.Database(t, specimen.Migrations()))
	opened := d.mustOpen(t, "N-1")
	lost := 0
	var group errgroup.Group
	var mu sync.Mutex
	for range 40 {
		group.Go(func() error {
			// The broken form: read, then write both, each on its own.
			m := d.ticket(t, opened.GetStanding().GetId())
			tag, err := d.DB.Exec(t.Context(), `
				WITH i AS (INSERT INTO idempotency (caller, method, request_id, digest, answer) VALUES ('x', 'y', gen_random_uuid(), '', ''))
				UPDATE ticket SET version = version + 1 WHERE id = $1::uuid AND version = $2`, m.GetStanding().GetId(), m.GetStanding().GetVersion())
			mu.Lock()
			defer mu.Unlock()
			if err == nil && tag.RowsAffected() == 0 {
				lost++
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	acknowledged, effects := d.tally(t)["idempotency"]-1, int(d.ticket(t, opened.GetStanding().GetId()).GetStanding().GetVersion())-1
	if acknowledged-effects != lost || acknowledged != 40 {
		t.Errorf("%d acknowledged, %d effects, %d lost", acknowledged, effects, lost)
	}
}
