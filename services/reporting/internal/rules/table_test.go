package rules_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// table is the emergency response as policy R1.4 has it, written down a second time: for each situation the groups, each with the sets of
// measures that meet it. What stands in measures.yaml must say the same.
var table = map[string][][][]string{
	"LIVING_ALONE":       {{{"ORDER_PARENTS_RETURN"}, {"DESIGNATE_ENTRUSTED_CARER"}}, {{"ADMONISH_PARENTS"}}},
	"GUARDIAN_FAILURE":   {{{"CONTACT_PARENTS_RETURN"}, {"ENTRUST_OTHER_RELATIVE"}}},
	"MISSING":            {{{"START_MISSING_SEARCH"}}},
	"PARENT_UNREACHABLE": {{{"ESCORT_TO_RELATIVE"}, {"ESCORT_TO_COMMITTEE"}, {"ESCORT_TO_SHELTER"}, {"ESCORT_TO_WELFARE"}}, {{"HELP_NOTIFY_PARENTS"}, {"REDESIGNATE_CARER"}}, {{"KEEP_SEEKING_PARENTS", "TELL_TEMPORARY_CARER"}}},
	"DOMESTIC_VIOLENCE":  {{{"STOP_VIOLENCE"}}, {{"NOTIFY_AND_PLACE"}, {"PLACEMENT_NOT_NEEDED"}}, {{"COLLECT_EVIDENCE", "HELP_MEDICAL", "IDENTIFY_INJURY"}}},
	"INJURY_OR_HARM":     {{{"STOP_HARM", "PROTECT_CHILD"}}, {{"COLLECT_EVIDENCE", "HELP_MEDICAL", "IDENTIFY_INJURY"}}},
	"OTHER_HARM":         {{{"STOP_HARM", "PROTECT_CHILD"}}, {{"COLLECT_EVIDENCE", "HELP_MEDICAL", "IDENTIFY_INJURY"}}},
}

// respondingTo is an accepted report of these situations.
func respondingTo(t testing.TB, situations ...string) *reportingv1.Report {
	t.Helper()
	r := responding(t)
	r.Situations = situations
	return r
}

// take records a measure by whatever verb does: a search by starting one, a placement by asking for it and being answered.
func take(t testing.TB, d *district.District, r *reportingv1.Report, code string) error {
	t.Helper()
	by := rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	switch code {
	case "START_MISSING_SEARCH":
		_, err := rules.StartSearch(d, r, by, &reportingv1.StartSearchRequest{LastSeenTime: timestamppb.New(noon), LastSeenPlace: "校门", Text: "x"}, code, itemID, noon)
		return err
	case "NOTIFY_AND_PLACE":
		p, err := rules.RequestPlacement(d, r, by, &reportingv1.RequestPlacementRequest{Kind: reportingv1.Placement_KIND_SHELTER, Text: "x"}, code, itemID, noon)
		if err != nil {
			return err
		}
		return rules.AcceptPlacement(d, p, r, rules.Actor{Unit: lead}, shelter, noon)
	}
	return rules.RecordMeasure(d, r, by, measure(code), code, noon)
}

// closes tries to close and answers the groups that are missing.
func closes(t testing.TB, d *district.District, r *reportingv1.Report) (missing []string) {
	t.Helper()
	state := r.GetState()
	err := rules.CloseResponse(d, r, rules.Actor{Unit: station}, "", noon)
	var refusal *fault.Error
	switch {
	case err == nil:
		r.State = state
		return nil
	case fault.Is(err, reportingv1.Reason_REASON_RESPONSE_INCOMPLETE) && asFault(err, &refusal):
		return strings.Split(refusal.Metadata()["missing"], ",")
	}
	t.Fatalf("closing answered %v", err)
	return nil
}

// Every situation of R1.4: nothing done closes nothing and names every group; each way through the groups closes; each measure left out of a way
// keeps its group open and names just that one.
func TestEverySituationAsksForItsMeasuresAndForNoOthers(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	for situation, groups := range table {
		t.Run(situation, func(t *testing.T) {
			t.Parallel()
			if got := len(closes(t, d, respondingTo(t, situation))); got != len(groups) {
				t.Errorf("with nothing done %d groups are missing, want %d", got, len(groups))
			}
			for _, way := range ways(groups) {
				whole := respondingTo(t, situation)
				for _, code := range way {
					if err := take(t, d, whole, code); err != nil {
						t.Fatalf("%s: %v", code, err)
					}
				}
				if missing := closes(t, d, whole); missing != nil {
					t.Errorf("%v leaves %v missing", way, missing)
				}
				for i, left := range way {
					part := respondingTo(t, situation)
					for _, code := range slices.Delete(slices.Clone(way), i, i+1) {
						if err := take(t, d, part, code); err != nil {
							t.Fatalf("%s: %v", code, err)
						}
					}
					if missing := closes(t, d, part); len(missing) != 1 {
						t.Errorf("without %s of %v: %v is missing, want one group", left, way, missing)
					}
				}
			}
		})
	}
}

