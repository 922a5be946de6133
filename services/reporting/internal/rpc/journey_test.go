package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/promise"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// work lists what a unit holds or is offered, as kind and state.
func (h *house) work(unit string) []string {
	h.t.Helper()
	got, err := h.read(unit).ListWork(h.t.Context(), &reportingv1.ListWorkRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	var lines []string
	for _, item := range got.GetItems() {
		side := "holds"
		if item.GetStanding().GetHolder() != unit {
			side = "is offered"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s by %s", side, item.GetKind(), item.GetState(), item.GetStanding().GetClock()))
	}
	return lines
}

func (h *house) wantWork(unit string, want ...string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.work(unit)); diff != "" {
		h.t.Errorf("work of %s: %s", unit, diff)
	}
}

// wantWorkInAnyOrder is wantWork where two deadlines are the same.
func (h *house) wantWorkInAnyOrder(unit string, want ...string) {
	h.t.Helper()
	got := h.work(unit)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("work of %s: %s", unit, diff)
	}
}

func (h *house) wantProgress(report string, want reportingv1.GetReportStatusResponse_Progress, responsible string) {
	h.t.Helper()
	got, err := h.read(school).GetReportStatus(h.t.Context(), &reportingv1.GetReportStatusRequest{ReportId: report})
	if err != nil {
		h.t.Fatal(err)
	}
	if got.GetProgress() != want || got.GetResponsibleUnit() != responsible {
		h.t.Errorf("the reporter is told %v by %q, want %v by %q", got.GetProgress(), got.GetResponsibleUnit(), want, responsible)
	}
}

