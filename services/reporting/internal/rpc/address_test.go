package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) addressing(unit string) reportingv1.BulletinServiceClient {
	return reportingv1.NewBulletinServiceClient(h.as(unit))
}

func (h *house) handing(unit string) reportingv1.AssessmentServiceClient {
	return reportingv1.NewAssessmentServiceClient(h.as(unit))
}

// asLead is the lead office's context when it takes over what a township did not.
func (h *house) asLead() context.Context {
	return client.By(client.For(h.t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT), "civil_affairs-2")
}

func (h *house) offices(unit string) context.Context {
	if unit == lead {
		return h.asLead()
	}
	return client.For(h.t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT)
}

func (h *house) declineBulletin(unit, bulletin string) error {
	_, err := h.addressing(unit).DeclineBulletin(h.offices(unit), &reportingv1.DeclineBulletinRequest{RequestId: id(), BulletinId: bulletin, Text: "不在本镇居住"})
	return err
}

func (h *house) readdress(ctx context.Context, unit, bulletin, to string) error {
	_, err := h.addressing(unit).ReaddressBulletin(ctx, &reportingv1.ReaddressBulletinRequest{RequestId: id(), BulletinId: bulletin, ToUnit: to, Text: "实际居住地"})
	return err
}

func (h *house) acknowledge(unit, bulletin string) (*reportingv1.AcknowledgeBulletinResponse, error) {
	return h.do(unit).AcknowledgeBulletin(h.offices(unit), &reportingv1.AcknowledgeBulletinRequest{RequestId: id(), BulletinId: bulletin})
}

func (h *house) reads(unit, bulletin string) error {
	_, err := h.read(unit).GetBulletin(h.offices(unit), &reportingv1.GetBulletinRequest{BulletinId: bulletin})
	return err
}

// A bulletin that went to the wrong township comes back with the reason, the lead office is asked, finds the right township, and that one works.
func TestABulletinForTheWrongTownshipFindsTheRightOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bulletin := h.bulletin()
	must(t, func() error { return h.declineBulletin(township, bulletin) })
	h.wantWork(township)
	h.wantWork(lead, "is offered bulletin ISSUED by bulletin.acknowledge")
	must(t, func() error { return h.reads(lead, bulletin) })
	if r := refusalOf(t, h.readdress(h.offices(lead), lead, bulletin, "health")); r.reason != "UNIT_INVALID" {
		t.Errorf("addressed to the health bureau: %+v", r)
	}
	must(t, func() error { return h.readdress(h.asLead(), lead, bulletin, farTown) })
	h.wantWork(lead)
	must(t, func() error { return h.reads(farTown, bulletin) })
	got, err := h.acknowledge(farTown, bulletin)
	if err != nil {
		t.Fatal(err)
	}
	h.wantWork(farTown, "holds assessment OPEN by assessment.start")
	added, err := h.addChild(client.For(t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT), farTown, h.reportOf(bulletin), sibling("陆小溪"))
	if err != nil || added.GetAssessmentId() == "" {
		t.Fatalf("%v, %v", added, err)
	}
	h.wantWork(farTown, "holds assessment OPEN by assessment.start", "holds assessment OPEN by assessment.start") // and not the township of the residence
	h.wantWork(township)
	b, err := h.read(farTown).GetBulletin(h.offices(farTown), &reportingv1.GetBulletinRequest{BulletinId: bulletin})
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, o := range b.GetBulletin().GetOffers() {
		outcomes = append(outcomes, o.GetToUnit()+" "+o.GetOutcome().String())
	}
	want := []string{township + " OUTCOME_DECLINED", lead + " OUTCOME_WITHDRAWN", farTown + " OUTCOME_ACCEPTED"}
	if diff := cmp.Diff(want, outcomes); diff != "" || got.GetAssessmentId() == "" {
		t.Error(diff)
	}
	h.wantPromises()
}

func (h *house) reportOf(bulletin string) string {
	h.t.Helper()
	got, err := h.read(station).GetBulletin(h.officer(), &reportingv1.GetBulletinRequest{BulletinId: bulletin})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetBulletin().GetReportId()
}

