package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// trial is one call that must be refused.
type trial struct {
	name   string
	call   func(h *house, ctx context.Context) error
	reason string
	field  string // expected in the metadata, when the refusal is about a field
}

func submit(change ...func(*reportingv1.SubmitReportRequest)) func(*house, context.Context) error {
	return func(h *house, ctx context.Context) error {
		_, err := h.do(school).SubmitReport(ctx, submission(change...))
		return err
	}
}

// Reports that cannot be taken: each is told why, in Chinese too, with the field, and leaves nothing behind in either database.
func TestBadSubmissionsChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	type edit = *reportingv1.SubmitReportRequest
	for _, tc := range []trial{
		{"wrong check digit", submit(func(r edit) { r.Child.IdNumber = "320411201506010018" }), "ID_NUMBER_INVALID", "child.id_number"},
		{"birth date beside the number", submit(func(r edit) { r.Child.BirthDate = "2015-06-02" }), "ID_NUMBER_CONTRADICTED", "child.birth_date"},
		{"born tomorrow", submit(func(r edit) { r.Child.IdNumber, r.Child.BirthDate, r.Child.NoIdNumberReason = "", "2026-03-06", 1 }), "BIRTH_DATE_INVALID", "child.birth_date"},
		{"unknown division", submit(func(r edit) { r.ResidenceDivision = "320411999000" }), "DIVISION_UNKNOWN", "residence_division"},
		{"unknown situation", submit(func(r edit) { r.Situations = []string{"NOTHING"} }), "SITUATION_UNKNOWN", "situations[0]"},
		{"situation for police", submit(func(r edit) { r.Situations = []string{"PARENT_UNREACHABLE"} }), "SITUATION_NOT_REPORTABLE", "situations[0]"},
		{"found out tomorrow", submit(func(r edit) { r.DiscoverTime = timestamppb.New(noon.Add(time.Hour)) }), "TIME_IN_FUTURE", "discover_time"},
		{"unknown school", submit(func(r edit) { r.SchoolUnit = "org/unknown" }), "UNIT_INVALID", "school_unit"},
		{"no request_id", submit(func(r edit) { r.RequestId = "" }), "REQUEST_ID_REQUIRED", "request_id"},
		{"request_id of another form", submit(func(r edit) { r.RequestId = "42" }), "FIELD_INVALID", "request_id"},
		{"neither number nor reason", submit(func(r edit) { r.Child.IdNumber = "" }), "FIELD_INVALID", "child"},
		{"no situation", submit(func(r edit) { r.Situations = nil }), "FIELD_INVALID", "situations"},
		{"no words", submit(func(r edit) { r.Narrative = "" }), "FIELD_INVALID", "narrative"},
		{"eleven digits", submit(func(r edit) { r.ResidenceDivision = "32041110120" }), "FIELD_INVALID", "residence_division"},
		{"masked name", submit(func(r edit) { r.Child.Name = "※" }), "MASKED_VALUE", "child.name"},
		{"NUL character", submit(func(r edit) { r.Narrative = "a\x00b" }), "NUL_CHARACTER", "narrative"},
		{"two megabytes", submit(func(r edit) { r.Narrative = strings.Repeat("长", 700_000) }), "MESSAGE_TOO_LARGE", ""},
	} {
		before := h.tally()
		err := tc.call(h, t.Context())
		r := refusalOf(t, err)
		if r.reason != tc.reason || r.zh == "" || r.metadata["field"] != tc.field {
			t.Errorf("%s: %+v, want %s on %q", tc.name, r, tc.reason, tc.field)
		}
		if diff := cmp.Diff(before, h.tally()); diff != "" {
			t.Errorf("%s left something behind: %s", tc.name, diff)
		}
	}
}

func TestTheSameRequestIDIsOneReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	req := submission()
	first, err := h.do(school).SubmitReport(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	before := h.tally()
	again, err := h.do(school).SubmitReport(t.Context(), req)
	if err != nil || !proto.Equal(first, again) {
		t.Errorf("the retry was answered %v, %v", again, err)
	}
	changed := proto.CloneOf(req)
	changed.Narrative = "另一情况"
	_, err = h.do(school).SubmitReport(t.Context(), changed)
	if r := refusalOf(t, err); r.reason != "REQUEST_ID_REUSED" {
		t.Errorf("another content: %+v", r)
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
	// The same id from another unit is another request: nobody can block or read another one's.
	foreign, err := h.do(hospital).SubmitReport(t.Context(), req)
	if err != nil || foreign.GetStanding().GetId() == first.GetStanding().GetId() {
		t.Errorf("the hospital's request was answered %v, %v", foreign, err)
	}
}

// Every refusal of the area is produced once over the wire.
func TestEveryReasonOfTheAreaIsProduced(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	by := client.By(t.Context(), officer)
	report, assessment := h.accepted(), h.assessment()
	filing := h.filing(report)
	must(t, func() error {
		_, err := h.do(station).RecordMeasure(by, h.measure(report, "ORDER_PARENTS_RETURN"))
		return err
	})
	offered := h.submitted().GetStanding().GetId()
	must(t, func() error {
		_, err := h.do(station).TransferReport(by, &reportingv1.TransferReportRequest{RequestId: id(), ReportId: offered, ToUnit: bureau, Text: "请接收"})
		return err
	})
	empty := h.reportOfNobody()
	push := func(h *house, epoch int64) error {
		_, err := h.dispatch().PushIncidentUpdateBatch(t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), Epoch: epoch})
		return err
	}
	h.pushed(1, "J2")
	must(t, func() error {
		_, err := h.matter(station).LinkIncident(by, &reportingv1.LinkIncidentRequest{RequestId: id(), IncidentNumber: "J2", ReportId: report, Text: "x"})
		return err
	})
	must(t, func() error { return push(h, 2) })
	waive := func(ctx context.Context, superior, group string) error {
		_, err := h.do(station).WaiveMeasure(ctx, &reportingv1.WaiveMeasureRequest{RequestId: id(), ReportId: report, Group: group, Text: "理由", Superior: superior})
		return err
	}
	conclude := func(needs ...*reportingv1.NeedFinding) error {
		_, err := h.do(township).ConcludeAssessment(t.Context(), &reportingv1.ConcludeAssessmentRequest{
			RequestId: id(), AssessmentId: assessment, Colour: personv1.RiskColour_RISK_COLOUR_BLUE, Summary: "x", Needs: needs})
		return err
	}
	type edit = *reportingv1.SubmitReportRequest
	produced := map[string]func() error{
		"SITUATION_UNKNOWN":        func() error { return submit(func(r edit) { r.Situations = []string{"X"} })(h, t.Context()) },
		"SITUATION_NOT_REPORTABLE": func() error { return submit(func(r edit) { r.Situations = []string{"OTHER_HARM"} })(h, t.Context()) },
		"SITUATION_PRESENT": func() error {
			_, err := h.do(station).AddSituation(by, &reportingv1.AddSituationRequest{RequestId: id(), ReportId: report, Situation: "LIVING_ALONE", Text: "x"})
			return err
		},
		"ID_NUMBER_INVALID":      func() error { return submit(func(r edit) { r.Child.IdNumber = "1" })(h, t.Context()) },
		"ID_NUMBER_CONTRADICTED": func() error { return submit(func(r edit) { r.Child.Sex = personv1.Sex_SEX_FEMALE })(h, t.Context()) },
		"BIRTH_DATE_INVALID": func() error {
			return submit(func(r edit) { r.Child.IdNumber, r.Child.BirthDate, r.Child.NoIdNumberReason = "", "2026-03-06", 1 })(h, t.Context())
		},
		"TIME_IN_FUTURE": func() error {
			return submit(func(r edit) { r.OccurTime = timestamppb.New(noon.Add(time.Hour)) })(h, t.Context())
		},
		"UNIT_INVALID": func() error { return submit(func(r edit) { r.SchoolUnit = "x" })(h, t.Context()) },
		"TRANSFER_TARGET_INVALID": func() error {
			_, err := h.do(station).TransferReport(by, &reportingv1.TransferReportRequest{RequestId: id(), ReportId: report, ToUnit: "court", Text: "x"})
			return err
		},
		"BUREAU_CANNOT_DECLINE": func() error {
			_, err := h.do(bureau).DeclineTransfer(t.Context(), &reportingv1.DeclineTransferRequest{RequestId: id(), ReportId: offered, Text: "x"})
			return err
		},
		"MEASURE_UNKNOWN": func() error { _, err := h.do(station).RecordMeasure(by, h.measure(report, "X")); return err },
		"MEASURE_EXCLUDED": func() error {
			_, err := h.do(station).RecordMeasure(by, h.measure(report, "DESIGNATE_ENTRUSTED_CARER"))
			return err
		},
		"MEASURE_NOT_FOUND": func() error {
			_, err := h.do(station).StrikeMeasure(by, &reportingv1.StrikeMeasureRequest{RequestId: id(), ReportId: report, MeasureId: id(), Text: "x"})
			return err
		},
		"GROUP_UNKNOWN":     func() error { return waive(by, chief, "MISSING.1") },
		"SUPERIOR_REQUIRED": func() error { return waive(by, officer, "LIVING_ALONE.2") },
		"OFFICER_REQUIRED":  func() error { return waive(t.Context(), chief, "LIVING_ALONE.2") },
		"RESPONSE_INCOMPLETE": func() error {
			_, err := h.do(station).CloseResponse(by, &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
			return err
		},
		"FINDING_REQUIRED": func() error { return conclude() },
		"NEED_UNKNOWN": func() error {
			_, err := h.do(township).RecordAssessment(t.Context(), &reportingv1.RecordAssessmentRequest{RequestId: id(), AssessmentId: assessment,
				Findings: []*reportingv1.Finding{{Dimension: reportingv1.Dimension_DIMENSION_SAFETY, Text: "x"}}})
			if err != nil {
				return err
			}
			return conclude(&reportingv1.NeedFinding{Code: "x"})
		},
		"DISPATCH_EPOCH_STALE": func() error { return push(h, 1) },
		"MEASURE_OPENS_ITEM": func() error {
			_, err := h.do(station).RecordMeasure(by, h.measure(report, "NOTIFY_AND_PLACE"))
			return err
		},
		"LINK_PRESENT": func() error {
			_, err := h.matter(station).LinkIncident(by, &reportingv1.LinkIncidentRequest{RequestId: id(), IncidentNumber: "J2", ReportId: report, Text: "x"})
			return err
		},
		"LINK_UNKNOWN": func() error {
			_, err := h.matter(station).UnlinkIncident(by, &reportingv1.UnlinkIncidentRequest{RequestId: id(), IncidentNumber: "J2", ReportId: id(), Text: "x"})
			return err
		},
		"UNDER_WAY": func() error { h.searching(report); return h.startSearch(report) },
		"CHILD_UNKNOWN": func() error {
			_, err := h.respond(station).RequestPlacement(by, &reportingv1.RequestPlacementRequest{RequestId: id(), ReportId: report, Kind: 1, Text: "x", ProvisionalChildId: id()})
			return err
		},
		"CHILD_PRESENT": func() error {
			_, err := h.addChild(h.officer(), station, report, &reportingv1.ChildDescription{Person: &personv1.Person{IdNumber: "320411201506010019"}})
			return err
		},
		"SITUATION_ABSENT":   func() error { return h.strikeSituation(h.officer(), station, report, "MISSING") },
		"SITUATION_REQUIRED": func() error { return h.strikeSituation(h.officer(), station, report, "LIVING_ALONE") },
		"FINDING_NOT_FOUND":  func() error { return h.strikeFinding(h.assessing(), township, h.assessment(), id()) },
		"FEEDBACK_DUE": func() error {
			filing := h.filing(h.accepted())
			h.decide(filing)
			_, err := h.file(station).TransferForProsecution(by, &reportingv1.TransferForProsecutionRequest{RequestId: id(), FilingId: filing})
			return err
		},
		"CHILD_NOT_NAMED": func() error {
			two := h.submittedAs(func(r *reportingv1.SubmitReportRequest) {
				r.FurtherChildren = []*reportingv1.ChildDescription{sibling("陆小溪")}
			}).GetStanding().GetId()
			if err := h.accept(station, two); err != nil {
				return err
			}
			_, err := h.do(station).RecordMeasure(by, h.measure(two, "HELP_MEDICAL"))
			return err
		},
		"RESIDENCE_HERE": func() error {
			_, err := h.police(station).HandOverReport(by, &reportingv1.HandOverReportRequest{
				RequestId: id(), ReportId: h.accepted(), Authority: "x", Division: "320402000000", HandOverTime: timestamppb.New(noon), ReceiptNumber: "x", Text: "x"})
			return err
		},
		"CHILD_REQUIRED": func() error {
			_, err := h.do(station).CloseResponse(by, &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: empty})
			return err
		},
		"GROUND_INVALID": func() error {
			_, err := h.file(station).ExtendFiling(by, &reportingv1.ExtendFilingRequest{RequestId: id(), FilingId: filing, Ground: reportingv1.Filing_GROUND_COMPLEX, Text: "x"})
			return err
		},
		"NOTHING_CORRECTED": func() error {
			h.decide(filing)
			_, err := h.file(station).CorrectFiling(by, &reportingv1.CorrectFilingRequest{RequestId: id(), FilingId: filing, Reasons: "事实清楚", Text: "x"})
			return err
		},
	}
	order := []string{"FINDING_REQUIRED", "GROUND_INVALID"} // before NEED_UNKNOWN records one, and NOTHING_CORRECTED decides
	for reason := range produced {
		if !slices.Contains(order[:2], reason) {
			order = append(order, reason)
		}
	}
	for _, reason := range order {
		if r := refusalOf(t, produced[reason]()); r.reason != reason || r.zh == "" {
			t.Errorf("want %s, got %+v", reason, r)
		}
	}
	values := reportingv1.Reason(0).Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		reason := strings.TrimPrefix(string(values.Get(i).Name()), "REASON_")
		if strings.HasPrefix(reason, "DISPATCH_") && produced[reason] == nil {
			continue // a stream's; TestEveryReasonOfAStreamIsProduced
		}
		if strings.HasPrefix(reason, "QUARANTINE_") {
			continue // TestTheOperatorReplaysWhatCanBeUsedNow
		}
		if produced[reason] == nil {
			t.Errorf("%s is not produced by any call", reason)
		}
	}
}

