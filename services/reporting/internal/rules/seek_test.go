package rules_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// An accepted report has a search for each child, or for somebody nobody can name, exactly when its situations call for one; asked again it begins
// nothing, and one that runs already is joined instead.
func TestAnAcceptedReportSeeksWhomItMisses(t *testing.T) {
	t.Parallel()
	d, by := xinbei(t), rules.Actor{Unit: station}
	rapid.Check(t, func(rt *rapid.T) {
		named := rapid.IntRange(0, 3).Draw(rt, "children")
		situations := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"LIVING_ALONE", "MISSING", "UNKNOWN_ORIGIN_MISSING_TRAFFICKED", "DOMESTIC_VIOLENCE"}), 1, 3, rapid.ID[string]).Draw(rt, "situations")
		misses := slices.Contains(situations, "MISSING") || slices.Contains(situations, "UNKNOWN_ORIGIN_MISSING_TRAFFICKED")
		r := newReport(t, func(req *reportingv1.SubmitReportRequest) {
			nameChildren(req, named)
			req.Situations = situations
		})
		var running []*reportingv1.Search
		if rapid.Bool().Draw(rt, "running") {
			running = []*reportingv1.Search{{Standing: &custodyv1.Standing{Id: itemID}, State: reportingv1.Search_STATE_SEARCHING}}
		}
		if begun, joined := rules.Seek(d, r, running, by, ids, noon); begun != nil || joined != nil {
			rt.Fatal("sought before the report was accepted")
		}
		if err := rules.Accept(d, r, by, noon); err != nil {
			rt.Fatal(err)
		}
		begun, joined := rules.Seek(d, r, running, by, ids, noon)
		want := max(named, 1)
		if !misses || running != nil {
			want = 0
		}
		if len(begun) != want || (joined != nil) != (misses && running != nil) {
			rt.Fatalf("%v with %d children: %d begun, joined %v", situations, named, len(begun), joined)
		}
		var sought []string
		for i, s := range begun {
			stands(t, "search", s.GetStanding(), station, "", "missing.search")
			sought = append(sought, s.GetProvisionalChildId())
			if m := r.GetMeasures()[i]; m.GetItemId() != s.GetStanding().GetId() || m.GetCode() != "START_MISSING_SEARCH" || s.GetReportId() != reportID {
				rt.Fatalf("%v recorded as %v", s, m)
			}
		}
		if slices.Sort(sought); len(slices.Compact(sought)) != want {
			rt.Fatalf("%d children, sought %v", named, sought)
		}
		if joined != nil && (named == 1) != (joined.GetProvisionalChildId() == childID) {
			rt.Fatalf("joined for %q", joined.GetProvisionalChildId())
		}
		if again, twice := rules.Seek(d, r, running, by, ids, noon); again != nil || twice != nil {
			rt.Fatal("sought twice")
		}
	})
}

func openIncident(t *testing.T, content *reportingv1.IncidentContent) *reportingv1.Incident {
	t.Helper()
	i := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
	u := rules.Update{
		Source: "police:dispatch", Epoch: 1, Content: content, Received: noon,
		Envelope: &reportingv1.IncidentUpdate{Sequence: 1, IncidentNumber: "J1", IncidentVersion: 1, SourceTime: timestamppb.New(noon)},
	}
	if rules.Fold(xinbei(t), i, []rules.Update{u}, openReports, noon) == "" {
		t.Fatal("nothing was folded")
	}
	i.CreateTime = timestamppb.New(noon)
	return i
}

func TestAnIncidentTellsOfAMissingChild(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	for name, tc := range map[string]struct {
		content *reportingv1.IncidentContent
		missing bool
	}{
		"by a situation":    {&reportingv1.IncidentContent{Division: village, Situations: []string{"MISSING"}}, true},
		"by the own code":   {&reportingv1.IncidentContent{Division: village, Codes: []string{"3101"}}, true},
		"another emergency": {&reportingv1.IncidentContent{Division: village, Situations: []string{"LIVING_ALONE"}, Codes: []string{"3201"}}, false},
		"an unknown code":   {&reportingv1.IncidentContent{Division: village, Codes: []string{"child.lost"}}, false},
		"over already":      {&reportingv1.IncidentContent{Division: village, Situations: []string{"MISSING"}, Status: reportingv1.IncidentContent_STATUS_CLOSED}, false},
	} {
		if i := openIncident(t, tc.content); rules.Missing(d, i) != tc.missing {
			t.Errorf("%s: %v", name, !tc.missing)
		}
	}
	i := openIncident(t, &reportingv1.IncidentContent{Situations: []string{"MISSING"}, Place: "客运站"})
	s := rules.SeekFor(d, i, measure1, noon)
	stands(t, "a search nobody knows where", s.GetStanding(), rules.Bureau, "", "missing.search")
	if s.GetReportId() != "" || s.GetIncidentNumber() != "J1" || s.GetLastSeenPlace() != "客运站" || rules.Follow(s, i) {
		t.Errorf("began as %v", s)
	}
}

