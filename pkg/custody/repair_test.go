package custody_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

const (
	gone  = custodyv1.RepairGrounds_REPAIR_GROUNDS_HOLDER_GONE
	stuck = custodyv1.RepairGrounds_REPAIR_GROUNDS_DEADLINE_STUCK
)

var xinbei = sync.OnceValues(func() (*district.District, error) { return district.Load("../../districts/xinbei") })

func (d *desk) repairs(t *testing.T) *custody.Repairs {
	t.Helper()
	data, err := xinbei()
	if err != nil {
		t.Fatal(err)
	}
	return custody.NewRepairs(d.Engine, data, custody.RepairableItems(d.tickets))
}

// heldBy makes a ticket held by a unit until an hour from now.
func (d *desk) heldBy(t *testing.T, unit string) string {
	t.Helper()
	call := command.Call{Caller: "court/main", Method: "open", RequestID: uuid.NewString(), Actor: command.Actor{Unit: "court"}}
	got, err := command.Create(t.Context(), d.Engine, call, d.tickets, func(c *command.Change) (*specimenv1.Ticket, error) {
		c.Happened("opened")
		return specimen.Ticket(c.ID(""), "N-1", unit, timestamppb.New(c.Now.Add(time.Hour))), nil
	}, answer)
	if err != nil {
		t.Fatal(err)
	}
	return got.GetStanding().GetId()
}

// operate is the call of an operator.
func operate(repair *custodyv1.Repair) command.Call {
	return command.Call{
		Caller: "operations/main", Method: "repair", RequestID: uuid.NewString(), Request: repair, Actor: command.Actor{Unit: "operations", Officer: "operations-1"},
	}
}

func TestAnItemWhoseHolderIsGoneGetsAnother(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	id := d.heldBy(t, "village/320411999999")
	repair := &custodyv1.Repair{Kind: "ticket", ItemId: id, Grounds: gone, Holder: "township/320411101000"}
	call := operate(repair)
	for range 2 { // a retry has no second effect
		got, err := d.repairs(t).Run(t.Context(), call, repair)
		if err != nil {
			t.Fatal(err)
		}
		if got.GetHolder() != "township/320411101000" || got.GetClock() != "custody.repair" || !got.GetDeadline().AsTime().After(noon) || got.GetVersion() != 2 {
			t.Errorf("the answer is %v", got)
		}
	}
	points, err := custody.History(t.Context(), d.DB, id)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, p := range points {
		reasons = append(reasons, p.GetReason())
	}
	if diff := cmp.Diff([]string{"opened", "repaired_holder_gone"}, reasons); diff != "" {
		t.Error(diff)
	}
	var unit, officer string
	if err := d.DB.QueryRow(t.Context(), "SELECT unit, officer FROM audit WHERE effect AND request_id = $1::uuid", call.RequestID).Scan(&unit, &officer); err != nil {
		t.Fatal(err)
	}
	if unit != "operations" || officer != "operations-1" {
		t.Errorf("the audit names %s, %s", unit, officer)
	}
	if _, err := d.repairs(t).Run(t.Context(), operate(repair), repair); !fault.Is(err, faultv1.Reason_REASON_CUSTODY_NOT_BROKEN) {
		t.Errorf("the mended item was repaired again: %v", err)
	}
}

// What the sweeper cannot fire is moved to a time at which it can be looked at; the holder and the offer stay.
func TestADeadlineThatCannotBeFiredIsReplaced(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	id := d.open(t, "poison", 1, "health")
	repair := &custodyv1.Repair{Kind: "ticket", ItemId: id, Grounds: stuck, Deadline: timestamppb.New(noon.Add(9 * time.Hour))}
	d.now = noon.Add(time.Hour + custody.Tolerance - time.Second)
	if err := d.sweeper().Sweep(t.Context()); err == nil {
		t.Fatal("the poisoned deadline was fired")
	}
	if _, err := d.repairs(t).Run(t.Context(), operate(repair), repair); !fault.Is(err, faultv1.Reason_REASON_CUSTODY_NOT_BROKEN) {
		t.Errorf("repaired while the sweeper still had time: %v", err)
	}
	d.now = noon.Add(time.Hour + custody.Tolerance)
	got, err := d.repairs(t).Run(t.Context(), operate(repair), repair)
	if err != nil {
		t.Fatal(err)
	}
	if got.GetHolder() != "court" || got.GetOfferedTo() != "health" || !got.GetDeadline().AsTime().Equal(noon.Add(9*time.Hour)) {
		t.Errorf("the answer is %v", got)
	}
}

func TestARepairThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	healthy, orphan, closed := d.open(t, "N-2", 1, ""), d.heldBy(t, "village/320411999999"), d.closed(t)
	before := d.ticket(t, orphan)
	for name, c := range map[string]struct {
		repair *custodyv1.Repair
		want   faultv1.Reason
	}{
		"a healthy holder":              {&custodyv1.Repair{ItemId: healthy, Grounds: gone, Holder: "health"}, faultv1.Reason_REASON_CUSTODY_NOT_BROKEN},
		"a deadline to come":            {&custodyv1.Repair{ItemId: healthy, Grounds: stuck}, faultv1.Reason_REASON_CUSTODY_NOT_BROKEN},
		"no grounds":                    {&custodyv1.Repair{ItemId: orphan, Holder: "health"}, faultv1.Reason_REASON_CUSTODY_NOT_BROKEN},
		"a closed item":                 {&custodyv1.Repair{ItemId: closed, Grounds: gone, Holder: "health"}, faultv1.Reason_REASON_STATE_FORBIDS},
		"an item that is not there":     {&custodyv1.Repair{ItemId: uuid.NewString(), Grounds: gone, Holder: "health"}, faultv1.Reason_REASON_NOT_FOUND},
		"a kind that is not there":      {&custodyv1.Repair{Kind: "weather", ItemId: orphan, Grounds: gone, Holder: "health"}, faultv1.Reason_REASON_FIELD_INVALID},
		"nobody as the new holder":      {&custodyv1.Repair{ItemId: orphan, Grounds: gone}, faultv1.Reason_REASON_FIELD_INVALID},
		"a unit that never was":         {&custodyv1.Repair{ItemId: orphan, Grounds: gone, Holder: "weather"}, faultv1.Reason_REASON_FIELD_INVALID},
		"the operators themselves":      {&custodyv1.Repair{ItemId: orphan, Grounds: gone, Holder: "operations"}, faultv1.Reason_REASON_FIELD_INVALID},
		"a service":                     {&custodyv1.Repair{ItemId: orphan, Grounds: gone, Holder: "service/relief"}, faultv1.Reason_REASON_FIELD_INVALID},
		"a deadline that has passed":    {&custodyv1.Repair{ItemId: orphan, Grounds: gone, Holder: "health", Deadline: timestamppb.New(noon)}, faultv1.Reason_REASON_FIELD_INVALID},
		"a deadline beyond all bounds":  {&custodyv1.Repair{ItemId: orphan, Grounds: gone, Holder: "health", Deadline: timestamppb.New(noon.AddDate(0, 2, 0))}, faultv1.Reason_REASON_FIELD_INVALID},
		"a deadline that is not a time": {&custodyv1.Repair{ItemId: orphan, Grounds: gone, Holder: "health", Deadline: &timestamppb.Timestamp{Nanos: -1, Seconds: -1 << 62}}, faultv1.Reason_REASON_FIELD_INVALID},
	} {
		if c.repair.Kind == "" {
			c.repair.Kind = "ticket"
		}
		if _, err := d.repairs(t).Run(t.Context(), operate(c.repair), c.repair); !fault.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	only := &custodyv1.Repair{Kind: "ticket", ItemId: orphan, Grounds: gone, Holder: "health"}
	call := operate(only)
	call.ValidateOnly = true
	if got, err := d.repairs(t).Run(t.Context(), call, only); got != nil || err != nil {
		t.Errorf("a check answered %v, %v", got, err)
	}
	if after := d.ticket(t, orphan); !proto.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
}

// closed makes a ticket that nobody needs to hold any more.
func (d *desk) closed(t *testing.T) string {
	t.Helper()
	id := d.open(t, "N-3", 1, "")
	call := command.Call{Caller: "court/main", Method: "close", RequestID: uuid.NewString(), Actor: command.Actor{Unit: "court"}}
	_, err := command.Update(t.Context(), d.Engine, call, d.tickets, id, func(c *command.Change, m *specimenv1.Ticket) error {
		custody.Close(m.GetStanding())
		m.State = specimenv1.Ticket_STATE_CLOSED
		c.Happened("closed")
		return nil
	}, answer)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
