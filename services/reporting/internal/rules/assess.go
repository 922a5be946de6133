package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// RecordAssessment adds findings; id makes the id of what a word names. The township takes the assessment back if the lead office had become holder.
func RecordAssessment(d *district.District, a *reportingv1.Assessment, by Actor, findings []*reportingv1.Finding, id func(string) string, now time.Time) error {
	if err := assessing(d, a, by, "record"); err != nil {
		return err
	}
	for i, f := range findings {
		a.Findings = append(a.Findings, &reportingv1.Finding{
			Id: id(fmt.Sprintf("finding.%d", i)), Dimension: f.GetDimension(), Risk: f.GetRisk(), Text: f.GetText(),
			RecordTime: stamp(now), Unit: by.Unit, Officer: by.Officer,
		})
	}
	first := a.GetState() == reportingv1.Assessment_STATE_OPEN
	a.State = reportingv1.Assessment_STATE_IN_PROGRESS
	custody.Meet(a.Standing, district.ClockAssessmentStart)
	if waiting := a.GetStanding().GetHolder() == by.Unit && a.GetStanding().GetOfferedTo() != ""; waiting && by.Unit != d.LeadOffice() {
		return nil // somebody else is asked to take it over; the work goes on meanwhile
	}
	if first || a.GetStanding().GetHolder() != by.Unit {
		takeBack(a, by, now)
		carryOn(d, a.Standing, by.Unit, district.ClockOverdueReview, now)
	}
	return nil
}

// StrikeFinding strikes out a finding recorded wrongly. It stays readable.
func StrikeFinding(d *district.District, a *reportingv1.Assessment, by Actor, id, text string, now time.Time) error {
	if err := assessing(d, a, by, "strikeFinding"); err != nil {
		return err
	}
	if by.Officer == "" {
		return officerRequired()
	}
	at := slices.IndexFunc(a.GetFindings(), func(f *reportingv1.Finding) bool { return f.GetId() == id && stands(f) })
	if at < 0 {
		return fault.New(reportingv1.Reason_REASON_FINDING_NOT_FOUND, "finding_id: no such finding stands", "field", "finding_id").
			Field("finding_id", "no such finding stands")
	}
	f := a.GetFindings()[at]
	f.StrikeTime, f.StrikeText, f.StrikeUnit, f.StrikeOfficer = stamp(now), text, by.Unit, by.Officer
	return nil
}

func stands(f *reportingv1.Finding) bool { return f.GetStrikeTime() == nil }

// Conclude sets colour and needs. With needs the assessment waits until the case is open elsewhere; without, it is closed.
// childID is the child as known now.
func Conclude(d *district.District, a *reportingv1.Assessment, by Actor, req *reportingv1.ConcludeAssessmentRequest, childID string, now time.Time) error {
	if err := assessing(d, a, by, "conclude"); err != nil {
		return err
	}
	if !slices.ContainsFunc(a.GetFindings(), stands) {
		return fault.New(reportingv1.Reason_REASON_FINDING_REQUIRED, "record at least one finding first")
	}
	if err := checkNeeds(d, req.GetNeeds(), now); err != nil {
		return err
	}
	a.Colour, a.Needs, a.Summary, a.ConcludeTime = req.GetColour(), req.GetNeeds(), req.GetSummary(), stamp(now)
	a.ChildId = childID
	if outside(d, a.GetDivision()) { // somebody here answers for the needs of a child that lives elsewhere
		for _, need := range a.GetNeeds() {
			if need.GetPlaceDivision() == "" {
				need.PlaceDivision = d.Code()
			}
		}
	}
	takeBack(a, by, now)
	custody.Meet(a.Standing, district.ClockAssessmentStart, district.ClockAssessmentDone)
	if len(a.GetNeeds()) == 0 {
		a.State = reportingv1.Assessment_STATE_CLOSED
		custody.Close(a.Standing)
		return nil
	}
	a.State = reportingv1.Assessment_STATE_CONCLUDED
	hold(d, a.Standing, by.Unit, district.ClockAssessmentHandover, now)
	return nil
}

func checkNeeds(d *district.District, needs []*reportingv1.NeedFinding, now time.Time) error {
	for i, need := range needs {
		if _, ok := d.Need(need.GetCode()); !ok {
			field := fmt.Sprintf("needs[%d].code", i)
			return fault.New(reportingv1.Reason_REASON_NEED_UNKNOWN, field+": not in the district's table", "field", field, "need", need.GetCode()).
				Field(field, "not in the district's table")
		}
		if need.GetPlaceDivision() == "" {
			continue
		}
		if err := d.CheckDivision(fmt.Sprintf("needs[%d].place_division", i), need.GetPlaceDivision(), calendar.Today(now)); err != nil {
			return err
		}
	}
	return nil
}

// HandOver closes an assessment whose case is open elsewhere. An assessment that moved on already stays as it is, and the
// answer is false: the event has been seen before.
func HandOver(a *reportingv1.Assessment, caseID string) bool {
	if a.GetState() != reportingv1.Assessment_STATE_CONCLUDED {
		return false
	}
	a.State, a.CaseId = reportingv1.Assessment_STATE_HANDED_OVER, caseID
	custody.Close(a.Standing)
	return true
}

// assessing lets the responsible unit work, or the lead office that holds what nobody did, as long as there is something to do.
func assessing(d *district.District, a *reportingv1.Assessment, by Actor, verb string) error {
	open := []reportingv1.Assessment_State{reportingv1.Assessment_STATE_OPEN, reportingv1.Assessment_STATE_IN_PROGRESS}
	if !responsibleFor(d, a, by) || !slices.Contains(open, a.GetState()) {
		return fault.StateForbids(row.StateName(a.ProtoReflect()), verb)
	}
	return nil
}

// responsibleFor reports whether an assessment is the actor's to carry on: the township responsible, or the lead office once it holds it.
func responsibleFor(d *district.District, a *reportingv1.Assessment, by Actor) bool {
	return a.GetTownship() == by.Unit || by.Unit == d.LeadOffice() && a.GetStanding().GetHolder() == by.Unit
}

// takeBack answers an offer that is open when somebody does the work: accepted by the unit it was made to, else withdrawn.
func takeBack(a *reportingv1.Assessment, by Actor, now time.Time) {
	outcome := reportingv1.Offer_OUTCOME_WITHDRAWN
	if a.GetStanding().GetOfferedTo() == by.Unit {
		outcome = reportingv1.Offer_OUTCOME_ACCEPTED
	}
	answerOffer(a.GetOffers(), by, outcome, "", now)
}
