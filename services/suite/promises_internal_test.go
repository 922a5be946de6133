package suite

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/reporting"
)

// A child that entered the ledger for a matter whose township was never told is counted: neither database alone can tell.
func TestAChildToldWithoutABulletinIsCounted(t *testing.T) {
	t.Parallel()
	ledger, reports := pgtest.New(t, registry.Migrations()).OpenOwner(t), pgtest.New(t, reporting.Migrations()).OpenOwner(t)
	exec := func(pool *pgxpool.Pool, sql string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	counted := func(what string, want int64) {
		t.Helper()
		counts, err := toldByBulletin(t.Context(), ledger, reports)
		if err != nil || len(counts) != 1 || counts[0].Violations != want || counts[0].Checked != 1 {
			t.Errorf("%s: %v, %v", what, counts, err)
		}
	}
	const matter = "'4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001'"
	exec(ledger, `WITH child AS (INSERT INTO child (id, version, division, create_time, update_time, sex, colour, statuses, trace, body)
		VALUES (gen_random_uuid(), 1, '320411101201', now(), now(), 0, 0, '{}', '', '') RETURNING id)
		INSERT INTO child_release SELECT id, `+matter+`, now() FROM child`)
	counted("the township was not told", 1)
	exec(reports, `INSERT INTO report (id, version, matter_id, state, overdue, create_time, update_time, receipt_number, trace, body)
		VALUES (`+matter+`, 1, `+matter+`, 6, false, now(), now(), 'R-1', '', '')`)
	exec(reports, `INSERT INTO assessment (id, version, matter_id, state, overdue, create_time, update_time, report_id, trace, body)
		VALUES (gen_random_uuid(), 1, `+matter+`, 5, false, now(), now(), `+matter+`, '', '')`)
	counted("the township assesses", 0)
}
