package rpc_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// elsewhere is a village of another district of the city.
const elsewhere = "320404001001"

func (h *house) police(unit string) reportingv1.PoliceReportServiceClient {
	return reportingv1.NewPoliceReportServiceClient(h.as(unit))
}

func (h *house) reporter(unit string) reportingv1.ReporterServiceClient {
	return reportingv1.NewReporterServiceClient(h.as(unit))
}

// submittedAs is the id of a report that differs from the usual one.
func (h *house) submittedAs(change func(*reportingv1.SubmitReportRequest)) *reportingv1.SubmitReportResponse {
	h.t.Helper()
	got, err := h.do(school).SubmitReport(h.t.Context(), submission(change))
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

func (h *house) accept(unit, report string) error {
	_, err := h.do(unit).AcceptReport(h.t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
	return err
}

func (h *house) flagsOf(report string) []reportingv1.Flag {
	return h.whole(report).GetReport().GetFlags()
}

// A child that lives elsewhere: the report is taken, the station of the place where it was found acts, else the bureau, and it ends here with a
// record of who took it over.
func TestAReportOfAChildFromElsewhereIsTakenAndHandedOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, tc := range map[string]struct {
		residence, found, holder string
		flag                     reportingv1.Flag
	}{
		"outside":             {elsewhere, "", bureau, reportingv1.Flag_FLAG_RESIDENCE_OUTSIDE},
		"outside, found here": {elsewhere, village, station, reportingv1.Flag_FLAG_RESIDENCE_OUTSIDE},
		"another province":    {"110101001001", village, station, reportingv1.Flag_FLAG_RESIDENCE_OUTSIDE},
		"unknown":             {"", "", bureau, reportingv1.Flag_FLAG_RESIDENCE_UNKNOWN},
		"unknown, found here": {"", village, station, reportingv1.Flag_FLAG_RESIDENCE_UNKNOWN},
	} {
		got := h.submittedAs(func(r *reportingv1.SubmitReportRequest) {
			r.ResidenceDivision, r.FoundDivision = tc.residence, tc.found
		})
		if got.GetStanding().GetHolder() != tc.holder {
			t.Errorf("%s: held by %s", name, got.GetStanding().GetHolder())
		}
		read, err := h.read(tc.holder).GetReport(client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), &reportingv1.GetReportRequest{ReportId: got.GetStanding().GetId()})
		if err != nil || !slices.Contains(read.GetReport().GetFlags(), tc.flag) {
			t.Errorf("%s: %v, %v", name, read.GetReport().GetFlags(), err)
		}
	}
	for name, change := range map[string]func(*reportingv1.SubmitReportRequest){
		"a slip of the own district":  func(r *reportingv1.SubmitReportRequest) { r.ResidenceDivision = "320411999000" },
		"no province":                 func(r *reportingv1.SubmitReportRequest) { r.ResidenceDivision = "990101001001" },
		"found outside, where nobody": func(r *reportingv1.SubmitReportRequest) { r.FoundDivision = elsewhere },
	} {
		if _, err := h.do(school).SubmitReport(t.Context(), submission(change)); refusalOf(t, err).reason != "DIVISION_UNKNOWN" {
			t.Errorf("%s: %v", name, err)
		}
	}
	report := h.submittedAs(func(r *reportingv1.SubmitReportRequest) { r.ResidenceDivision, r.FoundDivision = elsewhere, village }).GetStanding().GetId()
	over := func(report string, change func(*reportingv1.HandOverReportRequest)) (*reportingv1.HandOverReportResponse, error) {
		req := &reportingv1.HandOverReportRequest{
			RequestId: id(), ReportId: report, Authority: "天宁区公安分局", Division: "320402000000", HandOverTime: timestamppb.New(h.clock()), ReceiptNumber: "TN-2026-7", Text: "儿童居住在天宁区",
		}
		change(req)
		return h.police(station).HandOverReport(h.officer(), req)
	}
	keep := func(*reportingv1.HandOverReportRequest) {}
	if _, err := over(report, keep); refusalOf(t, err).reason != "STATE_FORBIDS" {
		t.Errorf("handed over before it was accepted: %v", err)
	}
	must(t, func() error { return h.accept(station, report) })
	if _, err := over(report, func(r *reportingv1.HandOverReportRequest) { r.Division = village }); refusalOf(t, err).reason != "FIELD_INVALID" {
		t.Errorf("handed over to this district: %v", err)
	}
	here := h.accepted()
	if _, err := over(here, keep); refusalOf(t, err).reason != "RESIDENCE_HERE" {
		t.Errorf("a child of this district is handed over: %v", err)
	}
	got, err := over(report, keep)
	if err != nil || got.GetState() != reportingv1.Report_STATE_HANDED_OVER || got.GetStanding().GetHolder() != "" {
		t.Fatalf("%v, %v", got, err)
	}
	if r := h.whole(report).GetReport(); r.GetHandover().GetReceiptNumber() != "TN-2026-7" || r.GetHandover().GetOfficer() != officer {
		t.Errorf("recorded as %v", r.GetHandover())
	}
	h.wantProgress(report, reportingv1.GetReportStatusResponse_PROGRESS_HANDED_OVER, "")
	h.wantPromises()
}

