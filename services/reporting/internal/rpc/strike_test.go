package rpc_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) strikeSituation(ctx context.Context, unit, report, situation string) error {
	_, err := h.matter(unit).StrikeSituation(ctx, &reportingv1.StrikeSituationRequest{RequestId: id(), ReportId: report, Situation: situation, Text: "核实有误"})
	return err
}

func (h *house) strikeFinding(ctx context.Context, unit, assessment, finding string) error {
	_, err := h.matter(unit).StrikeFinding(ctx, &reportingv1.StrikeFindingRequest{RequestId: id(), AssessmentId: assessment, FindingId: finding, Text: "误录"})
	return err
}

// What police and township struck out is read back with the reason, and no longer counts.
func TestStruckOutStaysReadable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	must(t, func() error {
		_, err := h.do(station).AddSituation(h.officer(), &reportingv1.AddSituationRequest{RequestId: id(), ReportId: report, Situation: "DOMESTIC_VIOLENCE", Text: "邻居反映"})
		return err
	})
	must(t, func() error { return h.strikeSituation(h.officer(), station, report, "DOMESTIC_VIOLENCE") })
	if got := h.whole(report); len(got.GetReport().GetSituations()) != 1 || got.GetReport().GetStruckSituations()[0].GetOfficer() != officer || len(got.GetGroups()) != 2 {
		t.Errorf("read %v", got)
	}
	assessment := h.carried(report, "").GetAssessmentId()
	record := &reportingv1.RecordAssessmentRequest{RequestId: id(), AssessmentId: assessment, Findings: []*reportingv1.Finding{
		{Dimension: reportingv1.Dimension_DIMENSION_SAFETY, Risk: personv1.RiskColour_RISK_COLOUR_RED, Text: "误录"},
		{Dimension: reportingv1.Dimension_DIMENSION_GUARDIANSHIP, Risk: personv1.RiskColour_RISK_COLOUR_BLUE, Text: "祖父照料"},
	}}
	recorded, err := h.do(township).RecordAssessment(h.assessing(), record)
	if err != nil || len(recorded.GetFindingIds()) != 2 {
		t.Fatalf("%v, %v", recorded, err)
	}
	must(t, func() error { return h.strikeFinding(h.assessing(), township, assessment, recorded.GetFindingIds()[0]) })
	got, err := h.read(township).GetAssessment(h.assessing(), &reportingv1.GetAssessmentRequest{AssessmentId: assessment})
	if err != nil || len(got.GetAssessment().GetFindings()) != 2 || got.GetAssessment().GetFindings()[0].GetStrikeText() != "误录" || got.GetAssessment().GetFindings()[1].GetStrikeTime() != nil {
		t.Errorf("read %v, %v", got, err)
	}
	h.wantPromises()
}

func TestBadStrikesChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report, assessment := h.accepted(), h.assessment()
	before := h.tally()
	for _, tc := range []trial{
		{"the only situation", func(*house, context.Context) error {
			return h.strikeSituation(h.officer(), station, report, "LIVING_ALONE")
		}, "SITUATION_REQUIRED", ""},
		{"one it does not have", func(*house, context.Context) error { return h.strikeSituation(h.officer(), station, report, "MISSING") }, "SITUATION_ABSENT", "situation"},
		{"without a name", func(*house, context.Context) error { return h.strikeSituation(h.officer(), station, report, "") }, "FIELD_INVALID", "situation"},
		{"by a system", func(*house, context.Context) error {
			return h.strikeSituation(t.Context(), station, report, "LIVING_ALONE")
		}, "OFFICER_REQUIRED", ""},
		{"by another station", func(*house, context.Context) error {
			return h.strikeSituation(t.Context(), other, report, "LIVING_ALONE")
		}, "NOT_FOUND", ""},
		{"by the procuratorate", func(*house, context.Context) error {
			return h.strikeSituation(h.prosecutor(), procuratorate, report, "LIVING_ALONE")
		}, "METHOD_NOT_ALLOWED", ""},
		{"a finding nobody recorded", func(*house, context.Context) error { return h.strikeFinding(h.assessing(), township, assessment, id()) }, "FINDING_NOT_FOUND", "finding_id"},
		{"a finding of another township", func(*house, context.Context) error { return h.strikeFinding(t.Context(), farTown, assessment, id()) }, "NOT_FOUND", ""},
		{"a finding struck out by police", func(*house, context.Context) error { return h.strikeFinding(h.officer(), station, assessment, id()) }, "METHOD_NOT_ALLOWED", ""},
	} {
		r := refusalOf(t, tc.call(h, t.Context()))
		if r.reason != tc.reason || r.zh == "" || tc.field != "" && r.metadata["field"] != tc.field {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
}
