package rules

import (
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// Accept makes the offered unit holder. The lead office, offered what another unit did not deliver in time, takes it over to
// find somebody else.
func Accept(d *district.District, r *referralv1.Referral, act Act) (string, error) {
	takeOver := in(r, referralv1.Referral_STATE_ACCEPTED, referralv1.Referral_STATE_IN_PROGRESS) && r.GetStanding().GetOfferedTo() != ""
	switch {
	case !takeOver && !in(r, referralv1.Referral_STATE_OFFERED):
		return "", fault.StateForbids(state(r), "accept")
	case r.GetStanding().GetOfferedTo() != act.Unit:
		return "", notOffered(r)
	case takeOver:
		escalate(d, r, act.Now)
		return Escalated, nil
	}
	answer(r, act, referralv1.Offer_ANSWER_ACCEPTED)
	toDeliver(d, r, act.Unit, act.Now)
	return Accepted, nil
}

// Decline moves the offer on: to the fallback unit, else to the lead office. What the lead office is offered after a missed delivery, and
// declines, stays with the unit that has it, overdue and looked at again.
func Decline(d *district.District, r *referralv1.Referral, act Act, grounds referralv1.DeclineGrounds, note string) (string, error) {
	if err := byOfficer(act); err != nil {
		return "", err
	}
	takeOver := in(r, referralv1.Referral_STATE_ACCEPTED, referralv1.Referral_STATE_IN_PROGRESS) && r.GetStanding().GetOfferedTo() != ""
	switch {
	case !takeOver && !in(r, referralv1.Referral_STATE_OFFERED):
		return "", fault.StateForbids(state(r), "decline")
	case r.GetStanding().GetOfferedTo() != act.Unit:
		return "", notOffered(r)
	}
	if err := explained(grounds == referralv1.DeclineGrounds_DECLINE_GROUNDS_OTHER, note); err != nil {
		return "", err
	}
	if takeOver {
		r.Offers = append(r.Offers, &referralv1.Offer{
			Unit: act.Unit, OfferTime: act.time(), Answer: referralv1.Offer_ANSWER_DECLINED, AnswerTime: act.time(), Officer: act.Officer, Grounds: grounds, Note: note,
		})
		custody.Set(r.GetStanding(), r.GetStanding().GetHolder(), d.Deadline(district.ClockOverdueReview, act.Now), district.ClockOverdueReview)
		return Declined, nil
	}
	offer := answer(r, act, referralv1.Offer_ANSWER_DECLINED)
	offer.Grounds, offer.Note = grounds, note
	if next(d, r, offer, act.Now) {
		return Declined, nil
	}
	return Escalated, nil
}

func answer(r *referralv1.Referral, act Act, given referralv1.Offer_Answer) *referralv1.Offer {
	offer := lastOffer(r)
	offer.Answer, offer.AnswerTime, offer.Officer = given, act.time(), act.Officer
	return offer
}

// Assign lets the lead office offer what it holds to a unit it chooses. It may ask somebody a second time: that is its
// judgement, not the table's.
func Assign(d *district.District, r *referralv1.Referral, act Act, unit, note string) (string, error) {
	if err := byOfficer(act); err != nil {
		return "", err
	}
	lead := d.LeadOffice()
	stranded := in(r, referralv1.Referral_STATE_DELIVERED) && r.GetStanding().GetHolder() == lead && r.GetStanding().GetOfferedTo() == ""
	switch {
	case !stranded && !in(r, referralv1.Referral_STATE_ESCALATED):
		return "", fault.StateForbids(state(r), "assign")
	case act.Unit != r.GetStanding().GetHolder():
		return "", notHolder(r.GetStanding(), "assign")
	}
	chosen, ok := d.Unit(unit)
	able := chosen.Kind == district.KindMember || chosen.Kind == district.KindTownship
	if !ok || !able || unit == lead || !chosen.OpenOn(calendar.Today(act.Now)) {
		return "", fault.New(referralv1.Reason_REASON_UNIT_UNSUITABLE, "unit: no open member unit or township beside the lead office",
			"field", "unit", "unit", unit).Field("unit", "must be an open member unit or township other than the lead office")
	}
	offer := ask(d, r, unit, act.Now)
	offer.Assigned, offer.Note = true, note
	return Assigned, nil
}