// ways lists every choice of one alternative in each group, as measures.
func ways(groups [][][]string) [][]string {
	out := [][]string{nil}
	for _, group := range groups {
		var longer [][]string
		for _, before := range out {
			for _, alternative := range group {
				longer = append(longer, slices.Concat(before, alternative))
			}
		}
		out = longer
	}
	return out
}

// Every situation that can be reported or found leads to a row written down here.
func TestTheTableCoversEverySituationOfTheDistrict(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	for _, s := range d.Situations() {
		for _, response := range s.Response {
			if table[response] == nil {
				t.Errorf("situation %s calls for %s, which the table does not have", s.Code, response)
			}
		}
	}
	for _, r := range d.Responses() {
		if r.Source != "R1.4" || r.Status == district.StatusLaw {
			t.Errorf("%s claims %s %s; the table was read in secondary copies", r.Code, r.Source, r.Status)
		}
	}
}

// Whatever is recorded, asked for, answered, struck out and found in whatever order: the response closes exactly when each group of each
// situation is fulfilled by what stands, worked out here from the table above and a plain list of what stands.
func TestAResponseClosesExactlyWhenEveryGroupIsFulfilled(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	// called lists the measures of the report's groups: others change nothing, and would only make the draws that matter rare.
	called := func(r *reportingv1.Report) (codes []string) {
		for _, g := range d.Measures(r.GetSituations()...) {
			codes = append(codes, g.Measures...)
		}
		return codes
	}
	situations := []string{"LIVING_ALONE", "GUARDIAN_FAILURE", "MISSING", "DOMESTIC_VIOLENCE", "OTHER_HARM", "PARENT_UNREACHABLE"}
	by := rules.Actor{Unit: station}
	rapid.Check(t, func(rt *rapid.T) {
		r := respondingTo(t, rapid.SampledFrom(situations).Draw(rt, "reported"))
		stands := map[string]bool{} // by measure
		var waits *reportingv1.Placement
		n := 0
		for _, code := range called(r) { // begin close to the end, where it matters
			if code != "NOTIFY_AND_PLACE" && rapid.IntRange(0, 3).Draw(rt, "done") > 0 && take(t, d, r, code) == nil {
				stands[code] = true
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"find": func(rt *rapid.T) {
				if len(r.GetSituations()) > 1 {
					return // enough
				}
				_ = rules.AddSituation(d, r, by, rapid.SampledFrom(situations).Draw(rt, "found"), "x", noon)
			},
			"take": func(rt *rapid.T) {
				code := rapid.SampledFrom(called(r)).Draw(rt, "code")
				if code == "NOTIFY_AND_PLACE" || stands[code] {
					return // asked for elsewhere, or there
				}
				if take(t, d, r, code) == nil {
					stands[code] = true
				}
			},
			"ask": func(rt *rapid.T) {
				if waits != nil || stands["NOTIFY_AND_PLACE"] {
					return // asked
				}
				n++
				if p, err := rules.RequestPlacement(d, r, by, &reportingv1.RequestPlacementRequest{Kind: 1, Text: "x"}, itemID+string(rune('a'+n%26)), itemID, noon); err == nil {
					waits = p
				}
			},
			"answer": func(rt *rapid.T) {
				if waits == nil {
					return // nothing asked
				}
				if rapid.Bool().Draw(rt, "accepts") {
					if err := rules.AcceptPlacement(d, waits, r, rules.Actor{Unit: lead}, shelter, noon); err != nil {
						rt.Fatal(err)
					}
					stands["NOTIFY_AND_PLACE"] = true
				} else if err := rules.DeclinePlacement(d, waits, r, rules.Actor{Unit: lead}, "x", noon); err != nil {
					rt.Fatal(err)
				}
				waits = nil
			},
			"strike": func(rt *rapid.T) {
				code := rapid.SampledFrom(called(r)).Draw(rt, "code")
				for _, m := range r.GetMeasures() {
					if m.GetCode() == code && rules.StrikeMeasure(r, by, m.GetId(), "x", noon) == nil {
						delete(stands, code)
					}
				}
			},
			"": func(rt *rapid.T) {
				fulfilled := true
				for _, situation := range r.GetSituations() {
					for _, group := range table[situation] {
						met := 0
						for _, alternative := range group {
							if !slices.ContainsFunc(alternative, func(code string) bool { return !stands[code] }) {
								met++
							}
						}
						fulfilled = fulfilled && met == 1
					}
				}
				if missing := closes(t, d, r); (missing == nil) != fulfilled {
					rt.Fatalf("%v with %v: missing %v", r.GetSituations(), stands, missing)
				}
			},
		})
	})
}