// A silent township: the lead office reads the bulletin and acknowledges it in its stead. The children are the lead office's, offered to the township,
// which works on them, gives them back, or leaves them.
func TestTheLeadOfficeAcknowledgesInASilentTownshipsStead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bulletin := h.bulletin()
	if r := refusalOf(t, h.reads(lead, bulletin)); r.reason != "NOT_FOUND" {
		t.Errorf("the lead office reads what is not its turn: %+v", r)
	}
	h.advance(25 * time.Hour)
	h.wantWork(lead, "holds bulletin ISSUED by lead.resolve")
	must(t, func() error { return h.reads(lead, bulletin) })
	got, err := h.acknowledge(lead, bulletin)
	if err != nil {
		t.Fatal(err)
	}
	h.wantWork(lead, "holds assessment OPEN by assessment.start")
	h.wantWork(township, "is offered assessment OPEN by assessment.start")
	must(t, func() error {
		_, err := h.handing(township).DeclineAssessment(h.assessing(), &reportingv1.DeclineAssessmentRequest{RequestId: id(), AssessmentId: got.GetAssessmentId(), Text: "无力承接"})
		return err
	})
	h.wantWork(township)
	h.concludeAs(h.asLead(), lead, got.GetAssessmentId())
	h.wantWork(lead, "holds assessment CONCLUDED by assessment.handover")
	h.wantPromises()
}

// A residence known only as the district: the lead office is asked, or the unit that the police name.
func TestABulletinWithoutATownshipGoesToTheLeadOffice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	for _, code := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
		must(t, func() error { _, err := h.do(station).RecordMeasure(h.officer(), h.measure(report, code)); return err })
	}
	must(t, func() error {
		_, err := h.do(station).CloseResponse(h.officer(), &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
		return err
	})
	issue := func(to string) (*reportingv1.IssueBulletinResponse, error) {
		return h.do(station).IssueBulletin(h.officer(), &reportingv1.IssueBulletinRequest{RequestId: id(), ReportId: report, Text: "请评估", ToUnit: to})
	}
	if _, err := issue("village/" + village); refusalOf(t, err).reason != "UNIT_INVALID" {
		t.Errorf("issued to a village: %v", err)
	}
	first, err := issue(lead)
	if err != nil || first.GetStanding().GetOfferedTo() != lead {
		t.Fatalf("%v, %v", first, err)
	}
	must(t, func() error { return h.declineBulletin(lead, first.GetStanding().GetId()) })
	h.wantWorkInAnyOrder(station, "holds report NOTIFIED by bulletin.acknowledge", "holds bulletin ISSUED by township.notice")
	recalled, err := h.addressing(station).RecallBulletin(h.officer(), &reportingv1.RecallBulletinRequest{RequestId: id(), BulletinId: first.GetStanding().GetId(), Text: "处置未完成"})
	if err != nil || recalled.GetState() != reportingv1.Bulletin_STATE_RECALLED || recalled.GetReportState() != reportingv1.Report_STATE_RESPONSE_CLOSED {
		t.Fatalf("%v, %v", recalled, err)
	}
	h.wantWork(station, "holds report RESPONSE_CLOSED by township.notice")
	second, err := issue("") // the constraint lets another one stand beside a recalled one
	if err != nil || second.GetStanding().GetOfferedTo() != township {
		t.Fatalf("%v, %v", second, err)
	}
	if _, err := h.acknowledge(township, second.GetStanding().GetId()); err != nil {
		t.Error(err)
	}
	h.wantPromises()
}

