package rpc_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// assessing is the township's context when it works on an assessment.
func (h *house) assessing() context.Context {
	return client.By(client.For(h.t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT), "township-320411101000-1")
}

func sibling(name string) *reportingv1.ChildDescription {
	return &reportingv1.ChildDescription{Person: &personv1.Person{Name: name, NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNKNOWN_IDENTITY}}
}

func (h *house) addChild(ctx context.Context, unit, report string, child *reportingv1.ChildDescription) (*reportingv1.AddChildResponse, error) {
	return h.matter(unit).AddChild(ctx, &reportingv1.AddChildRequest{RequestId: id(), ReportId: report, Child: child, Text: "家访时发现"})
}

// carried closes the response of an accepted report, issues the bulletin and lets the township acknowledge it.
func (h *house) carried(report, noChild string) *reportingv1.AcknowledgeBulletinResponse {
	h.t.Helper()
	for _, code := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
		must(h.t, func() error { _, err := h.do(station).RecordMeasure(h.officer(), h.measure(report, code)); return err })
	}
	must(h.t, func() error {
		_, err := h.do(station).CloseResponse(h.officer(), &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report, NoChildText: noChild})
		return err
	})
	issued, err := h.do(station).IssueBulletin(h.officer(), &reportingv1.IssueBulletinRequest{RequestId: id(), ReportId: report, Text: "请评估"})
	if err != nil {
		h.t.Fatal(err)
	}
	got, err := h.do(township).AcknowledgeBulletin(h.assessing(), &reportingv1.AcknowledgeBulletinRequest{RequestId: id(), BulletinId: issued.GetStanding().GetId()})
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

