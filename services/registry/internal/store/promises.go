package store

import (
	"time"

	"github.com/lianhu/lianhu/pkg/promise"
)

// Promises are the queries of this service beside the runtime's.
func Promises(t *Tables, now time.Time) []promise.Query {
	queries := append(promise.Runtime(), promise.Items(now, t.Sources()...)...)
	return append(queries,
		promise.Query{Promise: promise.NoUnownedMoment, Name: "child.visited_by_plan", SQL: `
			SELECT count(*) FILTER (WHERE colour > 0), count(*) FILTER (WHERE colour > 0 AND NOT EXISTS (SELECT FROM visit_plan p WHERE p.child_id = c.id))
			FROM child c`},
		promise.Query{Promise: promise.NothingLostNothingTwice, Name: "child.once_per_number", SQL: `
			SELECT count(id_number_index), count(id_number_index) - count(DISTINCT id_number_index) FROM child`},
		// Before the bulletin the ledger knows nothing of a report: a record that a report made has its release, and none stands in both tables.
		// Origin 2 is ORIGIN_REPORTED; NULL are records from before the ledger kept apart what is early.
		promise.Query{Promise: promise.NoLookWithoutAReason, Name: "child.told_early", SQL: `
			SELECT count(*), count(*) FILTER (WHERE c.origin = 2 AND r.child_id IS NULL OR e.id IS NOT NULL)
			FROM child c LEFT JOIN child_release r ON r.child_id = c.id LEFT JOIN early_child e ON e.id = c.id`},
		// Nor does it say afterwards which matter told of a child.
		promise.Query{Promise: promise.NoLookWithoutAReason, Name: "ledger.names_no_matter", SQL: `
			SELECT sum(rows)::bigint, sum(named)::bigint FROM (
				SELECT count(*) AS rows, count(matter_id) AS named FROM child UNION ALL
				SELECT count(*), count(matter_id) FROM visit_plan UNION ALL
				SELECT count(*), count(matter_id) FROM feed WHERE subject_kind IN ('child', 'visit_plan')) AS ledger`},
	)
}
