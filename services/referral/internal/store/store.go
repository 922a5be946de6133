// Package store keeps cases and referrals.
package store

import (
	"context"
	"embed"
	"io/fs"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/schema"
	"github.com/lianhu/lianhu/pkg/seal"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the runtime's tables and this service's own.
func Migrations() fs.FS {
	own, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the path is a constant of this file
	}
	return schema.With(own)
}

// Tables are the item tables of the service.
type Tables struct {
	Cases     *row.Table[*referralv1.Case]
	Referrals *row.Table[*referralv1.Referral]
}

// NewTables plans the mapping of the contract's messages.
func NewTables() *Tables {
	return &Tables{
		Cases: row.NewTable("support_case", "case",
			row.Column[*referralv1.Case]{Name: "assessment_id", Path: "assessment_id", Type: "uuid"},
			row.Column[*referralv1.Case]{Name: "township", Path: "township"},
		),
		Referrals: row.NewTable("referral", "referral",
			row.Column[*referralv1.Referral]{Name: "case_id", Path: "case_id", Type: "uuid"},
			row.Column[*referralv1.Referral]{Name: "need", Path: "need"},
			row.Column[*referralv1.Referral]{Name: "township", Path: "township"},
			row.Column[*referralv1.Referral]{Name: "village", Path: "village"},
		),
	}
}

// Sources describe the item tables for work lists, sweeping and the promises.
func (t *Tables) Sources() []custody.Source {
	return []custody.Source{
		custody.SourceOf(t.Cases, referralv1.Case_STATE_CLOSED),
		custody.SourceOf(t.Referrals, referralv1.Referral_STATE_CONFIRMED, referralv1.Referral_STATE_WITHDRAWN),
	}
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// OpenReferrals counts the referrals of a case that are not closed. Inside a command on the case the answer cannot go stale:
// a closed referral never opens again, and a new one changes the case's version.
func OpenReferrals(ctx context.Context, q Querier, caseID string) (int, error) {
	var open int
	err := q.QueryRow(ctx, "SELECT count(*) FROM referral WHERE case_id = $1::uuid AND holder IS NOT NULL", caseID).Scan(&open)
	return open, err
}

// OfCase gives the referrals of a case, oldest first.
func OfCase(ctx context.Context, q row.Querier, keys *seal.Keys, t *row.Table[*referralv1.Referral], caseID string) ([]*referralv1.Referral, error) {
	return row.Select(ctx, q, keys, t, "WHERE case_id = $1::uuid ORDER BY create_time, id", caseID)
}

// Involved tells of which matters the unit holds or held an item here.
func Involved(ctx context.Context, q Querier, unit string, matters ...string) (map[string]bool, error) {
	rows, err := q.Query(ctx, "SELECT matter_id::text FROM access_grant WHERE unit = $1 AND matter_id = ANY($2::uuid[])", unit, matters)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	involved := make(map[string]bool, len(found))
	for _, matter := range found {
		involved[matter] = true
	}
	return involved, err
}

// Filter narrows a list. Zero values do not.
type Filter struct {
	// State number.
	State int32
	// Divisions of the child; nil means all.
	Divisions []string
	MatterID  string
	// CaseID and Need are of referrals only.
	CaseID, Need string
}

// List gives at most limit rows in scope that pass the filter, newest first.
func List[M proto.Message](ctx context.Context, q Querier, keys *seal.Keys, t *row.Table[M], scope access.Scope, filter Filter, after *pagetoken.After, limit int) ([]M, error) {
	condition, args := scope.Where(t.Name, false, 1)
	where := func(sql string, arg any) {
		args = append(args, arg)
		condition += " AND " + t.Name + "." + sql + " ($" + strconv.Itoa(len(args)) + ")"
	}
	if filter.State != 0 {
		where("state =", filter.State)
	}
	if filter.Divisions != nil {
		where("division = ANY", filter.Divisions)
	}
	if filter.MatterID != "" {
		where("matter_id =", filter.MatterID)
	}
	if filter.CaseID != "" {
		where("case_id =", filter.CaseID)
	}
	if filter.Need != "" {
		where("need =", filter.Need)
	}
	if after != nil {
		args = append(args, after.Time, after.ID)
		condition += " AND (" + t.Name + ".create_time, " + t.Name + ".id) < ($" + strconv.Itoa(len(args)-1) + ", $" + strconv.Itoa(len(args)) + "::uuid)"
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t, "WHERE "+condition+" ORDER BY "+t.Name+".create_time DESC, "+t.Name+".id DESC LIMIT $"+strconv.Itoa(len(args)), args...)
}

// Promises are the queries of this service beside the runtime's.
func Promises(t *Tables, now time.Time) []promise.Query {
	queries := append(promise.Runtime(), promise.Items(now, t.Sources()...)...)
	return append(queries,
		promise.Query{Promise: promise.NoUnownedMoment, Name: "referral.offered_to_nobody", SQL: `
			SELECT count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 1 AND offered_to IS NULL) FROM referral`},
		promise.Query{Promise: promise.NoUnownedMoment, Name: "case.closed_over_open_referrals", SQL: `
			SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM referral r WHERE r.case_id = c.id AND r.holder IS NOT NULL))
			FROM support_case c WHERE c.holder IS NULL`},
		promise.Query{Promise: promise.NothingLostNothingTwice, Name: "case.once_per_assessment", SQL: `
			SELECT count(*), count(*) - count(DISTINCT assessment_id) FROM support_case`},
	)
}
