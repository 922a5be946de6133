package referral_test

import (
	"testing"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// A township that is merged leaves a referral nobody answers for; the operator hands it to the lead office, and nobody else may.
func TestAReferralOfATownshipThatIsGoneIsRepaired(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "legal_aid")
	repair := func(unit string) (*referralv1.RepairCustodyResponse, error) {
		return h.at(t, unit).operations.RepairCustody(t.Context(), &referralv1.RepairCustodyRequest{
			RequestId: request(), Repair: &custodyv1.Repair{
				Kind: "referral", ItemId: referrals[0].GetStanding().GetId(), Grounds: custodyv1.RepairGrounds_REPAIR_GROUNDS_HOLDER_GONE, Holder: lead,
			},
		})
	}
	_, err := repair("operations")
	refused(t, err, "CUSTODY_NOT_BROKEN")
	_, err = h.owner.Exec(t.Context(), "UPDATE referral SET holder = 'township/320411099000' WHERE id = $1::uuid", referrals[0].GetStanding().GetId())
	ok(t, err)
	_, err = repair(lead)
	refused(t, err, "METHOD_NOT_ALLOWED")
	got, err := repair("operations")
	ok(t, err)
	if got.GetStanding().GetHolder() != lead || got.GetStanding().GetClock() != "custody.repair" {
		t.Errorf("the item stands at %v", got.GetStanding())
	}
	h.promises(t)
}