// Police find a child on patrol: the report is theirs and accepted, without an incident, and a missing child is looked for at once.
func TestPoliceOpenAMatterTheyFindThemselves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	open := func(unit string, change func(*reportingv1.OpenReportRequest)) (*reportingv1.OpenReportResponse, error) {
		req := &reportingv1.OpenReportRequest{
			RequestId: id(), Children: []*reportingv1.ChildDescription{sibling("不详")}, ResidenceDivision: village, Situations: []string{"MISSING", "PARENT_UNREACHABLE"}, Narrative: "巡逻时发现",
		}
		change(req)
		return h.police(unit).OpenReport(client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), req)
	}
	keep := func(*reportingv1.OpenReportRequest) {}
	got, err := open(station, keep)
	if err != nil || got.GetState() != reportingv1.Report_STATE_RESPONDING || got.GetStanding().GetHolder() != station {
		t.Fatalf("%v, %v", got, err)
	}
	h.wantWorkInAnyOrder(station, "holds search SEARCHING by missing.search", "holds report RESPONDING by report.response")
	if got, err := open(bureau, func(r *reportingv1.OpenReportRequest) {
		r.ResidenceDivision, r.Situations = "", []string{"LIVING_ALONE"}
	}); err != nil || got.GetStanding().GetHolder() != bureau {
		t.Errorf("%v, %v", got, err)
	}
	for name, tc := range map[string]struct {
		unit   string
		change func(*reportingv1.OpenReportRequest)
		reason string
	}{
		"a situation nobody knows": {station, func(r *reportingv1.OpenReportRequest) { r.Situations = []string{"X"} }, "SITUATION_UNKNOWN"},
		"happens tomorrow":         {station, func(r *reportingv1.OpenReportRequest) { r.OccurTime = timestamppb.New(noon.Add(time.Hour)) }, "TIME_IN_FUTURE"},
		"happens after it was found out": {station, func(r *reportingv1.OpenReportRequest) {
			r.OccurTime, r.DiscoverTime = timestamppb.New(noon), timestamppb.New(noon.Add(-time.Hour))
		}, "FIELD_INVALID"},
		"a village committee is not police":   {"village/" + village, keep, "METHOD_NOT_ALLOWED"},
		"a school is not police, but reports": {school, keep, "METHOD_NOT_ALLOWED"},
	} {
		if _, err := open(tc.unit, tc.change); refusalOf(t, err).reason != tc.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.wantPromises()
}

func (h *house) end(ctx context.Context, unit, report string, reason reportingv1.ReportEnd_Reason, other string) (*reportingv1.EndReportResponse, error) {
	return h.police(unit).EndReport(ctx, &reportingv1.EndReportRequest{RequestId: id(), ReportId: report, Reason: reason, Text: "经核实", OtherReportId: other, Superior: chief})
}

