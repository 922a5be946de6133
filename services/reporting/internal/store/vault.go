package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/row"
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

// Put keeps a record and gives its tag, by which the report says that this one counts. The same content of the same report is kept once; another
// content, as of a corrected retry, beside it.
func (v *Vault) Put(ctx context.Context, reportID string, record *reportingv1.ReporterRecord) (tag []byte, err error) {
	plain, err := marshalled(record)
	if err != nil {
		return nil, err
	}
	content := proto.CloneOf(record)
	content.ReceiveTime = nil // each attempt of one request has its own
	told, err := marshalled(content)
	if err != nil {
		return nil, err
	}
	sealed, err := v.Keys.Seal(place(reportID), plain)
	if err != nil {
		return nil, err
	}
	tag = v.Keys.Digest("reporter/"+reportID, told)
	_, err = v.DB.Exec(ctx, "SELECT keep_reporter($1::uuid, $2, $3, $4, $5)",
		reportID, tag, v.Keys.Index(unitColumn, record.GetUnit()), record.GetReceiveTime().AsTime(), sealed)
	return tag, sanitized(err)
}

func marshalled(record *reportingv1.ReporterRecord) ([]byte, error) {
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("vault: marshal the record: %w", err)
	}
	return plain, nil
}

// NameReporter is the statement by which a report names the vault's record that counts. Its arguments: report, tag.
func NameReporter() string {
	return "INSERT INTO reporter_tag (report_id, tag) VALUES ($1::uuid, $2::bytea)"
}

// Reported reports whether the unit handed in the report, by the record that its tag names. It compares indexes and opens nothing.
func (v *Vault) Reported(ctx context.Context, reportID string, tag []byte, unit string) (bool, error) {
	var mine bool
	err := v.DB.QueryRow(ctx, "SELECT unit_index = $3 FROM reporter WHERE report_id = $1::uuid AND tag = $2",
		reportID, tag, v.Keys.Index(unitColumn, unit)).Scan(&mine)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return mine, sanitized(err)
}

// ReporterTag gives the tag of the vault's record that counts for a report, nil when the report is not there.
func ReporterTag(ctx context.Context, q row.Querier, reportID string) ([]byte, error) {
	rows, err := q.Query(ctx, "SELECT tag FROM reporter_tag WHERE report_id = $1::uuid", reportID)
	if err != nil {
		return nil, err
	}
	tag, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return tag, err
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
