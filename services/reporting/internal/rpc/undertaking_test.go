package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

const (
	procuratorate = "procuratorate"
	shelter       = "org/1232041171003466XF"
)

func (h *house) respond(unit string) reportingv1.ResponseServiceClient {
	return reportingv1.NewResponseServiceClient(h.as(unit))
}

func (h *house) responses(unit string) reportingv1.ResponseReadServiceClient {
	return reportingv1.NewResponseReadServiceClient(h.as(unit))
}

func (h *house) file(unit string) reportingv1.FilingServiceClient {
	return reportingv1.NewFilingServiceClient(h.as(unit))
}

func (h *house) filings(unit string) reportingv1.FilingReadServiceClient {
	return reportingv1.NewFilingReadServiceClient(h.as(unit))
}

func (h *house) officer() context.Context {
	return client.By(client.For(h.t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), officer)
}

func (h *house) startSearch(report string) error {
	_, err := h.respond(station).StartSearch(h.officer(), h.searchFor(report))
	return err
}

func (h *house) searchFor(report string) *reportingv1.StartSearchRequest {
	return &reportingv1.StartSearchRequest{RequestId: id(), ReportId: report, LastSeenTime: timestamppb.New(h.clock()), LastSeenPlace: "校门", Text: "红色书包"}
}

// searching is the id of a running search.
func (h *house) searching(report string) string {
	h.t.Helper()
	got, err := h.respond(station).StartSearch(h.officer(), h.searchFor(report))
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetStanding().GetId()
}

// placement is the id of a placement that civil affairs has not answered.
func (h *house) placement(report string) string {
	h.t.Helper()
	got, err := h.respond(station).RequestPlacement(h.officer(), &reportingv1.RequestPlacementRequest{
		RequestId: id(), ReportId: report, Kind: reportingv1.Placement_KIND_SHELTER, Text: "需夜间照料"})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetStanding().GetId()
}

// filing is the id of a criminal review.
func (h *house) filing(report string) string {
	h.t.Helper()
	got, err := h.file(station).OpenFiling(h.officer(), &reportingv1.OpenFilingRequest{RequestId: id(), ReportId: report, Kind: reportingv1.Filing_KIND_CRIMINAL})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetStanding().GetId()
}

func (h *house) decide(filing string) {
	h.t.Helper()
	must(h.t, func() error {
		_, err := h.file(station).DecideFiling(h.officer(), &reportingv1.DecideFilingRequest{
			RequestId: id(), FilingId: filing, Decision: reportingv1.Filing_DECISION_FILED, Reasons: "事实清楚", CaseNumber: "A3204110000002026030001"})
		return err
	})
}

