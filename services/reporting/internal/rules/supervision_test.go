package rules_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/custody"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

var (
	prosecutor  = rules.Actor{Unit: rules.Procuratorate, Officer: "procuratorate-2"}
	policeman   = rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	fileOrdered = &reportingv1.FileAsOrderedRequest{CaseNumber: "A320411", Reasons: "依通知立案"}
)

// refusedFiling is a criminal review that police ended without filing, and told the reporter.
func refusedFiling(t testing.TB) *reportingv1.Filing {
	t.Helper()
	f, err := rules.OpenFiling(xinbei(t), responding(t), policeman, reportingv1.Filing_KIND_CRIMINAL, itemID)
	if err != nil {
		t.Fatal(err)
	}
	decision := &reportingv1.DecideFilingRequest{Decision: reportingv1.Filing_DECISION_NOT_FILED, Reasons: "情节轻微"}
	if err := rules.DecideFiling(xinbei(t), f, policeman, decision, noon); err != nil {
		t.Fatal(err)
	}
	if err := rules.GiveFeedback(f, policeman, noon); err != nil {
		t.Fatal(err)
	}
	return f
}

func asked(t testing.TB, f *reportingv1.Filing) *reportingv1.Supervision {
	t.Helper()
	s, err := rules.AskReasons(xinbei(t), f, prosecutor, "伤情与理由不符", measure1, noon)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Asked, stated, judged, told, filed: each turn is somebody's under the clock of the law, the replaced decision stays readable, and the reporter is
// owed an answer anew and told the old one until it comes.
func TestReasonsAreAskedStatedJudgedAndTheCaseIsFiled(t *testing.T) {
	t.Parallel()
	d, f := xinbei(t), refusedFiling(t)
	s := asked(t, f)
	stands(t, "asked", s.GetStanding(), station, "", "filing.reasons")
	before := proto.CloneOf(s)
	refused(t, rules.StateReasons(d, s, rules.Actor{Unit: other, Officer: "x"}, "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, s)
	refused(t, rules.StateReasons(d, s, rules.Actor{Unit: station}, "x", noon), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, s)
	refused(t, rules.OrderFiling(d, s, prosecutor, "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, s)
	if err := rules.StateReasons(d, s, policeman, "伤情鉴定未达轻伤", noon); err != nil {
		t.Fatal(err)
	}
	stands(t, "stated", s.GetStanding(), rules.Procuratorate, "", "filing.judge")
	if err := rules.ExpireSupervision(d, s, s.GetStanding().GetDeadline().AsTime()); err != nil || !custody.Overdue(s.GetStanding()) {
		t.Fatalf("%v, %v", s, err)
	}
	stands(t, "not judged in time", s.GetStanding(), rules.Procuratorate, "", "overdue.review")
	if err := rules.OrderFiling(d, s, prosecutor, "多次施暴，应当立案", noon); err != nil {
		t.Fatal(err)
	}
	stands(t, "told to file", s.GetStanding(), station, "", "filing.order")
	if err := rules.FileAsOrdered(d, s, f, policeman, fileOrdered, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	stands(t, "filed", s.GetStanding(), "", "", "")
	stands(t, "the filing", f.GetStanding(), station, "", "report.feedback")
	if e := f.GetEarlierDecisions()[0]; f.GetDecision() != reportingv1.Filing_DECISION_FILED || e.GetDecision() != reportingv1.Filing_DECISION_NOT_FILED || e.GetReasons() != "情节轻微" {
		t.Errorf("filing %v", f)
	}
	if told := rules.Feedback([]*reportingv1.Filing{f}); len(told) != 1 || told[0].GetDecision() != reportingv1.Filing_DECISION_NOT_FILED {
		t.Errorf("before the new feedback the reporter is told %v", told)
	}
	if err := rules.GiveFeedback(f, policeman, noon.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if told := rules.Feedback([]*reportingv1.Filing{f}); len(told) != 1 || told[0].GetDecision() != reportingv1.Filing_DECISION_FILED {
		t.Errorf("the reporter is told %v", told)
	}
	var kinds []reportingv1.SupervisionStep_Kind
	for _, step := range s.GetSteps() {
		kinds = append(kinds, step.GetKind())
	}
	if !slices.Equal(kinds, []reportingv1.SupervisionStep_Kind{1, 2, 4, 5}) {
		t.Errorf("steps %v", kinds)
	}
}

// Silent police go up and can be told to file without having answered; a filed case is not asked about.
func TestSilenceOfThePoliceIsNoReason(t *testing.T) {
	t.Parallel()
	d, f := xinbei(t), refusedFiling(t)
	s := asked(t, f)
	for _, up := range []struct{ holder, offeredTo, clock string }{
		{rules.Bureau, station, "overdue.review"}, {lead, rules.Bureau, "lead.resolve"}, {lead, rules.Bureau, "overdue.review"},
	} {
		if err := rules.ExpireSupervision(d, s, s.GetStanding().GetDeadline().AsTime()); err != nil {
			t.Fatal(err)
		}
		stands(t, "silence", s.GetStanding(), up.holder, up.offeredTo, up.clock)
	}
	before := proto.CloneOf(s)
	refused(t, rules.OrderFiling(d, s, rules.Actor{Unit: rules.Procuratorate}, "x", noon), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, s)
	refused(t, rules.OrderFiling(d, s, policeman, "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, s)
	if err := rules.OrderFiling(d, s, prosecutor, "逾期未说明理由", noon); err != nil {
		t.Fatal(err)
	}
	stands(t, "told to file", s.GetStanding(), station, "", "filing.order")
	if err := rules.FileAsOrdered(d, s, f, policeman, fileOrdered, noon); err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]*reportingv1.Filing{"a filed case": f, "a case under review": {State: reportingv1.Filing_STATE_REVIEWING}} {
		before := proto.CloneOf(f)
		_, err := rules.AskReasons(d, f, prosecutor, "x", measure1, noon)
		t.Run(what, func(t *testing.T) { refused(t, err, faultv1.Reason_REASON_STATE_FORBIDS, before, f) })
	}
	_, err := rules.AskReasons(d, refusedFiling(t), rules.Actor{Unit: rules.Procuratorate}, "x", measure1, noon)
	refused(t, err, reportingv1.Reason_REASON_OFFICER_REQUIRED, before, before)
}

// Nothing goes to prosecution before whoever reported was told, and only a filed criminal case does.
func TestTheReporterIsToldBeforeTheProsecution(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	f := refusedFiling(t)
	before := proto.CloneOf(f)
	refused(t, rules.TransferForProsecution(d, f, policeman, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, f)
	refused(t, rules.GiveProsecutionFeedback(f, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, f)
	f.Decision = reportingv1.Filing_DECISION_FILED
	before = proto.CloneOf(f)
	refused(t, rules.TransferForProsecution(d, f, policeman, noon), reportingv1.Reason_REASON_FEEDBACK_DUE, before, f)
	if err := rules.GiveProsecutionFeedback(f, noon); err != nil {
		t.Fatal(err)
	}
	before = proto.CloneOf(f)
	refused(t, rules.TransferForProsecution(d, f, rules.Actor{Unit: station}, noon), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, f)
	refused(t, rules.GiveProsecutionFeedback(f, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, f)
	if err := rules.TransferForProsecution(d, f, policeman, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	before = proto.CloneOf(f)
	refused(t, rules.TransferForProsecution(d, f, policeman, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, f)
	if told := rules.Feedback([]*reportingv1.Filing{f})[0]; !told.GetProsecutionFeedbackTime().AsTime().Equal(noon) || !proto.Equal(told.GetProsecutionTime(), timestamppb.New(noon.Add(time.Hour))) {
		t.Errorf("told %v", told)
	}
}

// Whoever does what in whatever order: a supervision takes legal steps only, is somebody's with a deadline ahead until it is over, is changed by no
// refusal, and each step in it is of the one whose turn it was.
func TestASupervisionTakesLegalStepsOnly(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	type state = reportingv1.Supervision_State
	const asking, stated, ordered = reportingv1.Supervision_STATE_REASONS_ASKED, reportingv1.Supervision_STATE_REASONS_STATED, reportingv1.Supervision_STATE_FILING_ORDERED
	legal := map[state][]state{
		asking: {asking, stated, ordered}, stated: {stated, ordered, reportingv1.Supervision_STATE_REASONS_ACCEPTED}, ordered: {ordered, reportingv1.Supervision_STATE_FILED},
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := refusedFiling(t)
		s, now := asked(t, f), noon
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(rt, "hours")) * time.Hour)
			by := rapid.SampledFrom([]rules.Actor{prosecutor, policeman, {Unit: rules.Bureau, Officer: "police-3"}, {Unit: lead, Officer: "civil_affairs-2"}, {Unit: station}}).Draw(rt, "by")
			before, filing := proto.CloneOf(s), proto.CloneOf(f)
			var refusal error
			switch rapid.IntRange(0, 4).Draw(rt, "verb") {
			case 0:
				refusal = rules.StateReasons(d, s, by, "x", now)
			case 1:
				refusal = rules.AcceptReasons(s, by, "x", now)
			case 2:
				refusal = rules.OrderFiling(d, s, by, "x", now)
			case 3:
				refusal = rules.FileAsOrdered(d, s, f, by, fileOrdered, now)
			case 4:
				if deadline := s.GetStanding().GetDeadline(); deadline != nil {
					now = latest(now, deadline.AsTime())
					refusal = rules.ExpireSupervision(d, s, now)
				}
			}
			over, held := s.GetState() == reportingv1.Supervision_STATE_REASONS_ACCEPTED || s.GetState() == reportingv1.Supervision_STATE_FILED, s.GetStanding()
			switch {
			case refusal != nil && (!proto.Equal(before, s) || !proto.Equal(filing, f)):
				rt.Fatalf("a refusal changed something: %v", refusal)
			case before.GetState() != s.GetState() && !slices.Contains(legal[before.GetState()], s.GetState()):
				rt.Fatalf("from %v to %v", before.GetState(), s.GetState())
			case over != (held.GetHolder() == "") || over != (held.GetDeadline() == nil):
				rt.Fatalf("%v held by %q", s.GetState(), held.GetHolder())
			case !proto.Equal(before.GetStanding(), held) && !over && !held.GetDeadline().AsTime().After(now):
				rt.Fatalf("a change at %v left the deadline %v", now, held.GetDeadline().AsTime())
			case (s.GetState() == reportingv1.Supervision_STATE_FILED) != (f.GetDecision() == reportingv1.Filing_DECISION_FILED):
				rt.Fatalf("%v, and the filing is %v", s.GetState(), f.GetDecision())
			}
			for _, step := range s.GetSteps() {
				police := step.GetKind() == reportingv1.SupervisionStep_KIND_STATE_REASONS || step.GetKind() == reportingv1.SupervisionStep_KIND_FILE
				if step.GetOfficer() == "" || police != (step.GetUnit() != rules.Procuratorate) {
					rt.Fatalf("step %v", step)
				}
			}
		}
	})
}
