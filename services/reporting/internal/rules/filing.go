package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Procuratorate is the unit that supervises whether cases are filed (policy R3.7): it is told of every filing.
const Procuratorate = "procuratorate"

// reviewClocks are the clocks of a review; one of them runs at a time.
var reviewClocks = []string{clockReviewAdmin, clockReviewAdminComplex, clockReviewCriminal, clockReviewCriminalClues, clockReviewCriminalApproved}

// longer says which kind of case a ground belongs to and the clock it gives.
var longer = map[reportingv1.Filing_Ground]struct {
	kind  reportingv1.Filing_Kind
	clock string
}{
	reportingv1.Filing_GROUND_COMPLEX:  {reportingv1.Filing_KIND_ADMINISTRATIVE, clockReviewAdminComplex},
	reportingv1.Filing_GROUND_CLUES:    {reportingv1.Filing_KIND_CRIMINAL, clockReviewCriminalClues},
	reportingv1.Filing_GROUND_APPROVED: {reportingv1.Filing_KIND_CRIMINAL, clockReviewCriminalApproved},
}

// OpenFiling begins the review whether a case is filed. Its clock runs from the acceptance of the report: opening it late wins no time.
func OpenFiling(d *district.District, r *reportingv1.Report, by Actor, kind reportingv1.Filing_Kind, id string) (*reportingv1.Filing, error) {
	open := []reportingv1.Report_State{
		reportingv1.Report_STATE_RESPONDING, reportingv1.Report_STATE_TRANSFERRING, reportingv1.Report_STATE_RESPONSE_CLOSED, reportingv1.Report_STATE_NOTIFIED,
	}
	if r.GetAcceptTime() == nil {
		return nil, forbid(r, "openFiling")
	}
	if err := heldBy(r, by, "openFiling", open...); err != nil {
		return nil, err
	}
	f := &reportingv1.Filing{
		Standing: &custodyv1.Standing{Id: id, MatterId: r.GetStanding().GetMatterId()},
		State:    reportingv1.Filing_STATE_REVIEWING, Division: r.GetDivision(),
		ReportId: r.GetStanding().GetId(), Kind: kind, ReviewUnit: by.Unit, AcceptTime: r.GetAcceptTime(),
	}
	clock := clockReviewAdmin
	if kind == reportingv1.Filing_KIND_CRIMINAL {
		clock = clockReviewCriminal
	}
	custody.Hold(f.Standing, by.Unit)
	begin(d, f.Standing, clock, f.GetAcceptTime().AsTime())
	return f, nil
}

// ExtendFiling gives a review the longer clock of a ground, still from the acceptance of the report.
func ExtendFiling(d *district.District, f *reportingv1.Filing, by Actor, req *reportingv1.ExtendFilingRequest, now time.Time) error {
	if err := reviewing(f, by, "extendFiling"); err != nil {
		return err
	}
	if by.Officer == "" {
		return officerRequired()
	}
	ground := longer[req.GetGround()]
	deadline := d.Deadline(ground.clock, f.GetAcceptTime().AsTime())
	if ground.kind != f.GetKind() || !deadline.After(now) || !deadline.After(reviewDue(f)) {
		code := strings.TrimPrefix(req.GetGround().String(), "GROUND_")
		return fault.New(reportingv1.Reason_REASON_GROUND_INVALID, "ground: does not fit the case or gives no more time", "field", "ground", "ground", code).
			Field("ground", "does not fit the case or gives no more time")
	}
	if req.GetGround() == reportingv1.Filing_GROUND_APPROVED {
		superior, ok := d.Officer(req.GetSuperior())
		if !ok || !superior.Superior || superior.Unit != Bureau || !superior.ActiveOn(calendar.Today(now)) || superior.ID == by.Officer {
			return superiorRequired()
		}
	} else if req.GetSuperior() != "" {
		return fault.Invalid("superior", "only GROUND_APPROVED names one")
	}
	f.Extensions = append(f.Extensions, &reportingv1.FilingExtension{
		Ground: req.GetGround(), Text: req.GetText(), Superior: req.GetSuperior(), Officer: by.Officer, RecordTime: stamp(now),
	})
	custody.Meet(f.Standing, reviewClocks...) // one that was missed before stays marked as missed
	custody.Hold(f.Standing, by.Unit)
	custody.Start(f.Standing, ground.clock, f.GetAcceptTime().AsTime(), deadline)
	return nil
}

// reviewDue is when the review is due by the clock it has now, whether that was missed or not.
func reviewDue(f *reportingv1.Filing) time.Time {
	var due time.Time
	for _, c := range f.GetStanding().GetClocks() {
		if at := c.GetDueTime().AsTime(); slices.Contains(reviewClocks, c.GetClock()) && at.After(due) {
			due = at
		}
	}
	return due
}

