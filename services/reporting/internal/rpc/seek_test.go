package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// told pushes one update of an incident.
func (h *house) told(sequence int64, number string, version int64, content *reportingv1.IncidentContent) {
	h.t.Helper()
	must(h.t, func() error {
		_, err := h.dispatch().PushIncidentUpdateBatch(h.t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{
			RequestId: id(), Epoch: 1, Updates: []*reportingv1.IncidentUpdate{h.update(sequence, number, version, content)}})
		return err
	})
}

func (h *house) raise(ctx context.Context, unit, number string, change ...func(*reportingv1.RaiseReportRequest)) (*reportingv1.RaiseReportResponse, error) {
	req := &reportingv1.RaiseReportRequest{RequestId: id(), IncidentNumber: number, Situations: []string{"MISSING"}, Narrative: "接警：儿童走失", Children: []*reportingv1.ChildDescription{sibling("陆小溪")}}
	for _, c := range change {
		c(req)
	}
	return h.matter(unit).RaiseReport(ctx, req)
}

// A call about a lost child: the search runs from the commit of the update, under a clock of its own. The report that the station raises from it
// is linked and accepted, and the search goes on as the report's, with the holder, deadline and history it had.
func TestASearchBeginsWithTheUpdateAndGoesOnWithTheReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village, Codes: []string{"3101"}, Place: "孟河集市"}
	h.told(1, "J1", 1, content)
	h.told(2, "J1", 2, content)
	const open = "holds incident OPEN by incident.handle"
	h.wantWork(station, "holds search SEARCHING by missing.search", open)
	h.advance(time.Hour)
	raised, err := h.raise(h.officer(), station, "J1")
	if err != nil || raised.GetState() != reportingv1.Incident_STATE_LINKED || raised.GetStanding().GetHolder() != "" || raised.GetReportState() != reportingv1.Report_STATE_RESPONDING {
		t.Fatalf("%v, %v", raised, err)
	}
	h.wantWork(station, "holds search SEARCHING by missing.search", "holds report RESPONDING by report.response")
	report := raised.GetReportStanding().GetId()
	whole := h.whole(report)
	if s := whole.GetSearches(); len(s) != 1 || s[0].GetIncidentNumber() != "J1" || s[0].GetProvisionalChildId() != whole.GetChild().GetId() || !s[0].GetStanding().GetDeadline().AsTime().Equal(noon.Add(24*time.Hour)) {
		t.Errorf("searches %v", s)
	}
	if whole.GetGroups()[0].GetRecorded()[0] != "START_MISSING_SEARCH" || len(whole.GetReport().GetMeasures()) != 1 {
		t.Errorf("measures %v", whole.GetReport().GetMeasures())
	}
	if got, err := h.read(station).GetIncident(h.officer(), &reportingv1.GetIncidentRequest{IncidentNumber: "J1"}); err != nil || got.GetIncident().GetLinks()[0].GetReportId() != report {
		t.Errorf("%v, %v", got, err)
	}
	must(t, func() error {
		_, err := h.respond(station).EndSearch(h.officer(), &reportingv1.EndSearchRequest{
			RequestId: id(), SearchId: whole.GetSearches()[0].GetStanding().GetId(), Outcome: reportingv1.Search_OUTCOME_FOUND_SAFE, FoundTime: timestamppb.New(h.clock()), Text: "舅舅家"})
		return err
	})
	h.told(3, "J1", 3, content)
	h.wantWork(station, "holds report RESPONDING by report.response")
	h.wantPromises()
}

// An incident's search belongs to the report it is linked to, by dispatch or by an officer, and to none when the link is struck out.
func TestASearchFollowsItsIncident(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lost := &reportingv1.IncidentContent{Division: village, Situations: []string{"MISSING"}}
	first, second := h.accepted(), h.accepted()
	h.told(1, "J1", 1, lost)
	h.told(2, "J1", 2, &reportingv1.IncidentContent{Division: village, ReportId: first}) // not missing any more, and named
	if s := h.whole(first).GetSearches(); len(s) != 1 || s[0].GetState() != reportingv1.Search_STATE_SEARCHING {
		t.Errorf("dispatch named the report, its searches are %v", s)
	}
	h.wantPromises()
	h.told(3, "J1", 3, &reportingv1.IncidentContent{Division: village})
	if s := h.whole(first).GetSearches(); len(s) != 0 {
		t.Errorf("dispatch took it back, the searches are %v", s)
	}
	h.wantPromises()
	link := func() error {
		_, err := h.matter(station).LinkIncident(h.officer(), &reportingv1.LinkIncidentRequest{RequestId: id(), IncidentNumber: "J1", ReportId: second, Text: "同一儿童"})
		return err
	}
	must(t, link)
	if s := h.whole(second).GetSearches(); len(s) != 1 {
		t.Errorf("linked, the searches are %v", s)
	}
	must(t, func() error { // the situation is found on that report, too: its search is there already
		_, err := h.do(station).AddSituation(h.officer(), &reportingv1.AddSituationRequest{RequestId: id(), ReportId: second, Situation: "MISSING", Text: "傍晚未归"})
		return err
	})
	if got := h.whole(second); len(got.GetSearches()) != 1 || got.GetReport().GetMeasures()[0].GetItemId() != got.GetSearches()[0].GetStanding().GetId() {
		t.Errorf("searches %v, measures %v", got.GetSearches(), got.GetReport().GetMeasures())
	}
	h.told(4, "J2", 1, &reportingv1.IncidentContent{Division: village, Situations: []string{"MISSING"}, ReportId: second}) // a second call about the same child
	if s := h.whole(second).GetSearches(); len(s) != 1 {
		t.Errorf("a second call began %v", s)
	}
	h.wantPromises()
}

