package rules_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

const (
	shelter            = "org/1232041171003466XF"
	measure1, measure2 = "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a004", "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a005"
)

// stands checks who holds an item, whom it is offered to, and by which clock.
func stands(t *testing.T, what string, s *custodyv1.Standing, holder, offeredTo, clock string) {
	t.Helper()
	if s.GetHolder() != holder || s.GetOfferedTo() != offeredTo || s.GetClock() != clock {
		t.Fatalf("%s: held by %q, offered to %q, under %q; want %q, %q, %q", what, s.GetHolder(), s.GetOfferedTo(), s.GetClock(), holder, offeredTo, clock)
	}
}

// A child seen a minute ago may be searched for; silence about a search goes up, and whoever searched takes it back by reporting.
func TestASearchStartsAtOnceAndEndsWithAnOutcomeOnly(t *testing.T) {
	t.Parallel()
	d, r, by := xinbei(t), respondingTo(t, "MISSING"), rules.Actor{Unit: station}
	start := &reportingv1.StartSearchRequest{LastSeenTime: timestamppb.New(noon.Add(-time.Minute)), LastSeenPlace: "校门", Text: "红色书包"}
	before := proto.CloneOf(r)
	_, err := rules.StartSearch(d, r, rules.Actor{Unit: other}, start, measure1, itemID, noon)
	refused(t, err, faultv1.Reason_REASON_STATE_FORBIDS, before, r)
	future := proto.CloneOf(start)
	future.LastSeenTime = timestamppb.New(noon.Add(time.Second))
	_, err = rules.StartSearch(d, r, by, future, measure1, itemID, noon)
	refused(t, err, reportingv1.Reason_REASON_TIME_IN_FUTURE, before, r)
	refused(t, rules.RecordMeasure(d, r, by, measure("START_MISSING_SEARCH"), measure1, noon), reportingv1.Reason_REASON_MEASURE_OPENS_ITEM, before, r)
	s, err := rules.StartSearch(d, r, by, start, measure1, itemID, noon)
	if err != nil {
		t.Fatal(err)
	}
	if missing := closes(t, d, r); missing != nil {
		t.Errorf("the search is started and the response still misses %v", missing)
	}
	if !s.GetStanding().GetDeadline().AsTime().Equal(noon.Add(24*time.Hour)) || s.GetReportId() != reportID {
		t.Errorf("search %v", s)
	}
	for _, up := range []struct{ holder, offeredTo, clock string }{
		{rules.Bureau, station, "missing.search"}, {lead, rules.Bureau, "lead.resolve"}, {lead, rules.Bureau, "overdue.review"},
	} {
		if err := rules.ExpireSearch(d, s, s.GetStanding().GetDeadline().AsTime()); err != nil {
			t.Fatal(err)
		}
		stands(t, "silence", s.GetStanding(), up.holder, up.offeredTo, up.clock)
	}
	later := noon.Add(72 * time.Hour)
	written(s.GetStanding(), later)
	found := &reportingv1.EndSearchRequest{Outcome: reportingv1.Search_OUTCOME_FOUND_SAFE, FoundTime: timestamppb.New(later), Text: "外婆家"}
	was := proto.CloneOf(s)
	refused(t, rules.RecordSearch(d, s, rules.Actor{Unit: other}, "x", later), faultv1.Reason_REASON_STATE_FORBIDS, was, s)
	for name, wrong := range map[string]func(*reportingv1.EndSearchRequest){
		"found at no time":        func(r *reportingv1.EndSearchRequest) { r.FoundTime = nil },
		"never missing but found": func(r *reportingv1.EndSearchRequest) { r.Outcome = reportingv1.Search_OUTCOME_NOT_MISSING },
		"found before last seen":  func(r *reportingv1.EndSearchRequest) { r.FoundTime = timestamppb.New(noon.Add(-time.Hour)) },
	} {
		req := proto.CloneOf(found)
		wrong(req)
		if err := rules.EndSearch(s, rules.Actor{Unit: rules.Bureau}, req, later); !fault.Is(err, faultv1.Reason_REASON_FIELD_INVALID) || !proto.Equal(was, s) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := rules.RecordSearch(d, s, rules.Actor{Unit: rules.Bureau}, "调取车站监控", later); err != nil {
		t.Fatal(err)
	}
	stands(t, "the bureau reports", s.GetStanding(), rules.Bureau, "", "missing.search")
	if custody.Overdue(s.GetStanding()) {
		t.Error("somebody reports, and the search is still overdue")
	}
	if err := rules.EndSearch(s, rules.Actor{Unit: rules.Bureau}, found, later); err != nil {
		t.Fatal(err)
	}
	if s.GetStanding().GetHolder() != "" || s.GetOutcome() != found.GetOutcome() || len(s.GetSteps()) != 1 || custody.Overdue(s.GetStanding()) {
		t.Errorf("ended: %v", s)
	}
	was = proto.CloneOf(s)
	refused(t, rules.EndSearch(s, rules.Actor{Unit: rules.Bureau}, found, later), faultv1.Reason_REASON_STATE_FORBIDS, was, s)
}

// What civil affairs has not accepted is not done: police keep the child's care until then, and the response stays open.
func TestAPlacementCountsOnceCivilAffairsHasAccepted(t *testing.T) {
	t.Parallel()
	d, r, by, carer := xinbei(t), respondingTo(t, "DOMESTIC_VIOLENCE"), rules.Actor{Unit: station}, rules.Actor{Unit: lead}
	ask := &reportingv1.RequestPlacementRequest{Kind: reportingv1.Placement_KIND_SHELTER, Text: "需夜间照料"}
	before := proto.CloneOf(r)
	otherwise := proto.CloneOf(r)
	if err := rules.RecordMeasure(d, otherwise, by, measure("PLACEMENT_NOT_NEEDED"), measure2, noon); err != nil {
		t.Fatal(err)
	}
	judged := proto.CloneOf(otherwise)
	_, err := rules.RequestPlacement(d, otherwise, by, ask, measure1, itemID, noon)
	refused(t, err, reportingv1.Reason_REASON_MEASURE_EXCLUDED, judged, otherwise)
	wrong := proto.CloneOf(ask)
	wrong.ProvisionalChildId = itemID
	_, err = rules.RequestPlacement(d, r, by, wrong, measure1, itemID, noon)
	refused(t, err, reportingv1.Reason_REASON_CHILD_UNKNOWN, before, r)
	p, err := rules.RequestPlacement(d, r, by, ask, measure1, itemID, noon)
	if err != nil {
		t.Fatal(err)
	}
	stands(t, "asked", p.GetStanding(), station, lead, "placement.accept")
	if missing := closes(t, d, r); !slices.Contains(missing, "DOMESTIC_VIOLENCE.2") {
		t.Errorf("asking already counts: %v", missing)
	}
	before = proto.CloneOf(r)
	refused(t, rules.RecordMeasure(d, r, by, measure("PLACEMENT_NOT_NEEDED"), measure2, noon), reportingv1.Reason_REASON_MEASURE_EXCLUDED, before, r)
	refused(t, rules.StrikeMeasure(r, by, measure1, "x", noon), reportingv1.Reason_REASON_MEASURE_NOT_FOUND, before, r)
	refused(t, rules.AcceptPlacement(d, p, r, by, shelter, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, r)
	refused(t, rules.AcceptPlacement(d, p, r, carer, "org/nobody", noon), reportingv1.Reason_REASON_UNIT_INVALID, before, r)

	declined, back := proto.CloneOf(p), proto.CloneOf(r)
	if err := rules.DeclinePlacement(d, declined, back, carer, "亲属愿意照料", noon); err != nil {
		t.Fatal(err)
	}
	if m := back.GetMeasures()[0]; m.GetStrikeTime() == nil || m.GetText() != "需夜间照料" || declined.GetStanding().GetHolder() != lead {
		t.Errorf("declined: %v, %v", m, declined.GetStanding())
	}
	if err := rules.RecordMeasure(d, back, by, measure("PLACEMENT_NOT_NEEDED"), measure2, noon); err != nil {
		t.Errorf("after a refusal another way is open: %v", err)
	}

	late := p.GetStanding().GetDeadline().AsTime()
	if err := rules.ExpirePlacement(d, p, late); err != nil {
		t.Fatal(err)
	}
	stands(t, "silent", p.GetStanding(), lead, "", "lead.resolve")
	if err := rules.AcceptPlacement(d, p, r, carer, shelter, late); err != nil {
		t.Fatal(err)
	}
	stands(t, "accepted", p.GetStanding(), lead, "", "tempguardian.review")
	if missing := closes(t, d, r); slices.Contains(missing, "DOMESTIC_VIOLENCE.2") || r.GetMeasures()[0].GetPlacementUnit() != shelter {
		t.Errorf("accepted, and %v is missing: %v", missing, r.GetMeasures())
	}
	review := p.GetStanding().GetDeadline().AsTime()
	if err := rules.ExpirePlacement(d, p, review); err != nil || !custody.Overdue(p.GetStanding()) || p.GetState() != reportingv1.Placement_STATE_PLACED {
		t.Errorf("a year on: %v, %v", err, p)
	}
	if err := rules.EndPlacement(p, carer, reportingv1.Placement_END_RETURNED, "评估后送回", review); err != nil || p.GetStanding().GetHolder() != "" {
		t.Errorf("ended: %v, %v", err, p.GetStanding())
	}
	was := proto.CloneOf(p)
	refused(t, rules.EndPlacement(p, carer, reportingv1.Placement_END_RETURNED, "x", review), faultv1.Reason_REASON_STATE_FORBIDS, was, p)
	refused(t, rules.DeclinePlacement(d, p, r, carer, "x", review), faultv1.Reason_REASON_STATE_FORBIDS, was, p)
}

// The clocks of policy R3.6 run from the acceptance of the report, whenever the review is opened or extended.
func TestAFilingReviewHasTheTimeItsKindAndGroundGive(t *testing.T) {
	t.Parallel()
	d, by := xinbei(t), rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	opened := noon.Add(5 * time.Hour)
	for name, tc := range map[string]struct {
		kind     reportingv1.Filing_Kind
		ground   reportingv1.Filing_Ground
		superior string
		clock    string
		due      string // Asia/Shanghai
	}{
		"administrative":           {reportingv1.Filing_KIND_ADMINISTRATIVE, 0, "", "police.review.admin", "2026-03-06 12:00"},
		"administrative, complex":  {reportingv1.Filing_KIND_ADMINISTRATIVE, reportingv1.Filing_GROUND_COMPLEX, "", "police.review.admin.complex", "2026-03-09 00:00"},
		"criminal":                 {reportingv1.Filing_KIND_CRIMINAL, 0, "", "police.review.criminal", "2026-03-09 00:00"},
		"criminal, clues to check": {reportingv1.Filing_KIND_CRIMINAL, reportingv1.Filing_GROUND_CLUES, "", "police.review.criminal.clues", "2026-03-13 00:00"},
		"criminal, approved":       {reportingv1.Filing_KIND_CRIMINAL, reportingv1.Filing_GROUND_APPROVED, "police-3", "police.review.criminal.approved", "2026-04-05 00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := rules.OpenFiling(d, responding(t), by, tc.kind, itemID)
			if err != nil {
				t.Fatal(err)
			}
			if tc.ground != 0 {
				if err := rules.ExtendFiling(d, f, by, &reportingv1.ExtendFilingRequest{Ground: tc.ground, Text: "x", Superior: tc.superior}, opened); err != nil {
					t.Fatal(err)
				}
			}
			stands(t, name, f.GetStanding(), station, "", tc.clock)
			if got := f.GetStanding().GetDeadline().AsTime().In(time.FixedZone("", 8*3600)).Format("2006-01-02 15:04"); got != tc.due {
				t.Errorf("due %s, want %s", got, tc.due)
			}
		})
	}
}

func TestAFilingIsDecidedOnceAndTheReporterIsAnswered(t *testing.T) {
	t.Parallel()
	d, by := xinbei(t), rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	if _, err := rules.OpenFiling(d, newReport(t), by, reportingv1.Filing_KIND_CRIMINAL, itemID); !fault.Is(err, faultv1.Reason_REASON_STATE_FORBIDS) {
		t.Errorf("before the report is accepted: %v", err)
	}
	f, err := rules.OpenFiling(d, responding(t), by, reportingv1.Filing_KIND_CRIMINAL, itemID)
	if err != nil {
		t.Fatal(err)
	}
	before := proto.CloneOf(f)
	extend := func(by rules.Actor, ground reportingv1.Filing_Ground, superior string) error {
		return rules.ExtendFiling(d, f, by, &reportingv1.ExtendFilingRequest{Ground: ground, Text: "x", Superior: superior}, noon)
	}
	refused(t, extend(by, reportingv1.Filing_GROUND_COMPLEX, ""), reportingv1.Reason_REASON_GROUND_INVALID, before, f)
	refused(t, extend(rules.Actor{Unit: station}, reportingv1.Filing_GROUND_CLUES, ""), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, f)
	refused(t, extend(by, reportingv1.Filing_GROUND_APPROVED, "police-320411101000-2"), reportingv1.Reason_REASON_SUPERIOR_REQUIRED, before, f)
	refused(t, extend(by, reportingv1.Filing_GROUND_CLUES, "police-3"), faultv1.Reason_REASON_FIELD_INVALID, before, f)
	refused(t, extend(rules.Actor{Unit: other, Officer: "x"}, reportingv1.Filing_GROUND_CLUES, ""), faultv1.Reason_REASON_STATE_FORBIDS, before, f)
	refused(t, rules.GiveFeedback(f, by, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, f)
	correct := &reportingv1.CorrectFilingRequest{Reasons: "证据充分", Text: "笔误"}
	refused(t, rules.CorrectFiling(f, by, correct, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, f)

	silent := proto.CloneOf(f)
	for _, up := range []struct{ holder, offeredTo string }{{rules.Bureau, station}, {lead, rules.Bureau}} {
		if err := rules.ExpireFiling(d, silent, silent.GetStanding().GetDeadline().AsTime()); err != nil || silent.GetStanding().GetHolder() != up.holder || silent.GetStanding().GetOfferedTo() != up.offeredTo {
			t.Fatalf("silence: %v, %v", err, silent.GetStanding())
		}
	}
	if err := rules.ExpireFiling(d, f, noon); !errors.Is(err, custody.ErrNotDue) {
		t.Errorf("before the deadline: %v", err)
	}
	decide := &reportingv1.DecideFilingRequest{Decision: reportingv1.Filing_DECISION_NOT_FILED, Reasons: "无犯罪事实"}
	refused(t, rules.DecideFiling(d, f, rules.Actor{Unit: station}, decide, noon), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, f)
	if err := rules.DecideFiling(d, f, by, decide, noon); err != nil {
		t.Fatal(err)
	}
	stands(t, "decided", f.GetStanding(), station, "", "report.feedback")
	if told := rules.Feedback([]*reportingv1.Filing{f}); told != nil {
		t.Errorf("the reporter is told before the police say so: %v", told)
	}
	before = proto.CloneOf(f)
	refused(t, rules.DecideFiling(d, f, by, decide, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, f)
	if err := rules.GiveFeedback(f, by, noon); err != nil || f.GetStanding().GetHolder() != "" {
		t.Fatalf("%v, %v", err, f.GetStanding())
	}
	if told := rules.Feedback([]*reportingv1.Filing{f}); len(told) != 1 || told[0].GetDecision() != reportingv1.Filing_DECISION_NOT_FILED {
		t.Errorf("the reporter is told %v", told)
	}
	before = proto.CloneOf(f)
	refused(t, rules.CorrectFiling(f, by, &reportingv1.CorrectFilingRequest{Reasons: "无犯罪事实", Text: "x"}, noon), reportingv1.Reason_REASON_NOTHING_CORRECTED, before, f)
	refused(t, rules.CorrectFiling(f, by, &reportingv1.CorrectFilingRequest{CaseNumber: "A1", Text: "x"}, noon), faultv1.Reason_REASON_FIELD_INVALID, before, f)
	if err := rules.CorrectFiling(f, by, correct, noon); err != nil {
		t.Fatal(err)
	}
	if c := f.GetCorrections(); f.GetReasons() != "证据充分" || len(c) != 1 || c[0].GetEarlier() != "无犯罪事实" || c[0].GetField() != "reasons" || c[0].GetOfficer() != by.Officer {
		t.Errorf("corrected to %q, kept %v", f.GetReasons(), c)
	}
}
