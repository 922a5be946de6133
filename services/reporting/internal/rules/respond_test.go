package rules_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

func asFault(err error, target **fault.Error) bool { return errors.As(err, target) }

func TestAResponseClosesOnlyWhenEveryGroupIsMetOrWaived(t *testing.T) {
	t.Parallel()
	d, r, by := xinbei(t), responding(t), rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	missing := func(want string) {
		t.Helper()
		var refusal *fault.Error
		err := rules.CloseResponse(d, r, by, "", noon)
		if !fault.Is(err, reportingv1.Reason_REASON_RESPONSE_INCOMPLETE) || !asFault(err, &refusal) || refusal.Metadata()["missing"] != want {
			t.Fatalf("closing answered %v, want missing %s", err, want)
		}
	}
	missing("LIVING_ALONE.1,LIVING_ALONE.2")
	if err := rules.RecordMeasure(d, r, by, measure("ORDER_PARENTS_RETURN"), itemID, noon); err != nil {
		t.Fatal(err)
	}
	missing("LIVING_ALONE.2")

	before := proto.CloneOf(r)
	refused(t, rules.RecordMeasure(d, r, by, measure("DESIGNATE_ENTRUSTED_CARER"), itemID, noon), reportingv1.Reason_REASON_MEASURE_EXCLUDED, before, r)
	if err := rules.StrikeMeasure(r, by, itemID, "记录有误", noon); err != nil {
		t.Fatal(err)
	}
	before = proto.CloneOf(r)
	refused(t, rules.StrikeMeasure(r, by, itemID, "再次", noon), reportingv1.Reason_REASON_MEASURE_NOT_FOUND, before, r)
	missing("LIVING_ALONE.1,LIVING_ALONE.2")
	if err := rules.RecordMeasure(d, r, by, measure("DESIGNATE_ENTRUSTED_CARER"), childID, noon); err != nil {
		t.Fatal(err)
	}
	waive := &reportingv1.WaiveMeasureRequest{Group: "LIVING_ALONE.2", Text: "父母均已去世", Superior: "police-320411101000-2"}
	if err := rules.Waive(d, r, by, waive, noon); err != nil {
		t.Fatal(err)
	}
	if err := rules.CloseResponse(d, r, by, "", noon); err != nil {
		t.Fatal(err)
	}
	if s := r.GetStanding(); s.GetHolder() != station || s.GetClock() != "township.notice" {
		t.Errorf("standing %v", s)
	}
	groups := rules.Groups(d, r)
	if len(groups) != 2 || !groups[0].GetMet() || groups[0].GetWaived() || groups[1].GetMet() || !groups[1].GetWaived() || groups[0].GetSource() != "R1.4" {
		t.Errorf("groups %v", groups)
	}
}

func TestAWaiverNeedsAnotherOfficerWhoMay(t *testing.T) {
	t.Parallel()
	d, officer := xinbei(t), "police-320411101000-1"
	for name, tc := range map[string]struct {
		by, superior, group string
		reason              fault.Reason
	}{
		"nobody acts":               {"", "police-320411101000-2", "LIVING_ALONE.2", reportingv1.Reason_REASON_OFFICER_REQUIRED},
		"the superior acts alone":   {"police-320411101000-2", "police-320411101000-2", "LIVING_ALONE.2", reportingv1.Reason_REASON_SUPERIOR_REQUIRED},
		"a colleague":               {officer, officer, "LIVING_ALONE.2", reportingv1.Reason_REASON_SUPERIOR_REQUIRED},
		"the chief of another post": {officer, "police-320411103000-2", "LIVING_ALONE.2", reportingv1.Reason_REASON_SUPERIOR_REQUIRED},
		"a judge":                   {officer, "court-3", "LIVING_ALONE.2", reportingv1.Reason_REASON_SUPERIOR_REQUIRED},
		"nobody known":              {officer, "nobody", "LIVING_ALONE.2", reportingv1.Reason_REASON_SUPERIOR_REQUIRED},
		"a group not called for":    {officer, "police-3", "MISSING.1", reportingv1.Reason_REASON_GROUP_UNKNOWN},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := responding(t)
			before := proto.CloneOf(r)
			req := &reportingv1.WaiveMeasureRequest{Group: tc.group, Text: "理由", Superior: tc.superior}
			refused(t, rules.Waive(d, r, rules.Actor{Unit: station, Officer: tc.by}, req, noon), tc.reason, before, r)
		})
	}
	r := responding(t)
	bureau := &reportingv1.WaiveMeasureRequest{Group: "LIVING_ALONE.2", Text: "理由", Superior: "police-3"}
	if err := rules.Waive(d, r, rules.Actor{Unit: station, Officer: officer}, bureau, noon); err != nil {
		t.Errorf("the commander of the bureau may waive: %v", err)
	}
}

