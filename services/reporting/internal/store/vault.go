package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Vault keeps who reported, apart from everything else (policy R3.8).
type Vault struct {
	// DB is the vault's pool, as the vault's own role.
	DB *pgxpool.Pool
	// Keys are the vault's own.
	Keys *seal.Keys
}

const unitColumn = "reporter.unit"

// Put keeps a record. A second record for the same report changes nothing: it is a retry's.
func (v *Vault) Put(ctx context.Context, reportID string, record *reportingv1.ReporterRecord) error {
	plain, err := proto.Marshal(record)
	if err != nil {
		return fmt.Errorf("vault: marshal the record: %w", err)
	}
	sealed, err := v.Keys.Seal(place(reportID), plain)
	if err != nil {
		return err
	}
	_, err = v.DB.Exec(ctx, `INSERT INTO reporter (report_id, unit_index, receive_time, sealed_reporter) VALUES ($1::uuid, $2, $3, $4)
		ON CONFLICT (report_id) DO NOTHING`, reportID, v.Keys.Index(unitColumn, record.GetUnit()), record.GetReceiveTime().AsTime(), sealed)
	return sanitized(err)
}

// Reported reports whether the unit handed in the report. It compares indexes and opens nothing.
func (v *Vault) Reported(ctx context.Context, reportID, unit string) (bool, error) {
	var mine bool
	err := v.DB.QueryRow(ctx, "SELECT unit_index = $2 FROM reporter WHERE report_id = $1::uuid", reportID, v.Keys.Index(unitColumn, unit)).Scan(&mine)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return mine, sanitized(err)
}

func place(reportID string) seal.Place {
	return seal.Place{Table: "reporter", ID: reportID, Class: accessv1.DataClass_DATA_CLASS_REPORTER_IDENTITY}
}

// sanitized keeps the kind of a database error and drops what PostgreSQL says about the row. A lost connection must stay
// recognisable, as it is tried again.
func sanitized(err error) error {
	if err == nil || postgres.IsConnection(err) {
		return err
	}
	return postgres.Sanitize(err)
}

// Ready reports whether the vault is there and migrated; a report cannot be taken without it.
func (v *Vault) Ready(ctx context.Context) error {
	have, err := postgres.SchemaVersion(ctx, v.DB)
	if err != nil {
		return err
	}
	want, err := postgres.LatestVersion(VaultMigrations())
	if err == nil && have < want {
		err = fmt.Errorf("vault: the schema is at version %d, this program needs %d: run the migration", have, want)
	}
	return err
}