// A false report, and one that is there twice, end with the reason, by an officer and a superior; nothing of them runs on, and the reporter sees it.
func TestAReportThatIsNoneEndsWithAReason(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.accepted()
	missing := h.submittedAs(func(r *reportingv1.SubmitReportRequest) { r.Situations = []string{"MISSING"} }).GetStanding().GetId()
	const mistake, duplicate = reportingv1.ReportEnd_REASON_FALSE, reportingv1.ReportEnd_REASON_DUPLICATE
	if _, err := h.end(h.officer(), station, missing, mistake, ""); refusalOf(t, err).reason != "STATE_FORBIDS" {
		t.Errorf("ended before it was accepted: %v", err)
	}
	must(t, func() error { return h.accept(station, missing) })
	if _, err := h.end(h.officer(), station, missing, mistake, ""); refusalOf(t, err).reason != "UNDER_WAY" || refusalOf(t, err).metadata["kind"] != "search" {
		t.Errorf("ended while a child is searched for: %v", err)
	}
	must(t, func() error {
		_, err := h.respond(station).EndSearch(h.officer(), &reportingv1.EndSearchRequest{
			RequestId: id(), SearchId: h.whole(missing).GetSearches()[0].GetStanding().GetId(), Outcome: reportingv1.Search_OUTCOME_NOT_MISSING, Text: "在亲戚家"})
		return err
	})
	for name, tc := range map[string]struct {
		ctx    context.Context
		unit   string
		other  string
		reason string
	}{
		"nobody":            {client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), station, first, "OFFICER_REQUIRED"},
		"the superior":      {client.By(client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), chief), station, first, "SUPERIOR_REQUIRED"},
		"of what":           {h.officer(), station, "", "FIELD_INVALID"},
		"of itself":         {h.officer(), station, missing, "FIELD_INVALID"},
		"of nothing":        {h.officer(), station, id(), "FIELD_INVALID"},
		"another station":   {t.Context(), other, first, "NOT_FOUND"},
		"the reporter":      {t.Context(), school, first, "METHOD_NOT_ALLOWED"},
		"the lead office":   {t.Context(), lead, first, "METHOD_NOT_ALLOWED"},
		"the procuratorate": {t.Context(), procuratorate, first, "METHOD_NOT_ALLOWED"},
	} {
		if _, err := h.end(tc.ctx, tc.unit, missing, duplicate, tc.other); refusalOf(t, err).reason != tc.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := h.end(h.officer(), station, missing, duplicate, first)
	if err != nil || got.GetState() != reportingv1.Report_STATE_ENDED || got.GetStanding().GetHolder() != "" {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := h.end(h.officer(), station, first, duplicate, missing); refusalOf(t, err).reason != "FIELD_INVALID" {
		t.Errorf("two duplicates of each other: %v", err)
	}
	if e := h.whole(missing).GetReport().GetEnd(); e.GetOtherReportId() != first || e.GetSuperior() != chief || e.GetOfficer() != officer {
		t.Errorf("ended as %v", e)
	}
	h.wantProgress(missing, reportingv1.GetReportStatusResponse_PROGRESS_ENDED, "")
	h.wantWork(station, "holds report RESPONDING by report.response")
	h.wantPromises()
}

// A reporter adds what it has learnt and puts right what it said, unknown to everybody but the vault; it withdraws nothing.
func TestAReporterAddsToItsReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted().GetStanding().GetId()
	add := func(unit string, change func(*reportingv1.SupplementReportRequest)) error {
		req := &reportingv1.SupplementReportRequest{RequestId: id(), ReportId: report, Text: "邻居称还有一个妹妹", OccurPlace: "三号楼", OccurTime: timestamppb.New(noon.Add(-2 * time.Hour)), FurtherChildren: []*reportingv1.ChildDescription{sibling("陆小溪")}}
		change(req)
		_, err := h.reporter(unit).SupplementReport(t.Context(), req)
		return err
	}
	keep := func(*reportingv1.SupplementReportRequest) {}
	for name, tc := range map[string]struct {
		unit   string
		change func(*reportingv1.SupplementReportRequest)
		reason string
	}{
		"another reporter":       {hospital, keep, "NOT_FOUND"},
		"the police":             {station, keep, "METHOD_NOT_ALLOWED"},
		"nothing":                {school, func(r *reportingv1.SupplementReportRequest) { r.Text = "" }, "FIELD_INVALID"},
		"after it was found out": {school, func(r *reportingv1.SupplementReportRequest) { r.OccurTime = timestamppb.New(noon.Add(-time.Minute)) }, "FIELD_INVALID"},
		"the child that was named": {school, func(r *reportingv1.SupplementReportRequest) {
			r.FurtherChildren[0].Person = &personv1.Person{IdNumber: "320411201506010019"}
		}, "CHILD_PRESENT"},
	} {
		if r := refusalOf(t, add(tc.unit, tc.change)); r.reason != tc.reason {
			t.Errorf("%s: %+v", name, r)
		}
	}
	must(t, func() error { return add(school, keep) })
	whole := h.whole(report)
	r := whole.GetReport()
	if len(r.GetSupplements()) != 1 || len(whole.GetChildren()) != 2 || r.GetOccurPlace() != "三号楼" || len(r.GetCorrections()) != 2 || r.GetCorrections()[0].GetUnit() != "" {
		t.Errorf("added as %v", r)
	}
	if r.GetChildren()[1].GetUnit() != "" || !slices.Contains(r.GetFlags(), reportingv1.Flag_FLAG_AGE_UNKNOWN) {
		t.Errorf("entered as %v with %v", r.GetChildren()[1], r.GetFlags())
	}
	var told int
	must(t, func() error {
		return h.db.QueryRow(t.Context(), "SELECT count(*) FROM idempotency i, audit a WHERE i.caller LIKE '%"+school+"%' OR a.unit = '"+school+"'").Scan(&told)
	})
	if told != 0 {
		t.Errorf("%d rows tell who added", told)
	}
	h.wantPromises()
}

