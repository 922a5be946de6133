package rules

import (
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// Withdraw ends a referral that nobody is to serve any more. The township of the case may at any time, and whoever holds it.
func Withdraw(r *referralv1.Referral, act Act, grounds referralv1.WithdrawGrounds, note string) (string, error) {
	if err := byOfficer(act); err != nil {
		return "", err
	}
	switch {
	case r.GetStanding().GetHolder() == "":
		return "", fault.StateForbids(state(r), "withdraw")
	case act.Unit != r.GetTownship() && act.Unit != r.GetStanding().GetHolder():
		return "", notHolder(r.GetStanding(), "withdraw")
	}
	if err := explained(grounds == referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_OTHER, note); err != nil {
		return "", err
	}
	r.State = referralv1.Referral_STATE_WITHDRAWN
	r.Withdrawal = &referralv1.Withdrawal{RecordTime: act.time(), Unit: act.Unit, Officer: act.Officer, Grounds: grounds, Note: note}
	custody.Close(r.GetStanding())
	return Withdrawn, nil
}

// Tombstone is what is left to a unit that was asked and is not asked any more: that the referral was, how it stands, and its own offers with
// what it said then. Nothing tells who the child is, or who serves it.
func Tombstone(r *referralv1.Referral, unit string) (left *referralv1.Referral, asked bool) {
	left = &referralv1.Referral{
		Standing: &custodyv1.Standing{Id: r.GetStanding().GetId(), Etag: r.GetStanding().GetEtag(), Version: r.GetStanding().GetVersion()},
		State:    r.GetState(), CreateTime: r.GetCreateTime(), UpdateTime: r.GetUpdateTime(), Need: r.GetNeed(), Duty: r.GetDuty(), Tombstone: true,
	}
	for _, o := range r.GetOffers() {
		if o.GetUnit() == unit {
			left.Offers = append(left.Offers, proto.CloneOf(o))
		}
	}
	return left, len(left.GetOffers()) > 0
}

// lastAccepted is the offer by which the present service came about; nil when none was accepted.
func lastAccepted(r *referralv1.Referral) *referralv1.Offer {
	for i := len(r.GetOffers()) - 1; i >= 0; i-- {
		if r.GetOffers()[i].GetAnswer() == referralv1.Offer_ANSWER_ACCEPTED {
			return r.GetOffers()[i]
		}
	}
	return nil
}
