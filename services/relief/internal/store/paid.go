package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Grant says for whom a payment is that counts: neither replaced nor cancelled.
type Grant struct {
	// Programme, beneficiary and period, which together are paid once.
	Programme, Beneficiary, Period string
}

// Grants lists every payment that counts.
func Grants(ctx context.Context, q Querier) ([]Grant, error) {
	rows, err := q.Query(ctx, "SELECT programme, beneficiary_id, period FROM payment WHERE state NOT IN (6, 7) ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Grant])
}
