package rpc_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) supervise(unit string) reportingv1.SupervisionServiceClient {
	return reportingv1.NewSupervisionServiceClient(h.as(unit))
}

// prosecutor is the context of an officer of the procuratorate who supervises.
func (h *house) prosecutor() context.Context {
	return client.By(client.For(h.t.Context(), accessv1.Purpose_PURPOSE_LEGAL_SUPERVISION), "procuratorate-2")
}

// notFiled is the id of a review of an accepted report that the station ended without filing, answered to the reporter.
func (h *house) notFiled(report string) string {
	h.t.Helper()
	filing := h.filing(report)
	must(h.t, func() error {
		_, err := h.file(station).DecideFiling(h.officer(), &reportingv1.DecideFilingRequest{RequestId: id(), FilingId: filing, Decision: reportingv1.Filing_DECISION_NOT_FILED, Reasons: "情节轻微"})
		return err
	})
	must(h.t, func() error {
		_, err := h.file(station).GiveFeedback(h.officer(), &reportingv1.GiveFeedbackRequest{RequestId: id(), FilingId: filing})
		return err
	})
	return filing
}

// supervision is the id of a supervision in which the procuratorate has asked for the reasons.
func (h *house) supervision(filing string) string {
	h.t.Helper()
	got, err := h.supervise(procuratorate).AskReasons(h.prosecutor(), &reportingv1.AskReasonsRequest{RequestId: id(), FilingId: filing, Text: "请说明不立案理由"})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetStanding().GetId()
}

func (h *house) stateReasons(ctx context.Context, unit, supervision string) error {
	_, err := h.supervise(unit).StateReasons(ctx, &reportingv1.StateReasonsRequest{RequestId: id(), SupervisionId: supervision, Text: "伤情未达轻伤"})
	return err
}

func (h *house) orderFiling(ctx context.Context, unit, supervision string) error {
	_, err := h.supervise(unit).OrderFiling(ctx, &reportingv1.OrderFilingRequest{RequestId: id(), SupervisionId: supervision, Text: "多次施暴，应当立案"})
	return err
}

func (h *house) fileAsOrdered(ctx context.Context, unit, supervision string) error {
	_, err := h.supervise(unit).FileAsOrdered(ctx, &reportingv1.FileAsOrderedRequest{RequestId: id(), SupervisionId: supervision, CaseNumber: "A3204110000002026030009", Reasons: "依通知立案"})
	return err
}

func (h *house) heard(unit string) []string {
	h.t.Helper()
	must(h.t, func() error { return h.sequencer.Drain(h.t.Context()) })
	got, err := reportingv1.NewReportingFeedServiceClient(h.as(unit)).ReadFeed(h.t.Context(), &reportingv1.ReadFeedRequest{Position: &feedv1.Position{}, MaxWait: durationpb.New(5 * time.Second)})
	if err != nil {
		h.t.Fatal(err)
	}
	var types []string
	for _, ev := range got.GetBatch().GetEvents() {
		types = append(types, ev.GetType())
	}
	return types
}

// The procuratorate asks why a case was not filed, is answered, tells police to file, and they do: each turn stands in somebody's work list, both
// hear of the other's steps, the reporter learns the new decision when police open it, and is told before the case goes to prosecution.
func TestTheProcuratorateMakesPoliceFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	filing := h.notFiled(report)
	supervision := h.supervision(filing)
	const responding = "holds report RESPONDING by report.response"
	h.wantWork(station, responding, "holds supervision REASONS_ASKED by filing.reasons")
	must(t, func() error { return h.stateReasons(h.officer(), station, supervision) })
	h.wantWork(station, responding)
	h.wantWork(procuratorate, "holds supervision REASONS_STATED by filing.judge")
	must(t, func() error { return h.orderFiling(h.prosecutor(), procuratorate, supervision) })
	h.wantWork(procuratorate)
	h.wantWork(station, responding, "holds supervision FILING_ORDERED by filing.order")
	must(t, func() error { return h.fileAsOrdered(h.officer(), station, supervision) })
	h.wantWork(station, responding, "holds filing DECIDED by report.feedback")
	got, err := h.filings(procuratorate).GetFiling(h.prosecutor(), &reportingv1.GetFilingRequest{FilingId: filing})
	if err != nil || got.GetFiling().GetCaseNumber() == "" || got.GetFiling().GetEarlierDecisions()[0].GetReasons() != "情节轻微" || len(got.GetSupervisions()[0].GetSteps()) != 4 {
		t.Errorf("the procuratorate reads %v, %v", got, err)
	}
	must(t, func() error {
		_, err := h.file(station).GiveFeedback(h.officer(), &reportingv1.GiveFeedbackRequest{RequestId: id(), FilingId: filing})
		return err
	})
	prosecute := func() error {
		_, err := h.file(station).TransferForProsecution(h.officer(), &reportingv1.TransferForProsecutionRequest{RequestId: id(), FilingId: filing})
		return err
	}
	if r := refusalOf(t, prosecute()); r.reason != "FEEDBACK_DUE" {
		t.Errorf("to prosecution before the reporter was told: %+v", r)
	}
	must(t, func() error {
		_, err := h.file(station).GiveProsecutionFeedback(h.officer(), &reportingv1.GiveProsecutionFeedbackRequest{RequestId: id(), FilingId: filing})
		return err
	})
	must(t, prosecute)
	status, err := h.read(school).GetReportStatus(t.Context(), &reportingv1.GetReportStatusRequest{ReportId: report})
	if err != nil {
		t.Fatal(err)
	}
	if told := status.GetFilings(); len(told) != 1 || told[0].GetDecision() != reportingv1.Filing_DECISION_FILED || told[0].GetProsecutionFeedbackTime() == nil || told[0].GetProsecutionTime() == nil {
		t.Errorf("the reporter is told %v", told)
	}
	want := []string{
		"filing.opened", "filing.decided", "filing.answered", "filing.reasons_asked", "supervision.reasons_asked", "supervision.reasons_stated", "supervision.filing_ordered",
		"supervision.filed", "filing.filed_as_ordered", "filing.answered", "filing.prosecution_told", "filing.prosecuted",
	}
	heard := h.heard(procuratorate)
	slices.Sort(want)
	slices.Sort(heard)
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Error(diff)
	}
	h.wantPromises()
}

