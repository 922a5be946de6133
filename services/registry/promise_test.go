package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/promise"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry"
)

func (h *house) violations(t *testing.T, now time.Time) map[string]int64 {
	t.Helper()
	counts, err := registry.Promises(t.Context(), h.db, now)
	ok(t, err)
	found := map[string]int64{}
	for _, c := range counts {
		found[c.Name] = c.Violations
	}
	return found
}

// Each query over this service's database sees the violation it is there for. The constraints that make some of them impossible are
// taken away first, as a faulty migration would.
func TestAPlantedViolationIsCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, p := h.graded(t, 1, personv1.RiskColour_RISK_COLOUR_RED)
	plan := p.GetStanding().GetId()
	_, err := h.at(t, village).RecordVisit(keeping(t), with(visit(p.GetChildId(), h.now(t)), func(q *registryv1.RecordVisitRequest) { q.RequestId = request() }))
	ok(t, err)
	child := h.register(t, invented(2))
	h.child(t, child)
	h.promises(t)
	planted := map[string]bool{}
	for _, p := range []struct{ promise, sql string }{
		{"visit_plan.history", "DELETE FROM custody WHERE item = '" + plan + "' AND version = 1"},
		{"visit_plan.unowned", `ALTER TABLE visit_plan DROP CONSTRAINT visit_plan_held_while_due;
			UPDATE visit_plan SET holder = NULL WHERE id = '` + plan + "'"},
		{"child.visited_by_plan", "DELETE FROM visit_plan WHERE child_id = '" + child + "'; UPDATE child SET colour = 4 WHERE id = '" + child + "'"},
		{"child.once_per_number", `ALTER TABLE child DROP CONSTRAINT child_id_number;
			INSERT INTO child SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid()))).* FROM child c WHERE id = '` + child + "'"},
		{"child.told_early", "DELETE FROM child_release WHERE child_id = '" + p.GetChildId() + "'"},
		{"ledger.names_no_matter", "UPDATE visit_plan SET matter_id = gen_random_uuid() WHERE id = '" + plan + "'"},
		{"feed.versions_rise", "UPDATE feed SET subject_version = 9 WHERE subject_id = '" + plan + "' AND subject_version = 2"},
		{"feed.dense", "DELETE FROM feed WHERE seq = 2"},
		{"effects.once", `INSERT INTO audit (time, unit, system, officer, purpose, method, request_id, effect, class, subject_kind, subject_id)
			SELECT time, unit, system, officer, purpose, method, request_id, effect, class, subject_kind, subject_id FROM audit WHERE effect LIMIT 1`},
		{"effects.acknowledged", "DELETE FROM audit WHERE effect AND request_id = (SELECT request_id FROM audit WHERE effect AND subject_id = '" + child + "')"},
		{"events.parked", `INSERT INTO parked_event (follower, seq, subject_kind, subject_id, event, attempts, reason, deadline, request_id)
			VALUES ('registry.reporting', 99, 'report', gen_random_uuid(), '', 10, 'INTERNAL', now() + interval '100 years', gen_random_uuid())`},
		{"looks.purpose", "UPDATE audit SET purpose = 0 WHERE NOT effect AND subject_id = '" + child + "'"},
		{"visit_plan.overdue", "UPDATE visit_plan SET overdue = true WHERE id = '" + plan + "'"},
		{"visit_plan.clock", "UPDATE custody_clock SET clock = 'visit.never' WHERE item = '" + plan + "' AND end_time IS NULL"},
		{"visit_plan.unmarked", "UPDATE custody_clock SET due_time = due_time - interval '1 year' WHERE item = '" + plan + "' AND end_time IS NULL"},
		{"clocks.fired_once", "UPDATE audit SET method = 'sweep/visit_plan' WHERE id = (SELECT max(id) FROM audit WHERE effect AND subject_id = '" + plan + "')"},
		{"visit_plan.holder_can_act", "UPDATE visit_plan SET holder = 'village/nowhere' WHERE id = '" + plan + "'"},
		{"reporter.absent", "UPDATE feed SET audience = audience || '" + school + "'::text WHERE seq = 1"},
	} {
		before := h.violations(t, h.now(t))[p.promise]
		for sql := range strings.SplitSeq(p.sql, ";") {
			_, err := h.owner.Exec(t.Context(), sql)
			ok(t, err)
		}
		if after := h.violations(t, h.now(t))[p.promise]; after != before+1 {
			t.Errorf("%s counts %d before and %d after one was planted", p.promise, before, after)
		}
		planted[p.promise] = true
	}
	// A plan that the sweeper left lying. The one of this service would put a planted one right, so time passes for the query alone.
	_, second := h.graded(t, 3, personv1.RiskColour_RISK_COLOUR_GREEN)
	late := second.GetStanding().GetDeadline().AsTime().Add(promise.Tolerance + time.Second)
	before, after := h.violations(t, h.now(t)), h.violations(t, late)
	if before["visit_plan.unswept"] != 0 || after["visit_plan.unswept"] == 0 {
		t.Errorf("visit_plan.unswept counts %d, and %d when a deadline has passed", before["visit_plan.unswept"], after["visit_plan.unswept"])
	}
	planted["visit_plan.unswept"] = true
	// Last, as nothing is followed any more once the cursor has stepped over an event.
	_, err = h.owner.Exec(t.Context(), "UPDATE follower SET through = through + 1")
	ok(t, err)
	if skipped := h.violations(t, h.now(t))["follower.saw_all"]; skipped != 1 {
		t.Errorf("follower.saw_all counts %d after one event was stepped over", skipped)
	}
	planted["follower.saw_all"] = true
	for name := range before {
		if !planted[name] {
			t.Errorf("nothing was planted for %s", name)
		}
	}
}
