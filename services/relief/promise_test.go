package relief_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/services/relief"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// Each query of this service's own sees the violation it is there for. The constraints that make them impossible are taken away
// first, as a faulty migration would.
func TestAPlantedViolationIsCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	paid, waiting := h.approved(t, 1000), h.approved(t, 2000)
	batch := h.exported(t, paid)
	h.record(t, answering(t, batch, line(paid, "10.00", "00")))
	h.promises(t)
	account := h.account(t).GetId()
	own := h.ownQueries(t)
	for _, planted := range []struct {
		promise string
		plant   string
		undo    string
	}{
		{"budget.within",
			"ALTER TABLE budget_account DROP CONSTRAINT budget_account_within; UPDATE budget_account SET reserved_fen = reserved_fen + amount_fen WHERE id = '" + account + "'",
			"UPDATE budget_account SET reserved_fen = reserved_fen - amount_fen WHERE id = '" + account + "'"},
		{"payment.can_end",
			"UPDATE payment SET state = 2 WHERE id = '" + waiting + "'",
			"UPDATE payment SET state = 1 WHERE id = '" + waiting + "'"},
		{"budget.ledger_agrees",
			"UPDATE budget_account SET paid_fen = paid_fen + 1 WHERE id = '" + account + "'",
			"UPDATE budget_account SET paid_fen = paid_fen - 1 WHERE id = '" + account + "'"},
		{"budget.every_prefix",
			"UPDATE ledger_entry SET sequence = sequence + 100 WHERE kind <> 1",
			"UPDATE ledger_entry SET sequence = sequence - 100 WHERE kind <> 1"},
		{"payment.reserved_or_paid",
			"UPDATE payment SET amount_fen = amount_fen + 1 WHERE id = '" + waiting + "'",
			"UPDATE payment SET amount_fen = amount_fen - 1 WHERE id = '" + waiting + "'"},
		{"payment.once",
			"DROP INDEX payment_key; UPDATE payment SET attempt = 2, beneficiary_id = (SELECT beneficiary_id FROM payment WHERE id = '" + paid + "') WHERE id = '" + waiting + "'",
			"UPDATE payment SET attempt = 1, beneficiary_id = 'another' WHERE id = '" + waiting + "'"},
		{"batch.adds_up",
			"UPDATE batch SET total_fen = total_fen + 1",
			"UPDATE batch SET total_fen = total_fen - 1"},
		{"decision.kept",
			"UPDATE decision SET body = '', sealed_minor_identity = NULL, sealed_personal = NULL WHERE application_id = (SELECT application_id FROM payment WHERE id = '" + paid + "')",
			""},
		{"payment.decided",
			"DELETE FROM decision WHERE application_id = (SELECT application_id FROM payment WHERE id = '" + waiting + "')",
			""},
	} {
		delete(own, planted.promise)
		h.plant(t, planted.plant)
		if seen := h.violated(t); !strings.Contains(seen, " "+planted.promise+" ") {
			t.Errorf("%s does not see what was planted; seen:%s", planted.promise, seen)
		}
		h.plant(t, planted.undo)
		if seen := h.violated(t); planted.undo != "" && seen != " " {
			t.Errorf("after %s: still%s", planted.promise, seen)
		}
	}
	for name := range own {
		t.Errorf("nothing was planted for %s", name)
	}
}

// ownQueries names the queries of this service beside the runtime's, which have tests of their own.
func (h *house) ownQueries(t *testing.T) map[string]bool {
	t.Helper()
	counts, err := relief.Promises(t.Context(), h.db, h.now(t))
	ok(t, err)
	own := map[string]bool{}
	for _, c := range counts {
		own[c.Name] = true
	}
	for _, q := range append(promise.Runtime(), promise.Items(h.now(t), store.NewTables().Sources()...)...) {
		delete(own, q.Name)
	}
	return own
}

// plant runs statements as the owner of the database.
func (h *house) plant(t *testing.T, statements string) {
	t.Helper()
	for _, sql := range strings.Split(statements, "; ") {
		_, err := h.owner.Exec(t.Context(), sql)
		ok(t, err)
	}
}

// violated names the queries that count a violation, each between spaces.
func (h *house) violated(t *testing.T) string {
	t.Helper()
	counts, err := relief.Promises(t.Context(), h.db, h.now(t))
	ok(t, err)
	names := " "
	for _, c := range counts {
		if c.Violations > 0 {
			names += fmt.Sprintf("%s ", c.Name)
		}
	}
	return names
}
