package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/row"
)

const (
	reconcileEvery = time.Minute
	reconcileMost  = 500
	// orphanCounted is how old an orphan is when the promises count it: by then it should have been removed.
	orphanCounted = 15 * time.Minute
)

// entry names a record of the vault.
type entry struct {
	Report string
	Tag    []byte
	Since  time.Time
}

// Reconcile compares the vault's open records with the reports: one whose report names it is accepted for good; one that no report has named for
// ten minutes is what a failed try left behind, and goes. Nothing is opened. Any number of replicas may do so at once.
func (v *Vault) Reconcile(ctx context.Context, reports row.Querier) error {
	for after := (time.Time{}); ; {
		open, err := openEntries(ctx, v.DB, after, 0, reconcileMost)
		if err != nil || len(open) == 0 {
			return sanitized(err)
		}
		named, err := namedBy(ctx, reports, open)
		if err != nil {
			return err
		}
		for _, e := range open {
			statement := "SELECT remove_orphan($1::uuid, $2)"
			if tag, ok := named[e.Report]; ok && tag == string(e.Tag) {
				statement = "SELECT accept_reporter($1::uuid, $2)"
			}
			if _, err := v.DB.Exec(ctx, statement, e.Report, e.Tag); err != nil {
				return sanitized(err)
			}
		}
		after = open[len(open)-1].Since
	}
}

// openEntries gives records that are not accepted yet, written after a time and at least that long ago, the oldest first.
func openEntries(ctx context.Context, vault row.Querier, after time.Time, age time.Duration, most int) ([]entry, error) {
	rows, err := vault.Query(ctx, `SELECT report_id::text, tag, write_time FROM reporter
		WHERE NOT accepted AND write_time > $1 AND write_time <= clock_timestamp() - $2::interval ORDER BY write_time LIMIT $3`, after, age, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
}

// namedBy gives the tag that each report names, by its id.
func namedBy(ctx context.Context, reports row.Querier, open []entry) (map[string]string, error) {
	ids := make([]string, len(open))
	for i, e := range open {
		ids[i] = e.Report
	}
	rows, err := reports.Query(ctx, "SELECT report_id::text, tag FROM reporter_tag WHERE report_id = ANY ($1::uuid[])", ids)
	if err != nil {
		return nil, err
	}
	named := map[string]string{}
	var id string
	var tag []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &tag}, func() error {
		named[id] = string(tag)
		return nil
	})
	return named, err
}

// KeepReconciled reconciles the vault once a minute of machine time until ctx is done. A database that is away is waited for.
func (v *Vault) KeepReconciled(ctx context.Context, reports row.Querier) error {
	ticker := time.NewTicker(reconcileEvery)
	defer ticker.Stop()
	for {
		if err := v.Reconcile(ctx, reports); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "vault: reconciling failed", "cause", postgres.Sanitize(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// VaultComplete compares the reports with the vault: every report has the record of its accepted request there. Nothing is opened: only ids and
// tags are compared.
func VaultComplete(ctx context.Context, pool, vault *pgxpool.Pool) (promise.Count, error) {
	count := promise.Count{Promise: promise.NoLookWithoutAReason, Name: "vault.complete"}
	rows, err := pool.Query(ctx, "SELECT r.id::text, t.tag FROM report r LEFT JOIN reporter_tag t ON t.report_id = r.id")
	if err != nil {
		return count, err
	}
	var ids []string
	var tags [][]byte
	var id string
	var tag []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &tag}, func() error {
		ids, tags = append(ids, id), append(tags, tag)
		return nil
	})
	if err != nil {
		return count, err
	}
	var kept int64
	err = vault.QueryRow(ctx, `SELECT count(*) FROM unnest($1::uuid[], $2::bytea[]) AS named (report_id, tag) JOIN reporter USING (report_id, tag)`,
		ids, tags).Scan(&kept)
	count.Checked, count.Violations = int64(len(ids)), int64(len(ids))-kept
	return count, err
}

// VaultOrphans counts the vault's records that no report names although they are so old that they should have been removed.
func VaultOrphans(ctx context.Context, pool, vault *pgxpool.Pool) (promise.Count, error) {
	count := promise.Count{Promise: promise.NoLookWithoutAReason, Name: "vault.orphans"}
	if err := vault.QueryRow(ctx, "SELECT count(*) FROM reporter").Scan(&count.Checked); err != nil {
		return count, err
	}
	for after := (time.Time{}); ; {
		open, err := openEntries(ctx, vault, after, orphanCounted, reconcileMost)
		if err != nil || len(open) == 0 {
			return count, err
		}
		named, err := namedBy(ctx, pool, open)
		if err != nil {
			return count, err
		}
		for _, e := range open {
			if tag, ok := named[e.Report]; !ok || tag != string(e.Tag) {
				count.Violations++
			}
		}
		after = open[len(open)-1].Since
	}
}
