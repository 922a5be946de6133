package custody

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// Tolerance is how long after its deadline an item may wait for the sweeper. One that waits longer is stuck.
const Tolerance = 5 * time.Second

// longestRepair bounds the deadline an operator may name, as no operator decides how long a child waits.
const longestRepair = 31 * 24 * time.Hour

// Repairs lets an operator mend the open items of one service whose holder is gone or whose deadline cannot be fired. It is the same
// command as any other change: one effect for each request, a point of custody, an event and an audit row.
type Repairs struct {
	engine   *command.Engine
	district *district.District
	tables   []Repairable
}

// Repairable is one table of items that can be repaired.
type Repairable struct {
	kind string
	run  func(ctx context.Context, e *command.Engine, call command.Call, id string, rule func(*command.Change, *custodyv1.Standing) error) (*custodyv1.Standing, error)
}

// RepairableItems makes the items of a table repairable.
func RepairableItems[M proto.Message](t *row.Table[M]) Repairable {
	return Repairable{t.Kind, func(ctx context.Context, e *command.Engine, call command.Call, id string, rule func(*command.Change, *custodyv1.Standing) error) (*custodyv1.Standing, error) {
		return command.Update(ctx, e, call, t, id, func(c *command.Change, m M) error {
			head := t.Head(m)
			if head.Standing.GetHolder() == "" {
				return fault.New(faultv1.Reason_REASON_STATE_FORBIDS, "a closed item has no custody to repair", "state", head.State, "verb", "repair_custody")
			}
			return rule(c, head.Standing)
		}, func(m M) *custodyv1.Standing { return t.Head(m).Standing })
	}}
}

// NewRepairs makes the repairs of a service over all its tables of items.
func NewRepairs(e *command.Engine, d *district.District, tables ...Repairable) *Repairs {
	return &Repairs{engine: e, district: d, tables: tables}
}

// Run repairs one item and answers where it stands, nil when the call only checks. Nothing changes unless the item is broken in the
// way that is said.
//
// Errors: CUSTODY_NOT_BROKEN, STATE_FORBIDS, NOT_FOUND, ETAG_MISMATCH, FIELD_INVALID.
func (r *Repairs) Run(ctx context.Context, call command.Call, repair *custodyv1.Repair) (*custodyv1.Standing, error) {
	n := slices.IndexFunc(r.tables, func(t Repairable) bool { return t.kind == repair.GetKind() })
	if n < 0 {
		return nil, fault.Invalid("repair.kind", "is no kind of item of this service")
	}
	standing, err := r.tables[n].run(ctx, r.engine, call, repair.GetItemId(), func(c *command.Change, s *custodyv1.Standing) error {
		if err := r.repair(repair, s, c.Now); err != nil {
			return err
		}
		c.Happened("repaired_" + strings.ToLower(groundsName(repair)))
		return nil
	})
	if err != nil || call.ValidateOnly {
		return nil, err
	}
	return standing, nil
}

// repair is the rule: what is broken is checked first, then what is to be set, and only then is anything set.
func (r *Repairs) repair(repair *custodyv1.Repair, s *custodyv1.Standing, now time.Time) error {
	if !r.broken(repair.GetGrounds(), s, now) {
		return fault.New(faultv1.Reason_REASON_CUSTODY_NOT_BROKEN, "the item is not broken in that way", "grounds", groundsName(repair))
	}
	holder, able := s.GetHolder(), r.holds(s.GetHolder(), now)
	if repair.GetHolder() != "" {
		holder, able = repair.GetHolder(), r.holds(repair.GetHolder(), now) && !r.operates(repair.GetHolder())
	}
	if !able {
		return fault.Invalid("repair.holder", "is no open unit of the district that can hold an item")
	}
	deadline := r.district.Deadline(district.ClockCustodyRepair, now)
	if repair.GetDeadline() != nil {
		deadline = repair.GetDeadline().AsTime()
	}
	if !deadline.After(now) || deadline.After(now.Add(longestRepair)) {
		return fault.Invalid("repair.deadline", "must be after now and at most 31 days away")
	}
	clocks.Miss(s, now)
	clocks.Replace(s, district.ClockCustodyRepair, deadline)
	s.Holder = holder
	return nil
}

func (r *Repairs) broken(grounds custodyv1.RepairGrounds, s *custodyv1.Standing, now time.Time) bool {
	switch grounds {
	case custodyv1.RepairGrounds_REPAIR_GROUNDS_HOLDER_GONE:
		return !r.holds(s.GetHolder(), now)
	case custodyv1.RepairGrounds_REPAIR_GROUNDS_DEADLINE_STUCK:
		return Due(s, now.Add(-Tolerance))
	default:
		return false
	}
}

// holds reports whether a unit is open today and of a kind that holds items. Reporters and services never do.
func (r *Repairs) holds(id string, now time.Time) bool {
	unit, ok := r.district.Unit(id)
	if !ok || !unit.OpenOn(calendar.Today(now)) {
		return false
	}
	switch unit.Kind {
	case district.KindMember, district.KindPoliceStation, district.KindTownship, district.KindVillageCommittee, district.KindOperator:
		return true
	default:
		return false
	}
}

// operates reports whether a unit is the operators'. They hold what only they can settle, and take over nothing by a repair.
func (r *Repairs) operates(id string) bool {
	unit, _ := r.district.Unit(id)
	return unit.Kind == district.KindOperator
}

func groundsName(r *custodyv1.Repair) string {
	return strings.TrimPrefix(r.GetGrounds().String(), "REPAIR_GROUNDS_")
}
