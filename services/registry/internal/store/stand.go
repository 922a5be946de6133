package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Stand gives, for each id that the ledger keeps or has kept, the id of the record that stands for the child now. It counts as Resolve does, in
// one statement and without a key: a record that a binding names no more, and that never got a number, was made for the report alone.
func Stand(ctx context.Context, q Querier, ids []string) (map[string]string, error) {
	rows, err := q.Query(ctx, `
		WITH RECURSIVE stands(id, now, steps) AS (
			SELECT asked, asked, 0 FROM unnest($1::uuid[]) AS asked
			UNION ALL
			SELECT s.id, b.child_id, s.steps + 1
			FROM stands s, LATERAL (
				SELECT child_id FROM binding WHERE earlier_child_ids @> ARRAY[s.now] ORDER BY update_time DESC, id LIMIT 1) b
			WHERE s.steps < $2 AND NOT EXISTS (SELECT FROM binding n WHERE n.child_id = s.now)
			  AND NOT EXISTS (SELECT FROM child c WHERE c.id = s.now AND c.id_number_index IS NOT NULL))
		SELECT id::text, now::text FROM (SELECT DISTINCT ON (id) id, now FROM stands ORDER BY id, steps DESC) last
		WHERE EXISTS (SELECT FROM child c WHERE c.id = last.now)`, ids, mostSteps)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	var id, now string
	_, err = pgx.ForEachRow(rows, []any{&id, &now}, func() error {
		found[id] = now
		return nil
	})
	return found, err
}
