package suite

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/relief"
)

// A payment for nobody, and a second one for a child that is known under another id by now, are counted.
func TestAPaymentForNobodyAndOneTooManyAreCounted(t *testing.T) {
	t.Parallel()
	ledger, money := pgtest.New(t, registry.Migrations()).OpenOwner(t), pgtest.New(t, relief.Migrations()).OpenOwner(t)
	plant(t, money, "ALTER TABLE payment DROP CONSTRAINT payment_application_id_fkey, DROP CONSTRAINT payment_budget_account_id_fkey, DROP CONSTRAINT payment_held_while_open")
	known, made, other := uuid.NewString(), uuid.NewString(), uuid.NewString()
	for _, child := range []string{known, made, other} {
		plant(t, ledger, `INSERT INTO child (id, version, division, create_time, update_time, sex, colour, statuses, trace, body)
			VALUES ($1::uuid, 1, '320411101201', now(), now(), 0, 0, '{}', '', '')`, child)
	}
	plant(t, ledger, `INSERT INTO binding (id, version, create_time, update_time, child_id, earlier_child_ids, trace, body)
		VALUES (gen_random_uuid(), 2, now(), now(), $1::uuid, ARRAY[$2::uuid], '', '')`, known, made)
	pay := func(child, period string, state int) {
		t.Helper()
		plant(t, money, `INSERT INTO payment (id, version, state, holder, deadline, division, create_time, update_time, application_id, programme,
				beneficiary_id, period, attempt, amount_fen, budget_account_id, overdue, trace, body)
			VALUES (gen_random_uuid(), 1, $3, NULL, NULL, '320411101000', now(), now(), gen_random_uuid(), 'p', $1, $2, 1, 1, gen_random_uuid(), false, '', '')`,
			child, period, state)
	}
	count := func(nobody, twice int64) {
		t.Helper()
		counts, err := payees(t.Context(), ledger, money)
		if err != nil {
			t.Fatal(err)
		}
		if counts[0].Violations != nobody || counts[1].Violations != twice {
			t.Errorf("counted %v, want %d and %d", counts, nobody, twice)
		}
	}
	pay(known, "2026/x", 4)
	pay(other, "2026/x", 4)
	pay(made, "2026/x", 7) // cancelled
	count(0, 0)
	pay(made, "2026/x", 4)
	count(0, 1)
	pay(uuid.NewString(), "2026/x", 4)
	pay("nobody", "2026/x", 4)
	count(2, 1)
}

// plant writes a row as it must never be.
func plant(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
