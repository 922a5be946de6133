package custody_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/postgres"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// Two replicas' sweepers race with officers who close items and put deadlines off, and sessions of the sweepers are ended in the middle of
// their transactions: each deadline that passed has fired once, none that was dealt with or not due has, and officers have what they
// were told.
func TestDeadlinesRaceWithCommandsAndKills(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, specimen.Migrations())
	owner := db.OpenOwner(t)
	var hours atomic.Int64
	over := func(application string) *desk {
		pool, err := postgres.Open(context.WithoutCancel(t.Context()), db.AppURL, postgres.Options{Application: application})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		d := deskOver(t, pool)
		d.Now = func() time.Time { return noon.Add(time.Duration(hours.Load()) * time.Hour) }
		return d
	}
	officers, sweepers := over("officers"), []*desk{over("sweeper"), over("sweeper")}
	var fired, killed, late int
	rapid.Check(t, func(rt *rapid.T) {
		execute(t, owner, "DELETE FROM ticket")
		f := &floor{officers: officers, sweepers: sweepers, done: map[string][]string{}}
		for range rapid.IntRange(3, 9).Draw(rt, "items") {
			f.ids = append(f.ids, officers.open(t, uuid.NewString(), rapid.IntRange(0, 4).Draw(rt, "due after"), ""))
		}
		for range rapid.IntRange(1, 3).Draw(rt, "rounds") {
			hours.Add(rapid.SampledFrom([]int64{2, 1, 26}).Draw(rt, "hours pass"))
			var acts []act
			for range rapid.IntRange(0, 5).Draw(rt, "acts") {
				acts = append(acts, act{rapid.SampledFrom(f.ids).Draw(rt, "item"), rapid.SampledFrom([]string{"extended", "closed"}).Draw(rt, "what")})
			}
			killed += f.race(t, acts, rapid.SampledFrom(f.ids).Draw(rt, "held up"), rapid.IntRange(0, 2).Draw(rt, "kills"))
			for _, s := range sweepers {
				if err := s.sweeper().Sweep(t.Context()); err != nil {
					rt.Fatalf("at rest: %v", err)
				}
			}
			f.check(t, rt)
		}
		fired, late = fired+f.fired, late+f.late
	})
	if fired == 0 || killed == 0 || late == 0 {
		t.Errorf("%d fired, %d sessions ended, %d acts on what was closed: one of these never happened", fired, killed, late)
	}
}

type act struct{ id, what string }

// floor is one history's items and what officers were told they had done to each.
type floor struct {
	officers    *desk
	sweepers    []*desk
	ids         []string
	done        map[string][]string
	fired, late int
}

// do closes an item or puts its deadline off, and comes back after contention as callers do.
func (d *desk) do(ctx context.Context, a act) error {
	call := command.Call{Caller: "court/main", Method: a.what, RequestID: uuid.NewString(), Actor: command.Actor{Unit: "court"}}
	for {
		_, err := command.Update(ctx, d.Engine, call, d.tickets, a.id, func(c *command.Change, m *specimenv1.Ticket) error {
			if m.GetState() == specimenv1.Ticket_STATE_CLOSED {
				return fault.StateForbids("CLOSED", a.what)
			}
			c.Happened(a.what)
			if a.what == "closed" {
				m.State = specimenv1.Ticket_STATE_CLOSED
				custody.Close(m.GetStanding())
				return nil
			}
			custody.Extend(m.GetStanding(), c.Now.Add(2*time.Hour), "report.accept")
			return nil
		}, answer)
		if !fault.Is(err, faultv1.Reason_REASON_CONTENTION) {
			return err
		}
	}
}

// race lets both sweepers and all officers go at once, while somebody holds up one item and ends the sessions of sweepers that wait for it.
func (f *floor) race(t *testing.T, acts []act, heldUp string, kills int) (killed int) {
	t.Helper()
	holding, err := f.officers.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holding.Exec(t.Context(), "SELECT FROM ticket WHERE id = $1::uuid FOR UPDATE", heldUp); err != nil {
		t.Fatal(err)
	}
	var sweeping, acting sync.WaitGroup
	swept := make(chan struct{})
	for _, s := range f.sweepers {
		sweeping.Go(func() { _ = s.sweeper().Sweep(t.Context()) }) // what fails here is fired at rest
	}
	told := make([]error, len(acts))
	for i, a := range acts {
		acting.Go(func() { told[i] = f.officers.do(t.Context(), a) })
	}
	go func() { sweeping.Wait(); close(swept) }()
	for over := false; killed < kills && !over; {
		var ended int
		if err := f.officers.DB.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'sweeper' AND wait_event_type = 'Lock'`).Scan(&ended); err != nil {
			t.Fatal(err)
		}
		killed += ended
		select {
		case <-swept:
			over = true
		default:
		}
	}
	if err := holding.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-swept
	acting.Wait()
	for i, a := range acts {
		switch {
		case told[i] == nil:
			f.done[a.id] = append(f.done[a.id], a.what)
		case fault.Is(told[i], faultv1.Reason_REASON_STATE_FORBIDS):
			f.late++
		default:
			t.Fatalf("%s: %v", a.what, told[i])
		}
	}
	return killed
}

// check reads every item's life back.
func (f *floor) check(t *testing.T, rt *rapid.T) {
	f.fired = 0
	for _, id := range f.ids {
		m := f.officers.ticket(t, id)
		points, err := custody.History(t.Context(), f.officers.DB, id)
		if err != nil {
			rt.Fatal(err)
		}
		var done []string
		fired := 0
		for i, p := range points {
			if p.GetVersion() != int64(i)+1 {
				rt.Fatalf("point %d has version %d", i, p.GetVersion())
			}
			switch {
			case i == 0:
			case p.GetReason() != "deadline_passed":
				done = append(done, p.GetReason())
			case points[i-1].GetDeadline() == nil || points[i-1].GetDeadline().AsTime().After(p.GetSince().AsTime()):
				rt.Fatalf("a deadline of %v fired at %v", points[i-1].GetDeadline().AsTime(), p.GetSince().AsTime())
			default:
				fired++
			}
		}
		f.fired += fired
		told := slices.Clone(f.done[id])
		slices.Sort(done)
		slices.Sort(told)
		last := points[len(points)-1]
		switch {
		case !proto.Equal(last.GetDeadline(), m.GetStanding().GetDeadline()) || last.GetHolder() != m.GetStanding().GetHolder():
			rt.Fatalf("the last point is %v, and the item stands at %v", last, m.GetStanding())
		case m.GetStanding().GetVersion() != int64(len(points)) || int(m.GetCount()) != fired:
			rt.Fatalf("version %d with %d points, %d effects of %d deadlines", m.GetStanding().GetVersion(), len(points), m.GetCount(), fired)
		case custody.Due(m.GetStanding(), f.officers.Now()):
			rt.Fatalf("a deadline of %v has not fired at %v", m.GetStanding().GetDeadline().AsTime(), f.officers.Now())
		case !slices.Equal(done, told):
			rt.Fatalf("%v done, %v acknowledged", done, told)
		}
		for what, query := range map[string]string{
			"requests": "SELECT count(*) FROM audit WHERE effect AND subject_id = $1 AND method = 'sweep/ticket'",
			"events":   "SELECT count(*) FROM outbox WHERE subject_id = $1 AND type = 'ticket.deadline_passed'",
		} {
			var n int
			if err := f.officers.DB.QueryRow(t.Context(), query, id).Scan(&n); err != nil {
				rt.Fatal(err)
			}
			if n != fired {
				rt.Fatalf("%d %s of %d deadlines", n, what, fired)
			}
		}
	}
}

func execute(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