func TestASituationFoundByPoliceAsksForMoreMeasuresAndGivesTime(t *testing.T) {
	t.Parallel()
	d, r, by := xinbei(t), responding(t), rules.Actor{Unit: station}
	later := noon.Add(20 * time.Hour)
	if err := rules.AddSituation(d, r, by, "PARENT_UNREACHABLE", "电话无人接听", later); err != nil {
		t.Fatal(err)
	}
	if s := r.GetStanding(); s.GetClock() != "report.response" || !s.GetDeadline().AsTime().Equal(noon.Add(24*time.Hour)) {
		t.Errorf("more to do put the response off: %v", s)
	}
	if c := clockOf(r.GetStanding(), "response.measures"); !c.GetDueTime().AsTime().Equal(later.Add(24 * time.Hour)) {
		t.Errorf("more to do has no time of its own: %v", c)
	}
	if len(rules.Groups(d, r)) != 5 {
		t.Errorf("%d groups, want 5", len(rules.Groups(d, r)))
	}
	before := proto.CloneOf(r)
	refused(t, rules.AddSituation(d, r, by, "PARENT_UNREACHABLE", "x", later), reportingv1.Reason_REASON_SITUATION_PRESENT, before, r)
	refused(t, rules.AddSituation(d, r, by, "NOTHING", "x", later), reportingv1.Reason_REASON_SITUATION_UNKNOWN, before, r)
	refused(t, rules.RecordMeasure(d, r, by, measure("SOMETHING"), itemID, later), reportingv1.Reason_REASON_MEASURE_UNKNOWN, before, r)
	early := measure("ESCORT_TO_SHELTER")
	early.TakeTime = timestamppb.New(later.Add(time.Minute))
	refused(t, rules.RecordMeasure(d, r, by, early, itemID, later), reportingv1.Reason_REASON_TIME_IN_FUTURE, before, r)
	nowhere := measure("ESCORT_TO_SHELTER")
	nowhere.PlacementUnit = "org/unknown"
	refused(t, rules.RecordMeasure(d, r, by, nowhere, itemID, later), reportingv1.Reason_REASON_UNIT_INVALID, before, r)
}

// A transferred report is walked through every answer: the holder stays until somebody accepts, and silence goes up.
func TestWhoHoldsATransferredReport(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := newReport(t)
	step := func(what string, err error, holder, offeredTo, clock string, state reportingv1.Report_State) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if s := r.GetStanding(); s.GetHolder() != holder || s.GetOfferedTo() != offeredTo || s.GetClock() != clock || r.GetState() != state {
			t.Fatalf("%s: %s offered to %q under %s in %v", what, s.GetHolder(), s.GetOfferedTo(), s.GetClock(), r.GetState())
		}
	}
	const transferring, submitted, running = reportingv1.Report_STATE_TRANSFERRING, reportingv1.Report_STATE_SUBMITTED, reportingv1.Report_STATE_RESPONDING
	now := noon
	step("transfer", rules.Transfer(d, r, rules.Actor{Unit: station}, other, "不属本辖区", now), station, other, "report.accept", transferring)
	step("decline", rules.Decline(d, r, rules.Actor{Unit: other}, "亦非本辖区", now), station, rules.Bureau, "report.accept", transferring)
	before := proto.CloneOf(r)
	refused(t, rules.Decline(d, r, rules.Actor{Unit: rules.Bureau}, "不收", now), reportingv1.Reason_REASON_BUREAU_CANNOT_DECLINE, before, r)
	refused(t, rules.Accept(d, r, rules.Actor{Unit: other}, now), faultv1.Reason_REASON_STATE_FORBIDS, before, r)
	now = r.GetStanding().GetDeadline().AsTime()
	step("the hour of acceptance passes", rules.ExpireReport(d, r, now), station, rules.Bureau, "report.transfer", transferring)
	if c := clockOf(r.GetStanding(), "report.accept"); c.GetState() != custodyv1.Clock_STATE_MISSED || c.GetUnit() != station {
		t.Errorf("the missed hour: %v", c)
	}
	now = r.GetStanding().GetDeadline().AsTime()
	step("the bureau is silent", rules.ExpireReport(d, r, now), lead, rules.Bureau, "lead.resolve", transferring)
	now = r.GetStanding().GetDeadline().AsTime()
	step("the lead office is silent", rules.ExpireReport(d, r, now), lead, rules.Bureau, "overdue.review", transferring)
	if !custody.Overdue(r.GetStanding()) {
		t.Error("not marked overdue")
	}
	written(r.GetStanding(), now)
	step("accept", rules.Accept(d, r, rules.Actor{Unit: rules.Bureau}, now), rules.Bureau, "", "report.response", running)
	step("the bureau hands on", rules.Transfer(d, r, rules.Actor{Unit: rules.Bureau}, other, "交办", now), rules.Bureau, other, "report.transfer", transferring)
	now = r.GetStanding().GetDeadline().AsTime()
	step("the station is silent", rules.ExpireReport(d, r, now), rules.Bureau, "", "report.response", running)
	var outcomes []reportingv1.Transfer_Outcome
	for _, x := range r.GetTransfers() {
		outcomes = append(outcomes, x.GetOutcome())
	}
	if want := []reportingv1.Transfer_Outcome{2, 3, 3}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %v, want %v", outcomes, want)
	}
	for _, target := range []string{rules.Bureau, "township/320411101000", "nobody", "court"} {
		before := proto.CloneOf(r)
		refused(t, rules.Transfer(d, r, rules.Actor{Unit: rules.Bureau}, target, "x", now), reportingv1.Reason_REASON_TRANSFER_TARGET_INVALID, before, r)
	}
}