// Whoever is not part of a matter learns nothing: not even whether it exists.
func TestTheWrongUnitLearnsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bulletin := h.bulletin()
	got, err := h.read(township).GetBulletin(t.Context(), &reportingv1.GetBulletinRequest{BulletinId: bulletin})
	if err != nil {
		t.Fatal(err)
	}
	report := got.GetBulletin().GetReportId()
	assessment := h.assessment()
	before := h.tally()
	absent := uuid.NewString()
	for name, call := range map[string]func(target string) error{
		"accept": func(x string) error {
			_, err := h.do(other).AcceptReport(t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: x, Etag: "v1"})
			return err
		},
		"measure": func(x string) error {
			_, err := h.do(other).RecordMeasure(t.Context(), h.measure(x, "ADMONISH_PARENTS"))
			return err
		},
		"read": func(x string) error {
			_, err := h.read(other).GetReport(t.Context(), &reportingv1.GetReportRequest{ReportId: x})
			return err
		},
		"status of another one's report": func(x string) error {
			_, err := h.read(hospital).GetReportStatus(t.Context(), &reportingv1.GetReportStatusRequest{ReportId: x})
			return err
		},
		"custody": func(x string) error {
			_, err := h.read("court").GetCustodyHistory(t.Context(), &reportingv1.GetCustodyHistoryRequest{Id: x})
			return err
		},
	} {
		h.same(name, call(report), call(absent))
	}
	acknowledge := func(x string) error {
		_, err := h.do(farTown).AcknowledgeBulletin(t.Context(), &reportingv1.AcknowledgeBulletinRequest{RequestId: id(), BulletinId: x})
		return err
	}
	h.same("acknowledge", acknowledge(bulletin), acknowledge(absent))
	conclude := func(x string) error {
		_, err := h.do(farTown).ConcludeAssessment(t.Context(), &reportingv1.ConcludeAssessmentRequest{RequestId: id(), AssessmentId: x, Colour: 1, Summary: "x"})
		return err
	}
	h.same("conclude", conclude(assessment), conclude(absent))
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
	_, err = h.do("court").AcceptReport(t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
	if r := refusalOf(t, err); r.reason != "METHOD_NOT_ALLOWED" {
		t.Errorf("a unit without the role: %+v", r)
	}
}

