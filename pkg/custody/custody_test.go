package custody_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

type desk struct {
	*command.Engine
	tickets *row.Table[*specimenv1.Ticket]
	now     time.Time
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	return deskOver(t, pgtest.Database(t, specimen.Migrations()))
}

func deskOver(t *testing.T, pool *pgxpool.Pool) *desk {
	t.Helper()
	keys, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{tickets: specimen.Tickets(), now: noon}
	d.Engine = &command.Engine{DB: pool, Keys: keys, Service: "specimen", Now: func() time.Time { return d.now }}
	return d
}

func answer(m *specimenv1.Ticket) *specimenv1.ChangeTicketResponse {
	return &specimenv1.ChangeTicketResponse{Standing: m.GetStanding(), State: m.GetState()}
}

// open makes a ticket held by court, due after that many hours; with an offer if there is a unit to offer it to.
func (d *desk) open(t *testing.T, number string, hours int, offeredTo string) string {
	t.Helper()
	call := command.Call{Caller: "court/main", Method: "open", RequestID: uuid.NewString(), Actor: command.Actor{Unit: "court"}}
	got, err := command.Create(t.Context(), d.Engine, call, d.tickets, func(c *command.Change) (*specimenv1.Ticket, error) {
		c.Happened("opened")
		m := specimen.Ticket(c.ID(""), number, "court", timestamppb.New(c.Now.Add(time.Duration(hours)*time.Hour)))
		if offeredTo != "" {
			custody.Offer(m.GetStanding(), offeredTo, c.Now.Add(time.Duration(hours)*time.Hour), "need.accept")
		}
		return m, nil
	}, answer)
	if err != nil {
		t.Fatal(err)
	}
	return got.GetStanding().GetId()
}

// expire gives a ticket another day and counts.
func (d *desk) expire(ctx context.Context, id string, version int64) error {
	_, err := command.Update(ctx, d.Engine, custody.ExpiryCall("specimen", "ticket", id, version), d.tickets, id, func(c *command.Change, m *specimenv1.Ticket) error {
		if m.GetStanding().GetVersion() != version || len(custody.Miss(m.GetStanding(), c.Now)) == 0 {
			return custody.ErrNotDue
		}
		if m.GetNumber() == "poison" {
			return errors.New("cannot be fired")
		}
		m.Count++
		custody.Extend(m.GetStanding(), c.Now.Add(24*time.Hour), "overdue.review")
		c.Happened("deadline_passed")
		return nil
	}, answer)
	return err
}

func (d *desk) sweeper() *custody.Sweeper {
	return custody.NewSweeper(d.DB, d.Now, custody.Expiry{Source: specimen.Source(), Expire: d.expire})
}

func (d *desk) ticket(t *testing.T, id string) *specimenv1.Ticket {
	t.Helper()
	m, err := row.Get(t.Context(), d.DB, d.Keys, d.tickets, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEachDeadlineFiresOnceAmongSeveralReplicas(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	var ids []string
	for i := range 130 { // more than one page
		ids = append(ids, d.open(t, fmt.Sprintf("N-%d", i), i%3, ""))
	}
	d.now = noon.Add(90 * time.Minute)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error { return d.sweeper().Sweep(t.Context()) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		m, want := d.ticket(t, id), int32(1)
		if i%3 == 2 {
			want = 0 // due in two hours
		}
		if m.GetCount() != want || m.GetOverdue() != (want == 1) {
			t.Fatalf("ticket %d fired %d times, want %d", i, m.GetCount(), want)
		}
	}
}

func TestADeadlineThatCannotBeFiredHoldsUpNobody(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	d.open(t, "poison", 0, "")
	healthy := d.open(t, "N-1", 0, "")
	if err := d.sweeper().Sweep(t.Context()); err == nil {
		t.Error("the failure was not reported")
	}
	if got := d.ticket(t, healthy).GetCount(); got != 1 {
		t.Errorf("the healthy ticket fired %d times", got)
	}
}

func TestHistoryHasAPointForEachVersion(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	id := d.open(t, "N-1", 1, "health")
	d.now = noon.Add(2 * time.Hour)
	if err := d.sweeper().Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	points, err := custody.History(t.Context(), d.DB, id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range points {
		got = append(got, fmt.Sprintf("%d %s %s>%s %s %s", p.GetVersion(), p.GetReason(), p.GetHolder(), p.GetOfferedTo(), p.GetClock(), p.GetState()))
	}
	want := []string{"1 opened court>health need.accept OPEN", "2 deadline_passed court>health overdue.review OPEN"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := custody.History(t.Context(), d.DB, uuid.NewString()); !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		t.Errorf("an unknown item was answered with %v", err)
	}
}

func TestTheWorkListShowsWhatIsMineAndWhatIsOfferedByDeadline(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	late, offered, soon := d.open(t, "N-1", 9, ""), d.open(t, "N-2", 5, "health"), d.open(t, "N-3", 1, "")
	sources := []custody.Source{specimen.Source()}
	list := func(unit string, side custodyv1.Side, after *pagetoken.After, limit int) (ids []string, last *pagetoken.After) {
		items, err := custody.ListWork(t.Context(), d.DB, sources, unit, &custodyv1.WorkFilter{Side: side}, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			ids = append(ids, item.GetStanding().GetId())
			last = &pagetoken.After{Time: item.GetStanding().GetDeadline().AsTime(), ID: item.GetStanding().GetId()}
			if item.GetKind() != "ticket" || item.GetState() != "OPEN" || item.GetStanding().GetEtag() == "" {
				t.Errorf("line %v", item)
			}
		}
		return ids, last
	}
	all, _ := list("court", custodyv1.Side_SIDE_UNSPECIFIED, nil, 10)
	if diff := cmp.Diff([]string{soon, offered, late}, all); diff != "" {
		t.Error(diff)
	}
	mine, _ := list("health", custodyv1.Side_SIDE_OFFERED, nil, 10)
	if diff := cmp.Diff([]string{offered}, mine); diff != "" {
		t.Error(diff)
	}
	if held, _ := list("health", custodyv1.Side_SIDE_HOLDER, nil, 10); len(held) != 0 {
		t.Errorf("health holds %v", held)
	}
	first, last := list("court", custodyv1.Side_SIDE_UNSPECIFIED, nil, 2)
	rest, _ := list("court", custodyv1.Side_SIDE_UNSPECIFIED, last, 2)
	if diff := cmp.Diff([]string{soon, offered, late}, append(first, rest...)); diff != "" {
		t.Error(diff)
	}
}