func TestASilentTownshipLeavesTheBulletinWithTheLeadOfficeAndCanStillAcknowledge(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), responding(t)
	r.State = reportingv1.Report_STATE_RESPONSE_CLOSED
	b, err := rules.IssueBulletin(d, r, rules.Actor{Unit: station}, &reportingv1.IssueBulletinRequest{Text: "请评估"}, itemID, noon)
	if err != nil {
		t.Fatal(err)
	}
	due := b.GetStanding().GetDeadline().AsTime()
	if err := errors.Join(rules.ExpireBulletin(d, b, due), rules.ExpireReport(d, r, due)); err != nil {
		t.Fatal(err)
	}
	if s := b.GetStanding(); s.GetHolder() != lead || s.GetOfferedTo() != township || s.GetClock() != "lead.resolve" {
		t.Errorf("bulletin %v", s)
	}
	if s := r.GetStanding(); s.GetHolder() != station || s.GetClock() != "overdue.review" {
		t.Errorf("report %v", s)
	}
	opened, err := rules.Acknowledge(d, b, r, rules.Actor{Unit: township}, ids, due)
	if err != nil {
		t.Fatal(err)
	}
	if a := opened[0]; a.GetStanding().GetHolder() != township || r.GetState() != reportingv1.Report_STATE_CLOSED || b.GetState() != reportingv1.Bulletin_STATE_ACKNOWLEDGED {
		t.Errorf("assessment %v, report %v, bulletin %v", a.GetStanding(), r.GetState(), b.GetState())
	}
}

// Whatever order verbs and deadlines come in: an open report has one holder and a deadline ahead, a closed one neither.
func TestAReportIsNeverNobodys(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	rapid.Check(t, func(rt *rapid.T) {
		r, _ := rules.NewReport(d, submission(), ids, noon)
		now := noon
		unit := rapid.SampledFrom([]string{station, other, rules.Bureau, lead, township})
		code := rapid.SampledFrom([]string{"ORDER_PARENTS_RETURN", "DESIGNATE_ENTRUSTED_CARER", "ADMONISH_PARENTS", "START_MISSING_SEARCH"})
		var bulletin *reportingv1.Bulletin
		attempt := func(verb func(r *reportingv1.Report) error) {
			before := proto.CloneOf(r)
			if err := verb(r); err != nil && !proto.Equal(before, r) {
				rt.Fatalf("a refused verb changed the report: %v", err)
			}
		}
		actions := map[string]func(*rapid.T){
			"accept": func(rt *rapid.T) {
				attempt(func(r *reportingv1.Report) error {
					return rules.Accept(d, r, rules.Actor{Unit: unit.Draw(rt, "by")}, now)
				})
			},
			"transfer": func(rt *rapid.T) {
				attempt(func(r *reportingv1.Report) error {
					return rules.Transfer(d, r, rules.Actor{Unit: unit.Draw(rt, "by")}, unit.Draw(rt, "to"), "x", now)
				})
			},
			"decline": func(rt *rapid.T) {
				attempt(func(r *reportingv1.Report) error {
					return rules.Decline(d, r, rules.Actor{Unit: unit.Draw(rt, "by")}, "x", now)
				})
			},
			"measure": func(rt *rapid.T) {
				attempt(func(r *reportingv1.Report) error {
					return rules.RecordMeasure(d, r, rules.Actor{Unit: unit.Draw(rt, "by")}, measure(code.Draw(rt, "code")), itemID, now)
				})
			},
			"close": func(rt *rapid.T) {
				attempt(func(r *reportingv1.Report) error {
					return rules.CloseResponse(d, r, rules.Actor{Unit: unit.Draw(rt, "by")}, "", now)
				})
			},
			"bulletin": func(rt *rapid.T) {
				attempt(func(r *reportingv1.Report) error {
					b, err := rules.IssueBulletin(d, r, rules.Actor{Unit: unit.Draw(rt, "by")}, &reportingv1.IssueBulletinRequest{Text: "x"}, itemID, now)
					if err == nil {
						bulletin = b
					}
					return err
				})
			},
			"acknowledge": func(rt *rapid.T) {
				if bulletin == nil {
					return // no bulletin
				}
				attempt(func(r *reportingv1.Report) error {
					_, err := rules.Acknowledge(d, bulletin, r, rules.Actor{Unit: unit.Draw(rt, "by")}, ids, now)
					return err
				})
			},
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 100).Draw(rt, "hours")) * time.Hour)
				for range 50 {
					if err := rules.ExpireReport(d, r, now); errors.Is(err, custody.ErrNotDue) {
						return
					}
				}
				rt.Fatal("the deadline does not move on")
			},
			"": func(rt *rapid.T) {
				s, closed := r.GetStanding(), r.GetState() == reportingv1.Report_STATE_CLOSED
				switch {
				case closed != (s.GetHolder() == "") || closed != (s.GetDeadline() == nil):
					rt.Fatalf("state %v with %v", r.GetState(), s)
				case !closed && !s.GetDeadline().AsTime().After(now):
					rt.Fatalf("the deadline %v is not ahead of %v", s.GetDeadline().AsTime(), now)
				case s.GetOfferedTo() != "" && s.GetOfferedTo() == s.GetHolder():
					rt.Fatalf("offered to its own holder: %v", s)
				}
			},
		}
		rt.Repeat(actions)
	})
}

