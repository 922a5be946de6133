package rules

import (
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// AskReasons begins the supervision of a filing that was decided not to be one. The unit that decided answers.
func AskReasons(d *district.District, f *reportingv1.Filing, by Actor, text, id string, now time.Time) (*reportingv1.Supervision, error) {
	if f.GetDecision() != reportingv1.Filing_DECISION_NOT_FILED {
		return nil, fault.StateForbids(row.StateName(f.ProtoReflect()), "askReasons")
	}
	if by.Officer == "" {
		return nil, officerRequired()
	}
	s := &reportingv1.Supervision{
		Standing: &custodyv1.Standing{Id: id, MatterId: f.GetStanding().GetMatterId()},
		State:    reportingv1.Supervision_STATE_REASONS_ASKED, Division: f.GetDivision(),
		ReportId: f.GetReportId(), FilingId: f.GetStanding().GetId(), PoliceUnit: f.GetReviewUnit(),
	}
	step(s, by, reportingv1.SupervisionStep_KIND_ASK_REASONS, text, now)
	hold(d, s.Standing, s.GetPoliceUnit(), clockFilingReasons, now)
	return s, nil
}

// StateReasons answers the procuratorate, whose turn it is then.
func StateReasons(d *district.District, s *reportingv1.Supervision, by Actor, text string, now time.Time) error {
	if err := supervised(s, by, "stateReasons", reportingv1.Supervision_STATE_REASONS_ASKED); err != nil {
		return err
	}
	s.State = reportingv1.Supervision_STATE_REASONS_STATED
	step(s, by, reportingv1.SupervisionStep_KIND_STATE_REASONS, text, now)
	hold(d, s.Standing, Procuratorate, clockFilingJudge, now)
	return nil
}

// AcceptReasons lets the reasons stand.
func AcceptReasons(s *reportingv1.Supervision, by Actor, text string, now time.Time) error {
	if err := supervised(s, by, "acceptReasons", reportingv1.Supervision_STATE_REASONS_STATED); err != nil {
		return err
	}
	s.State = reportingv1.Supervision_STATE_REASONS_ACCEPTED
	step(s, by, reportingv1.SupervisionStep_KIND_ACCEPT_REASONS, text, now)
	custody.Close(s.Standing)
	return nil
}

// OrderFiling tells police to file. Police who were asked and stayed silent past the deadline have given no reasons that could stand.
func OrderFiling(d *district.District, s *reportingv1.Supervision, by Actor, text string, now time.Time) error {
	silent := s.GetState() == reportingv1.Supervision_STATE_REASONS_ASKED && custody.Overdue(s.GetStanding()) && by.Unit == Procuratorate
	if !silent {
		if err := supervised(s, by, "orderFiling", reportingv1.Supervision_STATE_REASONS_STATED); err != nil {
			return err
		}
	}
	if by.Officer == "" {
		return officerRequired()
	}
	s.State = reportingv1.Supervision_STATE_FILING_ORDERED
	step(s, by, reportingv1.SupervisionStep_KIND_ORDER_FILING, text, now)
	hold(d, s.Standing, s.GetPoliceUnit(), clockFilingOrder, now)
	return nil
}

// WithdrawSupervision ends what the procuratorate does not pursue.
func WithdrawSupervision(s *reportingv1.Supervision, by Actor, text string, now time.Time) error {
	if by.Unit != Procuratorate || s.GetStanding().GetHolder() == "" {
		return fault.StateForbids(row.StateName(s.ProtoReflect()), "withdrawSupervision")
	}
	if by.Officer == "" {
		return officerRequired()
	}
	s.State = reportingv1.Supervision_STATE_WITHDRAWN
	step(s, by, reportingv1.SupervisionStep_KIND_WITHDRAW, text, now)
	custody.Close(s.Standing)
	return nil
}

// FileAsOrdered files the case. The decision that stood before is kept, and the reporter is owed an answer anew.
func FileAsOrdered(d *district.District, s *reportingv1.Supervision, f *reportingv1.Filing, by Actor, req *reportingv1.FileAsOrderedRequest, now time.Time) error {
	if err := supervised(s, by, "fileAsOrdered", reportingv1.Supervision_STATE_FILING_ORDERED); err != nil {
		return err
	}
	s.State = reportingv1.Supervision_STATE_FILED
	step(s, by, reportingv1.SupervisionStep_KIND_FILE, req.GetReasons(), now)
	custody.Close(s.Standing)
	f.EarlierDecisions = append(f.EarlierDecisions, &reportingv1.FilingDecision{
		Decision: f.GetDecision(), Reasons: f.GetReasons(), DecideOfficer: f.GetDecideOfficer(), DecideTime: f.GetDecideTime(), FeedbackTime: f.GetFeedbackTime(),
	})
	f.State, f.Decision, f.Reasons, f.CaseNumber = reportingv1.Filing_STATE_DECIDED, reportingv1.Filing_DECISION_FILED, req.GetReasons(), req.GetCaseNumber()
	f.DecideOfficer, f.DecideTime, f.FeedbackTime = by.Officer, stamp(now), nil
	custody.Meet(f.Standing, clockReportFeedback) // the answer to what was decided before is overtaken
	custody.Hold(f.Standing, by.Unit)
	begin(d, f.Standing, clockReportFeedback, now)
	return nil
}

// ExpireSupervision moves what police owe the procuratorate up: to the bureau, then to the lead office. What the procuratorate has to judge
// becomes overdue and stays the procuratorate's: nobody can judge in its place.
func ExpireSupervision(d *district.District, s *reportingv1.Supervision, now time.Time) error {
	if len(custody.Miss(s.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	if s.GetState() == reportingv1.Supervision_STATE_REASONS_STATED {
		extend(d, s.Standing, district.ClockOverdueReview, now)
		return nil
	}
	goUp(d, s.GetStanding(), district.ClockOverdueReview, now)
	return nil
}

// GiveProsecutionFeedback tells the reporter that the case is about to go to prosecution.
func GiveProsecutionFeedback(f *reportingv1.Filing, now time.Time) error {
	if !investigated(f) || f.GetState() != reportingv1.Filing_STATE_CLOSED || f.GetProsecutionFeedbackTime() != nil {
		return fault.StateForbids(row.StateName(f.ProtoReflect()), "giveProsecutionFeedback")
	}
	f.ProsecutionFeedbackTime = stamp(now)
	return nil
}

// TransferForProsecution records that the case went to the procuratorate. A district that has the clock of the second feedback lets nothing go
// before it was given (policy R3.5).
func TransferForProsecution(d *district.District, f *reportingv1.Filing, by Actor, now time.Time) error {
	if !investigated(f) || f.GetProsecutionTime() != nil {
		return fault.StateForbids(row.StateName(f.ProtoReflect()), "transferForProsecution")
	}
	if by.Officer == "" {
		return officerRequired()
	}
	if _, owed := d.Clock(clockReportFeedback2); owed && f.GetProsecutionFeedbackTime() == nil {
		return fault.New(reportingv1.Reason_REASON_FEEDBACK_DUE, "tell whoever reported first")
	}
	f.ProsecutionTime = stamp(now)
	return nil
}

// investigated reports whether there is a criminal case that can go to prosecution.
func investigated(f *reportingv1.Filing) bool {
	return f.GetKind() == reportingv1.Filing_KIND_CRIMINAL && f.GetDecision() == reportingv1.Filing_DECISION_FILED
}

// supervised lets an officer of the unit whose turn it is act, in one state.
func supervised(s *reportingv1.Supervision, by Actor, verb string, state reportingv1.Supervision_State) error {
	if s.GetState() != state || !concerns(s.GetStanding(), by) {
		return fault.StateForbids(row.StateName(s.ProtoReflect()), verb)
	}
	if by.Officer == "" {
		return officerRequired()
	}
	return nil
}

func step(s *reportingv1.Supervision, by Actor, kind reportingv1.SupervisionStep_Kind, text string, now time.Time) {
	s.Steps = append(s.Steps, &reportingv1.SupervisionStep{Kind: kind, Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now)})
}
