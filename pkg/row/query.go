package row

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/seal"
)

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Get reads one row by id. An absent row is fault NOT_FOUND, in the same words as an invisible one.
func Get[M proto.Message](ctx context.Context, q Querier, keys *seal.Keys, t *Table[M], id string) (M, error) {
	found, err := Select(ctx, q, keys, t, "WHERE id = $1::uuid", id)
	if err != nil || len(found) == 0 {
		var none M
		if err == nil {
			err = fault.NotFound()
		}
		return none, err
	}
	return found[0], nil
}

// Find is Get for any condition: the only row that meets it, or fault NOT_FOUND.
func Find[M proto.Message](ctx context.Context, q Querier, keys *seal.Keys, t *Table[M], condition string, args ...any) (M, error) {
	found, err := Select(ctx, q, keys, t, condition, args...)
	if err == nil && len(found) > 1 {
		err = errors.New("row: " + t.Name + ": more than one row where one was meant")
	}
	if err != nil || len(found) == 0 {
		var none M
		if err == nil {
			err = fault.NotFound()
		}
		return none, err
	}
	return found[0], nil
}

// Select reads the rows that meet a condition. The condition is the rest of the statement after FROM, with its WHERE, ORDER BY
// and LIMIT; it may join further tables, as the select list is qualified.
func Select[M proto.Message](ctx context.Context, q Querier, keys *seal.Keys, t *Table[M], condition string, args ...any) ([]M, error) {
	rows, err := q.Query(ctx, "SELECT "+t.Read()+" FROM "+t.Name+" "+condition, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (M, error) {
		destinations := t.Destinations()
		if err := r.Scan(destinations...); err != nil {
			var none M
			return none, err
		}
		return t.Decode(destinations, keys)
	})
}
