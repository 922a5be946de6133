package store

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/row"
)

// CountRepetitions counts for command.Engine the requests that came again. The answer of such a request never depends on it.
func CountRepetitions(db *pgxpool.Pool) func(ctx context.Context, caller string) {
	return func(ctx context.Context, caller string) {
		_, err := db.Exec(ctx, `INSERT INTO repetition (caller, requests) VALUES ($1, 1)
			ON CONFLICT (caller) DO UPDATE SET requests = repetition.requests + 1`, caller)
		if err != nil {
			slog.WarnContext(ctx, "reporting: a repeated request is not counted", "cause", postgres.Sanitize(err))
		}
	}
}

// Repetitions is how many requests of a caller came again.
func Repetitions(ctx context.Context, q row.Querier, caller string) (int64, error) {
	rows, err := q.Query(ctx, "SELECT coalesce(sum(requests), 0)::bigint FROM repetition WHERE caller = $1", caller)
	if err != nil {
		return 0, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
}
