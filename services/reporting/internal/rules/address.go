package rules

import (
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// assessorOf is the unit that assesses the children of a division: its township, or the lead office where none is known here.
func assessorOf(d *district.District, division string, now time.Time) string {
	if township := d.TownshipUnit(d.Responsible(division, calendar.Today(now))); township != "" {
		return township
	}
	return d.LeadOffice()
}

// placeWith is where a child lives as far as the unit that assesses it goes: the division it had, or, where that lies outside the unit's own, the
// unit's. No committee is named in whose village the child does not live.
func placeWith(d *district.District, division, unit string) string {
	if u, ok := d.Unit(unit); ok && u.Kind == district.KindTownship && !d.Within(division, u.Division) {
		return u.Division
	}
	return division
}

// checkAssessor refuses a unit that takes no children over for assessment.
func checkAssessor(d *district.District, field, unit string, now time.Time) error {
	u, ok := d.Unit(unit)
	if ok && (u.Kind == district.KindTownship || u.ID == d.LeadOffice()) && u.OpenOn(calendar.Today(now)) {
		return nil
	}
	return fault.New(reportingv1.Reason_REASON_UNIT_INVALID, field+": neither a township nor the lead office", "field", field).
		Field(field, "neither a township nor the lead office")
}

// address offers a bulletin to a unit. The holder stays.
func address(d *district.District, b *reportingv1.Bulletin, from, to, text string, now time.Time) {
	b.Township = to
	b.Offers = append(b.Offers, &reportingv1.Offer{FromUnit: from, ToUnit: to, Text: text, OfferTime: stamp(now)})
	offer(d, b.Standing, to, district.ClockBulletin, now)
}

// answerOffer closes the last offer, if it is open.
func answerOffer(offers []*reportingv1.Offer, by Actor, outcome reportingv1.Offer_Outcome, text string, now time.Time) {
	if len(offers) == 0 {
		return
	}
	last := offers[len(offers)-1]
	if last.GetOutcome() == reportingv1.Offer_OUTCOME_UNSPECIFIED || last.GetOutcome() == reportingv1.Offer_OUTCOME_SILENT {
		last.Outcome, last.AnswerUnit, last.AnswerOfficer, last.AnswerText, last.AnswerTime = outcome, by.Unit, by.Officer, text, stamp(now)
	}
}

// silent marks the last offer as not answered in time; it can still be.
func silent(offers []*reportingv1.Offer, now time.Time) {
	if n := len(offers); n > 0 && offers[n-1].GetOutcome() == reportingv1.Offer_OUTCOME_UNSPECIFIED {
		offers[n-1].Outcome, offers[n-1].AnswerTime = reportingv1.Offer_OUTCOME_SILENT, stamp(now)
	}
}

// DeclineBulletin gives a bulletin back. The lead office is asked next; what it gives back itself waits for its issuer to address it anew.
func DeclineBulletin(d *district.District, b *reportingv1.Bulletin, by Actor, text string, now time.Time) error {
	s := b.GetStanding()
	if b.GetState() != reportingv1.Bulletin_STATE_ISSUED || s.GetOfferedTo() != by.Unit {
		return fault.StateForbids(row.StateName(b.ProtoReflect()), "decline")
	}
	answerOffer(b.GetOffers(), by, reportingv1.Offer_OUTCOME_DECLINED, text, now)
	switch lead := d.LeadOffice(); {
	case by.Unit == lead:
		offer(d, s, "", district.ClockTownshipNotice, now)
	case s.GetHolder() == lead:
		offer(d, s, "", district.ClockLeadResolve, now)
	default:
		address(d, b, s.GetHolder(), lead, "", now)
	}
	return nil
}

// Readdress offers a bulletin to another unit than before.
func Readdress(d *district.District, b *reportingv1.Bulletin, by Actor, to, text string, now time.Time) error {
	if b.GetState() != reportingv1.Bulletin_STATE_ISSUED || by.Unit != b.GetIssueUnit() && !concerns(b.GetStanding(), by) {
		return fault.StateForbids(row.StateName(b.ProtoReflect()), "readdress")
	}
	if by.Unit == b.GetTownship() && by.Unit != d.LeadOffice() { // a township gives it back and does not choose for another
		return fault.StateForbids(row.StateName(b.ProtoReflect()), "readdress")
	}
	if err := checkAssessor(d, "to_unit", to, now); err != nil {
		return err
	}
	if to == b.GetStanding().GetOfferedTo() || to == b.GetStanding().GetHolder() {
		return fault.New(reportingv1.Reason_REASON_UNIT_INVALID, "to_unit: has the bulletin already", "field", "to_unit").Field("to_unit", "has the bulletin already")
	}
	answerOffer(b.GetOffers(), by, reportingv1.Offer_OUTCOME_WITHDRAWN, text, now)
	address(d, b, by.Unit, to, text, now)
	return nil
}

// RecallBulletin takes a bulletin back; its report is as it was before it was issued.
func RecallBulletin(d *district.District, b *reportingv1.Bulletin, r *reportingv1.Report, by Actor, text string, now time.Time) error {
	if b.GetState() != reportingv1.Bulletin_STATE_ISSUED || by.Unit != b.GetIssueUnit() {
		return fault.StateForbids(row.StateName(b.ProtoReflect()), "recall")
	}
	if by.Officer == "" {
		return officerRequired()
	}
	answerOffer(b.GetOffers(), by, reportingv1.Offer_OUTCOME_WITHDRAWN, text, now)
	b.State, b.RecallText, b.RecallOfficer, b.RecallTime = reportingv1.Bulletin_STATE_RECALLED, text, by.Officer, stamp(now)
	custody.Close(b.Standing)
	r.State, r.BulletinId = reportingv1.Report_STATE_RESPONSE_CLOSED, ""
	custody.Meet(r.Standing, district.ClockBulletin)
	custody.Hold(r.Standing, r.GetStanding().GetHolder())
	begin(d, r.Standing, district.ClockTownshipNotice, r.GetResponseCloseTime().AsTime()) // a recalled bulletin wins no time
	return nil
}
