package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// quarantineNamespace of the ids derived from number and content, so that content that comes again makes no second row.
var quarantineNamespace = uuid.MustParse("9d1f7f0e-52c4-5b86-9b0e-3f1c5d0a7e64")

// QuarantineID is the id under which an update is kept apart.
func QuarantineID(at Position, in Incoming) string {
	return uuid.NewSHA1(quarantineNamespace, fmt.Appendf(nil, "%s\x00%d\x00%d\x00%x", at.Source, at.Epoch, in.Envelope.GetSequence(), in.Digest)).String()
}

// QuarantinedAmong reports which of the ids are kept apart already.
func QuarantinedAmong(ctx context.Context, q row.Querier, ids []string) (map[string]bool, error) {
	rows, err := q.Query(ctx, "SELECT id::text FROM quarantined_update WHERE id = ANY ($1::uuid[])", ids)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		found[id] = true
		return nil
	})
	return found, err
}

// Release lets a number that was quarantined count as used: what it says is told to its incident by the same command.
func Release(c *command.Change, at Position, u *reportingv1.IncidentUpdate) {
	c.Exec(`UPDATE dispatch_update SET cause = NULL, incident_number = $4, incident_version = $5, source_time = $6
		WHERE source = $1 AND epoch = $2 AND sequence = $3 AND cause IS NOT NULL`,
		at.Source, at.Epoch, u.GetSequence(), u.GetIncidentNumber(), u.GetIncidentVersion(), u.GetSourceTime().AsTime())
}

// ListQuarantine gives at most limit quarantined updates, newest first. Source, causes and states narrow; each may be empty.
func (t *Tables) ListQuarantine(ctx context.Context, q row.Querier, keys *seal.Keys, filter *reportingv1.ListQuarantineRequest, after *After, limit int) ([]*reportingv1.QuarantinedUpdate, error) {
	conditions, args := []string{"true"}, []any{limit}
	add := func(condition string, values ...any) {
		places := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			places[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(condition, places...))
	}
	if filter.GetSource() != "" {
		add("source = $%d", filter.GetSource())
	}
	if len(filter.GetCauses()) > 0 {
		add("cause = ANY ($%d::integer[])", numbers(filter.GetCauses()))
	}
	if len(filter.GetStates()) > 0 {
		add("state = ANY ($%d::integer[])", numbers(filter.GetStates()))
	}
	if after != nil {
		add("(create_time, id) < ($%d, $%d::uuid)", after.CreateTime, after.ID)
	}
	return row.Select(ctx, q, keys, t.Quarantine, "WHERE "+strings.Join(conditions, " AND ")+" ORDER BY create_time DESC, id DESC LIMIT $1", args...)
}

// CountQuarantine counts the updates of a source that were kept apart, by cause.
func CountQuarantine(ctx context.Context, q row.Querier, source string) ([]*reportingv1.QuarantineCount, error) {
	rows, err := q.Query(ctx, `SELECT cause, count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3)
		FROM quarantined_update WHERE source = $1 GROUP BY cause ORDER BY cause`, source)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*reportingv1.QuarantineCount, error) {
		c := &reportingv1.QuarantineCount{}
		return c, r.Scan(&c.Cause, &c.Open, &c.Replayed, &c.Rejected)
	})
}