// An age found without a number, and then the number: the flags follow, also when the situation changes.
func TestFlagsFollowWhatIsKnownOfTheChild(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submittedAs(func(r *reportingv1.SubmitReportRequest) {
		r.Child = &personv1.Person{Name: "不详", NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNKNOWN_IDENTITY}
		r.Situations = []string{"GIRL_U14_SEXUAL"}
	}).GetStanding().GetId()
	want := func(what string, flags ...reportingv1.Flag) {
		t.Helper()
		if diff := cmp.Diff(flags, h.flagsOf(report)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	want("nothing known", reportingv1.Flag_FLAG_AGE_UNKNOWN, reportingv1.Flag_FLAG_SEX_UNKNOWN)
	child := h.whole(report).GetChild().GetId()
	describe := func(age int32, birth string, sex personv1.Sex) error {
		_, err := h.matter(station).DescribeChild(h.officer(), &reportingv1.DescribeChildRequest{
			RequestId: id(), ProvisionalChildId: child, EstimatedAge: age, Text: "校医估计",
			Person: &personv1.Person{Name: "小雨", Sex: sex, BirthDate: birth, NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_NOT_KNOWN}})
		return err
	}
	must(t, func() error { return describe(14, "", personv1.Sex_SEX_FEMALE) }) // thirteen or fifteen
	want("about fourteen", reportingv1.Flag_FLAG_AGE_ESTIMATED)
	must(t, func() error { return describe(16, "", personv1.Sex_SEX_FEMALE) })
	want("about sixteen", reportingv1.Flag_FLAG_AGE_CONTRADICTS_SITUATION, reportingv1.Flag_FLAG_AGE_ESTIMATED)
	if r := refusalOf(t, describe(16, "2010-01-01", personv1.Sex_SEX_FEMALE)); r.reason != "FIELD_INVALID" || r.fields[0] != "estimated_age" {
		t.Errorf("an estimate beside the birth date: %+v", r)
	}
	must(t, func() error { return describe(0, "2012-08-01", personv1.Sex_SEX_MALE) })
	want("born in 2012, a boy", reportingv1.Flag_FLAG_SEX_CONTRADICTS_SITUATION)
	must(t, func() error { return h.accept(station, report) })
	must(t, func() error {
		_, err := h.do(station).AddSituation(h.officer(), &reportingv1.AddSituationRequest{RequestId: id(), ReportId: report, Situation: "LIVING_ALONE", Text: "独居"})
		return err
	})
	must(t, func() error {
		_, err := h.matter(station).StrikeSituation(h.officer(), &reportingv1.StrikeSituationRequest{RequestId: id(), ReportId: report, Situation: "GIRL_U14_SEXUAL", Text: "误报"})
		return err
	})
	want("of another situation")
	must(t, func() error { return h.identify(child, "320411201609120026") })
	if got := h.whole(report); len(got.GetChild().GetEarlier()) != 4 || got.GetChild().GetEarlier()[1].GetEstimatedAge() != 14 {
		t.Errorf("earlier %v", got.GetChild().GetEarlier())
	}
	h.wantPromises()
}

// A residence written down wrongly: the report not accepted yet goes to the station there, a bulletin to the township there, an assessment likewise.
func TestACorrectedResidenceMovesEverythingOfTheReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const far = "320411103200"
	division := ""
	for _, d := range h.district.Divisions() {
		if d.Parent == "320411103000" {
			division = d.Code
		}
	}
	correct := func(report string) error {
		_, err := h.matter(station).CorrectReport(h.officer(), &reportingv1.CorrectReportRequest{RequestId: id(), ReportId: report, ResidenceDivision: division, Text: "实际住薛家"})
		return err
	}
	fresh := h.submitted().GetStanding().GetId()
	must(t, func() error { return correct(fresh) })
	h.wantWork(other, "is offered report TRANSFERRING by report.accept")
	if _, err := h.read(other).GetReport(client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), &reportingv1.GetReportRequest{ReportId: fresh}); err != nil {
		t.Errorf("the station that is asked reads %v", err)
	}
	r := h.whole(fresh).GetReport()
	if r.GetDivision() != division || r.GetCorrections()[0].GetEarlier() != village || h.whole(fresh).GetChild().GetDivision() != division {
		t.Errorf("moved to %s (%s), kept %v", r.GetDivision(), far, r.GetCorrections())
	}
	must(t, func() error { return h.accept(other, fresh) })
	bulletin := h.bulletin()
	must(t, func() error { return correct(h.reportOf(bulletin)) })
	h.wantWork(township)
	h.wantWork(farTown, "is offered bulletin ISSUED by bulletin.acknowledge")
	assessment := h.assessment()
	got, err := h.read(township).GetAssessment(h.assessing(), &reportingv1.GetAssessmentRequest{AssessmentId: assessment})
	if err != nil {
		t.Fatal(err)
	}
	must(t, func() error { return correct(got.GetAssessment().GetReportId()) })
	h.wantWork(township, "holds assessment OPEN by assessment.start")
	if r := refusalOf(t, correct(got.GetAssessment().GetReportId())); r.reason != "NOTHING_CORRECTED" {
		t.Errorf("corrected to the same: %+v", r)
	}
	h.wantPromises()
}

