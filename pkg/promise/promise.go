// Package promise counts violations of the five promises in one service's database. The counts are queries over what is
// stored, so they hold whatever path led there; in a healthy suite every count is zero.
package promise

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Numbers of the promises.
const (
	// NoUnownedMoment: every open item has one holder and one deadline at each instant.
	NoUnownedMoment = 1
	// NothingLostNothingTwice: what was acknowledged is there, once.
	NothingLostNothingTwice = 2
	// NoLookWithoutAReason: every look at identity names a purpose; the reporter appears nowhere.
	NoLookWithoutAReason = 3
	// EveryDecisionExplainsItself: rule, version, facts and source are stored with the decision.
	EveryDecisionExplainsItself = 4
	// MoneyAddsUp: reserved + paid stays within the budget; one payment per programme, beneficiary and period.
	MoneyAddsUp = 5
)

// Tolerance is how long after its deadline an item may wait for the sweeper.
const Tolerance = custody.Tolerance

// Count is the result of one query.
type Count struct {
	// Promise is its number, 1 to 5.
	Promise int
	// Name of the query, stable, for example `custody.unowned`.
	Name string
	// Checked is how many things were looked at, so that a zero over nothing is seen for what it is.
	Checked int64
	// Violations is how many of them break the promise.
	Violations int64
	// Where says who breaks it and how often, for example `referral.reporting: 5`; empty where the query tells nobody apart.
	Where []string
}