// Violence at home: the placement counts when civil affairs has taken the child, the filing runs beside the response, and the reporter learns the
// decision when police open it - from its own status, while nothing in this database says who it is.
func TestViolenceIsStoppedTheChildPlacedAndTheCaseFiled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	submitted, err := h.do(hospital).SubmitReport(t.Context(), submission(func(r *reportingv1.SubmitReportRequest) { r.Situations = []string{"DOMESTIC_VIOLENCE"} }))
	if err != nil {
		t.Fatal(err)
	}
	report, by := submitted.GetStanding().GetId(), h.officer()
	must(t, func() error {
		_, err := h.do(station).AcceptReport(by, &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	for _, code := range []string{"STOP_VIOLENCE", "COLLECT_EVIDENCE", "HELP_MEDICAL", "IDENTIFY_INJURY"} {
		must(t, func() error { _, err := h.do(station).RecordMeasure(by, h.measure(report, code)); return err })
	}
	placement, filing := h.placement(report), h.filing(report)
	h.wantWork(lead, "is offered placement REQUESTED by placement.accept")
	_, err = h.do(station).CloseResponse(by, &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
	if r := refusalOf(t, err); r.reason != "RESPONSE_INCOMPLETE" || r.metadata["missing"] != "DOMESTIC_VIOLENCE.2" {
		t.Errorf("closing before the child is taken: %+v", r)
	}
	seen, err := h.responses(lead).GetPlacement(client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), &reportingv1.GetPlacementRequest{PlacementId: placement})
	if err != nil || seen.GetChild().GetPerson().GetName() != "陆小舟" || seen.GetPlacement().GetText() == "" {
		t.Errorf("civil affairs reads %v, %v", seen, err)
	}
	if c := seen.GetChild(); c.GetSchoolUnit() != "" || c.GetCreateTime() != nil || c.GetUpdateTime() != nil {
		t.Errorf("whoever is asked to care for the child learns of its report: %v", c)
	}
	must(t, func() error {
		_, err := h.respond(lead).AcceptPlacement(t.Context(), &reportingv1.AcceptPlacementRequest{RequestId: id(), PlacementId: placement, CareUnit: shelter})
		return err
	})
	h.wantWork(lead, "holds placement PLACED by tempguardian.review")
	must(t, func() error {
		_, err := h.do(station).CloseResponse(by, &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
		return err
	})
	status := func() []*reportingv1.FilingFeedback {
		got, err := h.read(hospital).GetReportStatus(t.Context(), &reportingv1.GetReportStatusRequest{ReportId: report})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetFilings()
	}
	h.decide(filing)
	h.wantWork(station, "holds report RESPONSE_CLOSED by township.notice", "holds filing DECIDED by report.feedback")
	if told := status(); len(told) != 0 {
		t.Errorf("told before the police open it: %v", told)
	}
	must(t, func() error {
		_, err := h.file(station).GiveFeedback(by, &reportingv1.GiveFeedbackRequest{RequestId: id(), FilingId: filing})
		return err
	})
	if told := status(); len(told) != 1 || told[0].GetDecision() != reportingv1.Filing_DECISION_FILED || told[0].GetKind() != reportingv1.Filing_KIND_CRIMINAL {
		t.Errorf("the reporter is told %v", told)
	}
	got, err := h.read(station).GetReport(by, &reportingv1.GetReportRequest{ReportId: report})
	if err != nil || len(got.GetFilings()) != 1 || len(got.GetPlacements()) != 1 || got.GetFilings()[0].GetReasons() != "事实清楚" {
		t.Errorf("the report with what it set in motion: %v, %v", got, err)
	}
	h.wantPromises()
}

// A missing child is looked for from the first minute; the response may close while the search goes on under its own clock.
func TestASearchRunsOnWhenTheResponseIsClosed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	submitted, err := h.do(school).SubmitReport(t.Context(), submission(func(r *reportingv1.SubmitReportRequest) { r.Situations = []string{"MISSING"} }))
	if err != nil {
		t.Fatal(err)
	}
	report, by := submitted.GetStanding().GetId(), h.officer()
	must(t, func() error {
		_, err := h.do(station).AcceptReport(by, &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	search := h.whole(report).GetSearches()[0].GetStanding().GetId() // begun by accepting
	must(t, func() error {
		_, err := h.do(station).CloseResponse(by, &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
		return err
	})
	h.advance(24 * time.Hour)
	if work := h.work(bureau); !slices.Contains(work, "holds search SEARCHING by missing.search") {
		t.Errorf("the bureau's work: %v", work)
	}
	must(t, func() error {
		_, err := h.respond(station).RecordSearch(by, &reportingv1.RecordSearchRequest{RequestId: id(), SearchId: search, Text: "走访同学"})
		return err
	})
	must(t, func() error {
		_, err := h.respond(station).EndSearch(by, &reportingv1.EndSearchRequest{
			RequestId: id(), SearchId: search, Outcome: reportingv1.Search_OUTCOME_FOUND_SAFE, FoundTime: timestamppb.New(h.clock()), Text: "外婆家"})
		return err
	})
	got, err := h.responses(procuratorate).GetSearch(client.For(t.Context(), accessv1.Purpose_PURPOSE_LEGAL_SUPERVISION), &reportingv1.GetSearchRequest{SearchId: search})
	if err != nil || got.GetSearch().GetOutcome() != reportingv1.Search_OUTCOME_FOUND_SAFE || len(got.GetSearch().GetSteps()) != 1 {
		t.Errorf("read back: %v, %v", got, err)
	}
	history, err := h.read(station).GetCustodyHistory(t.Context(), &reportingv1.GetCustodyHistoryRequest{Id: search})
	if err != nil || len(history.GetPoints()) != 4 {
		t.Errorf("history %v, %v", history, err)
	}
	h.wantPromises()
}

// The procuratorate supervises filing: it hears of it, finds it in a list and reads the reasons. Nobody else outside the police does.
func TestTheProcuratorateSeesFilingsAndTheirReasonsAndOthersDoNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	filing := h.filing(report)
	h.decide(filing)
	supervise := client.For(t.Context(), accessv1.Purpose_PURPOSE_LEGAL_SUPERVISION)
	got, err := h.filings(procuratorate).GetFiling(supervise, &reportingv1.GetFilingRequest{FilingId: filing})
	if err != nil || got.GetFiling().GetReasons() != "事实清楚" || got.GetFiling().GetDecision() != reportingv1.Filing_DECISION_FILED {
		t.Errorf("the procuratorate reads %v, %v", got, err)
	}
	for name, req := range map[string]*reportingv1.ListFilingsRequest{
		"all": {}, "by report": {ReportId: report}, "by division": {Division: "320411101000"}, "by decision": {Decision: reportingv1.Filing_DECISION_FILED},
	} {
		if list, err := h.filings(procuratorate).ListFilings(supervise, req); err != nil || len(list.GetFilings()) != 1 || list.GetFilings()[0].GetReasons() == "" {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	for name, req := range map[string]*reportingv1.ListFilingsRequest{
		"another report": {ReportId: id()}, "another division": {Division: "320411103000"}, "another decision": {Decision: reportingv1.Filing_DECISION_NOT_FILED},
	} {
		if list, err := h.filings(procuratorate).ListFilings(supervise, req); err != nil || len(list.GetFilings()) != 0 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	_, err = h.filings(procuratorate).GetFiling(client.For(t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT), &reportingv1.GetFilingRequest{FilingId: filing})
	if r := refusalOf(t, err); r.reason != "METHOD_NOT_ALLOWED" {
		t.Errorf("for another purpose: %+v", r)
	}
	for _, unit := range []string{township, lead, school, hospital, "court", "health"} {
		_, err := h.filings(unit).GetFiling(t.Context(), &reportingv1.GetFilingRequest{FilingId: filing})
		if r := refusalOf(t, err); r.reason != "METHOD_NOT_ALLOWED" && r.reason != "NOT_FOUND" {
			t.Errorf("%s reads a filing: %+v", unit, r)
		}
	}
	if list, err := h.filings(other).ListFilings(t.Context(), &reportingv1.ListFilingsRequest{}); err != nil || len(list.GetFilings()) != 0 {
		t.Errorf("another station lists %v, %v", list, err)
	}
	must(t, func() error { return h.sequencer.Drain(t.Context()) })
	feed, err := reportingv1.NewReportingFeedServiceClient(h.as(procuratorate)).ReadFeed(t.Context(), &reportingv1.ReadFeedRequest{Position: &feedv1.Position{}, MaxWait: durationpb.New(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	for _, ev := range feed.GetBatch().GetEvents() {
		heard = append(heard, ev.GetType())
	}
	if diff := cmp.Diff([]string{"filing.opened", "filing.decided"}, heard); diff != "" {
		t.Error(diff)
	}
}

// What the new verbs refuse over the wire: a reason, the field, words in Chinese, and both databases as they were.
func TestBadUndertakingsChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	search, placement, filing := h.searching(report), h.placement(report), h.filing(report)
	stranger := h.submitted().GetStanding().GetId()
	before := h.tally()
	by := h.officer()
	for _, tc := range []trial{
		{"a search without a place", func(h *house, _ context.Context) error {
			req := h.searchFor(report)
			req.LastSeenPlace = ""
			_, err := h.respond(station).StartSearch(by, req)
			return err
		}, "FIELD_INVALID", "last_seen_place"},
		{"last seen tomorrow", func(h *house, _ context.Context) error {
			req := h.searchFor(report)
			req.LastSeenTime = timestamppb.New(h.clock().Add(time.Hour))
			_, err := h.respond(station).StartSearch(by, req)
			return err
		}, "TIME_IN_FUTURE", "last_seen_time"},
		{"a search before accepting", func(h *house, _ context.Context) error { return h.startSearch(stranger) }, "STATE_FORBIDS", ""},
		{"a second search", func(h *house, _ context.Context) error { return h.startSearch(report) }, "UNDER_WAY", ""},
		{"an end without an outcome", func(h *house, _ context.Context) error {
			_, err := h.respond(station).EndSearch(by, &reportingv1.EndSearchRequest{RequestId: id(), SearchId: search, Text: "x"})
			return err
		}, "FIELD_INVALID", "outcome"},
		{"found, but not when", func(h *house, _ context.Context) error {
			_, err := h.respond(station).EndSearch(by, &reportingv1.EndSearchRequest{RequestId: id(), SearchId: search, Outcome: reportingv1.Search_OUTCOME_FOUND_SAFE, Text: "x"})
			return err
		}, "FIELD_INVALID", "found_time"},
		{"another station's search", func(h *house, _ context.Context) error {
			_, err := h.respond(other).RecordSearch(t.Context(), &reportingv1.RecordSearchRequest{RequestId: id(), SearchId: search, Text: "x"})
			return err
		}, "NOT_FOUND", ""},
		{"a second placement", func(h *house, _ context.Context) error {
			_, err := h.respond(station).RequestPlacement(by, &reportingv1.RequestPlacementRequest{RequestId: id(), ReportId: report, Kind: 1, Text: "x"})
			return err
		}, "UNDER_WAY", ""},
		{"a kind nobody knows", func(h *house, _ context.Context) error {
			_, err := h.respond(station).RequestPlacement(by, &reportingv1.RequestPlacementRequest{RequestId: id(), ReportId: report, Kind: 9, Text: "x"})
			return err
		}, "FIELD_INVALID", "kind"},
		{"care by nobody", func(h *house, _ context.Context) error {
			_, err := h.respond(lead).AcceptPlacement(t.Context(), &reportingv1.AcceptPlacementRequest{RequestId: id(), PlacementId: placement, CareUnit: "org/nobody"})
			return err
		}, "UNIT_INVALID", "care_unit"},
		{"police accept in civil affairs' place", func(h *house, _ context.Context) error {
			_, err := h.respond(station).AcceptPlacement(by, &reportingv1.AcceptPlacementRequest{RequestId: id(), PlacementId: placement, CareUnit: shelter})
			return err
		}, "METHOD_NOT_ALLOWED", ""},
		{"an end before the care began", func(h *house, _ context.Context) error {
			_, err := h.respond(lead).EndPlacement(t.Context(), &reportingv1.EndPlacementRequest{RequestId: id(), PlacementId: placement, End: 1, Text: "x"})
			return err
		}, "STATE_FORBIDS", ""},
		{"a second review", func(h *house, _ context.Context) error {
			_, err := h.file(station).OpenFiling(by, &reportingv1.OpenFilingRequest{RequestId: id(), ReportId: report, Kind: reportingv1.Filing_KIND_CRIMINAL})
			return err
		}, "UNDER_WAY", ""},
		{"filed without a number", func(h *house, _ context.Context) error {
			_, err := h.file(station).DecideFiling(by, &reportingv1.DecideFilingRequest{RequestId: id(), FilingId: filing, Decision: 1, Reasons: "x"})
			return err
		}, "FIELD_INVALID", ""},
		{"not filed without a reason", func(h *house, _ context.Context) error {
			_, err := h.file(station).DecideFiling(by, &reportingv1.DecideFilingRequest{RequestId: id(), FilingId: filing, Decision: 2})
			return err
		}, "FIELD_INVALID", "reasons"},
		{"a system decides", func(h *house, _ context.Context) error {
			_, err := h.file(station).DecideFiling(t.Context(), &reportingv1.DecideFilingRequest{RequestId: id(), FilingId: filing, Decision: 2, Reasons: "x"})
			return err
		}, "OFFICER_REQUIRED", ""},
		{"approved by the station's own chief", func(h *house, _ context.Context) error {
			_, err := h.file(station).ExtendFiling(by, &reportingv1.ExtendFilingRequest{RequestId: id(), FilingId: filing, Ground: reportingv1.Filing_GROUND_APPROVED, Text: "x", Superior: chief})
			return err
		}, "SUPERIOR_REQUIRED", "superior"},
		{"feedback before the decision", func(h *house, _ context.Context) error {
			_, err := h.file(station).GiveFeedback(by, &reportingv1.GiveFeedbackRequest{RequestId: id(), FilingId: filing})
			return err
		}, "STATE_FORBIDS", ""},
		{"a correction before the decision", func(h *house, _ context.Context) error {
			_, err := h.file(station).CorrectFiling(by, &reportingv1.CorrectFilingRequest{RequestId: id(), FilingId: filing, Reasons: "x", Text: "x"})
			return err
		}, "STATE_FORBIDS", ""},
		{"the procuratorate decides", func(h *house, _ context.Context) error {
			_, err := h.file(procuratorate).DecideFiling(t.Context(), &reportingv1.DecideFilingRequest{RequestId: id(), FilingId: filing, Decision: 2, Reasons: "x"})
			return err
		}, "METHOD_NOT_ALLOWED", ""},
	} {
		r := refusalOf(t, tc.call(h, t.Context()))
		if r.reason != tc.reason || r.zh == "" || tc.field != "" && !slices.ContainsFunc(r.fields, func(f string) bool { return strings.HasPrefix(f, tc.field) }) {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
}