// An assessment goes over to the township where the child lives now, by asking; one that has lost its subject ends with the reason.
func TestAnAssessmentIsHandedOverOrEndedWithAReason(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	assessment := h.assessment()
	must(t, func() error {
		_, err := h.handing(township).OfferAssessment(h.assessing(), &reportingv1.OfferAssessmentRequest{RequestId: id(), AssessmentId: assessment, ToUnit: farTown, Text: "已搬至薛家"})
		return err
	})
	h.wantWork(township, "holds assessment OPEN by assessment.start")
	far := h.offices(farTown)
	if _, err := h.read(farTown).GetAssessment(far, &reportingv1.GetAssessmentRequest{AssessmentId: assessment}); err != nil {
		t.Errorf("the township that is asked reads %v", err)
	}
	must(t, func() error {
		_, err := h.handing(farTown).AcceptAssessment(far, &reportingv1.AcceptAssessmentRequest{RequestId: id(), AssessmentId: assessment})
		return err
	})
	h.wantWork(township)
	h.wantWork(farTown, "holds assessment OPEN by assessment.start")
	end := func(ctx context.Context, change func(*reportingv1.EndAssessmentRequest)) error {
		req := &reportingv1.EndAssessmentRequest{RequestId: id(), AssessmentId: assessment, End: reportingv1.Assessment_END_MOVED_OUTSIDE, Text: "随父母迁居", Authority: "天宁区民政局", ReceiptNumber: "TN-7"}
		change(req)
		_, err := h.handing(farTown).EndAssessment(ctx, req)
		return err
	}
	keep := func(*reportingv1.EndAssessmentRequest) {}
	by := client.By(far, "township-320411103000-1")
	if r := refusalOf(t, end(far, keep)); r.reason != "OFFICER_REQUIRED" {
		t.Errorf("ended by nobody: %+v", r)
	}
	if r := refusalOf(t, end(by, func(r *reportingv1.EndAssessmentRequest) { r.ReceiptNumber = "" })); r.reason != "FIELD_INVALID" || r.fields[0] != "receipt_number" {
		t.Errorf("moved away and taken over by nobody: %+v", r)
	}
	must(t, func() error { return end(by, keep) })
	h.wantWork(farTown)
	got, err := h.read(farTown).GetAssessment(far, &reportingv1.GetAssessmentRequest{AssessmentId: assessment})
	if err != nil || got.GetAssessment().GetState() != reportingv1.Assessment_STATE_ENDED || got.GetAssessment().GetEndAuthority() == "" {
		t.Errorf("%v, %v", got, err)
	}
	h.wantPromises()
}

// A child that civil affairs cannot take stays the lead office's to place, police may ask again or withdraw, and a change of mind counts.
func TestADeclinedPlacementStaysSomebodys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	submitted, err := h.do(hospital).SubmitReport(t.Context(), submission(func(r *reportingv1.SubmitReportRequest) { r.Situations = []string{"DOMESTIC_VIOLENCE"} }))
	if err != nil {
		t.Fatal(err)
	}
	report := submitted.GetStanding().GetId()
	must(t, func() error {
		_, err := h.do(station).AcceptReport(h.officer(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	first := h.placement(report)
	decline := func(placement string) error {
		_, err := h.respond(lead).DeclinePlacement(t.Context(), &reportingv1.DeclinePlacementRequest{RequestId: id(), PlacementId: placement, Text: "床位已满"})
		return err
	}
	must(t, func() error { return decline(first) })
	h.wantWork(lead, "holds placement DECLINED by lead.resolve")
	second := h.placement(report)
	accept := func(placement string) error {
		_, err := h.respond(lead).AcceptPlacement(t.Context(), &reportingv1.AcceptPlacementRequest{RequestId: id(), PlacementId: placement, CareUnit: shelter})
		return err
	}
	if r := refusalOf(t, accept(first)); r.reason != "UNDER_WAY" || r.metadata["id"] != second {
		t.Errorf("two carers for one child: %+v", r)
	}
	withdraw := func(placement string) error {
		_, err := h.respond(station).WithdrawPlacement(h.officer(), &reportingv1.WithdrawPlacementRequest{RequestId: id(), PlacementId: placement, Text: "外婆接走"})
		return err
	}
	must(t, func() error { return withdraw(second) })
	must(t, func() error { return accept(first) })
	if g := h.whole(report).GetGroups()[1]; !g.GetMet() {
		t.Errorf("the child is in care, and the group is not met: %v", g)
	}
	if r := refusalOf(t, withdraw(first)); r.reason != "STATE_FORBIDS" {
		t.Errorf("withdrawn from under a child in care: %+v", r)
	}
	h.wantWork(lead, "holds placement PLACED by tempguardian.review")
	h.wantPromises()
}
