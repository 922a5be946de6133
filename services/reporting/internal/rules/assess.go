package rules

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// RecordAssessment adds findings. The township takes the assessment back if the lead office had become holder.
func RecordAssessment(d *district.District, a *reportingv1.Assessment, by Actor, findings []*reportingv1.Finding, now time.Time) error {
	if err := assessing(a, by, "record"); err != nil {
		return err
	}
	for _, f := range findings {
		f = proto.CloneOf(f)
		f.RecordTime, f.Unit, f.Officer = stamp(now), by.Unit, by.Officer
		a.Findings = append(a.Findings, f)
	}
	first := a.GetState() == reportingv1.Assessment_STATE_OPEN
	if first || a.GetStanding().GetHolder() != by.Unit {
		a.State, a.Overdue = reportingv1.Assessment_STATE_IN_PROGRESS, false
		hold(d, a.Standing, by.Unit, district.ClockAssessmentDone, now)
	}
	return nil
}

// Conclude sets colour and needs. With needs the assessment waits until the case is open elsewhere; without, it is closed.
// childID is the child as known now.
func Conclude(d *district.District, a *reportingv1.Assessment, by Actor, req *reportingv1.ConcludeAssessmentRequest, childID string, now time.Time) error {
	if err := assessing(a, by, "conclude"); err != nil {
		return err
	}
	if len(a.GetFindings()) == 0 {
		return fault.New(reportingv1.Reason_REASON_FINDING_REQUIRED, "record at least one finding first")
	}
	if err := checkNeeds(d, req.GetNeeds(), now); err != nil {
		return err
	}
	a.Colour, a.Needs, a.Summary, a.ConcludeTime = req.GetColour(), req.GetNeeds(), req.GetSummary(), stamp(now)
	a.ChildId, a.Overdue = childID, false
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
	a.State, a.CaseId, a.Overdue = reportingv1.Assessment_STATE_HANDED_OVER, caseID, false
	custody.Close(a.Standing)
	return true
}

// assessing lets only the responsible township work, as long as there is something to do.
func assessing(a *reportingv1.Assessment, by Actor, verb string) error {
	open := []reportingv1.Assessment_State{reportingv1.Assessment_STATE_OPEN, reportingv1.Assessment_STATE_IN_PROGRESS}
	if a.GetTownship() != by.Unit || !slices.Contains(open, a.GetState()) {
		return fault.StateForbids(row.StateName(a.ProtoReflect()), verb)
	}
	return nil
}
