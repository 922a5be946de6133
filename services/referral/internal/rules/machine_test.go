package rules

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

const faultStateForbids = faultv1.Reason_REASON_STATE_FORBIDS

// legal says which states can follow which.
var legal = map[string]map[string]bool{
	"OFFERED":     {"OFFERED": true, "ACCEPTED": true, "ESCALATED": true, "WITHDRAWN": true},
	"ACCEPTED":    {"ACCEPTED": true, "IN_PROGRESS": true, "DELIVERED": true, "ESCALATED": true, "WITHDRAWN": true},
	"IN_PROGRESS": {"IN_PROGRESS": true, "DELIVERED": true, "ESCALATED": true, "WITHDRAWN": true},
	"ESCALATED":   {"ESCALATED": true, "OFFERED": true, "DELIVERED": true, "WITHDRAWN": true},
	"DELIVERED":   {"DELIVERED": true, "CONFIRMED": true, "ACCEPTED": true, "ESCALATED": true, "OFFERED": true, "WITHDRAWN": true},
	"CONFIRMED":   {},
	"WITHDRAWN":   {},
}

// Whatever units do, in whatever order, a referral is never nobody's, no unit is asked twice by the table, nothing but a legal
// step is taken, a refusal changes nothing, and silence alone always ends at the lead office.
func TestAReferralIsNeverNobodys(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	needs := d.Needs()
	rapid.Check(t, func(rt *rapid.T) {
		finding := &reportingv1.NeedFinding{
			Code:   needs[rapid.IntRange(0, len(needs)-1).Draw(rt, "need")].Code,
			Urgent: rapid.Bool().Draw(rt, "urgent"),
		}
		_, referrals, err := Open(d, assessment(finding), monday)
		if err != nil {
			rt.Fatal(err)
		}
		r, now := referrals[0], monday
		units := []string{village, township, lead, "youth_league", "health", r.GetStanding().GetOfferedTo(), d.NeedFallback(finding.GetCode(), r.GetPlaceDivision())}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "hours")) * time.Hour)
			before := proto.Clone(r).(*referralv1.Referral)
			unit := rapid.SampledFrom(append(units, r.GetStanding().GetHolder(), r.GetStanding().GetOfferedTo())).Draw(rt, "unit")
			act := Act{Unit: unit, Officer: rapid.SampledFrom([]string{"officer", "officer", "officer", ""}).Draw(rt, "officer"), Now: now}
			var what string
			var refusal error
			verb := rapid.IntRange(0, 8).Draw(rt, "verb")
			switch verb {
			case 0:
				what, refusal = Accept(d, r, act)
			case 1:
				what, refusal = Decline(d, r, act, referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, "")
			case 2:
				what, refusal = Progress(r, act, "", "办理")
			case 3:
				what, refusal = Deliver(d, r, act, Result{Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED})
			case 4:
				what, refusal = Confirm(r, act, "")
			case 5:
				what, refusal = Reject(d, r, act, "不足")
			case 6:
				what, refusal = Assign(d, r, act, rapid.SampledFrom(units).Draw(rt, "chosen"), "")
			case 8:
				grounds := rapid.SampledFrom([]referralv1.WithdrawGrounds{referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_DIED, referralv1.WithdrawGrounds_WITHDRAW_GROUNDS_OTHER}).Draw(rt, "why")
				if rapid.IntRange(0, 5).Draw(rt, "seldom") == 0 {
					what, refusal = Withdraw(r, act, grounds, "")
				}
			case 7:
				if deadline := r.GetStanding().GetDeadline(); deadline != nil {
					if now.Before(deadline.AsTime()) {
						now = deadline.AsTime()
					}
					what = Expire(d, r, now)
				}
			}
			check(rt, before, r, what, refusal)
		}
		silence(rt, r, func() string { return Expire(d, r, r.GetStanding().GetDeadline().AsTime()) })
	})
}

func check(rt *rapid.T, before, r *referralv1.Referral, what string, refusal error) {
	s := r.GetStanding()
	closed := in(r, referralv1.Referral_STATE_CONFIRMED, referralv1.Referral_STATE_WITHDRAWN)
	switch {
	case refusal != nil && !proto.Equal(before, r):
		rt.Fatalf("a refusal changed the referral: %v", refusal)
	case refusal == nil && what != "" && !legal[state(before)][state(r)]:
		rt.Fatalf("%s led from %s to %s", what, state(before), state(r))
	case closed != (s.GetHolder() == "") || closed != (s.GetDeadline() == nil) || closed != (s.GetClock() == ""):
		rt.Fatalf("%s with %v", state(r), s)
	case r.GetState() == referralv1.Referral_STATE_OFFERED && s.GetOfferedTo() == "":
		rt.Fatal("offered to nobody")
	case r.GetState() == referralv1.Referral_STATE_ESCALATED && s.GetHolder() != lead:
		rt.Fatalf("escalated and held by %s", s.GetHolder())
	}
	seen := map[string]bool{}
	for _, offer := range r.GetOffers() {
		if !offer.GetAssigned() && offer.GetUnit() != lead && seen[offer.GetUnit()] {
			rt.Fatalf("%s was asked twice", offer.GetUnit())
		}
		seen[offer.GetUnit()] = true
	}
}

// silence lets every deadline pass: within a few of them the lead office must be the holder, and stay it.
func silence(rt *rapid.T, r *referralv1.Referral, expire func() string) {
	if in(r, referralv1.Referral_STATE_CONFIRMED, referralv1.Referral_STATE_WITHDRAWN) {
		return
	}
	for range 5 {
		before := r.GetStanding().GetDeadline().AsTime()
		if expire(); !r.GetStanding().GetDeadline().AsTime().After(before) {
			rt.Fatal("a passed deadline was not replaced by a later one")
		}
	}
	if r.GetStanding().GetHolder() != lead {
		rt.Fatalf("five silences and %s still holds in state %s", r.GetStanding().GetHolder(), state(r))
	}
}