// DecideFiling files the case or says why not. From now the reporter is owed an answer (policy R3.5).
func DecideFiling(d *district.District, f *reportingv1.Filing, by Actor, req *reportingv1.DecideFilingRequest, now time.Time) error {
	if err := reviewing(f, by, "decideFiling"); err != nil {
		return err
	}
	if by.Officer == "" {
		return officerRequired()
	}
	f.State, f.Decision, f.Reasons, f.CaseNumber = reportingv1.Filing_STATE_DECIDED, req.GetDecision(), req.GetReasons(), req.GetCaseNumber()
	f.DecideOfficer, f.DecideTime = by.Officer, stamp(now)
	custody.Meet(f.Standing, reviewClocks...)
	custody.Hold(f.Standing, by.Unit)
	begin(d, f.Standing, clockReportFeedback, now)
	return nil
}

// GiveFeedback opens the decision to the reporter, whoever that is.
func GiveFeedback(f *reportingv1.Filing, by Actor, now time.Time) error {
	if f.GetState() != reportingv1.Filing_STATE_DECIDED || !concerns(f.GetStanding(), by) {
		return fault.StateForbids(row.StateName(f.ProtoReflect()), "giveFeedback")
	}
	f.State, f.FeedbackTime = reportingv1.Filing_STATE_CLOSED, stamp(now)
	custody.Close(f.Standing)
	return nil
}

// CorrectFiling replaces what was recorded of a decision and keeps what stood there. The decision itself is no clerical error and stays.
func CorrectFiling(f *reportingv1.Filing, by Actor, req *reportingv1.CorrectFilingRequest, now time.Time) error {
	if f.GetDecision() == reportingv1.Filing_DECISION_UNSPECIFIED {
		return fault.StateForbids(row.StateName(f.ProtoReflect()), "correctFiling")
	}
	if by.Officer == "" {
		return officerRequired()
	}
	if req.GetCaseNumber() != "" && f.GetDecision() != reportingv1.Filing_DECISION_FILED {
		return fault.Invalid("case_number", "no case was filed")
	}
	before := len(f.GetCorrections())
	f.Reasons = corrected(&f.Corrections, "reasons", f.GetReasons(), req.GetReasons(), req.GetText(), by, now)
	f.CaseNumber = corrected(&f.Corrections, "case_number", f.GetCaseNumber(), req.GetCaseNumber(), req.GetText(), by, now)
	if len(f.GetCorrections()) == before {
		return nothingCorrected()
	}
	return nil
}

// ExpireFiling moves a review or an answer that is late up: to the bureau, then to the lead office.
func ExpireFiling(d *district.District, f *reportingv1.Filing, now time.Time) error {
	if len(custody.Miss(f.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	goUp(d, f.GetStanding(), district.ClockOverdueReview, now)
	return nil
}

// Feedback is what a reporter is told of the filings of its report: decisions that the police have opened to it. One that is replaced stays told until
// the new one is.
func Feedback(filings []*reportingv1.Filing) []*reportingv1.FilingFeedback {
	var told []*reportingv1.FilingFeedback
	for _, f := range filings {
		decided := append(slices.Clone(f.GetEarlierDecisions()), &reportingv1.FilingDecision{Decision: f.GetDecision(), DecideTime: f.GetDecideTime(), FeedbackTime: f.GetFeedbackTime()})
		for _, d := range slices.Backward(decided) {
			if d.GetFeedbackTime() != nil {
				told = append(told, &reportingv1.FilingFeedback{
					Kind: f.GetKind(), Decision: d.GetDecision(), DecideTime: d.GetDecideTime(), FeedbackTime: d.GetFeedbackTime(),
					ProsecutionFeedbackTime: f.GetProsecutionFeedbackTime(), ProsecutionTime: f.GetProsecutionTime(),
				})
				break
			}
		}
	}
	return told
}

// reviewing lets those decide whose review it is.
func reviewing(f *reportingv1.Filing, by Actor, verb string) error {
	if f.GetState() != reportingv1.Filing_STATE_REVIEWING || !concerns(f.GetStanding(), by) {
		return fault.StateForbids(row.StateName(f.ProtoReflect()), verb)
	}
	return nil
}

// corrected gives what a field holds after a correction, and keeps what it held. An empty wish leaves it as it is.
func corrected(kept *[]*reportingv1.Correction, field, earlier, wish, text string, by Actor, now time.Time) string {
	if wish == "" || wish == earlier {
		return earlier
	}
	*kept = append(*kept, &reportingv1.Correction{Field: field, Earlier: earlier, Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now)})
	return wish
}

func nothingCorrected() error {
	return fault.New(reportingv1.Reason_REASON_NOTHING_CORRECTED, "the correction changes nothing")
}
