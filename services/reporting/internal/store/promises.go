package store

import (
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/promise"
)

// Promises are the queries that count violations in this service's database at business time now.
func Promises(t *Tables, now time.Time) []promise.Query {
	return slices.Concat(promise.Items(now, t.Items()...), promise.Runtime(), []promise.Query{
		{Promise: promise.NothingLostNothingTwice, Name: "dispatch.durable", SQL: `
			SELECT count(*), count(*) FILTER (WHERE s.durable_through <>
				(SELECT count(*) FROM dispatch_update u WHERE u.source = s.source AND u.epoch = s.epoch AND u.sequence <= s.durable_through))
			FROM dispatch_source s`},
		{Promise: promise.NothingLostNothingTwice, Name: "dispatch.kept", SQL: `
			SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM quarantined_update q
				WHERE (q.source, q.epoch, q.sequence, q.cause) = (u.source, u.epoch, u.sequence, u.cause) AND q.state IN (1, 3)))
			FROM dispatch_update u WHERE u.cause IS NOT NULL`},
		{Promise: promise.NothingLostNothingTwice, Name: "assessment.chain", SQL: `
			SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM bulletin b WHERE b.report_id = a.report_id AND b.state = 2)
				OR NOT EXISTS (SELECT FROM report r WHERE r.id = a.report_id AND r.state = 6))
			FROM assessment a`},
		{Promise: promise.NoUnownedMoment, Name: "child.assessed", SQL: `
			SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM assessment a WHERE (a.report_id, a.provisional_child_id) = (r.id, c.id)))
			FROM provisional_child c JOIN report r ON r.id = c.matter_id WHERE r.state = 6`},
		// A report that waits for a bulletin, or a bulletin of a report that does not wait for it, is nobody's to end.
		{Promise: promise.NoUnownedMoment, Name: "report.can_end", SQL: `
			SELECT (SELECT count(*) FROM report WHERE state = 5) + (SELECT count(*) FROM bulletin WHERE state = 1),
			       (SELECT count(*) FROM report r WHERE r.state = 5 AND NOT EXISTS (SELECT FROM bulletin b WHERE b.report_id = r.id AND b.state = 1))
			     + (SELECT count(*) FROM bulletin b WHERE b.state = 1 AND NOT EXISTS (SELECT FROM report r WHERE r.id = b.report_id AND r.state = 5))`},
		{Promise: promise.NoUnownedMoment, Name: "incident.carried", SQL: `
			SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM report r WHERE r.id = i.matter_id AND r.holder IS NOT NULL))
			FROM incident i WHERE i.state = 2`},
		{Promise: promise.NoUnownedMoment, Name: "search.linked", SQL: `
			SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM incident i
				WHERE i.incident_number = s.incident_number AND i.matter_id IS NOT DISTINCT FROM s.report_id))
			FROM search s WHERE s.state = 1 AND s.incident_number IS NOT NULL`},
		{Promise: promise.NoLookWithoutAReason, Name: "reporter.anonymous", SQL: `
			SELECT count(*), count(*) FILTER (WHERE i.caller NOT LIKE 'reporter/%' OR a.method IS NOT NULL)
			FROM idempotency i LEFT JOIN (SELECT DISTINCT method, request_id FROM audit WHERE unit NOT LIKE 'reporter/%') a USING (method, request_id)
			WHERE i.method LIKE '%/SubmitReport' OR i.method LIKE '%/SupplementReport'`},
		// What tells of a report's arrival has a trace of its own: one that other matters share came from outside and can be joined with its caller.
		{Promise: promise.NoLookWithoutAReason, Name: "reporter.untraced", SQL: `
			WITH traced AS (SELECT substr(traceparent, 4, 32) AS id, count(DISTINCT matter_id) AS matters FROM feed WHERE traceparent <> '' GROUP BY 1)
			SELECT count(*), count(*) FILTER (WHERE t.matters > 1)
			FROM feed f JOIN traced t ON t.id = substr(f.traceparent, 4, 32) WHERE f.type IN ('report.submitted', 'report.supplemented') AND f.traceparent <> ''`},
	})
}
