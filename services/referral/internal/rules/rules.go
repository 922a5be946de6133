// Package rules decides what may happen to cases and referrals. Its functions change the contract's messages and nothing
// else: the caller brings the time, the district's data and whoever acts. Each answers what happened, in the word that
// custody and feed use for it.
//
// The promise they keep: an open referral always has a holder and a deadline, whatever units accept, decline or ignore;
// no unit is asked twice by the district's table; and when nobody is left to ask, the lead office holds it.
package rules

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// The clocks of a need's own lengths; the other clocks are the district's.
const (
	clockAccept  = "need.accept"
	clockDeliver = "need.deliver"
	clockUrgent  = "need.urgent"
)

// What happens to referrals and cases, as custody reasons and, behind the kind, event types.
const (
	Opened      = "opened"
	Bound       = "bound"
	Offered     = "offered"
	Accepted    = "accepted"
	Declined    = "declined"
	Unanswered  = "unanswered"
	Escalated   = "escalated"
	Assigned    = "assigned"
	Progressed  = "progressed"
	Delivered   = "delivered"
	Confirmed   = "confirmed"
	Rejected    = "rejected"
	Unconfirmed = "unconfirmed"
	Overdue     = "overdue"
	Reviewed    = "reviewed"
	Closed      = "closed"
	Withdrawn   = "withdrawn"
)

// Act is who does something, and when.
type Act struct {
	// Unit that acts.
	Unit string
	// Officer who acts for it; whoever decides names one.
	Officer string
	// Now is the business time.
	Now time.Time
}

func (a Act) time() *timestamppb.Timestamp { return timestamppb.New(a.Now) }

// asked reports whether a unit has been offered the referral before.
func asked(r *referralv1.Referral, unit string) bool {
	return slices.ContainsFunc(r.GetOffers(), func(o *referralv1.Offer) bool { return o.GetUnit() == unit })
}

func state(r *referralv1.Referral) string { return row.StateName(r.ProtoReflect()) }

func in(r *referralv1.Referral, states ...referralv1.Referral_State) bool {
	return slices.Contains(states, r.GetState())
}

// ask offers a referral to a unit. The holder stays.
func ask(d *district.District, r *referralv1.Referral, unit string, now time.Time) *referralv1.Offer {
	offer := &referralv1.Offer{Unit: unit, OfferTime: timestamppb.New(now), Answer: referralv1.Offer_ANSWER_PENDING}
	r.Offers = append(r.Offers, offer)
	r.State = referralv1.Referral_STATE_OFFERED
	deadline, _ := d.NeedDeadline(r.GetNeed(), district.PhaseAccept, r.GetUrgent(), now)
	custody.Offer(r.GetStanding(), unit, deadline, clockAccept)
	return offer
}

// next asks the fallback unit, or makes the lead office holder when there is nobody left whom the table has not asked.
// An offer that the lead office made itself comes back to it.
func next(d *district.District, r *referralv1.Referral, last *referralv1.Offer, now time.Time) (anotherAsked bool) {
	fallback := d.NeedFallback(r.GetNeed(), d.Responsible(r.GetPlaceDivision(), calendar.Today(now)))
	if last.GetAssigned() || fallback == "" || asked(r, fallback) {
		escalate(d, r, now)
		return false
	}
	ask(d, r, fallback, now)
	return true
}

// escalate makes the lead office holder without being asked.
func escalate(d *district.District, r *referralv1.Referral, now time.Time) {
	r.State = referralv1.Referral_STATE_ESCALATED
	toLead(d, r.GetStanding(), now)
}

// toLead makes the lead office the holder. Its clock runs until somebody takes over: asking one unit after another wins it no time.
func toLead(d *district.District, s *custodyv1.Standing, now time.Time) {
	custody.Hold(s, d.LeadOffice())
	custody.Start(s, d.Lead().Clock, now, d.Deadline(d.Lead().Clock, now))
	if !custody.Running(s) {
		stayOverdue(d, s, now)
	}
}

// toDeliver makes a unit holder until the need's delivery is due. The first acceptance starts the need's clock; what another unit takes over later,
// or has to do again, has a clock of its own beside it.
func toDeliver(d *district.District, r *referralv1.Referral, holder string, now time.Time) {
	r.State = referralv1.Referral_STATE_ACCEPTED
	deadline, _ := d.NeedDeadline(r.GetNeed(), district.PhaseDeliver, r.GetUrgent(), now)
	clock := clockDeliver
	if need, _ := d.Need(r.GetNeed()); r.GetUrgent() && !need.Urgent.Length.IsZero() {
		clock = clockUrgent
	}
	s := r.GetStanding()
	custody.Meet(s, d.Lead().Clock)
	if len(r.GetDeliveries()) > 0 || custody.Outstanding(s, clockDeliver) || custody.Outstanding(s, clockUrgent) {
		custody.Set(s, holder, deadline, clock)
		return
	}
	custody.Hold(s, holder)
	custody.Start(s, clock, now, deadline)
}

func lastOffer(r *referralv1.Referral) *referralv1.Offer {
	if len(r.GetOffers()) == 0 {
		return nil
	}
	return r.GetOffers()[len(r.GetOffers())-1]
}

// byOfficer refuses a decision that names no officer: it is a person's.
func byOfficer(act Act) error {
	if act.Officer == "" {
		return fault.New(referralv1.Reason_REASON_OFFICER_REQUIRED, "name the officer")
	}
	return nil
}

// explained refuses grounds that say nothing.
func explained(other bool, note string) error {
	if other && strings.TrimSpace(note) == "" {
		return fault.New(referralv1.Reason_REASON_NOTE_REQUIRED, "note: OTHER has to be explained", "field", "note").
			Field("note", "must say why when the grounds are OTHER")
	}
	return nil
}

func notHolder(s *custodyv1.Standing, verb string) error {
	return fault.New(referralv1.Reason_REASON_NOT_HOLDER, "only the holder may "+verb, "holder", s.GetHolder(), "verb", verb)
}

func notOffered(r *referralv1.Referral) error {
	return fault.New(referralv1.Reason_REASON_NOT_OFFERED, "the referral is not offered to this unit", "offered_to", r.GetStanding().GetOfferedTo())
}

// day reads a date of a request that may not lie in the future; empty means today.
func day(field, given string, now time.Time) (string, error) {
	today := calendar.Today(now)
	if given == "" {
		return today.String(), nil
	}
	date, err := calendar.ParseDate(given)
	if err != nil || today.Before(date) {
		return "", fault.New(referralv1.Reason_REASON_DATE_INVALID, field+": no such day, or a day after today", "field", field).
			Field(field, "must be a day that exists and not after today")
	}
	return date.String(), nil
}