// One escort covers one child: a measure is for the children it names, and the response closes when each child has what it needs.
func TestAResponseClosesWhenEachChildHasWhatItNeeds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submittedAs(func(r *reportingv1.SubmitReportRequest) {
		r.Situations, r.FurtherChildren = []string{"INJURY_OR_HARM"}, []*reportingv1.ChildDescription{sibling("陆小溪")}
	}).GetStanding().GetId()
	must(t, func() error { return h.accept(station, report) })
	whole := h.whole(report)
	first, second := whole.GetChildren()[0].GetId(), whole.GetChildren()[1].GetId()
	take := func(code string, children ...string) error {
		req := h.measure(report, code)
		req.ProvisionalChildIds = children
		_, err := h.do(station).RecordMeasure(h.officer(), req)
		return err
	}
	if r := refusalOf(t, take("HELP_MEDICAL")); r.reason != "CHILD_NOT_NAMED" || r.metadata["measure"] != "HELP_MEDICAL" {
		t.Errorf("for which child: %+v", r)
	}
	if r := refusalOf(t, take("HELP_MEDICAL", id())); r.reason != "CHILD_UNKNOWN" {
		t.Errorf("for a child of nobody: %+v", r)
	}
	for _, code := range []string{"STOP_HARM", "COLLECT_EVIDENCE"} { // about the family
		must(t, func() error { return take(code) })
	}
	must(t, func() error { return take("PROTECT_CHILD", first, second) })
	for _, code := range []string{"HELP_MEDICAL", "IDENTIFY_INJURY"} {
		must(t, func() error { return take(code, first) })
	}
	closing := func() error {
		_, err := h.do(station).CloseResponse(h.officer(), &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
		return err
	}
	if r := refusalOf(t, closing()); r.reason != "RESPONSE_INCOMPLETE" || r.metadata["missing"] != "OTHER_HARM.2" {
		t.Errorf("closed over one of two: %+v", r)
	}
	groups := h.whole(report).GetGroups()
	if !groups[0].GetMet() || groups[1].GetMet() || !slices.Equal(groups[1].GetMissingChildIds(), []string{second}) {
		t.Errorf("groups %v", groups)
	}
	must(t, func() error { return take("HELP_MEDICAL", second) })
	must(t, func() error {
		_, err := h.do(station).WaiveMeasure(h.officer(), &reportingv1.WaiveMeasureRequest{
			RequestId: id(), ReportId: report, Group: "OTHER_HARM.2", Text: "无伤可鉴", Superior: chief, ProvisionalChildIds: []string{second}})
		return err
	})
	must(t, closing)
	h.wantPromises()
}

