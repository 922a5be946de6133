package rules

import (
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// openAssessment are the states in which an assessment is somebody's.
var openAssessment = []reportingv1.Assessment_State{
	reportingv1.Assessment_STATE_OPEN, reportingv1.Assessment_STATE_IN_PROGRESS, reportingv1.Assessment_STATE_CONCLUDED,
}

func assessmentForbids(a *reportingv1.Assessment, verb string) error {
	return fault.StateForbids(row.StateName(a.ProtoReflect()), verb)
}

// offerAssessment writes an offer into an assessment. The holder stays.
func offerAssessment(d *district.District, a *reportingv1.Assessment, from, to, text string, now time.Time) {
	a.Offers = append(a.Offers, &reportingv1.Offer{FromUnit: from, ToUnit: to, Text: text, OfferTime: stamp(now)})
	offer(d, a.Standing, to, clockAssessmentTransfer, now)
}

// OfferAssessment asks another township, or the lead office, to take an assessment over.
func OfferAssessment(d *district.District, a *reportingv1.Assessment, by Actor, to, text string, now time.Time) error {
	if !slices.Contains(openAssessment, a.GetState()) || a.GetStanding().GetHolder() != by.Unit {
		return assessmentForbids(a, "offer")
	}
	if err := checkAssessor(d, "to_unit", to, now); err != nil {
		return err
	}
	if to == by.Unit || to == a.GetStanding().GetOfferedTo() {
		return fault.New(reportingv1.Reason_REASON_UNIT_INVALID, "to_unit: has the assessment already", "field", "to_unit").Field("to_unit", "has the assessment already")
	}
	answerOffer(a.GetOffers(), by, reportingv1.Offer_OUTCOME_WITHDRAWN, text, now)
	offerAssessment(d, a, by.Unit, to, text, now)
	return nil
}

// AcceptAssessment makes the unit that was asked holder and responsible.
func AcceptAssessment(d *district.District, a *reportingv1.Assessment, by Actor, now time.Time) error {
	if !slices.Contains(openAssessment, a.GetState()) || a.GetStanding().GetOfferedTo() != by.Unit {
		return assessmentForbids(a, "accept")
	}
	answerOffer(a.GetOffers(), by, reportingv1.Offer_OUTCOME_ACCEPTED, "", now)
	a.Township, a.Division = by.Unit, placeWith(d, a.GetDivision(), by.Unit)
	goOn(d, a, by.Unit, now)
	return nil
}

// goOn lets a unit work on an assessment, under the clocks it has.
func goOn(d *district.District, a *reportingv1.Assessment, unit string, now time.Time) {
	step := district.ClockOverdueReview
	if a.GetState() == reportingv1.Assessment_STATE_CONCLUDED {
		step = district.ClockAssessmentHandover
	}
	carryOn(d, a.Standing, unit, step, now)
}

// DeclineAssessment gives an offered assessment back. The lead office is asked next, and stays with it when it is the holder.
func DeclineAssessment(d *district.District, a *reportingv1.Assessment, by Actor, text string, now time.Time) error {
	s := a.GetStanding()
	if !slices.Contains(openAssessment, a.GetState()) || s.GetOfferedTo() != by.Unit {
		return assessmentForbids(a, "decline")
	}
	answerOffer(a.GetOffers(), by, reportingv1.Offer_OUTCOME_DECLINED, text, now)
	lead := d.LeadOffice()
	switch {
	case s.GetHolder() == lead: // what a township does not do stays the lead office's own
		a.Township = lead
		carryOn(d, s, lead, district.ClockLeadResolve, now)
	case by.Unit == lead: // the township has it still
		goOn(d, a, s.GetHolder(), now)
	default:
		offerAssessment(d, a, s.GetHolder(), lead, "", now)
	}
	return nil
}

// EndAssessment ends an assessment that has lost its subject. Nobody is left behind by it: a child that moved away has somebody who took it over.
func EndAssessment(d *district.District, a *reportingv1.Assessment, by Actor, req *reportingv1.EndAssessmentRequest, now time.Time) error {
	if !slices.Contains(openAssessment, a.GetState()) || !responsibleFor(d, a, by) {
		return assessmentForbids(a, "end")
	}
	if by.Officer == "" {
		return officerRequired()
	}
	moved := req.GetEnd() == reportingv1.Assessment_END_MOVED_OUTSIDE
	for _, given := range []struct{ field, value string }{{"authority", req.GetAuthority()}, {"receipt_number", req.GetReceiptNumber()}} {
		if moved != (given.value != "") {
			return fault.Invalid(given.field, "give it for a child that moved away, and only then")
		}
	}
	a.State, a.End, a.EndText, a.EndAuthority, a.EndReceiptNumber = reportingv1.Assessment_STATE_ENDED, req.GetEnd(), req.GetText(), req.GetAuthority(), req.GetReceiptNumber()
	a.EndUnit, a.EndOfficer, a.EndTime = by.Unit, by.Officer, stamp(now)
	answerOffer(a.GetOffers(), by, reportingv1.Offer_OUTCOME_WITHDRAWN, "", now)
	custody.Close(a.Standing)
	return nil
}
