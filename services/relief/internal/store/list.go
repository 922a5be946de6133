package store

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Filter is a condition with its argument; an empty argument does not filter.
type Filter struct {
	// Column compared for equality, cast included, for example `batch_id::text`.
	Column string
	// Value, or the values it may be; zero numbers, empty strings and nil lists do not filter.
	Value any
}

// where adds the filters to a condition and its arguments.
func where(table, condition string, args []any, filters []Filter) (string, []any) {
	for _, f := range filters {
		values, several := f.Value.([]string)
		if f.Value == "" || f.Value == int32(0) || several && values == nil {
			continue
		}
		args = append(args, f.Value)
		place := "$" + strconv.Itoa(len(args))
		if several {
			place = "ANY(" + place + ")"
		}
		condition += " AND " + table + "." + f.Column + " = " + place
	}
	return condition, args
}

// List gives at most limit rows that pass the filters, newest first; condition is the scope with its arguments.
func List[M proto.Message](ctx context.Context, q Querier, keys *seal.Keys, t *row.Table[M], condition string, args []any, filters []Filter, after *pagetoken.After, limit int) ([]M, error) {
	condition, args = where(t.Name, condition, args, filters)
	if after != nil {
		args = append(args, after.Time, after.ID)
		condition += " AND (" + t.Name + ".create_time, " + t.Name + ".id) < ($" + strconv.Itoa(len(args)-1) + ", $" + strconv.Itoa(len(args)) + "::uuid)"
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t, "WHERE "+condition+" ORDER BY "+t.Name+".create_time DESC, "+t.Name+".id DESC LIMIT $"+strconv.Itoa(len(args)), args...)
}

// ListAccounts gives at most limit accounts that pass the filters, by programme, year and township; after is the id of the last one of the
// page before, or empty.
func (t *Tables) ListAccounts(ctx context.Context, q Querier, keys *seal.Keys, condition string, args []any, filters []Filter, after string, limit int) ([]*reliefv1.BudgetAccount, error) {
	condition, args = where(t.Accounts.Name, condition, args, filters)
	const key = "(budget_account.programme, budget_account.year, budget_account.division)"
	if after != "" {
		args = append(args, after)
		condition += " AND " + key + " > (SELECT l.programme, l.year, l.division FROM budget_account l WHERE l.id = $" + strconv.Itoa(len(args)) + "::uuid)"
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t.Accounts, "WHERE "+condition+" ORDER BY "+key+" LIMIT $"+strconv.Itoa(len(args)), args...)
}
