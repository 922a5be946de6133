package rules

import (
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/custody"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// written does to an item's clocks what writing the change does.
func written(s *custodyv1.Standing, now time.Time) {
	s.Version++
	clocks.Stamp(s, s.GetVersion(), now)
	clocks.Forget(s)
}

// lastOf is the last clock of an id that something is owed under.
func lastOf(s *custodyv1.Standing, id string) (found *custodyv1.Clock) {
	for _, c := range s.GetClocks() {
		if c.GetClock() == id {
			found = c
		}
	}
	return found
}

// The lead office asks one unit after another, each declines in time, and it is late all the same: its clock runs from the day it became
// holder, and each offer has one of its own beside it.
func TestAskingOneUnitAfterAnotherWinsNoTime(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := opened(t, d, need("family_education"))
	s := r.GetStanding()
	must(t, Declined)(Decline(d, r, by("womens_federation", monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, ""))
	written(s, monday)
	must(t, Escalated)(Decline(d, r, by("justice", monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, ""))
	written(s, monday)
	due := lastOf(s, "lead.resolve").GetDueTime().AsTime()
	for now := monday; now.Before(due.AddDate(0, 0, 3)); now = now.Add(20 * time.Hour) {
		if custody.Due(s, now) {
			Expire(d, r, now)
			written(s, now)
		}
		must(t, Assigned)(Assign(d, r, by(lead, now), "womens_federation", ""))
		written(s, now)
		if c := lastOf(s, "lead.resolve"); !c.GetDueTime().AsTime().Equal(due) || custody.Overdue(s) == now.Before(due) {
			t.Fatalf("at %v: %v", now, s.GetClocks())
		}
		must(t, Escalated)(Decline(d, r, by("womens_federation", now), referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, ""))
		written(s, now)
	}
	now := due.AddDate(0, 0, 4)
	must(t, Assigned)(Assign(d, r, by(lead, now), "womens_federation", ""))
	must(t, Accepted)(Accept(d, r, by("womens_federation", now)))
	if written(s, now); custody.Overdue(s) || s.GetClock() != "need.deliver" {
		t.Errorf("somebody took over: %v", s)
	}
}

// A delivery that was missed stays outstanding until something is delivered, whoever takes the referral over; who takes over has time of its own.
func TestAMissedDeliveryStaysOutstanding(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := opened(t, d, need("family_education"))
	s := r.GetStanding()
	must(t, Accepted)(Accept(d, r, by("womens_federation", monday)))
	written(s, monday)
	now := s.GetDeadline().AsTime()
	Expire(d, r, now)
	written(s, now)
	must(t, Escalated)(Accept(d, r, by(lead, now)))
	written(s, now)
	must(t, Assigned)(Assign(d, r, by(lead, now), "justice", ""))
	written(s, now)
	must(t, Accepted)(Accept(d, r, by("justice", now)))
	written(s, now)
	if c := lastOf(s, "need.deliver"); !custody.Overdue(s) || c.GetLasting() || c.GetState() != custodyv1.Clock_STATE_RUNNING || !c.GetStartTime().AsTime().Equal(now) {
		t.Errorf("%v", s.GetClocks())
	}
	must(t, Delivered)(Deliver(d, r, by("justice", now), Result{Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED}))
	if written(s, now); custody.Overdue(s) || s.GetClock() != "referral.confirm" {
		t.Errorf("%v", s)
	}
}