// Reasons that stand end it, and silence goes up: to the bureau, then to the lead office, while the procuratorate can tell police to file.
func TestASupervisionIsNeverNobodys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.supervision(h.notFiled(h.accepted()))
	must(t, func() error { return h.stateReasons(h.officer(), station, first) })
	must(t, func() error {
		_, err := h.supervise(procuratorate).AcceptReasons(h.prosecutor(), &reportingv1.AcceptReasonsRequest{RequestId: id(), SupervisionId: first, Text: "理由成立"})
		return err
	})
	if heard := h.heard(station); !slices.Contains(heard, "supervision.reasons_accepted") {
		t.Errorf("the station hears %v", heard)
	}
	second := h.supervision(h.notFiled(h.accepted()))
	h.advance(8 * 24 * time.Hour)
	if work := h.work(bureau); !slices.Contains(work, "holds supervision REASONS_ASKED by overdue.review") {
		t.Errorf("the bureau's work: %v", work)
	}
	h.advance(8 * 24 * time.Hour)
	if work := h.work(lead); !slices.Contains(work, "holds supervision REASONS_ASKED by lead.resolve") {
		t.Errorf("the lead office's work: %v", work)
	}
	must(t, func() error { return h.orderFiling(h.prosecutor(), procuratorate, second) })
	if work := h.work(station); !slices.Contains(work, "holds supervision FILING_ORDERED by filing.order") {
		t.Errorf("the station's work: %v", work)
	}
	h.wantPromises()
}

// Who may not supervise or answer, and what is refused: everything stays as it was, and strangers do not learn that there is a supervision.
func TestBadSupervisionsChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	filing := h.notFiled(report)
	supervision := h.supervision(filing)
	open := h.filing(h.accepted())
	before := h.tally()
	ask := func(unit string, ctx context.Context, filing string) func(*house, context.Context) error {
		return func(*house, context.Context) error {
			_, err := h.supervise(unit).AskReasons(ctx, &reportingv1.AskReasonsRequest{RequestId: id(), FilingId: filing, Text: "x"})
			return err
		}
	}
	on := func(do func(context.Context, string, string) error, ctx context.Context, unit string) func(*house, context.Context) error {
		return func(*house, context.Context) error { return do(ctx, unit, supervision) }
	}
	system := client.For(t.Context(), accessv1.Purpose_PURPOSE_LEGAL_SUPERVISION)
	for _, tc := range []trial{
		{"asked a second time", ask(procuratorate, h.prosecutor(), filing), "UNDER_WAY", ""},
		{"asked while police review", ask(procuratorate, h.prosecutor(), open), "STATE_FORBIDS", ""},
		{"asked by a system", ask(procuratorate, system, filing), "OFFICER_REQUIRED", ""},
		{"asked for another purpose", ask(procuratorate, client.For(t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT), filing), "METHOD_NOT_ALLOWED", ""},
		{"police ask themselves", ask(station, h.officer(), filing), "METHOD_NOT_ALLOWED", ""},
		{"civil affairs asks", ask(lead, t.Context(), filing), "METHOD_NOT_ALLOWED", ""},
		{"no such filing", ask(procuratorate, h.prosecutor(), id()), "NOT_FOUND", ""},
		{"told to file before the answer is due", on(h.orderFiling, h.prosecutor(), procuratorate), "STATE_FORBIDS", ""},
		{"filed before being told", on(h.fileAsOrdered, h.officer(), station), "STATE_FORBIDS", ""},
		{"another station answers", on(h.stateReasons, t.Context(), other), "NOT_FOUND", ""},
		{"a system answers", on(h.stateReasons, t.Context(), station), "OFFICER_REQUIRED", ""},
		{"the procuratorate answers itself", on(h.stateReasons, h.prosecutor(), procuratorate), "METHOD_NOT_ALLOWED", ""},
		{"an answer without words", func(*house, context.Context) error {
			_, err := h.supervise(station).StateReasons(h.officer(), &reportingv1.StateReasonsRequest{RequestId: id(), SupervisionId: supervision})
			return err
		}, "FIELD_INVALID", "text"},
		{"a reader without a part in it", func(*house, context.Context) error {
			_, err := reportingv1.NewSupervisionReadServiceClient(h.as(other)).GetSupervision(t.Context(), &reportingv1.GetSupervisionRequest{SupervisionId: supervision})
			return err
		}, "NOT_FOUND", ""},
		{"the township reads", func(*house, context.Context) error {
			_, err := reportingv1.NewSupervisionReadServiceClient(h.as(township)).GetSupervision(h.assessing(), &reportingv1.GetSupervisionRequest{SupervisionId: supervision})
			return err
		}, "METHOD_NOT_ALLOWED", ""},
		{"a case not filed goes to prosecution", func(*house, context.Context) error {
			_, err := h.file(station).TransferForProsecution(h.officer(), &reportingv1.TransferForProsecutionRequest{RequestId: id(), FilingId: filing})
			return err
		}, "STATE_FORBIDS", ""},
	} {
		r := refusalOf(t, tc.call(h, t.Context()))
		if r.reason != tc.reason || r.zh == "" || tc.field != "" && !slices.Contains(r.fields, tc.field) {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
}
