package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// FindByNumber gives the child of the ledger with an identity number, fault NOT_FOUND when the ledger has none.
func (t *Tables) FindByNumber(ctx context.Context, q Querier, keys *seal.Keys, number string) (*registryv1.Child, error) {
	return row.Find(ctx, q, keys, t.Children, "WHERE child.id_number_index = $1", keys.Index(idNumberColumn, number))
}

// FindEarlyByNumber is FindByNumber for the children that only a report knows so far.
func (t *Tables) FindEarlyByNumber(ctx context.Context, q Querier, keys *seal.Keys, number string) (*registryv1.Child, error) {
	return row.Find(ctx, q, keys, t.Early, "WHERE early_child.id_number_index = $1", keys.Index(idNumberColumn, number))
}

// Record gives a child by its id, wherever it is; early says that the ledger does not have it yet. Fault NOT_FOUND when nobody has it.
func (t *Tables) Record(ctx context.Context, q Querier, keys *seal.Keys, id string) (child *registryv1.Child, early bool, err error) {
	child, err = row.Get(ctx, q, keys, t.Children, id)
	if !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return child, false, err
	}
	child, err = row.Get(ctx, q, keys, t.Early, id)
	return child, true, err
}

// OfMatter gives the bindings of a matter whose children the township has not been told of, in a fixed order.
func (t *Tables) OfMatter(ctx context.Context, q Querier, keys *seal.Keys, matter string) ([]*registryv1.Binding, error) {
	return row.Select(ctx, q, keys, t.Bindings, "WHERE binding.matter_id = $1::uuid AND binding.release_time IS NULL ORDER BY binding.id", matter)
}

// NamingChild gives the bindings that name a child, in a fixed order.
func (t *Tables) NamingChild(ctx context.Context, q Querier, keys *seal.Keys, child string) ([]*registryv1.Binding, error) {
	return row.Select(ctx, q, keys, t.Bindings, "WHERE binding.child_id = $1::uuid ORDER BY binding.id", child)
}

// Involved tells whether the unit has a part in a matter that this child is bound to: it holds or held an item of it.
func Involved(ctx context.Context, q Querier, unit, child string) (involved bool, err error) {
	err = q.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM binding b JOIN access_grant g ON g.matter_id = b.matter_id WHERE b.child_id = $1::uuid AND g.unit = $2)`,
		child, unit).Scan(&involved)
	return involved, err
}

// InMatter tells whether the unit has a part in a matter.
func InMatter(ctx context.Context, q Querier, unit, matter string) (involved bool, err error) {
	err = q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM access_grant WHERE matter_id = $1::uuid AND unit = $2)", matter, unit).Scan(&involved)
	return involved, err
}

// Release is the statement that says by which matter's bulletin a child entered the ledger. Its arguments: child, matter, time.
func Release() string {
	return "INSERT INTO child_release (child_id, matter_id, release_time) VALUES ($1::uuid, $2::uuid, $3::timestamptz)"
}

// LeaveEarly is the statement that takes a child out of the early ones, once it is in the ledger. Its arguments: child, version.
func LeaveEarly() string {
	return "DELETE FROM early_child WHERE id = $1::uuid AND version = $2::bigint"
}

// ReleasedMatters gives, for each child that a matter let into the ledger, the id of that matter.
func ReleasedMatters(ctx context.Context, q Querier) ([]string, error) {
	rows, err := q.Query(ctx, "SELECT matter_id::text FROM child_release ORDER BY child_id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
