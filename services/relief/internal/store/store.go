// Package store keeps applications, decisions, budgets, payments and batches.
package store

import (
	"context"
	"embed"
	"io/fs"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/schema"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
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

// Tables of the service.
type Tables struct {
	Applications *row.Table[*reliefv1.Application]
	Decisions    *row.Table[*reliefv1.Decision]
	Accounts     *row.Table[*reliefv1.BudgetAccount]
	Payments     *row.Table[*reliefv1.Payment]
	Batches      *row.Table[*reliefv1.Batch]
}

// NewTables plans the mapping of the contract's messages.
func NewTables() *Tables {
	return &Tables{
		Applications: row.NewTable("application", "application",
			row.Column[*reliefv1.Application]{Name: "programme", Path: "programme"},
			row.Column[*reliefv1.Application]{Name: "referral_id", Path: "referral_id", Type: "uuid"},
			row.Column[*reliefv1.Application]{Name: "beneficiary_id", Path: "beneficiary_id"},
			row.Column[*reliefv1.Application]{Name: "period", Path: "period"},
		),
		Decisions: row.NewTable("decision", "decision",
			row.Column[*reliefv1.Decision]{Name: "application_id", Path: "application_id", Type: "uuid"},
		),
		Accounts: row.NewTable("budget_account", "budget_account",
			row.Column[*reliefv1.BudgetAccount]{Name: "programme", Path: "programme"},
			row.Column[*reliefv1.BudgetAccount]{Name: "year", Path: "year"},
			row.Column[*reliefv1.BudgetAccount]{Name: "amount_fen", Path: "amount_fen"},
			row.Column[*reliefv1.BudgetAccount]{Name: "reserved_fen", Path: "reserved_fen"},
			row.Column[*reliefv1.BudgetAccount]{Name: "paid_fen", Path: "paid_fen"},
		),
		Payments: row.NewTable("payment", "payment",
			row.Column[*reliefv1.Payment]{Name: "application_id", Path: "application_id", Type: "uuid"},
			row.Column[*reliefv1.Payment]{Name: "programme", Path: "programme"},
			row.Column[*reliefv1.Payment]{Name: "beneficiary_id", Path: "beneficiary_id"},
			row.Column[*reliefv1.Payment]{Name: "period", Path: "period"},
			row.Column[*reliefv1.Payment]{Name: "attempt", Path: "attempt"},
			row.Column[*reliefv1.Payment]{Name: "amount_fen", Path: "amount_fen"},
			row.Column[*reliefv1.Payment]{Name: "budget_account_id", Path: "budget_account_id", Type: "uuid"},
			row.Column[*reliefv1.Payment]{Name: "batch_id", Path: "batch_id", Type: "uuid"},
		),
		Batches: row.NewTable("batch", "batch",
			row.Column[*reliefv1.Batch]{Name: "programme", Path: "programme"},
			row.Column[*reliefv1.Batch]{Name: "line_count", Path: "line_count"},
			row.Column[*reliefv1.Batch]{Name: "total_fen", Path: "total_fen"},
		),
	}
}

// Constraints maps what the schema guards to the refusals of the contract.
func Constraints() map[string]func() *fault.Error {
	refuse := func(reason reliefv1.Reason, message string) func() *fault.Error {
		return func() *fault.Error { return fault.New(reason, message) }
	}
	return map[string]func() *fault.Error{
		"application_key":       refuse(reliefv1.Reason_REASON_APPLICATION_EXISTS, "there is an open application for the same period"),
		"payment_key":           refuse(reliefv1.Reason_REASON_PAYMENT_EXISTS, "the period is paid or being paid already"),
		"payment_attempt":       refuse(reliefv1.Reason_REASON_PAYMENT_EXISTS, "the period is paid or being paid already"),
		"budget_account_within": refuse(reliefv1.Reason_REASON_BUDGET_EXHAUSTED, "less is left than is needed"),
		"budget_account_key": func() *fault.Error {
			return fault.New(reliefv1.Reason_REASON_BUDGET_EXISTS, "the account is open already", "field", "division").
				Field("division", "has an account for the programme and year already")
		},
	}
}

// namespace of ids that follow from others.
var namespace = uuid.MustParse("2f2a8d63-7d0a-5a0a-b1d7-6f5f4f6f0a33")

// ApplicationID is the id of the application that a referral opens, so that the same referral opens one.
func ApplicationID(referral string) string {
	return uuid.NewSHA1(namespace, []byte("application/"+referral)).String()
}

// BudgetRequestID is the request id under which a budget of the district's data is opened, once for all replicas.
func BudgetRequestID(programme, township string, year int) string {
	return uuid.NewSHA1(namespace, []byte("budget/"+programme+"/"+township+"/"+strconv.Itoa(year))).String()
}

// Sources describe the item tables for work lists, sweeping and the promises.
func (t *Tables) Sources() []custody.Source {
	return []custody.Source{
		custody.SourceOf(t.Applications, reliefv1.Application_STATE_REFUSED, reliefv1.Application_STATE_PAID, reliefv1.Application_STATE_ENDED, reliefv1.Application_STATE_WITHDRAWN),
		custody.SourceOf(t.Payments, reliefv1.Payment_STATE_SETTLED, reliefv1.Payment_STATE_REPLACED, reliefv1.Payment_STATE_CANCELLED),
		custody.SourceOf(t.Batches, reliefv1.Batch_STATE_SETTLED, reliefv1.Batch_STATE_CANCELLED),
	}
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Account finds the account for a programme, township and year; fault NOT_FOUND when none is open.
func (t *Tables) Account(ctx context.Context, q Querier, keys *seal.Keys, programme, township string, year int) (*reliefv1.BudgetAccount, error) {
	return row.Find(ctx, q, keys, t.Accounts, "WHERE programme = $1 AND division = $2 AND year = $3", programme, township, year)
}

// Paying gives the payments of an application that still count: neither replaced nor cancelled.
func (t *Tables) Paying(ctx context.Context, q Querier, keys *seal.Keys, application string) ([]*reliefv1.Payment, error) {
	return row.Select(ctx, q, keys, t.Payments, "WHERE application_id = $1::uuid AND state NOT IN (6, 7)", application)
}

// OpenApplication gives the id of the open application for a programme, beneficiary and period; empty when none is open any more.
func OpenApplication(ctx context.Context, q Querier, programme, beneficiary, period string) (id string, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(min(id::text), '') FROM application
		WHERE programme = $1 AND beneficiary_id = $2 AND period = $3 AND state IN (2, 3)`, programme, beneficiary, period).Scan(&id)
	return id, err
}

// Granted counts live payments of a programme for a beneficiary, under any of its ids, and period: what was granted for the same cause
// this year.
func Granted(ctx context.Context, q Querier, programme string, beneficiary []string, period string) (n int64, err error) {
	err = q.QueryRow(ctx, "SELECT count(*) FROM payment WHERE programme = $1 AND beneficiary_id = ANY($2) AND period = $3 AND state NOT IN (6, 7)",
		programme, beneficiary, period).Scan(&n)
	return n, err
}

// InsertEntry keeps a movement of an account behind the last one. The account's row is locked by its own change in the same
// transaction, so that no number is given twice.
func InsertEntry() string {
	return `INSERT INTO ledger_entry (id, budget_account_id, sequence, kind, amount_fen, payment_id, application_id, entry_time,
			amount_after_fen, reserved_after_fen, paid_after_fen)
		SELECT $1::uuid, $2::uuid, coalesce(max(sequence), 0) + 1, $3::integer, $4::bigint, $5::uuid, $6::uuid, $7::timestamptz, $8::bigint, $9::bigint, $10::bigint
		FROM ledger_entry WHERE budget_account_id = $2::uuid`
}

// EntryArgs are the arguments of InsertEntry.
func EntryArgs(e *reliefv1.LedgerEntry) []any {
	return []any{
		e.GetId(), e.GetBudgetAccountId(), int32(e.GetKind()), e.GetAmountFen(), orNull(e.GetPaymentId()), orNull(e.GetApplicationId()),
		e.GetEntryTime().AsTime(), e.GetAmountAfterFen(), e.GetReservedAfterFen(), e.GetPaidAfterFen(),
	}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// ListEntries gives at most limit movements of an account from a position on, oldest first.
func ListEntries(ctx context.Context, q Querier, account string, after int64, limit int) ([]*reliefv1.LedgerEntry, error) {
	rows, err := q.Query(ctx, `
		SELECT id::text, kind, amount_fen, coalesce(payment_id::text, ''), coalesce(application_id::text, ''), entry_time,
		       amount_after_fen, reserved_after_fen, paid_after_fen, sequence
		FROM ledger_entry WHERE budget_account_id = $1::uuid AND sequence > $2 ORDER BY sequence LIMIT $3`, account, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*reliefv1.LedgerEntry, error) {
		e := &reliefv1.LedgerEntry{BudgetAccountId: account}
		var kind int32
		var when time.Time
		err := r.Scan(&e.Id, &kind, &e.AmountFen, &e.PaymentId, &e.ApplicationId, &when, &e.AmountAfterFen, &e.ReservedAfterFen, &e.PaidAfterFen, &e.Sequence)
		e.Kind, e.EntryTime = reliefv1.LedgerEntry_Kind(kind), timestamppb.New(when)
		return e, err
	})
}

// InsertFile keeps the file of a batch; FileArgs are its arguments.
func InsertFile() string {
	return "INSERT INTO batch_file (batch_id, sealed_personal) VALUES ($1::uuid, $2::bytea)"
}

// FileArgs are the arguments of InsertFile.
func FileArgs(keys *seal.Keys, batch string, content []byte) ([]any, error) {
	sealed, err := keys.Seal(filePlace(batch), asExported(content))
	return []any{batch, sealed}, err
}

// File gives the file of a batch, byte for byte as it was exported; fault NOT_FOUND before.
func File(ctx context.Context, q Querier, keys *seal.Keys, batch string) ([]byte, error) {
	rows, err := q.Query(ctx, "SELECT sealed_personal FROM batch_file WHERE batch_id = $1::uuid", batch)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err == nil && len(found) == 0 {
		err = fault.NotFound()
	}
	if err != nil {
		return nil, err
	}
	return keys.Open(filePlace(batch), found[0])
}

func filePlace(batch string) seal.Place {
	return seal.Place{Table: "batch_file", ID: batch, Class: accessv1.DataClass_DATA_CLASS_PERSONAL}
}

// Promises are the queries of this service beside the runtime's.
func Promises(t *Tables, now time.Time) []promise.Query {
	queries := append(promise.Runtime(), promise.Items(now, t.Sources()...)...)
	money, decisions := promise.MoneyAddsUp, promise.EveryDecisionExplainsItself
	return append(queries,
		// A payment in a batch moves with it, and an approved application with its payment: without them nobody can end it.
		promise.Query{Promise: promise.NoUnownedMoment, Name: "payment.can_end", SQL: `
			SELECT (SELECT count(*) FROM payment WHERE state IN (2, 3)) + (SELECT count(*) FROM application WHERE state = 4),
			       (SELECT count(*) FROM payment p WHERE p.state IN (2, 3) AND NOT EXISTS (SELECT FROM batch b WHERE b.id = p.batch_id AND b.state IN (2, 3, 4)))
			     + (SELECT count(*) FROM application a WHERE a.state = 4 AND NOT EXISTS (SELECT FROM payment p WHERE p.application_id = a.id AND p.state IN (1, 2, 3, 5)))`},
		promise.Query{Promise: money, Name: "budget.within", SQL: `
			SELECT count(*), count(*) FILTER (WHERE reserved_fen + paid_fen > amount_fen OR reserved_fen < 0 OR paid_fen < 0) FROM budget_account`},
		promise.Query{Promise: money, Name: "budget.ledger_agrees", SQL: `
			SELECT count(*), count(*) FILTER (WHERE (a.amount_fen, a.reserved_fen, a.paid_fen) IS DISTINCT FROM (l.amount_after_fen, l.reserved_after_fen, l.paid_after_fen))
			FROM budget_account a LEFT JOIN LATERAL (SELECT * FROM ledger_entry e WHERE e.budget_account_id = a.id ORDER BY sequence DESC LIMIT 1) l ON true`},
		promise.Query{Promise: money, Name: "budget.every_prefix", SQL: `
			SELECT count(*), count(*) FILTER (WHERE reserved_after_fen + paid_after_fen > amount_after_fen OR sequence <> place)
			FROM (SELECT *, row_number() OVER (PARTITION BY budget_account_id ORDER BY sequence) AS place FROM ledger_entry) e`},
		promise.Query{Promise: money, Name: "payment.reserved_or_paid", SQL: `
			SELECT count(*), count(*) FILTER (WHERE a.reserved_fen <> p.open OR a.paid_fen <> p.settled)
			FROM budget_account a, LATERAL (
				SELECT coalesce(sum(amount_fen) FILTER (WHERE state IN (1, 2, 3, 5)), 0) AS open, coalesce(sum(amount_fen) FILTER (WHERE state = 4), 0) AS settled
				FROM payment WHERE budget_account_id = a.id) p`},
		promise.Query{Promise: money, Name: "payment.once", SQL: `
			SELECT count(*), coalesce(sum(n - 1), 0)::bigint FROM (
				SELECT count(*) AS n FROM payment WHERE state NOT IN (6, 7) GROUP BY programme, beneficiary_id, period) p`},
		promise.Query{Promise: money, Name: "batch.adds_up", SQL: `
			SELECT count(*), count(*) FILTER (WHERE CASE WHEN b.state = 6 THEN p.lines <> 0 ELSE b.line_count <> p.lines OR b.total_fen <> p.fen END)
			FROM batch b, LATERAL (SELECT count(*) AS lines, coalesce(sum(amount_fen), 0) AS fen FROM payment WHERE batch_id = b.id) p`},
		promise.Query{Promise: decisions, Name: "decision.kept", SQL: `
			SELECT count(*) FILTER (WHERE state IN (4, 5, 6)), count(*) FILTER (WHERE state IN (4, 5, 6) AND NOT EXISTS (
				SELECT FROM decision d WHERE d.application_id = a.id AND (octet_length(d.body) > 0 OR d.sealed_minor_identity IS NOT NULL)))
			FROM application a`},
		promise.Query{Promise: decisions, Name: "payment.decided", SQL: `
			SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM decision d WHERE d.application_id = p.application_id)) FROM payment p`},
	)
}
