package custody

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// WorkRequest is the request of ListWork in every area.
type WorkRequest interface {
	pagetoken.Request
	GetFilter() *custodyv1.WorkFilter
}

// Work answers ListWork: a page of what the caller holds or is offered, or a unit below it does; for a service of the suite, what any unit
// does. The work of any other unit, and of one that is not there, is refused in the same words: an empty list would say that it has none.
//
// Errors: PAGE_TOKEN_INVALID, METHOD_NOT_ALLOWED.
func Work(ctx context.Context, q Querier, keys *seal.Keys, sources []Source, request WorkRequest) (items []*custodyv1.WorkItem, next string, err error) {
	caller := access.FromContext(ctx)
	page, err := pagetoken.Open(ctx, keys, request, 2)
	if err != nil {
		return nil, "", err
	}
	unit := cmp.Or(request.GetFilter().GetUnit(), caller.Unit)
	if unit != caller.Unit && caller.Service == "" && !caller.Above(unit) {
		return nil, "", fault.New(faultv1.Reason_REASON_METHOD_NOT_ALLOWED, "the work of a unit is for itself and for the unit above it", "action", "work.list")
	}
	after, err := page.After()
	if err != nil {
		return nil, "", err
	}
	items, err = ListWork(ctx, q, sources, unit, request.GetFilter(), after, page.Size+1)
	if err != nil {
		return nil, "", err
	}
	items, next = pagetoken.Show(page, items, func(i *custodyv1.WorkItem) []string {
		return pagetoken.TimeKey(i.GetStanding().GetDeadline().AsTime(), i.GetStanding().GetId())
	})
	return items, next, nil
}

// ListWork gives at most limit items that the unit holds or is offered, by deadline, then id. Every item table needs the
// indexes (holder, deadline, id) and (offered_to, deadline, id).
func ListWork(ctx context.Context, q Querier, sources []Source, unit string, filter *custodyv1.WorkFilter, after *pagetoken.After, limit int) ([]*custodyv1.WorkItem, error) {
	from := pagetoken.After{Time: time.Unix(0, 0), ID: "00000000-0000-0000-0000-000000000000"}
	if after != nil {
		from = *after
	}
	var matter any
	if filter.GetMatterId() != "" {
		matter = filter.GetMatterId()
	}
	var branches []string
	for n, s := range sources {
		for _, side := range sides(filter.GetSide()) {
			branches = append(branches, fmt.Sprintf(`(
				SELECT %d AS source, id::text, version, coalesce(matter_id::text, '') AS matter_id, holder, coalesce(offered_to, '') AS offered_to,
				       deadline, coalesce(clock, '') AS clock, state, coalesce(division, '') AS division, coalesce(overdue, false) AS overdue, create_time
				FROM %s
				WHERE %s = $1 AND holder IS NOT NULL AND (deadline, id) > ($2, $3::uuid) AND ($4::uuid IS NULL OR matter_id = $4::uuid)
				ORDER BY deadline, %s.id LIMIT $5)`, n, s.Table, side, s.Table))
		}
	}
	rows, err := q.Query(ctx, "SELECT * FROM ("+strings.Join(branches, " UNION ")+") AS work ORDER BY deadline, id LIMIT $5", unit, from.Time, from.ID, matter, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*custodyv1.WorkItem, error) {
		var source int
		var state int32
		var deadline, created time.Time
		item := &custodyv1.WorkItem{Standing: &custodyv1.Standing{}}
		s := item.GetStanding()
		err := r.Scan(&source, &s.Id, &s.Version, &s.MatterId, &s.Holder, &s.OfferedTo, &deadline, &s.Clock, &state, &item.Division, &item.Overdue, &created)
		if err != nil {
			return nil, err
		}
		item.Kind, item.State = sources[source].Kind, sources[source].stateName(state)
		s.Etag, s.Deadline, item.CreateTime = row.Etag(s.GetVersion()), timestamppb.New(deadline), timestamppb.New(created)
		return item, nil
	})
}

func sides(side custodyv1.Side) []string {
	switch side {
	case custodyv1.Side_SIDE_HOLDER:
		return []string{"holder"}
	case custodyv1.Side_SIDE_OFFERED:
		return []string{"offered_to"}
	default:
		return []string{"holder", "offered_to"}
	}
}
