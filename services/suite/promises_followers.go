package suite

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/promise"
)

// effect is what a follower must have made of the events of another area's feed that lie before its cursor.
type effect struct {
	// follower by name, in the database of area, follows the feed of source.
	area, follower, source string
	// wanted lists subjects in the source's database, up to a place in its feed; made lists those of them that the area has acted on.
	wanted, made string
}

var effects = []effect{
	{
		"registry", "registry.reporting", "reporting",
		"SELECT DISTINCT subject_id::text FROM feed WHERE type = 'provisional_child.created' AND seq <= $1",
		"SELECT id::text FROM binding",
	},
	{
		"referral", "referral.reporting", "reporting",
		`SELECT a.id::text FROM assessment a WHERE a.state IN (3, 4)
			AND EXISTS (SELECT FROM feed f WHERE f.type = 'assessment.concluded' AND f.subject_id = a.id AND f.seq <= $1)`,
		"SELECT assessment_id::text FROM support_case",
	},
	{
		"reporting", "reporting.referral", "referral",
		`SELECT c.assessment_id::text FROM support_case c
			WHERE EXISTS (SELECT FROM feed f WHERE f.type = 'case.opened' AND f.subject_id = c.id AND f.seq <= $1)`,
		"SELECT id::text FROM assessment WHERE state <> 3",
	},
}

// followers counts events that a follower has passed and made nothing of, area by area. An event that it could not apply is parked and counted
// as that, too.
func followers(ctx context.Context, pools map[string]*pgxpool.Pool) ([]Counted, error) {
	var out []Counted
	for _, e := range effects {
		c := promise.Count{Promise: promise.NothingLostNothingTwice, Name: "follower.acted"}
		var through int64
		// The cursor first: what it has passed by then is made by then.
		if err := pools[e.area].QueryRow(ctx, "SELECT coalesce(max(through), 0) FROM follower WHERE name = $1", e.follower).Scan(&through); err != nil {
			return nil, fmt.Errorf("%s: %w", e.area, err)
		}
		wanted, err := texts(ctx, pools[e.source], e.wanted, through)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.source, err)
		}
		made, err := texts(ctx, pools[e.area], e.made)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.area, err)
		}
		there := make(map[string]bool, len(made))
		for _, id := range made {
			there[id] = true
		}
		for _, id := range wanted {
			c.Checked++
			if !there[id] {
				c.Violations++
			}
		}
		if c.Violations > 0 {
			c.Where = []string{fmt.Sprintf("%s: %d", e.follower, c.Violations)}
		}
		out = append(out, Counted{e.area, c})
	}
	return out, nil
}

func texts(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) ([]string, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
