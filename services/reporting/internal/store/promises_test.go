package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

var noon = time.Date(2026, 3, 5, 4, 0, 0, 0, time.UTC)

const insertReport = `INSERT INTO report (id, version, matter_id, state, overdue, create_time, update_time, receipt_number, provisional_child_id, trace, body)
	VALUES ('4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001', 1, '4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001', 6, false, now(), now(), 'R-1', '4f0a9c21-b7d3-4c55-8a11-9a3f5be0a002', '', '')`

// A count that is always zero proves nothing: each query of this service is shown a violation.
func TestAPlantedViolationIsCounted(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string][]string{
		"dispatch.durable": {`INSERT INTO dispatch_source (id, version, create_time, update_time, source, epoch, durable_through, trace, body)
			VALUES (gen_random_uuid(), 1, now(), now(), 'police:dispatch', 1, 3, '', '')`},
		"dispatch.kept": {`INSERT INTO dispatch_update (source, epoch, sequence, void, digest, cause, incident_number, receive_time)
			VALUES ('police:dispatch', 1, 1, false, '', 2, '', now())`},
		"assessment.chain": {insertReport, `INSERT INTO assessment (id, version, state, overdue, create_time, update_time, report_id, trace, body)
			VALUES (gen_random_uuid(), 1, 5, false, now(), now(), '4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001', '', '')`},
		"child.assessed": {insertReport, `INSERT INTO provisional_child (id, version, matter_id, create_time, update_time, trace, body)
			VALUES ('4f0a9c21-b7d3-4c55-8a11-9a3f5be0a002', 1, '4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001', now(), now(), '', '')`},
		"report.can_end": {insertReport, "UPDATE report SET state = 5, holder = 'police', deadline = now(), clock = 'bulletin.acknowledge'"},
		"incident.carried": {insertReport, `INSERT INTO incident (id, version, matter_id, state, overdue, create_time, update_time, incident_number, trace, body)
			VALUES (gen_random_uuid(), 1, '4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001', 2, false, now(), now(), 'J1', '', '')`},
		"search.linked": {`INSERT INTO search (id, version, holder, deadline, clock, state, overdue, create_time, update_time, incident_number, trace, body)
			VALUES (gen_random_uuid(), 1, 'police', now(), 'missing.search', 1, false, now(), now(), 'J1', '', '')`},
		"reporter.anonymous": {`INSERT INTO idempotency (caller, method, request_id, digest, answer)
			VALUES ('org/12320411710018221B/main', '/lianhu.reporting.v1.ReportingService/SubmitReport', gen_random_uuid(), '', '')`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			owner := pgtest.New(t, store.Migrations()).OpenOwner(t)
			if got := violations(t, owner, name); got != 0 {
				t.Fatalf("%d violations in an empty database", got)
			}
			for _, sql := range plant {
				if _, err := owner.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			if got := violations(t, owner, name); got != 1 {
				t.Errorf("%d violations, want the planted one", got)
			}
		})
	}
}

func violations(t *testing.T, pool *pgxpool.Pool, name string) int64 {
	t.Helper()
	counts, err := promise.Run(t.Context(), pool, store.Promises(store.NewTables(), noon)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Name == name {
			return c.Violations
		}
	}
	t.Fatalf("no query %s", name)
	return 0
}

func TestAReportWithoutItsReporterIsCounted(t *testing.T) {
	t.Parallel()
	owner, vault := pgtest.New(t, store.Migrations()).OpenOwner(t), pgtest.New(t, store.VaultMigrations())
	app, vaultOwner := vault.Open(t), vault.OpenOwner(t)
	exec := func(pool *pgxpool.Pool, sql string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, complete, orphans int64) {
		t.Helper()
		if got, err := store.VaultComplete(t.Context(), owner, app); err != nil || got.Violations != complete || got.Checked != 1 {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if got, err := store.VaultOrphans(t.Context(), owner, app); err != nil || got.Violations != orphans {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	const report = "'4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001'"
	exec(owner, insertReport)
	check("a report without a record", 1, 0)
	exec(app, "SELECT keep_reporter("+report+", 'one', '', now(), '')")
	exec(owner, "INSERT INTO reporter_tag VALUES ("+report+", 'two')")
	check("a report that names a record of other content", 1, 0)
	exec(app, "SELECT keep_reporter("+report+", 'two', '', now(), '')")
	check("a report that names its record", 0, 0)
	exec(vaultOwner, "UPDATE reporter SET write_time = write_time - interval '16 minutes'")
	check("a record that no report names", 0, 1)
	if err := (&store.Vault{DB: app}).Reconcile(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	check("reconciled", 0, 0)
}

// What the vault holds can be neither changed nor removed by the service, but for a record that no report named within ten minutes.
func TestTheVaultIsAppendOnly(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t, store.VaultMigrations())
	vault, owner := database.Open(t), database.OpenOwner(t)
	for _, sql := range []string{
		"UPDATE reporter SET unit_index = ''", "DELETE FROM reporter", "TRUNCATE reporter",
		"INSERT INTO reporter (report_id, unit_index, receive_time, sealed_reporter) VALUES (gen_random_uuid(), '', now(), '')",
	} {
		if _, err := vault.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was allowed", sql)
		}
	}
	const named = "'4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001', 'tag'"
	removed := func() (n int64) {
		t.Helper()
		if err := vault.QueryRow(t.Context(), "SELECT remove_orphan("+named+")").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec := func(pool *pgxpool.Pool, sql string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(vault, "SELECT keep_reporter("+named+", '', now(), '')")
	if removed() != 0 {
		t.Error("a record was removed whose report may be on its way")
	}
	exec(owner, "UPDATE reporter SET write_time = write_time - interval '1 hour'")
	exec(vault, "SELECT keep_reporter("+named+", '', now(), '')")
	if removed() != 0 {
		t.Error("a record was removed that a retry has just written again")
	}
	exec(owner, "UPDATE reporter SET write_time = write_time - interval '1 hour'")
	exec(vault, "SELECT accept_reporter("+named+")")
	if removed() != 0 {
		t.Error("an accepted record was removed")
	}
}

// No state of an item may be stored open without a holder, whatever the program text says.
func TestAnOpenReportWithoutAHolderCannotBeStored(t *testing.T) {
	t.Parallel()
	owner := pgtest.New(t, store.Migrations()).OpenOwner(t)
	if _, err := owner.Exec(t.Context(), insertReport); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), "UPDATE report SET state = 1"); err == nil {
		t.Error("an open report without a holder was stored")
	}
}
