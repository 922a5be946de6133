// Package custody keeps the promise that no open item is ever nobody's: who holds it, to whom it is offered and by when
// something must happen. Rules move items with Set, Offer and Close; the command statement writes each move as a point
// of history; the Sweeper fires deadlines through the same commands.
package custody

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// Set makes a unit the holder, with nothing offered, and starts the clock of its step. Clocks of earlier steps end; lasting ones go on.
func Set(s *custodyv1.Standing, holder string, deadline time.Time, clock string) {
	clocks.Step(s, clock, deadline, "")
	s.Holder, s.OfferedTo = holder, ""
}

// Hold is Set without a clock of its own: what lasts goes on to run, under the new holder. Something must run, or be started after it.
func Hold(s *custodyv1.Standing, holder string) {
	clocks.EndSteps(s)
	s.Holder, s.OfferedTo = holder, ""
}

// Offer names the unit that is asked to take over. The holder stays accountable; the offer's clock runs beside what lasts.
func Offer(s *custodyv1.Standing, to string, deadline time.Time, clock string) {
	clocks.Step(s, clock, deadline, to)
	s.OfferedTo = to
}

// Extend leaves holder and offer and starts the clock of another step. What lasts is not put off by it.
func Extend(s *custodyv1.Standing, deadline time.Time, clock string) {
	clocks.Step(s, clock, deadline, "")
}

// Start starts a lasting clock, the law's: it runs from start until Meet or Close, whoever holds the item and whatever is done in between. While
// one of that id is outstanding, nothing happens: no clock is ever restarted.
func Start(s *custodyv1.Standing, clock string, start, deadline time.Time) {
	clocks.Last(s, clock, start, deadline)
}

// Meet ends the clocks of these ids, as their act has come, in time or late. Something else must run, or be started after it.
func Meet(s *custodyv1.Standing, ids ...string) { clocks.Meet(s, ids...) }

// Miss marks the clocks that are due at business time now as missed, for ever, and gives them; none means that nothing is due. An expiry rule
// begins with it and then names the next clock, unless another one runs.
func Miss(s *custodyv1.Standing, now time.Time) clocks.Missed { return clocks.Miss(s, now) }

// Running reports whether any clock of the item runs. An open item always has one.
func Running(s *custodyv1.Standing) bool { return clocks.Running(s) }

// Outstanding reports whether something is owed under a clock, in time or late.
func Outstanding(s *custodyv1.Standing, clock string) bool { return clocks.Outstanding(s, clock) }

// Overdue reports whether a clock was missed and its act is still outstanding.
func Overdue(s *custodyv1.Standing) bool { return clocks.Overdue(s) }

// Close ends custody: a closed item has neither holder nor deadline, and none of its clocks runs.
func Close(s *custodyv1.Standing) {
	clocks.EndAll(s)
	s.Holder, s.OfferedTo = "", ""
}

// Due reports whether the deadline has passed at business time now.
func Due(s *custodyv1.Standing, now time.Time) bool {
	return s.GetDeadline() != nil && !s.GetDeadline().AsTime().After(now)
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Source is a table of items.
type Source struct {
	// Kind of item, for example `report`.
	Kind string
	// Table it is kept in.
	Table string
	// States of the item, to name them.
	States protoreflect.EnumDescriptor
	// Closed lists the states in which nobody needs to hold the item.
	Closed []protoreflect.EnumNumber
	// Actions that move such an item and are neither named after it nor those of a method whose subject it is.
	Actions []string
}

// History gives the points of an item, oldest first; fault NOT_FOUND when there is none. The caller must have been allowed to
// see the item.
func History(ctx context.Context, q Querier, id string) ([]*custodyv1.Point, error) {
	rows, err := q.Query(ctx, `
		SELECT version, since, coalesce(holder, ''), coalesce(offered_to, ''), deadline, coalesce(clock, ''), reason, state
		FROM custody WHERE item = $1::uuid ORDER BY version`, id)
	if err != nil {
		return nil, err
	}
	points, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*custodyv1.Point, error) {
		p := &custodyv1.Point{}
		var since time.Time
		var deadline *time.Time
		err := r.Scan(&p.Version, &since, &p.Holder, &p.OfferedTo, &deadline, &p.Clock, &p.Reason, &p.State)
		p.Since = timestamppb.New(since)
		if deadline != nil {
			p.Deadline = timestamppb.New(*deadline)
		}
		return p, err
	})
	if err == nil && len(points) == 0 {
		err = fault.NotFound()
	}
	return points, err
}

// Clocks gives every clock that ever ran on an item, by start, due time and id. The caller must have been allowed to see the item.
func Clocks(ctx context.Context, q Querier, id string) ([]*custodyv1.Clock, error) {
	rows, err := q.Query(ctx, `
		SELECT clock, lasting, start_time, due_time, end_time, missed_time, coalesce(unit, ''), start_version, calendar_incomplete
		FROM custody_clock WHERE item = $1::uuid ORDER BY start_time, due_time, clock, start_version`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*custodyv1.Clock, error) {
		c := &custodyv1.Clock{}
		var started, due time.Time
		var ended, missed *time.Time
		err := r.Scan(&c.Clock, &c.Lasting, &started, &due, &ended, &missed, &c.Unit, &c.StartVersion, &c.CalendarIncomplete)
		c.StartTime, c.DueTime = timestamppb.New(started), timestamppb.New(due)
		switch {
		case ended != nil && missed != nil:
			c.State, c.EndTime, c.MissedTime = custodyv1.Clock_STATE_ENDED_LATE, timestamppb.New(*ended), timestamppb.New(*missed)
		case ended != nil:
			c.State, c.EndTime = custodyv1.Clock_STATE_MET, timestamppb.New(*ended)
		case missed != nil:
			c.State, c.MissedTime = custodyv1.Clock_STATE_MISSED, timestamppb.New(*missed)
		default:
			c.State = custodyv1.Clock_STATE_RUNNING
		}
		return c, err
	})
}

// stateName names a stored state.
func (s Source) stateName(number int32) string {
	value := s.States.Values().ByNumber(protoreflect.EnumNumber(number))
	if value == nil {
		return ""
	}
	return row.ShortName(value)
}

// SourceOf describes the item table t; closed are the states in which nobody needs to hold an item.
func SourceOf[M proto.Message, S interface {
	Number() protoreflect.EnumNumber
}](t *row.Table[M], closed ...S) Source {
	s := Source{Kind: t.Kind, Table: t.Name, States: t.New().ProtoReflect().Descriptor().Fields().ByName("state").Enum()}
	for _, state := range closed {
		s.Closed = append(s.Closed, state.Number())
	}
	return s
}
