package promise_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// history leaves two tickets, one of them changed, one look with a reason, and their events in the feed: all as it should be.
func history(t *testing.T) *pgxpool.Pool {
	t.Helper()
	owner := pgtest.New(t, specimen.Migrations()).OpenOwner(t)
	keys, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	e := &command.Engine{DB: owner, Keys: keys, Service: "specimen", Now: func() time.Time { return noon }}
	tickets := specimen.Tickets()
	actor := command.Actor{Unit: "court", System: "main", Purpose: accessv1.Purpose_PURPOSE_SERVICE_DELIVERY}
	call := func(method string) command.Call {
		request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString()}
		return command.Call{Caller: "court/main", Method: method, RequestID: request.GetRequestId(), Request: request, Actor: actor}
	}
	answer := func(m *specimenv1.Ticket) *specimenv1.ChangeTicketResponse {
		return &specimenv1.ChangeTicketResponse{Standing: m.GetStanding()}
	}
	var last *specimenv1.ChangeTicketResponse
	for _, number := range []string{"A-1", "A-2"} {
		last, err = command.Create(t.Context(), e, call("open"), tickets, func(c *command.Change) (*specimenv1.Ticket, error) {
			c.Happened("opened")
			return specimen.Ticket(c.ID(""), number, "court", timestamppb.New(c.Now.Add(time.Hour))), nil
		}, answer)
		if err != nil {
			t.Fatal(err)
		}
	}
	last, err = command.Update(t.Context(), e, call("count"), tickets, last.GetStanding().GetId(), func(c *command.Change, m *specimenv1.Ticket) error {
		c.Happened("counted")
		m.AmountFen++
		return nil
	}, answer)
	if err != nil {
		t.Fatal(err)
	}
	look := audit.Look{Actor: actor, Method: "get", Class: accessv1.DataClass_DATA_CLASS_PERSONAL, Kind: "ticket", Head: row.Head{ID: last.GetStanding().GetId(), Version: 2}}
	if err := audit.Read(t.Context(), e, look); err != nil {
		t.Fatal(err)
	}
	if err := feed.NewSequencer(owner, nil).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO follower (name, through, covered) VALUES ('specimen.other', 7, 7)",
		"INSERT INTO acting_unit (kind, unit, closes) VALUES ('ticket', 'court', '2026-03-02')",
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return owner
}

func count(ctx context.Context, t *testing.T, db *pgxpool.Pool, now time.Time) map[string]promise.Count {
	t.Helper()
	counts, err := promise.Run(ctx, db, append(promise.Items(now, specimen.Source()), promise.Runtime()...)...)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]promise.Count{}
	for _, c := range counts {
		out[c.Name] = c
	}
	return out
}

// A query that counts nothing in a healthy history and does not count what is planted is no guard. Each is planted what it alone must see.
func TestEachQueryCountsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]string{
		"ticket.unowned":        "UPDATE ticket SET holder = NULL, deadline = NULL WHERE number = 'A-1'",
		"ticket.holder_can_act": "UPDATE ticket SET holder = 'village/320411101201' WHERE number = 'A-1'",
		"ticket.unswept":        "UPDATE ticket SET deadline = '2026-03-02T03:59:54Z' WHERE number = 'A-1'",
		"ticket.clock":          "UPDATE custody_clock SET due_time = due_time + interval '1 hour' WHERE item = (SELECT id FROM ticket WHERE number = 'A-1')",
		"ticket.overdue":        "UPDATE ticket SET overdue = true WHERE number = 'A-1'",
		"ticket.unmarked":       "UPDATE custody_clock SET due_time = '2026-03-02T03:59:54Z' WHERE item = (SELECT id FROM ticket WHERE number = 'A-1')",
		"clocks.fired_once":     "UPDATE audit SET method = 'sweep/ticket' WHERE id = (SELECT max(id) FROM audit WHERE effect)",
		"ticket.history":        "DELETE FROM custody WHERE version = 2",
		"feed.dense":            "DELETE FROM feed WHERE seq = 2",
		"feed.versions_rise":    "UPDATE feed SET subject_version = 3 WHERE subject_version = 2",
		"effects.once":          "INSERT INTO audit (time, unit, system, officer, purpose, method, request_id, effect, class, subject_kind, subject_id) SELECT time, unit, system, officer, purpose, method, request_id, effect, class, subject_kind, subject_id FROM audit WHERE effect LIMIT 1",
		"effects.acknowledged":  "DELETE FROM audit WHERE id = (SELECT min(id) FROM audit WHERE effect)",
		"events.parked":         "INSERT INTO parked_event (follower, seq, subject_kind, subject_id, event, attempts, reason, deadline, request_id) VALUES ('a.b', 1, 'ticket', gen_random_uuid(), '', 10, 'INTERNAL', now(), gen_random_uuid())",
		"follower.saw_all":      "UPDATE follower SET through = through + 1",
		"looks.purpose":         "UPDATE audit SET purpose = 0 WHERE NOT effect",
		"reporter.absent":       "UPDATE feed SET audience = audience || 'org/12320411710018221B'::text WHERE seq = 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := history(t)
			before, ok := count(t.Context(), t, db, noon)[name]
			switch {
			case !ok:
				t.Fatal("there is no such query")
			case before.Violations != 0:
				t.Fatalf("%d violations in a healthy history", before.Violations)
			case before.Checked == 0 && name != "events.parked" && name != "clocks.fired_once": // nothing was parked, and no deadline has passed
				t.Fatal("nothing was looked at")
			}
			if tag, err := db.Exec(t.Context(), plant); err != nil || tag.RowsAffected() != 1 {
				t.Fatalf("planted %v, %v", tag, err)
			}
			after := count(t.Context(), t, db, noon)[name]
			if after.Violations != 1 {
				t.Errorf("%d violations, want the planted one", after.Violations)
			}
			if name == "follower.saw_all" && !slices.Equal(after.Where, []string{"specimen.other: 1"}) {
				t.Errorf("the violation is at %v", after.Where)
			}
		})
	}
}

// Within the tolerance an item that waits for the sweeper is not overdue yet.
func TestTheSweeperHasItsTolerance(t *testing.T) {
	t.Parallel()
	db := history(t)
	deadline := noon.Add(time.Hour)
	if got := count(t.Context(), t, db, deadline.Add(promise.Tolerance))["ticket.unswept"]; got.Violations != 0 {
		t.Errorf("%d violations within the tolerance", got.Violations)
	}
	if got := count(t.Context(), t, db, deadline.Add(promise.Tolerance+time.Second))["ticket.unswept"]; got.Violations != 2 {
		t.Errorf("%d violations after the tolerance, want both tickets", got.Violations)
	}
}