func TestAnAssessmentIsDoneByItsTownship(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), responding(t)
	r.State = reportingv1.Report_STATE_RESPONSE_CLOSED
	b, err := rules.IssueBulletin(d, r, rules.Actor{Unit: station}, &reportingv1.IssueBulletinRequest{Text: "请评估"}, itemID, noon)
	if err != nil {
		t.Fatal(err)
	}
	by := rules.Actor{Unit: township}
	opened, err := rules.Acknowledge(d, b, r, by, ids, noon)
	if err != nil {
		t.Fatal(err)
	}
	a := opened[0]
	before := proto.CloneOf(a)
	conclude := &reportingv1.ConcludeAssessmentRequest{Colour: personv1.RiskColour_RISK_COLOUR_YELLOW, Summary: "结论", Needs: []*reportingv1.NeedFinding{{Code: "psychological_support"}}}
	refused(t, rules.Conclude(d, a, by, conclude, "", noon), reportingv1.Reason_REASON_FINDING_REQUIRED, before, a)
	finding := []*reportingv1.Finding{{Dimension: reportingv1.Dimension_DIMENSION_GUARDIANSHIP, Text: "无人照料", Unit: "forged"}}
	refused(t, rules.RecordAssessment(d, a, rules.Actor{Unit: lead}, finding, ids, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, a)

	overdue := a.GetStanding().GetDeadline().AsTime()
	if err := rules.ExpireAssessment(d, a, overdue); err != nil || a.GetStanding().GetHolder() != lead {
		t.Fatalf("%v, held by %s", err, a.GetStanding().GetHolder())
	}
	if err := rules.RecordAssessment(d, a, by, finding, ids, overdue); err != nil {
		t.Fatal(err)
	}
	if a.GetStanding().GetHolder() != township || a.GetStanding().GetClock() != "assessment.done" || a.GetFindings()[0].GetUnit() != township {
		t.Errorf("standing %v, findings %v", a.GetStanding(), a.GetFindings())
	}
	before = proto.CloneOf(a)
	wrong := proto.CloneOf(conclude)
	wrong.Needs[0].Code = "psychology"
	refused(t, rules.Conclude(d, a, by, wrong, "", overdue), reportingv1.Reason_REASON_NEED_UNKNOWN, before, a)
	wrong = proto.CloneOf(conclude)
	wrong.Needs[0].PlaceDivision = "320411999000"
	refused(t, rules.Conclude(d, a, by, wrong, "", overdue), faultv1.Reason_REASON_DIVISION_UNKNOWN, before, a)

	without := proto.CloneOf(a)
	if err := rules.Conclude(d, without, by, &reportingv1.ConcludeAssessmentRequest{Colour: 1, Summary: "x"}, "", overdue); err != nil || without.GetStanding().GetHolder() != "" {
		t.Errorf("without needs: %v, held by %q", err, without.GetStanding().GetHolder())
	}
	if err := rules.Conclude(d, a, by, conclude, reportID, overdue); err != nil || a.GetStanding().GetClock() != "assessment.handover" || a.GetChildId() != reportID {
		t.Errorf("%v: %v", err, a.GetStanding())
	}
	if !rules.HandOver(a, itemID) || rules.HandOver(a, itemID) || a.GetStanding().GetHolder() != "" {
		t.Error("handing over must close once")
	}
}