// A report raised from an incident is accepted, held by whoever raised it, linked, and its search goes on under the clock it had.
func TestAReportIsRaisedFromAnIncident(t *testing.T) {
	t.Parallel()
	d, by := xinbei(t), rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	i := openIncident(t, &reportingv1.IncidentContent{Division: village, Situations: []string{"MISSING"}, Place: "河边"})
	s := rules.SeekFor(d, i, itemID, noon)
	due := s.GetStanding().GetDeadline().AsTime()
	req := &reportingv1.RaiseReportRequest{Situations: []string{"MISSING", "PARENT_UNREACHABLE"}, Narrative: "邻居报警，父母失联", Children: []*reportingv1.ChildDescription{someChild()}}
	later := noon.Add(2 * time.Hour)
	before := proto.CloneOf(i)
	raise := func(by rules.Actor, change func(*reportingv1.RaiseReportRequest)) error {
		asked := proto.CloneOf(req)
		change(asked)
		_, _, err := rules.RaiseReport(d, i, by, asked, ids, later)
		return err
	}
	keep := func(*reportingv1.RaiseReportRequest) {}
	for name, tc := range map[string]struct {
		err    error
		reason fault.Reason
	}{
		"another station":     {raise(rules.Actor{Unit: other}, keep), faultv1.Reason_REASON_STATE_FORBIDS},
		"a situation unknown": {raise(by, func(r *reportingv1.RaiseReportRequest) { r.Situations = []string{"X"} }), reportingv1.Reason_REASON_SITUATION_UNKNOWN},
		"happens tomorrow":    {raise(by, func(r *reportingv1.RaiseReportRequest) { r.OccurTime = timestamppb.New(later.Add(time.Hour)) }), reportingv1.Reason_REASON_TIME_IN_FUTURE},
		"nowhere":             {raise(by, func(r *reportingv1.RaiseReportRequest) { r.ResidenceDivision = "320411999000" }), faultv1.Reason_REASON_DIVISION_UNKNOWN},
		"a wrong number":      {raise(by, func(r *reportingv1.RaiseReportRequest) { r.Children[0].Person.IdNumber = "1" }), reportingv1.Reason_REASON_ID_NUMBER_INVALID},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tc.err, tc.reason, before, i) })
	}
	r, children, err := rules.RaiseReport(d, i, by, req, func(word string) string {
		if word == "report" {
			return reportID
		}
		return ids(word)
	}, later)
	if err != nil || len(children) != 1 {
		t.Fatal(err)
	}
	stands(t, "report", r.GetStanding(), station, "", "report.response")
	stands(t, "incident", i.GetStanding(), "", "", "")
	if r.GetState() != reportingv1.Report_STATE_RESPONDING || !r.GetAcceptTime().AsTime().Equal(later) || i.GetState() != reportingv1.Incident_STATE_LINKED || i.GetStanding().GetMatterId() != reportID {
		t.Errorf("report %v, incident %v", r, i)
	}
	if !slices.Contains(r.GetFlags(), reportingv1.Flag_FLAG_LATE) {
		t.Errorf("two hours after the call it is not late: %v", r.GetFlags())
	}
	if !rules.Follow(s, i) || s.GetReportId() != reportID || !s.GetStanding().GetDeadline().AsTime().Equal(due) || s.GetStanding().GetHolder() != station {
		t.Errorf("the search follows as %v", s)
	}
	before = proto.CloneOf(i)
	refused(t, raise(by, keep), faultv1.Reason_REASON_STATE_FORBIDS, before, i)
	closed := openIncident(t, &reportingv1.IncidentContent{Division: village, Status: reportingv1.IncidentContent_STATUS_CLOSED})
	for unit, may := range map[string]bool{station: true, rules.Bureau: true, other: false, lead: false} {
		if _, _, err := rules.RaiseReport(d, proto.CloneOf(closed), rules.Actor{Unit: unit}, req, ids, later); (err == nil) != may {
			t.Errorf("%s raises a report from a closed incident: %v", unit, err)
		}
	}
}
