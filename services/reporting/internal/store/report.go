package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// ChildrenOf gives the provisional children of a report, in the order they were named or found.
func (t *Tables) ChildrenOf(ctx context.Context, q row.Querier, keys *seal.Keys, report *reportingv1.Report) ([]*reportingv1.ProvisionalChild, error) {
	found, err := row.Select(ctx, q, keys, t.Children, "WHERE matter_id = $1::uuid", report.GetStanding().GetId())
	if err != nil {
		return nil, err
	}
	order := map[string]int{}
	for i, child := range report.GetChildren() {
		order[child.GetProvisionalChildId()] = i
	}
	slices.SortFunc(found, func(a, b *reportingv1.ProvisionalChild) int { return order[a.GetId()] - order[b.GetId()] })
	return found, nil
}

// After is the sort key of the last report shown; nil for the first page.
type After struct {
	CreateTime time.Time
	ID         string
}

// ListReports gives at most limit reports within the scope, newest first. division narrows by prefix, states by state; both may
// be empty.
func (t *Tables) ListReports(ctx context.Context, q row.Querier, keys *seal.Keys, scope access.Scope, division string, states []reportingv1.Report_State, after *After, limit int) ([]*reportingv1.Report, error) {
	where, args := scope.Where(t.Reports.Name, false, 1)
	conditions := []string{where}
	add := func(format string, values ...any) {
		places := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			places[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(format, places...))
	}
	if division != "" {
		add("report.division LIKE $%d", strings.TrimSuffix(strings.TrimSuffix(division, "000"), "000")+"%")
	}
	if len(states) > 0 {
		add("report.state = ANY ($%d::integer[])", numbers(states))
	}
	if after != nil {
		add("(report.create_time, report.id) < ($%d, $%d::uuid)", after.CreateTime, after.ID)
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t.Reports, fmt.Sprintf("WHERE %s ORDER BY report.create_time DESC, report.id DESC LIMIT $%d",
		strings.Join(conditions, " AND "), len(args)), args...)
}

func numbers[E ~int32](states []E) []int32 {
	out := make([]int32, len(states))
	for i, s := range states {
		out[i] = int32(s)
	}
	return out
}

// Involved reports whether the unit holds or held an item of the matter.
func Involved(ctx context.Context, q row.Querier, matter, unit string) (bool, error) {
	rows, err := q.Query(ctx, "SELECT 1 FROM access_grant WHERE matter_id = $1::uuid AND unit = $2", matter, unit)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	found := rows.Next()
	return found, rows.Err()
}

// AssessedMatters tells which of the matters have an assessment.
func AssessedMatters(ctx context.Context, q row.Querier, matters []string) (map[string]bool, error) {
	rows, err := q.Query(ctx, "SELECT DISTINCT matter_id::text FROM assessment WHERE matter_id = ANY ($1::uuid[])", matters)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	assessed := make(map[string]bool, len(found))
	for _, matter := range found {
		assessed[matter] = true
	}
	return assessed, err
}
