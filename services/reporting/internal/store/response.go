package store

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// OfReport gives a report's rows of one kind, oldest first.
func OfReport[M proto.Message](ctx context.Context, q row.Querier, keys *seal.Keys, t *row.Table[M], report string) ([]M, error) {
	return row.Select(ctx, q, keys, t, "WHERE report_id = $1::uuid ORDER BY create_time, id", report)
}

// SupervisionsOf gives the supervisions of a filing, oldest first.
func (t *Tables) SupervisionsOf(ctx context.Context, q row.Querier, keys *seal.Keys, f *reportingv1.Filing) ([]*reportingv1.Supervision, error) {
	return row.Select(ctx, q, keys, t.Supervisions, "WHERE filing_id = $1::uuid ORDER BY create_time, id", f.GetStanding().GetId())
}

// FilingFilter narrows a list of filings; what is empty or zero does not.
type FilingFilter struct {
	Division, Report string
	Decision         reportingv1.Filing_Decision
}

// ListFilings gives at most limit filings within the scope, newest first.
func (t *Tables) ListFilings(ctx context.Context, q row.Querier, keys *seal.Keys, scope access.Scope, f FilingFilter, after *After, limit int) ([]*reportingv1.Filing, error) {
	where, args := scope.Where(t.Filings.Name, false, 1)
	conditions := []string{where}
	add := func(format string, values ...any) {
		places := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			places[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(format, places...))
	}
	if f.Division != "" {
		add("filing.division LIKE $%d", strings.TrimSuffix(strings.TrimSuffix(f.Division, "000"), "000")+"%")
	}
	if f.Report != "" {
		add("filing.report_id = $%d::uuid", f.Report)
	}
	if f.Decision != reportingv1.Filing_DECISION_UNSPECIFIED {
		add("filing.decision = $%d", int32(f.Decision))
	}
	if after != nil {
		add("(filing.create_time, filing.id) < ($%d, $%d::uuid)", after.CreateTime, after.ID)
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t.Filings, fmt.Sprintf("WHERE %s ORDER BY filing.create_time DESC, filing.id DESC LIMIT $%d",
		strings.Join(conditions, " AND "), len(args)), args...)
}
