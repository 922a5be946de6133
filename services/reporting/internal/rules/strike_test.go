package rules_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// A situation struck out stays readable with who did it and why; what closing demands follows those that stand, and it can be added again.
func TestASituationStruckOutDemandsNothing(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), respondingTo(t, "LIVING_ALONE")
	before := proto.CloneOf(r)
	refused(t, rules.StrikeSituation(r, policeman, "LIVING_ALONE", "x", noon), reportingv1.Reason_REASON_SITUATION_REQUIRED, before, r)
	if err := rules.AddSituation(d, r, policeman, "DOMESTIC_VIOLENCE", "邻居反映", noon); err != nil {
		t.Fatal(err)
	}
	if missing := closes(t, d, r); !slices.Contains(missing, "DOMESTIC_VIOLENCE.1") {
		t.Fatalf("missing %v", missing)
	}
	before = proto.CloneOf(r)
	refused(t, rules.StrikeSituation(r, policeman, "MISSING", "x", noon), reportingv1.Reason_REASON_SITUATION_ABSENT, before, r)
	refused(t, rules.StrikeSituation(r, rules.Actor{Unit: station}, "DOMESTIC_VIOLENCE", "x", noon), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, r)
	refused(t, rules.StrikeSituation(r, rules.Actor{Unit: other, Officer: "x"}, "DOMESTIC_VIOLENCE", "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, r)
	standing := proto.CloneOf(r.GetStanding())
	if err := rules.StrikeSituation(r, policeman, "DOMESTIC_VIOLENCE", "核实为争吵", noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if missing := closes(t, d, r); !slices.Equal(missing, []string{"LIVING_ALONE.1", "LIVING_ALONE.2"}) || !proto.Equal(standing, r.GetStanding()) {
		t.Errorf("missing %v under %v", missing, r.GetStanding())
	}
	if s := r.GetStruckSituations(); len(s) != 1 || s[0].GetSituation() != "DOMESTIC_VIOLENCE" || s[0].GetText() != "核实为争吵" || s[0].GetOfficer() != policeman.Officer || s[0].GetUnit() != station {
		t.Errorf("struck out as %v", s)
	}
	if err := rules.AddSituation(d, r, policeman, "DOMESTIC_VIOLENCE", "再次核实", noon); err != nil || len(r.GetStruckSituations()) != 1 {
		t.Errorf("added again: %v, %v", err, r.GetStruckSituations())
	}
	r.State = reportingv1.Report_STATE_RESPONSE_CLOSED
	before = proto.CloneOf(r)
	refused(t, rules.StrikeSituation(r, policeman, "DOMESTIC_VIOLENCE", "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, r)
}

// A finding struck out stays readable and carries no conclusion.
func TestAFindingStruckOutCarriesNoConclusion(t *testing.T) {
	t.Parallel()
	d, by := xinbei(t), rules.Actor{Unit: township, Officer: "township-320411101000-1"}
	a := &reportingv1.Assessment{Township: township, State: reportingv1.Assessment_STATE_OPEN, Standing: newReport(t).GetStanding()}
	finding := []*reportingv1.Finding{{Dimension: reportingv1.Dimension_DIMENSION_SAFETY, Text: "填错儿童", StrikeText: "forged", Id: "forged"}}
	if err := rules.RecordAssessment(d, a, by, finding, ids, noon); err != nil {
		t.Fatal(err)
	}
	id := a.GetFindings()[0].GetId()
	if id != ids("finding.0") || a.GetFindings()[0].GetStrikeText() != "" {
		t.Fatalf("recorded as %v", a.GetFindings()[0])
	}
	before := proto.CloneOf(a)
	refused(t, rules.StrikeFinding(d, a, by, itemID, "x", noon), reportingv1.Reason_REASON_FINDING_NOT_FOUND, before, a)
	refused(t, rules.StrikeFinding(d, a, rules.Actor{Unit: township}, id, "x", noon), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, a)
	refused(t, rules.StrikeFinding(d, a, rules.Actor{Unit: lead, Officer: "x"}, id, "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, a)
	if err := rules.StrikeFinding(d, a, by, id, "误录", noon); err != nil {
		t.Fatal(err)
	}
	if f := a.GetFindings()[0]; f.GetText() != "填错儿童" || f.GetStrikeText() != "误录" || f.GetStrikeOfficer() != by.Officer || f.GetStrikeUnit() != township {
		t.Errorf("struck out as %v", f)
	}
	before = proto.CloneOf(a)
	refused(t, rules.StrikeFinding(d, a, by, id, "x", noon), reportingv1.Reason_REASON_FINDING_NOT_FOUND, before, a)
	refused(t, rules.Conclude(d, a, by, &reportingv1.ConcludeAssessmentRequest{Summary: "x"}, "", noon), reportingv1.Reason_REASON_FINDING_REQUIRED, before, a)
}