// Query counts (checked, violations) with one statement.
type Query struct {
	// Promise it guards.
	Promise int
	// Name of the query.
	Name string
	// SQL gives one row of two bigints: checked, violations. A third column, text[], says where they are.
	SQL string
	// Args of the statement.
	Args []any
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Run evaluates queries in their order.
func Run(ctx context.Context, q Querier, queries ...Query) ([]Count, error) {
	counts := make([]Count, 0, len(queries))
	for _, query := range queries {
		c := Count{Promise: query.Promise, Name: query.Name}
		if err := q.QueryRow(ctx, query.SQL, query.Args...).Scan(&counted{&c}); err != nil {
			return nil, fmt.Errorf("promise: %s: %w", query.Name, err)
		}
		counts = append(counts, c)
	}
	return counts, nil
}

// counted scans a row of two columns or three.
type counted struct{ *Count }

// ScanRow implements pgx.RowScanner.
func (c *counted) ScanRow(rows pgx.Rows) error {
	if len(rows.FieldDescriptions()) == 2 {
		return rows.Scan(&c.Checked, &c.Violations)
	}
	return rows.Scan(&c.Checked, &c.Violations, &c.Where)
}

// Items gives the queries of promise 1 for a service's item tables at business time now.
func Items(now time.Time, sources ...custody.Source) []Query {
	var queries []Query
	for _, s := range sources {
		closed := make([]string, len(s.Closed))
		for i, state := range s.Closed {
			closed[i] = fmt.Sprint(int32(state))
		}
		open := "true"
		if len(closed) > 0 {
			open = "state NOT IN (" + strings.Join(closed, ", ") + ")"
		}
		queries = append(queries,
			Query{NoUnownedMoment, s.Kind + ".unowned", fmt.Sprintf(`
				SELECT count(*) FILTER (WHERE %[1]s), count(*) FILTER (WHERE %[1]s AND (holder IS NULL OR deadline IS NULL) OR NOT %[1]s AND holder IS NOT NULL)
				FROM %[2]s`, open, s.Table), nil},
			// Nothing is looked at in a database that no service has opened yet: who may act is written at its start.
			Query{NoUnownedMoment, s.Kind + ".holder_can_act", fmt.Sprintf(`
				SELECT count(*) FILTER (WHERE holder IS NOT NULL AND told), count(*) FILTER (WHERE holder IS NOT NULL AND told AND NOT EXISTS (
					SELECT FROM acting_unit a WHERE a.kind = '%s' AND a.unit = holder
					AND coalesce(a.opens <= $1::date, true) AND coalesce(a.closes >= $1::date, true)))
				FROM %s, (SELECT EXISTS (SELECT FROM acting_unit) AS told) t`, s.Kind, s.Table), []any{calendar.Today(now).String()}},
			Query{NoUnownedMoment, s.Kind + ".unswept", fmt.Sprintf(`
				SELECT count(*) FILTER (WHERE holder IS NOT NULL), count(*) FILTER (WHERE deadline < $1::timestamptz) FROM %s`, s.Table), []any{now.Add(-Tolerance)}},
			Query{NoUnownedMoment, s.Kind + ".history", fmt.Sprintf(`
				SELECT count(*), count(*) FILTER (WHERE points <> version OR last IS DISTINCT FROM (holder, offered_to, deadline)::text)
				FROM (SELECT i.version, i.holder, i.offered_to, i.deadline,
				             (SELECT count(*) FROM custody c WHERE c.item = i.id) AS points,
				             (SELECT (c.holder, c.offered_to, c.deadline)::text FROM custody c WHERE c.item = i.id ORDER BY c.version DESC LIMIT 1) AS last
				      FROM %s i) AS checked`, s.Table), nil},
		)
		queries = append(queries, clocksOf(s, now)...)
	}
	return queries
}

// clocksOf gives the queries that hold an item against the rows of its clocks: the deadline is the earliest that runs, what is due is marked, and
// the item is overdue exactly while something missed is outstanding.
func clocksOf(s custody.Source, now time.Time) []Query {
	const runs = "k.item = i.id AND k.end_time IS NULL AND k.missed_time IS NULL"
	return []Query{
		{NoUnownedMoment, s.Kind + ".clock", fmt.Sprintf(`
			SELECT count(*), count(*) FILTER (WHERE
			           deadline IS NULL AND EXISTS (SELECT FROM custody_clock k WHERE %[2]s)
			        OR deadline IS NOT NULL AND NOT EXISTS (SELECT FROM custody_clock k WHERE %[2]s AND k.clock = i.clock AND k.due_time = i.deadline)
			        OR EXISTS (SELECT FROM custody_clock k WHERE %[2]s AND k.due_time < i.deadline))
			FROM %[1]s i`, s.Table, runs), nil},
		{NoUnownedMoment, s.Kind + ".overdue", fmt.Sprintf(`
			SELECT count(*), count(*) FILTER (WHERE overdue <> EXISTS (
			    SELECT FROM custody_clock k WHERE k.item = i.id AND k.missed_time IS NOT NULL AND k.end_time IS NULL))
			FROM %s i`, s.Table), nil},
		{NoUnownedMoment, s.Kind + ".unmarked", fmt.Sprintf(`
			SELECT count(*), count(*) FILTER (WHERE missed_time IS NULL AND (end_time >= due_time OR end_time IS NULL AND due_time < $1::timestamptz))
			FROM custody_clock k JOIN %s i ON i.id = k.item`, s.Table), []any{now.Add(-Tolerance)}},
	}
}

// Runtime gives the queries over the tables that every service has.
func Runtime() []Query {
	return []Query{
		{NothingLostNothingTwice, "feed.dense", `
			SELECT h.seq, abs(h.seq - coalesce(f.last, h.seq)) + coalesce(f.last - f.first + 1 - f.events, 0)
			FROM feed_head h, (SELECT min(seq) AS first, max(seq) AS last, count(*) AS events FROM feed) f`, nil},
		{NothingLostNothingTwice, "feed.versions_rise", `
			SELECT count(*), count(*) FILTER (WHERE subject_version <> before + 1)
			FROM (SELECT subject_version, lag(subject_version) OVER (PARTITION BY subject_kind, subject_id ORDER BY seq) AS before FROM feed) f`, nil},
		{NothingLostNothingTwice, "effects.once", `
			SELECT count(*), coalesce(sum(times - 1), 0)::bigint
			FROM (SELECT count(*) AS times FROM audit WHERE effect GROUP BY unit, system, method, request_id, subject_kind, subject_id) a`, nil},
		// A join, not EXISTS: of that the planner can make a look through the whole audit for each request.
		{NothingLostNothingTwice, "effects.acknowledged", `
			SELECT count(*), count(*) FILTER (WHERE a.method IS NULL)
			FROM idempotency i LEFT JOIN (SELECT DISTINCT method, request_id FROM audit WHERE effect) a USING (method, request_id)`, nil},
		// What a sweep does, it does to a clock that it marks as missed; a second sweep of one clock would find none to mark. Items from before
		// clocks were kept one by one have none from their first version, and were swept without.
		{NothingLostNothingTwice, "clocks.fired_once", `
			SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM custody_clock k WHERE k.item = a.subject_id AND k.missed_time = a.time))
			FROM audit a
			WHERE effect AND method = 'sweep/' || subject_kind
			  AND EXISTS (SELECT FROM custody_clock k WHERE k.item = a.subject_id AND k.start_version = 1)`, nil},
		// Where a cursor stands, less what batches have brought it: events of another area that the follower never saw.
		{NothingLostNothingTwice, "follower.saw_all", `
			SELECT coalesce(sum(through), 0)::bigint, coalesce(sum(abs(through - covered)), 0)::bigint,
			       coalesce(array_agg(name || ': ' || abs(through - covered) ORDER BY name) FILTER (WHERE through <> covered), '{}')
			FROM follower`, nil},
		{NothingLostNothingTwice, "events.parked", `SELECT count(*), count(*) FROM parked_event`, nil},
		{NoLookWithoutAReason, "looks.purpose", `
			SELECT count(*), count(*) FILTER (WHERE purpose = 0) FROM audit WHERE NOT effect AND class >= $1`,
			[]any{int32(accessv1.DataClass_DATA_CLASS_PERSONAL)}},
		{NoLookWithoutAReason, "reporter.absent", `
			SELECT (SELECT count(*) FROM custody) + (SELECT count(*) FROM feed),
			       (SELECT count(*) FROM custody WHERE holder LIKE 'org/%' OR offered_to LIKE 'org/%' OR holder LIKE 'reporter/%')
			     + (SELECT count(*) FROM feed WHERE EXISTS (SELECT FROM unnest(audience) AS u (unit) WHERE u.unit LIKE 'org/%' OR u.unit LIKE 'reporter/%'))`, nil},
	}
}