func (h *house) whole(report string) *reportingv1.GetReportResponse {
	h.t.Helper()
	got, err := h.read(station).GetReport(h.officer(), &reportingv1.GetReportRequest{ReportId: report})
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// Two children are reported, police find a third, the township a fourth when it has begun: each has an assessment under its own clock, held by
// the township, and one of them concluded leaves the others what they are.
func TestEachChildOfAReportIsAssessedAndNoneIsNobodys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	submitted, err := h.do(school).SubmitReport(t.Context(), submission(func(r *reportingv1.SubmitReportRequest) {
		r.FurtherChildren = []*reportingv1.ChildDescription{sibling("陆小溪")}
	}))
	if err != nil {
		t.Fatal(err)
	}
	report := submitted.GetStanding().GetId()
	must(t, func() error {
		_, err := h.do(station).AcceptReport(h.officer(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	before := h.whole(report).GetReport().GetStanding()
	third, err := h.addChild(h.officer(), station, report, sibling("陆小河"))
	if err != nil || third.GetAssessmentId() != "" || third.GetStanding().GetClock() != before.GetClock() || !third.GetStanding().GetDeadline().AsTime().Equal(before.GetDeadline().AsTime()) {
		t.Fatalf("%v, %v; the report stood at %v", third, err, before)
	}
	acknowledged := h.carried(report, "")
	if len(acknowledged.GetAssessmentIds()) != 3 || acknowledged.GetAssessmentId() != acknowledged.GetAssessmentIds()[0] {
		t.Fatalf("%v", acknowledged)
	}
	fourth, err := h.addChild(h.assessing(), township, report, sibling("陆小海"))
	if err != nil || fourth.GetAssessmentId() == "" || fourth.GetState() != reportingv1.Report_STATE_CLOSED {
		t.Fatalf("%v, %v", fourth, err)
	}
	const open = "holds assessment OPEN by assessment.start"
	h.wantWork(township, open, open, open, open)
	h.conclude(h.assessing(), fourth.GetAssessmentId())
	h.wantWork(township, "holds assessment CONCLUDED by assessment.handover", open, open, open)
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_ASSESSING, township)
	whole := h.whole(report)
	var names, assessed []string
	for i, child := range whole.GetChildren() {
		names = append(names, child.GetPerson().GetName())
		assessed = append(assessed, whole.GetReport().GetChildren()[i].GetAssessmentId())
	}
	if diff := cmp.Diff([]string{"陆小舟", "陆小溪", "陆小河", "陆小海"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(append(acknowledged.GetAssessmentIds(), fourth.GetAssessmentId()), assessed); diff != "" {
		t.Error(diff)
	}
	if last := whole.GetReport().GetChildren()[3]; last.GetUnit() != township || last.GetText() == "" || whole.GetReport().GetChildren()[0].GetUnit() != "" {
		t.Errorf("entered as %v", whole.GetReport().GetChildren())
	}
	bulletin, err := h.read(township).GetBulletin(h.assessing(), &reportingv1.GetBulletinRequest{BulletinId: whole.GetReport().GetBulletinId()})
	if err != nil || len(bulletin.GetChildren()) != 4 || bulletin.GetChild().GetPerson().GetName() != "陆小舟" {
		t.Errorf("the township reads %v, %v", bulletin, err)
	}
	must(t, func() error { return h.identify(fourth.GetProvisionalChildId(), "320411201609120026") })
	if after := h.whole(report); after.GetChildren()[3].GetPerson().GetIdNumber() == "" || len(after.GetChildren()[2].GetEarlier()) != 0 {
		t.Errorf("one of four was identified: %v", after.GetChildren())
	}
	h.wantPromises()
}

// Cries behind a door: a report can name no child. The response ends on an officer's word that none was found; who turns up later is assessed.
func TestAReportCanNameNoChild(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nobody := func(r *reportingv1.SubmitReportRequest) { r.Child, r.SchoolUnit = nil, "" }
	submitted, err := h.do(school).SubmitReport(t.Context(), submission(nobody))
	if err != nil || submitted.GetStanding().GetHolder() != station {
		t.Fatalf("%v, %v", submitted, err)
	}
	report := submitted.GetStanding().GetId()
	must(t, func() error {
		_, err := h.do(station).AcceptReport(h.officer(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	if got := h.whole(report); got.GetChild() != nil || len(got.GetChildren()) != 0 || got.GetReport().GetFlags()[0] != reportingv1.Flag_FLAG_NO_CHILD_NAMED {
		t.Errorf("read %v", got)
	}
	if got := h.carried(report, "到场为空屋，邻居称无儿童居住"); got.GetAssessmentId() != "" || len(got.GetAssessmentIds()) != 0 {
		t.Errorf("assessed without a child: %v", got)
	}
	h.wantWork(township)
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_CONCLUDED, "")
	added, err := h.addChild(h.officer(), station, report, sibling("不详"))
	if err != nil || added.GetAssessmentId() == "" {
		t.Fatalf("%v, %v", added, err)
	}
	h.wantWork(township, "holds assessment OPEN by assessment.start")
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_ASSESSING, township)
	if got := h.whole(report); got.GetChild().GetId() != added.GetProvisionalChildId() || got.GetReport().GetNoChildText() == "" || got.GetReport().GetAssessmentId() != added.GetAssessmentId() {
		t.Errorf("read %v", got)
	}
	h.wantPromises()
}

// reportOfNobody is the id of a report without a child whose measures are all recorded.
func (h *house) reportOfNobody() string {
	h.t.Helper()
	submitted, err := h.do(school).SubmitReport(h.t.Context(), submission(func(r *reportingv1.SubmitReportRequest) { r.Child = nil }))
	if err != nil {
		h.t.Fatal(err)
	}
	report := submitted.GetStanding().GetId()
	must(h.t, func() error {
		_, err := h.do(station).AcceptReport(h.officer(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	for _, code := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
		must(h.t, func() error { _, err := h.do(station).RecordMeasure(h.officer(), h.measure(report, code)); return err })
	}
	return report
}

// Who may add a child, and what is refused: everything stays as it was.
func TestBadChildrenChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	assessment := h.assessment() // of another report, so that the township is part of a matter
	before := h.tally()
	add := func(unit string, ctx context.Context, change func(*reportingv1.AddChildRequest)) func(*house, context.Context) error {
		return func(*house, context.Context) error {
			req := &reportingv1.AddChildRequest{RequestId: id(), ReportId: report, Child: sibling("陆小溪"), Text: "x"}
			change(req)
			_, err := h.matter(unit).AddChild(ctx, req)
			return err
		}
	}
	keep := func(*reportingv1.AddChildRequest) {}
	for _, tc := range []trial{
		{"without saying how it was found", add(station, h.officer(), func(r *reportingv1.AddChildRequest) { r.Text = "" }), "FIELD_INVALID", "text"},
		{"nobody", add(station, h.officer(), func(r *reportingv1.AddChildRequest) { r.Child = nil }), "FIELD_INVALID", "child"},
		{"neither number nor reason", add(station, h.officer(), func(r *reportingv1.AddChildRequest) { r.Child.Person.NoIdNumberReason = 0 }), "FIELD_INVALID", "child.person"},
		{"the child that was reported", add(station, h.officer(), func(r *reportingv1.AddChildRequest) { r.Child.Person.IdNumber = "320411201506010019" }), "CHILD_PRESENT", "child.person.id_number"},
		{"a wrong digit", add(station, h.officer(), func(r *reportingv1.AddChildRequest) { r.Child.Person.IdNumber = "320411201506010018" }), "ID_NUMBER_INVALID", "child.person.id_number"},
		{"a school nobody knows", add(station, h.officer(), func(r *reportingv1.AddChildRequest) { r.Child.SchoolUnit = "org/x" }), "UNIT_INVALID", "child.school_unit"},
		{"another station", add(other, t.Context(), keep), "NOT_FOUND", ""},
		{"a township without a part in the matter", add(township, h.assessing(), keep), "NOT_FOUND", ""},
		{"police for another purpose", add(station, client.For(t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT), keep), "METHOD_NOT_ALLOWED", ""},
		{"the school", add(school, t.Context(), keep), "METHOD_NOT_ALLOWED", ""},
		{"civil affairs", add(lead, t.Context(), keep), "METHOD_NOT_ALLOWED", ""},
		{"a version that is gone", add(station, h.officer(), func(r *reportingv1.AddChildRequest) { r.Etag = "v1" }), "ETAG_MISMATCH", ""},
		{"the same child twice in one report", submit(func(r *reportingv1.SubmitReportRequest) {
			r.FurtherChildren = []*reportingv1.ChildDescription{{Person: &personv1.Person{IdNumber: "320411201506010019"}}}
		}), "CHILD_PRESENT", "further_children[0].person.id_number"},
		{"further children of nobody", submit(func(r *reportingv1.SubmitReportRequest) {
			r.Child, r.FurtherChildren = nil, []*reportingv1.ChildDescription{sibling("陆小溪")}
		}), "FIELD_INVALID", ""},
	} {
		r := refusalOf(t, tc.call(h, t.Context()))
		if r.reason != tc.reason || r.zh == "" || tc.field != "" && r.metadata["field"] != tc.field {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" || assessment == "" {
		t.Error(diff)
	}
}