// Somebody is missing whom nobody can name: the search runs for nobody known, and is that of the child that is added.
func TestASearchForNobodyKnownGetsItsChild(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	submitted, err := h.do(school).SubmitReport(t.Context(), submission(func(r *reportingv1.SubmitReportRequest) { r.Child, r.Situations = nil, []string{"MISSING"} }))
	if err != nil {
		t.Fatal(err)
	}
	report := submitted.GetStanding().GetId()
	must(t, func() error {
		_, err := h.do(station).AcceptReport(h.officer(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	before := h.whole(report).GetSearches()[0]
	added, err := h.addChild(h.officer(), station, report, sibling("陆小溪"))
	if err != nil {
		t.Fatal(err)
	}
	after := h.whole(report).GetSearches()
	if len(after) != 1 || before.GetProvisionalChildId() != "" || after[0].GetProvisionalChildId() != added.GetProvisionalChildId() || !after[0].GetStanding().GetDeadline().AsTime().Equal(before.GetStanding().GetDeadline().AsTime()) {
		t.Errorf("before %v, after %v", before, after)
	}
	h.wantPromises()
}

func TestBadRaisingsChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.told(1, "J1", 1, &reportingv1.IncidentContent{Division: village})
	h.told(2, "J2", 1, &reportingv1.IncidentContent{Division: village, ReportId: h.accepted()})
	h.told(3, "J3", 1, &reportingv1.IncidentContent{Summary: "地点不明"})
	before := h.tally()
	type edit = *reportingv1.RaiseReportRequest
	raise := func(unit, number string, change func(edit)) func(*house, context.Context) error {
		return func(*house, context.Context) error {
			ctx := t.Context()
			if unit == station {
				ctx = h.officer()
			}
			_, err := h.raise(ctx, unit, number, change)
			return err
		}
	}
	keep := func(edit) {}
	for _, tc := range []trial{
		{"no situation", raise(station, "J1", func(r edit) { r.Situations = nil }), "FIELD_INVALID", "situations"},
		{"a situation nobody knows", raise(station, "J1", func(r edit) { r.Situations = []string{"X"} }), "SITUATION_UNKNOWN", "situations[0]"},
		{"no words", raise(station, "J1", func(r edit) { r.Narrative = "" }), "FIELD_INVALID", "narrative"},
		{"a wrong number", raise(station, "J1", func(r edit) { r.Children[0].Person.IdNumber = "1" }), "ID_NUMBER_INVALID", "children[0].person.id_number"},
		{"one child twice", raise(station, "J1", func(r edit) {
			r.Children[0].Person.IdNumber = "320411201506010019"
			r.Children = append(r.Children, r.Children[0])
		}), "CHILD_PRESENT", "children[1].person.id_number"},
		{"nowhere", raise(bureau, "J3", func(r edit) { r.ResidenceDivision = "320411999000" }), "DIVISION_UNKNOWN", "residence_division"},
		{"one that has a report", raise(station, "J2", keep), "STATE_FORBIDS", ""},
		{"another station", raise(other, "J1", keep), "NOT_FOUND", ""},
		{"no such incident", raise(station, "J9", keep), "NOT_FOUND", ""},
		{"the lead office", raise(lead, "J1", keep), "METHOD_NOT_ALLOWED", ""},
		{"a school", raise(school, "J1", keep), "METHOD_NOT_ALLOWED", ""},
	} {
		r := refusalOf(t, tc.call(h, t.Context()))
		if r.reason != tc.reason || r.zh == "" || tc.field != "" && r.metadata["field"] != tc.field {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
	if _, err := h.raise(h.officer(), station, "J1", func(r edit) { r.ValidateOnly = true }); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
}
