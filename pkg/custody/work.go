package custody

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// After is the sort key of the last line shown of a work list; nil for the first page.
type After struct {
	Deadline time.Time
	ID       string
}

// ListWork gives at most limit items that the unit holds or is offered, by deadline, then id. Every item table needs the
// indexes (holder, deadline, id) and (offered_to, deadline, id).
func ListWork(ctx context.Context, q Querier, sources []Source, unit string, filter *custodyv1.WorkFilter, after *After, limit int) ([]*custodyv1.WorkItem, error) {
	from := After{Deadline: time.Unix(0, 0), ID: "00000000-0000-0000-0000-000000000000"}
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
	rows, err := q.Query(ctx, "SELECT * FROM ("+strings.Join(branches, " UNION ")+") AS work ORDER BY deadline, id LIMIT $5", unit, from.Deadline, from.ID, matter, limit)
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
