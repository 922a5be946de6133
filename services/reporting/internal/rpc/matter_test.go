package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) matter(unit string) reportingv1.MatterServiceClient {
	return reportingv1.NewMatterServiceClient(h.as(unit))
}

// pushed sends one update of an incident in the village.
func (h *house) pushed(sequence int64, number string) {
	h.t.Helper()
	must(h.t, func() error {
		_, err := h.dispatch().PushIncidentUpdateBatch(h.t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{
			RequestId: id(), Epoch: 1, Updates: []*reportingv1.IncidentUpdate{h.update(sequence, number, 1, &reportingv1.IncidentContent{Division: village})}})
		return err
	})
}

func (h *house) identify(child, number string) error {
	_, err := h.matter(station).IdentifyChild(h.officer(), &reportingv1.IdentifyChildRequest{
		RequestId: id(), ProvisionalChildId: child, Person: &personv1.Person{Name: "林小雨", IdNumber: number}, Text: "学校提供学籍信息"})
	return err
}

// A child that nobody knew is identified: the earlier description stays, the report keeps id, holder, clock and deadline.
func TestAnUnknownChildIsIdentifiedAndNoClockMoves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	submitted, err := h.do(school).SubmitReport(t.Context(), submission(func(r *reportingv1.SubmitReportRequest) {
		r.Child = &personv1.Person{Name: "不详", NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNKNOWN_IDENTITY}
	}))
	if err != nil {
		t.Fatal(err)
	}
	read := func() *reportingv1.GetReportResponse {
		got, err := h.read(station).GetReport(h.officer(), &reportingv1.GetReportRequest{ReportId: submitted.GetStanding().GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := read()
	h.advance(10 * time.Minute)
	must(t, func() error { return h.identify(before.GetChild().GetId(), "320411201609120026") })
	after := read()
	if c := after.GetChild(); c.GetId() != before.GetChild().GetId() || c.GetPerson().GetBirthDate() != "2016-09-12" || len(c.GetEarlier()) != 1 || c.GetEarlier()[0].GetPerson().GetName() != "不详" {
		t.Errorf("the child is %v", c)
	}
	was, is := before.GetReport().GetStanding(), after.GetReport().GetStanding()
	if was.GetHolder() != is.GetHolder() || was.GetClock() != is.GetClock() || !was.GetDeadline().AsTime().Equal(is.GetDeadline().AsTime()) || before.GetReport().GetState() != after.GetReport().GetState() {
		t.Errorf("the report stands at %v, and stood at %v", is, was)
	}
	if len(before.GetReport().GetFlags()) != 1 || len(after.GetReport().GetFlags()) != 0 {
		t.Errorf("flags %v, then %v", before.GetReport().GetFlags(), after.GetReport().GetFlags())
	}
	h.wantPromises()
}

// Two reporters tell of one incident: it is linked to both, each link says who made it, and with the last one struck out the station holds it again.
func TestAnIncidentIsLinkedToSeveralReports(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, second := h.accepted(), h.submitted().GetStanding().GetId()
	h.pushed(1, "J1")
	link := func(report string) (*reportingv1.LinkIncidentResponse, error) {
		return h.matter(station).LinkIncident(h.officer(), &reportingv1.LinkIncidentRequest{RequestId: id(), IncidentNumber: "J1", ReportId: report, Text: "同一事件"})
	}
	for _, report := range []string{first, second} {
		if got, err := link(report); err != nil || got.GetState() != reportingv1.Incident_STATE_LINKED || got.GetStanding().GetHolder() != "" || got.GetStanding().GetMatterId() != first {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if _, err := link(first); refusalOf(t, err).reason != "LINK_PRESENT" {
		t.Errorf("linked again: %v", err)
	}
	unlink := func(report string) (*reportingv1.UnlinkIncidentResponse, error) {
		return h.matter(station).UnlinkIncident(h.officer(), &reportingv1.UnlinkIncidentRequest{RequestId: id(), IncidentNumber: "J1", ReportId: report, Text: "非同一儿童"})
	}
	if got, err := unlink(first); err != nil || got.GetState() != reportingv1.Incident_STATE_LINKED || got.GetStanding().GetMatterId() != second {
		t.Errorf("one link left: %v, %v", got, err)
	}
	if got, err := unlink(second); err != nil || got.GetState() != reportingv1.Incident_STATE_OPEN || got.GetStanding().GetHolder() != station {
		t.Errorf("no link left: %v, %v", got, err)
	}
	got, err := h.read(station).GetIncident(h.officer(), &reportingv1.GetIncidentRequest{IncidentNumber: "J1"})
	if err != nil || len(got.GetIncident().GetLinks()) != 2 || got.GetIncident().GetLinks()[0].GetStrikeText() == "" {
		t.Errorf("%v, %v", got, err)
	}
	h.wantPromises()
}

// A correction keeps what stood there; what is no correction, or not the caller's to make, leaves everything as it is.
func TestCorrectionsKeepTheEarlierText(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	h.pushed(1, "J1")
	read, err := h.read(station).GetReport(h.officer(), &reportingv1.GetReportRequest{ReportId: report})
	if err != nil {
		t.Fatal(err)
	}
	child := read.GetChild().GetId()
	correct := func(unit string, req *reportingv1.CorrectReportRequest) error {
		req.RequestId, req.ReportId = id(), report
		ctx := h.officer()
		if unit != station {
			ctx = t.Context()
		}
		_, err := h.matter(unit).CorrectReport(ctx, req)
		return err
	}
	must(t, func() error {
		return correct(station, &reportingv1.CorrectReportRequest{Narrative: "独自居住已三周", OccurTime: timestamppb.New(noon.Add(-time.Hour)), Text: "核实"})
	})
	before := h.tally()
	for _, tc := range []trial{
		{"nothing to correct", func(*house, context.Context) error {
			return correct(station, &reportingv1.CorrectReportRequest{Narrative: "独自居住已三周", Text: "x"})
		}, "NOTHING_CORRECTED", ""},
		{"happens tomorrow", func(*house, context.Context) error {
			return correct(station, &reportingv1.CorrectReportRequest{OccurTime: timestamppb.New(noon.Add(time.Hour)), Text: "x"})
		}, "TIME_IN_FUTURE", "occur_time"},
		{"without saying why", func(*house, context.Context) error {
			return correct(station, &reportingv1.CorrectReportRequest{Narrative: "x"})
		}, "FIELD_INVALID", "text"},
		{"another station", func(*house, context.Context) error {
			return correct(other, &reportingv1.CorrectReportRequest{Narrative: "x", Text: "x"})
		}, "NOT_FOUND", ""},
		{"the township", func(*house, context.Context) error {
			return correct(township, &reportingv1.CorrectReportRequest{Narrative: "x", Text: "x"})
		}, "METHOD_NOT_ALLOWED", ""},
		{"a number with a wrong digit", func(*house, context.Context) error { return h.identify(child, "320411201506010018") }, "ID_NUMBER_INVALID", "person.id_number"},
		{"no number", func(*house, context.Context) error { return h.identify(child, "") }, "FIELD_INVALID", "person"},
		{"a child nobody reported", func(*house, context.Context) error { return h.identify(id(), "320411201609120026") }, "NOT_FOUND", ""},
		{"a link to no report", func(*house, context.Context) error {
			_, err := h.matter(station).LinkIncident(h.officer(), &reportingv1.LinkIncidentRequest{RequestId: id(), IncidentNumber: "J1", ReportId: id(), Text: "x"})
			return err
		}, "NOT_FOUND", ""},
		{"a link of no incident", func(*house, context.Context) error {
			_, err := h.matter(station).LinkIncident(h.officer(), &reportingv1.LinkIncidentRequest{RequestId: id(), IncidentNumber: "J9", ReportId: report, Text: "x"})
			return err
		}, "NOT_FOUND", ""},
		{"a link that is not there", func(*house, context.Context) error {
			_, err := h.matter(station).UnlinkIncident(h.officer(), &reportingv1.UnlinkIncidentRequest{RequestId: id(), IncidentNumber: "J1", ReportId: report, Text: "x"})
			return err
		}, "LINK_UNKNOWN", "report_id"},
	} {
		r := refusalOf(t, tc.call(h, t.Context()))
		if r.reason != tc.reason || r.zh == "" || tc.field != "" && len(r.fields) == 0 {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
	read, err = h.read(station).GetReport(h.officer(), &reportingv1.GetReportRequest{ReportId: report})
	if err != nil {
		t.Fatal(err)
	}
	if r := read.GetReport(); r.GetNarrative() != "独自居住已三周" || len(r.GetCorrections()) != 2 || r.GetCorrections()[0].GetEarlier() != "独自居住已两周" || r.GetCorrections()[1].GetField() != "occur_time" {
		t.Errorf("corrected to %v", r.GetCorrections())
	}
}
