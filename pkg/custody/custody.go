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

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// Set makes a unit the holder, with nothing offered, until the deadline of a clock.
func Set(s *custodyv1.Standing, holder string, deadline time.Time, clock string) {
	s.Holder, s.OfferedTo, s.Deadline, s.Clock = holder, "", timestamppb.New(deadline), clock
}

// Offer names the unit that is asked to take over. The holder stays accountable; the offer's deadline runs.
func Offer(s *custodyv1.Standing, to string, deadline time.Time, clock string) {
	s.OfferedTo, s.Deadline, s.Clock = to, timestamppb.New(deadline), clock
}

// Extend leaves holder and offer and runs another clock.
func Extend(s *custodyv1.Standing, deadline time.Time, clock string) {
	s.Deadline, s.Clock = timestamppb.New(deadline), clock
}

// Close ends custody: a closed item has neither holder nor deadline.
func Close(s *custodyv1.Standing) {
	s.Holder, s.OfferedTo, s.Deadline, s.Clock = "", "", nil, ""
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
