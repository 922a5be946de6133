package referral_test

import (
	"testing"

	"github.com/lianhu/lianhu/pkg/identity"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

func withdrawing(id string, grounds referralv1.WithdrawGrounds) *referralv1.WithdrawReferralRequest {
	return &referralv1.WithdrawReferralRequest{RequestId: request(), ReferralId: id, Grounds: grounds}
}

// A need that is gone is ended by the township of the case, or by who serves it; and then the case can be closed.
func TestAReferralThatNobodyNeedsIsEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, referrals := h.open(t, "family_education", "psychological_support")
	offered, served := referrals[0].GetStanding().GetId(), referrals[1].GetStanding().GetId()
	_, err := accept(h, t, "youth_league", served)
	ok(t, err)
	_, err = h.at(t, "health").WithdrawReferral(serving(t), withdrawing(served, referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_DIED))
	refused(t, err, "NOT_FOUND")
	_, err = h.at(t, "youth_league").WithdrawReferral(serving(t), withdrawing(served, referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_OTHER))
	refused(t, err, "NOTE_REQUIRED")
	_, err = h.at(t, "youth_league").WithdrawReferral(serving(t), withdrawing(served, referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_DIED))
	ok(t, err)
	_, err = h.at(t, township).WithdrawReferral(serving(t), withdrawing(offered, referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_NOT_NEEDED))
	ok(t, err)
	if r := h.get(t, offered); r.GetState() != referralv1.Referral_STATE_WITHDRAWN || r.GetWithdrawal().GetUnit() != township || r.GetStanding().GetHolder() != "" {
		t.Errorf("ended as %v", r)
	}
	_, err = h.at(t, township).CloseCase(assessing(t), &referralv1.CloseCaseRequest{RequestId: request(), CaseId: c.GetStanding().GetId(), Note: "结案"})
	ok(t, err)
	h.promises(t)
}

// Who declined hears of it by its feed, and reads what is left to it: nothing that tells who the child is or who serves it now.
func TestWhoDeclinedReadsWhatIsLeft(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "family_education")
	id := referrals[0].GetStanding().GetId()
	_, err := h.at(t, "womens_federation").DeclineReferral(serving(t), decline(referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, id))
	ok(t, err)
	got, err := h.at(t, "womens_federation").read.GetReferral(serving(t), &referralv1.GetReferralRequest{ReferralId: id})
	ok(t, err)
	r := got.GetReferral()
	if !r.GetTombstone() || r.GetStanding().GetHolder() != "" || r.GetStanding().GetOfferedTo() != "" || r.GetStanding().GetMatterId() != "" || r.GetChildId() != "" ||
		r.GetProvisionalChildId() != "" || r.GetDivision() != "" || r.GetRequestNote() != "" || len(r.GetOffers()) != 1 || r.GetOffers()[0].GetUnit() != "womens_federation" {
		t.Errorf("what is left tells %v", r)
	}
	_, err = h.at(t, "health").read.GetReferral(serving(t), &referralv1.GetReferralRequest{ReferralId: id})
	refused(t, err, "NOT_FOUND")
}

// A unit that the table of needs does not name can answer what the lead office asks it, and the lead office can decline what another unit let pass.
func TestWhoeverIsAskedCanAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "family_education")
	id := referrals[0].GetStanding().GetId()
	for _, unit := range []string{"womens_federation", "justice"} {
		_, err := h.at(t, unit).DeclineReferral(serving(t), decline(referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, id))
		ok(t, err)
	}
	_, err := h.at(t, lead).AssignReferral(assessing(t), &referralv1.AssignReferralRequest{RequestId: request(), ReferralId: id, Unit: "publicity_uf"})
	ok(t, err)
	_, err = h.at(t, "publicity_uf").read.GetReferral(serving(t), &referralv1.GetReferralRequest{ReferralId: id})
	ok(t, err)
	accepted, err := accept(h, t, "publicity_uf", id)
	ok(t, err)
	h.pass(t, accepted.GetStanding())
	answer, err := h.at(t, lead).DeclineReferral(serving(t), decline(referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, id))
	ok(t, err)
	if answer.GetStanding().GetHolder() != "publicity_uf" || answer.GetStanding().GetOfferedTo() != "" || answer.GetStanding().GetDeadline() == nil {
		t.Errorf("stands at %v", answer.GetStanding())
	}
	nobody := referralv1.NewReferralServiceClient(h.dial(t, h.address, "referral", identity.OfUnit(domain, "publicity_uf", "main")))
	_, err = nobody.WithdrawReferral(serving(t), withdrawing(id, referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_NOT_NEEDED))
	refused(t, err, "OFFICER_REQUIRED")
	h.promises(t)
}