// same wants two refusals that cannot be told apart.
func (h *house) same(name string, seen, absent error) {
	h.t.Helper()
	a, b := refusalOf(h.t, seen), refusalOf(h.t, absent)
	if diff := cmp.Diff(b, a, cmp.AllowUnexported(refusal{})); diff != "" || a.reason != "NOT_FOUND" {
		h.t.Errorf("%s: %+v, but for an absent one %+v", name, a, b)
	}
}

func TestStaleEtagsAndForeignPageTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 3 {
		h.submitted()
	}
	report := h.accepted()
	before := h.tally()
	_, err := h.do(station).CloseResponse(t.Context(), &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report, Etag: "v1"})
	if r := refusalOf(t, err); r.reason != "ETAG_MISMATCH" || r.metadata["etag"] != "v2" {
		t.Errorf("stale etag: %+v", r)
	}
	first, err := h.read(station).ListReports(t.Context(), &reportingv1.ListReportsRequest{PageSize: 3})
	if err != nil || len(first.GetReports()) != 3 || first.GetNextPageToken() == "" {
		t.Fatalf("%v, %v", first, err)
	}
	rest, err := h.read(station).ListReports(t.Context(), &reportingv1.ListReportsRequest{PageSize: 3, PageToken: first.GetNextPageToken()})
	if err != nil || len(rest.GetReports()) != 1 || rest.GetNextPageToken() != "" {
		t.Errorf("%v, %v", rest, err)
	}
	for name, list := range map[string]func() error{
		"another caller": func() error {
			_, err := h.read(bureau).ListReports(t.Context(), &reportingv1.ListReportsRequest{PageToken: first.GetNextPageToken()})
			return err
		},
		"another filter": func() error {
			_, err := h.read(station).ListReports(t.Context(), &reportingv1.ListReportsRequest{PageToken: first.GetNextPageToken(), Division: village})
			return err
		},
		"another call": func() error {
			_, err := h.read(station).ListWork(t.Context(), &reportingv1.ListWorkRequest{PageToken: first.GetNextPageToken()})
			return err
		},
		"invented": func() error {
			_, err := h.read(station).ListReports(t.Context(), &reportingv1.ListReportsRequest{PageToken: "AAAA"})
			return err
		},
	} {
		if r := refusalOf(t, list()); r.reason != "PAGE_TOKEN_INVALID" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if got, err := h.read(other).ListReports(t.Context(), &reportingv1.ListReportsRequest{}); err != nil || len(got.GetReports()) != 0 {
		t.Errorf("another station lists %v, %v", got, err)
	}
	if got, err := h.read("procuratorate").ListReports(t.Context(), &reportingv1.ListReportsRequest{Division: "320411000000"}); err != nil || len(got.GetReports()) != 4 {
		t.Errorf("the procuratorate lists %d, %v", len(got.GetReports()), err)
	}
	after := h.tally()
	delete(before, "audit") // looks are recorded
	delete(after, "audit")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestVerbsInTheWrongState(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted().GetStanding().GetId()
	for name, call := range map[string]func() error{
		"measure before accepting": func() error {
			_, err := h.do(station).RecordMeasure(t.Context(), h.measure(report, "ADMONISH_PARENTS"))
			return err
		},
		"close before accepting": func() error {
			_, err := h.do(station).CloseResponse(t.Context(), &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
			return err
		},
		"bulletin before closing": func() error {
			_, err := h.do(station).IssueBulletin(t.Context(), &reportingv1.IssueBulletinRequest{RequestId: id(), ReportId: report, Text: "x"})
			return err
		},
	} {
		r := refusalOf(t, call())
		if r.reason != "STATE_FORBIDS" || r.metadata["state"] != "SUBMITTED" || r.metadata["verb"] == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Checking only must say what doing would say, and leave no trace, in the vault either.
func TestValidateOnlyLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted().GetStanding().GetId()
	before := h.tally()
	request := id()
	accept := func(validate bool) (*reportingv1.AcceptReportResponse, error) {
		return h.do(station).AcceptReport(t.Context(), &reportingv1.AcceptReportRequest{RequestId: request, ReportId: report, ValidateOnly: validate})
	}
	if got, err := accept(true); err != nil || got.GetStanding() != nil {
		t.Errorf("%v, %v", got, err)
	}
	got, err := h.do(school).SubmitReport(t.Context(), submission(func(r *reportingv1.SubmitReportRequest) { r.ValidateOnly = true }))
	if err != nil || got.GetStanding() != nil || got.GetReceipt() != nil {
		t.Errorf("%v, %v", got, err)
	}
	if r := refusalOf(t, submit(func(r *reportingv1.SubmitReportRequest) { r.ValidateOnly, r.Situations = true, []string{"X"} })(h, t.Context())); r.reason != "SITUATION_UNKNOWN" {
		t.Errorf("%+v", r)
	}
	if _, err := h.dispatch().PushIncidentUpdateBatch(t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), ValidateOnly: true, Epoch: 1, Updates: []*reportingv1.IncidentUpdate{h.update(1, "J1", 1, &reportingv1.IncidentContent{})}}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
	if got, err := accept(false); err != nil || got.GetState() != reportingv1.Report_STATE_RESPONDING {
		t.Errorf("the request_id was consumed: %v, %v", got, err)
	}
}