// A school's report goes through station and township to a concluded assessment; at each step somebody holds it, the reporter
// is told how far it is, and the promises count no violation.
func TestFromTheReportToTheConcludedAssessment(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	emergency := client.By(client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), officer)
	assess := client.For(t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT)

	submitted, err := h.do(school).SubmitReport(client.For(t.Context(), accessv1.Purpose_PURPOSE_MANDATORY_REPORTING), submission())
	if err != nil {
		t.Fatal(err)
	}
	report := submitted.GetStanding().GetId()
	if r := submitted.GetReceipt(); r.GetReceiveUnit() != station || r.GetReceiptNumber() == "" || !r.GetReceiveTime().AsTime().Equal(noon) {
		t.Errorf("receipt %v", r)
	}
	h.wantWork(station, "holds report SUBMITTED by report.accept")
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_RECEIVED, station)

	do := h.do(station)
	must(t, func() error {
		_, err := do.AcceptReport(emergency, &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	got, err := h.read(station).GetReport(emergency, &reportingv1.GetReportRequest{ReportId: report})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetChild().GetPerson().GetName() != "陆小舟" || got.GetReport().GetNarrative() == "" || len(got.GetGroups()) != 2 {
		t.Errorf("the station reads %v", got)
	}
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_RESPONDING, station)

	_, err = do.CloseResponse(emergency, &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
	if r := refusalOf(t, err); r.reason != "RESPONSE_INCOMPLETE" || r.metadata["missing"] != "LIVING_ALONE.1,LIVING_ALONE.2" {
		t.Errorf("closing early: %+v", r)
	}
	for _, code := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
		must(t, func() error { _, err := do.RecordMeasure(emergency, h.measure(report, code)); return err })
	}
	must(t, func() error {
		_, err := do.CloseResponse(emergency, &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
		return err
	})
	h.wantWork(station, "holds report RESPONSE_CLOSED by township.notice")
	issued, err := do.IssueBulletin(emergency, &reportingv1.IssueBulletinRequest{RequestId: id(), ReportId: report, Text: "父母已被责令返回，请评估"})
	if err != nil {
		t.Fatal(err)
	}
	h.wantWork(township, "is offered bulletin ISSUED by bulletin.acknowledge")
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_RESPONDED, station)

	bulletin, err := h.read(township).GetBulletin(assess, &reportingv1.GetBulletinRequest{BulletinId: issued.GetStanding().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if b := bulletin.GetBulletin(); !slices.Equal(b.GetMeasures(), []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"}) || bulletin.GetChild().GetPerson().GetName() == "" {
		t.Errorf("the township reads %v", bulletin)
	}
	acknowledged, err := h.do(township).AcknowledgeBulletin(assess, &reportingv1.AcknowledgeBulletinRequest{RequestId: id(), BulletinId: issued.GetStanding().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	h.wantWork(station)
	h.wantWork(township, "holds assessment OPEN by assessment.start")
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_ASSESSING, township)
	h.conclude(assess, acknowledged.GetAssessmentId())
	h.wantWork(township, "holds assessment CONCLUDED by assessment.handover")
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_CONCLUDED, "")
	h.wantEvents()
	h.wantPromises()
}

// conclude assesses the child with four needs.
func (h *house) conclude(ctx context.Context, assessment string) {
	h.concludeAs(ctx, township, assessment)
}

// concludeAs concludes an assessment as the unit that works on it.
func (h *house) concludeAs(ctx context.Context, unit, assessment string) {
	h.t.Helper()
	must(h.t, func() error {
		_, err := h.do(unit).RecordAssessment(ctx, &reportingv1.RecordAssessmentRequest{
			RequestId: id(), AssessmentId: assessment,
			Findings: []*reportingv1.Finding{{Dimension: reportingv1.Dimension_DIMENSION_GUARDIANSHIP, Risk: personv1.RiskColour_RISK_COLOUR_YELLOW, Text: "父母外出，祖父年迈"}},
		})
		return err
	})
	must(h.t, func() error {
		_, err := h.do(unit).ConcludeAssessment(ctx, &reportingv1.ConcludeAssessmentRequest{
			RequestId: id(), AssessmentId: assessment, Colour: personv1.RiskColour_RISK_COLOUR_YELLOW, Summary: "中风险，需多部门帮扶",
			Needs: []*reportingv1.NeedFinding{{Code: "psychological_support"}, {Code: "family_education"}, {Code: "after_school_care"}, {Code: "temporary_relief", Urgent: true}},
		})
		return err
	})
	got, err := h.read("service/referral").GetAssessment(client.For(h.t.Context(), accessv1.Purpose_PURPOSE_FOLLOW_UP), &reportingv1.GetAssessmentRequest{AssessmentId: assessment})
	if err != nil {
		h.t.Fatal(err)
	}
	if a := got.GetAssessment(); len(a.GetNeeds()) != 4 || a.GetStanding().GetMatterId() != a.GetReportId() || a.GetProvisionalChildId() == "" {
		h.t.Errorf("the referral service reads %v", a)
	}
}

// wantEvents reads the feed as a service, and checks that the reporter's unit and a stranger see nothing of it.
func (h *house) wantEvents() {
	h.t.Helper()
	must(h.t, func() error { return h.sequencer.Drain(h.t.Context()) })
	read := func(unit string, wait time.Duration) []string {
		req := &reportingv1.ReadFeedRequest{Position: &feedv1.Position{}, MaxWait: durationpb.New(wait)}
		got, err := reportingv1.NewReportingFeedServiceClient(h.as(unit)).ReadFeed(h.t.Context(), req)
		if err != nil {
			h.t.Fatal(err)
		}
		var types []string
		for _, ev := range got.GetBatch().GetEvents() {
			types = append(types, ev.GetType())
		}
		return types
	}
	whole := read("service/registry", 5*time.Second)
	slices.Sort(whole)
	want := []string{
		"assessment.concluded", "assessment.opened", "assessment.recorded", "bulletin.acknowledged", "bulletin.issued", "provisional_child.created",
		"report.accepted", "report.closed", "report.measured", "report.measured", "report.notified", "report.response_closed", "report.submitted",
	}
	if diff := cmp.Diff(want, whole); diff != "" {
		h.t.Error(diff)
	}
	if seen := read(farTown, 0); len(seen) != 0 {
		h.t.Errorf("another township sees %v", seen)
	}
	if seen := read(township, 0); len(seen) == 0 || slices.Contains(seen, "report.submitted") {
		h.t.Errorf("the township sees %v", seen)
	}
}

func (h *house) wantPromises() {
	h.t.Helper()
	counts, err := promise.Run(h.t.Context(), h.db, store.Promises(h.tables, h.clock())...)
	if err != nil {
		h.t.Fatal(err)
	}
	complete, err := store.VaultComplete(h.t.Context(), h.db, h.vault)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range append(counts, complete) {
		if c.Violations != 0 {
			h.t.Errorf("promise %d: %s has %d violations among %d", c.Promise, c.Name, c.Violations, c.Checked)
		}
	}
}

func TestSilenceIsNeverNobodys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted().GetStanding().GetId()
	h.advance(time.Hour)
	h.wantWork(station, "holds report SUBMITTED by report.transfer")
	h.wantWork(bureau, "is offered report SUBMITTED by report.transfer")
	h.advance(4 * time.Hour)
	h.wantWork(lead, "holds report SUBMITTED by lead.resolve")
	h.wantWork(bureau, "is offered report SUBMITTED by lead.resolve")
	h.advance(30 * 24 * time.Hour)
	h.wantWork(lead, "holds report SUBMITTED by overdue.review")
	must(t, func() error {
		_, err := h.do(bureau).AcceptReport(t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	h.wantWork(bureau, "holds report RESPONDING by report.response")
	history, err := h.read(bureau).GetCustodyHistory(t.Context(), &reportingv1.GetCustodyHistoryRequest{Id: report})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range history.GetPoints() {
		if p.GetHolder() == "" || p.GetDeadline() == nil || p.GetVersion() != int64(i+1) {
			t.Errorf("point %v", p)
		}
	}
	if first := history.GetPoints()[0]; first.GetReason() != "submitted" || first.GetHolder() != station {
		t.Errorf("first point %v", first)
	}
	h.wantPromises()
}

func TestASilentTownshipIsAskedAndTheLeadOfficeHolds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bulletin := h.bulletin()
	h.advance(24 * time.Hour)
	h.wantWork(lead, "holds bulletin ISSUED by lead.resolve")
	h.wantWork(station, "holds report NOTIFIED by overdue.review")
	got, err := h.do(township).AcknowledgeBulletin(t.Context(), &reportingv1.AcknowledgeBulletinRequest{RequestId: id(), BulletinId: bulletin})
	if err != nil {
		t.Fatal(err)
	}
	h.wantWork(lead)
	h.advance(40 * 24 * time.Hour)
	h.wantWork(lead, "holds assessment OPEN by lead.resolve")
	assess := client.For(t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT)
	h.conclude(assess, got.GetAssessmentId())
	h.wantWork(township, "holds assessment CONCLUDED by assessment.handover")
	h.wantPromises()
}

// The work of a station is for itself and for the bureau above it; nobody else learns even whether it has any.
func TestTheWorkOfAUnitIsForItAndForTheUnitAbove(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.submitted()
	ask := func(by, of string) ([]*custodyv1.WorkItem, error) {
		got, err := h.read(by).ListWork(t.Context(), &reportingv1.ListWorkRequest{Filter: &custodyv1.WorkFilter{Unit: of}})
		return got.GetItems(), err
	}
	for _, by := range []string{station, "police"} {
		if items, err := ask(by, station); err != nil || len(items) != 1 {
			t.Errorf("%s: %v, %v", by, items, err)
		}
	}
	for by, of := range map[string]string{farTown: station, "civil_affairs": station, station: "police", "court": "police/nowhere"} {
		if _, err := ask(by, of); client.Refusal(err).GetReason() != "METHOD_NOT_ALLOWED" {
			t.Errorf("%s asks for %s: %v", by, of, err)
		}
	}
}
