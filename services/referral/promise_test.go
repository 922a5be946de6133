package referral_test

import (
	"testing"

	"github.com/lianhu/lianhu/services/referral"
)

// Each query of this service's own sees the violation it is there for. The constraints that make them impossible are taken away
// first, as a faulty migration would.
func TestAPlantedViolationIsCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, referrals := h.open(t, "legal_aid")
	h.promises(t)
	for _, planted := range []struct {
		promise string
		by      []string
	}{
		{"referral.offered_to_nobody", []string{
			"ALTER TABLE referral DROP CONSTRAINT referral_offered_to_somebody",
			"UPDATE referral SET offered_to = NULL WHERE id = '" + referrals[0].GetStanding().GetId() + "'",
		}},
		{"case.closed_over_open_referrals", []string{
			"UPDATE support_case SET state = 2, holder = NULL, deadline = NULL WHERE id = '" + c.GetStanding().GetId() + "'",
		}},
		{"case.once_per_assessment", []string{ // copies the case that was closed above
			"ALTER TABLE support_case DROP CONSTRAINT support_case_assessment",
			`INSERT INTO support_case (id, version, matter_id, state, division, overdue, create_time, update_time, assessment_id, township, trace, body)
			 SELECT gen_random_uuid(), version, matter_id, state, division, overdue, create_time, update_time, assessment_id, township, trace, body FROM support_case`,
		}},
	} {
		for _, sql := range planted.by {
			_, err := h.owner.Exec(t.Context(), sql)
			ok(t, err)
		}
		counts, err := referral.Promises(t.Context(), h.db, h.now(t))
		ok(t, err)
		seen := false
		for _, count := range counts {
			seen = seen || count.Name == planted.promise && count.Violations > 0
		}
		if !seen {
			t.Errorf("%s does not see what was planted", planted.promise)
		}
	}
}