// What went up to the lead office comes back down: it reads that the item is overdue, not what it tells, and names the police unit that has to act.
func TestTheLeadOfficeDirectsWhatThePoliceLeft(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted().GetStanding().GetId()
	for range 4 {
		h.advance(7 * 24 * time.Hour)
	}
	oversee := client.By(client.For(t.Context(), accessv1.Purpose_PURPOSE_UNIT_ASSESSMENT), "civil_affairs-2")
	got, err := h.read(lead).GetReport(oversee, &reportingv1.GetReportRequest{ReportId: report})
	if err != nil || got.GetReport().GetStanding().GetHolder() != lead || got.GetReport().GetNarrative() == "独自居住已两周" || got.GetChild().GetPerson().GetName() == "陆小舟" {
		t.Fatalf("the lead office reads %v, %v", got, err)
	}
	leads := reportingv1.NewLeadServiceClient(h.as(lead))
	direct := func(kind, item, to string) error {
		_, err := leads.DirectItem(oversee, &reportingv1.DirectItemRequest{RequestId: id(), ItemId: item, Kind: kind, ToUnit: to, Text: "今日内出警"})
		return err
	}
	for reason, err := range map[string]error{
		"UNIT_INVALID": direct("report", report, township), "FIELD_INVALID": direct("bulletin", report, station), "NOT_FOUND": direct("report", h.submitted().GetStanding().GetId(), station),
	} {
		if refusalOf(t, err).reason != reason {
			t.Errorf("%s: %v", reason, err)
		}
	}
	must(t, func() error { return direct("report", report, other) })
	_, err = h.do(other).DeclineTransfer(t.Context(), &reportingv1.DeclineTransferRequest{RequestId: id(), ReportId: report, Text: "警力不足"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, func() error { return h.accept(bureau, report) })
	search := h.searching(h.accepted())
	for range 4 {
		h.advance(7 * 24 * time.Hour)
	}
	must(t, func() error { return direct("search", search, other) })
	_, err = reportingv1.NewLeadServiceClient(h.as(other)).DeclineItem(t.Context(), &reportingv1.DeclineItemRequest{RequestId: id(), ItemId: search, Kind: "search", Text: "不在辖区"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, func() error { return direct("search", search, station) })
	must(t, func() error {
		_, err := h.respond(station).RecordSearch(h.officer(), &reportingv1.RecordSearchRequest{RequestId: id(), SearchId: search, Text: "走访"})
		return err
	})
	h.wantPromises()
}

// The procuratorate that asked about the wrong filing ends its supervision.
func TestTheProcuratorateWithdraws(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	filing := h.filing(h.accepted())
	must(t, func() error {
		_, err := h.file(station).DecideFiling(h.officer(), &reportingv1.DecideFilingRequest{RequestId: id(), FilingId: filing, Decision: reportingv1.Filing_DECISION_NOT_FILED, Reasons: "情节轻微"})
		return err
	})
	supervise := client.By(client.For(t.Context(), accessv1.Purpose_PURPOSE_LEGAL_SUPERVISION), "procuratorate-1")
	supervisions := reportingv1.NewSupervisionServiceClient(h.as(procuratorate))
	asked, err := supervisions.AskReasons(supervise, &reportingv1.AskReasonsRequest{RequestId: id(), FilingId: filing, Text: "为何不立案"})
	if err != nil {
		t.Fatal(err)
	}
	withdraw := func(ctx context.Context) (*reportingv1.WithdrawSupervisionResponse, error) {
		return supervisions.WithdrawSupervision(ctx, &reportingv1.WithdrawSupervisionRequest{RequestId: id(), SupervisionId: asked.GetStanding().GetId(), Text: "案号有误"})
	}
	if _, err := withdraw(client.For(t.Context(), accessv1.Purpose_PURPOSE_LEGAL_SUPERVISION)); refusalOf(t, err).reason != "OFFICER_REQUIRED" {
		t.Errorf("withdrawn by nobody: %v", err)
	}
	if got, err := withdraw(supervise); err != nil || got.GetStanding().GetHolder() != "" || got.GetState() != reportingv1.Supervision_STATE_WITHDRAWN {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := withdraw(supervise); refusalOf(t, err).reason != "STATE_FORBIDS" {
		t.Errorf("withdrawn twice: %v", err)
	}
	h.wantPromises()
}
