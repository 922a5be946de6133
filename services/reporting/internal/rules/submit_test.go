package rules_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/idcode"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

type edit = func(*reportingv1.SubmitReportRequest)

func TestSubmissionsThatCannotBeTrueAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edit   edit
		reason fault.Reason
		field  string
	}{
		"wrong check digit": {func(r *reportingv1.SubmitReportRequest) { r.Child.IdNumber = "320411201506010018" },
			reportingv1.Reason_REASON_ID_NUMBER_INVALID, "child.id_number"},
		"seventeen digits": {func(r *reportingv1.SubmitReportRequest) { r.Child.IdNumber = "32041120150601001" },
			reportingv1.Reason_REASON_ID_NUMBER_INVALID, "child.id_number"},
		"birth date beside the number": {func(r *reportingv1.SubmitReportRequest) { r.Child.BirthDate = "2015-06-02" },
			reportingv1.Reason_REASON_ID_NUMBER_CONTRADICTED, "child.birth_date"},
		"sex beside the number": {func(r *reportingv1.SubmitReportRequest) { r.Child.Sex = personv1.Sex_SEX_FEMALE },
			reportingv1.Reason_REASON_ID_NUMBER_CONTRADICTED, "child.sex"},
		"born tomorrow": {func(r *reportingv1.SubmitReportRequest) { r.Child.IdNumber, r.Child.BirthDate = "", "2026-03-06" },
			reportingv1.Reason_REASON_BIRTH_DATE_INVALID, "child.birth_date"},
		"born on 30 February": {func(r *reportingv1.SubmitReportRequest) { r.Child.IdNumber, r.Child.BirthDate = "", "2015-02-30" },
			reportingv1.Reason_REASON_BIRTH_DATE_INVALID, "child.birth_date"},
		"division nobody knows": {func(r *reportingv1.SubmitReportRequest) { r.ResidenceDivision = "320411999000" },
			faultv1.Reason_REASON_DIVISION_UNKNOWN, "residence_division"},
		"situation nobody knows": {func(r *reportingv1.SubmitReportRequest) { r.Situations = []string{"LIVING_ALNOE"} },
			reportingv1.Reason_REASON_SITUATION_UNKNOWN, "situations[0]"},
		"situation only police find": {func(r *reportingv1.SubmitReportRequest) { r.Situations = append(r.Situations, "PARENT_UNREACHABLE") },
			reportingv1.Reason_REASON_SITUATION_NOT_REPORTABLE, "situations[1]"},
		"found out tomorrow": {func(r *reportingv1.SubmitReportRequest) { r.DiscoverTime = timestamppb.New(noon.Add(time.Second)) },
			reportingv1.Reason_REASON_TIME_IN_FUTURE, "discover_time"},
		"happens tomorrow": {func(r *reportingv1.SubmitReportRequest) { r.OccurTime = timestamppb.New(noon.Add(time.Second)) },
			reportingv1.Reason_REASON_TIME_IN_FUTURE, "occur_time"},
		"happens after it was found out": {func(r *reportingv1.SubmitReportRequest) {
			r.OccurTime, r.DiscoverTime = timestamppb.New(noon.Add(-time.Minute)), timestamppb.New(noon.Add(-time.Hour))
		}, faultv1.Reason_REASON_FIELD_INVALID, "occur_time"},
		"school nobody knows": {func(r *reportingv1.SubmitReportRequest) { r.SchoolUnit = "org/1232041171001137XB" },
			reportingv1.Reason_REASON_UNIT_INVALID, "school_unit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := rules.CheckSubmission(xinbei(t), submission(tc.edit), noon)
			var refusal *fault.Error
			if !fault.Is(err, tc.reason) || !asFault(err, &refusal) {
				t.Fatalf("answered %v, want %v", err, tc.reason)
			}
			if refusal.Metadata()["field"] != tc.field || len(refusal.Fields()) != 1 || refusal.Fields()[0].Path != tc.field {
				t.Errorf("field %q, violations %v", refusal.Metadata()["field"], refusal.Fields())
			}
		})
	}
}

// A report must never be lost because a teacher took the child for somebody else: it is accepted, and marked.
func TestWhatDoesNotFitTheSituationIsFlagged(t *testing.T) {
	t.Parallel()
	girl := func(birth, situation string) edit {
		return func(r *reportingv1.SubmitReportRequest) {
			r.Child = &personv1.Person{Name: "林小雨", Sex: personv1.Sex_SEX_FEMALE, BirthDate: birth}
			r.Situations = []string{situation}
		}
	}
	for name, tc := range map[string]struct {
		edit edit
		want []reportingv1.Flag
	}{
		"nothing odd":                        {func(*reportingv1.SubmitReportRequest) {}, nil},
		"fourteen in the under-14 situation": {girl("2011-06-01", "GIRL_U14_SEXUAL"), []reportingv1.Flag{reportingv1.Flag_FLAG_AGE_CONTRADICTS_SITUATION}},
		"thirteen in it":                     {girl("2012-06-01", "GIRL_U14_SEXUAL"), nil},
		"thirteen in the 14-plus situation":  {girl("2012-06-01", "GIRL_14PLUS_SEXUAL"), []reportingv1.Flag{reportingv1.Flag_FLAG_AGE_CONTRADICTS_SITUATION}},
		"a boy in a girls' situation": {func(r *reportingv1.SubmitReportRequest) { r.Situations = []string{"GIRL_U14_SEXUAL"} },
			[]reportingv1.Flag{reportingv1.Flag_FLAG_SEX_CONTRADICTS_SITUATION}},
		"nothing known of the child": {func(r *reportingv1.SubmitReportRequest) {
			r.Child = &personv1.Person{NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNKNOWN_IDENTITY}
			r.Situations = []string{"GIRL_U14_SEXUAL"}
		}, []reportingv1.Flag{reportingv1.Flag_FLAG_AGE_UNKNOWN, reportingv1.Flag_FLAG_SEX_UNKNOWN}},
		"nineteen": {girl("2006-06-01", "LIVING_ALONE"), []reportingv1.Flag{reportingv1.Flag_FLAG_NOT_A_MINOR}},
		"told a day late": {func(r *reportingv1.SubmitReportRequest) {
			r.OccurTime, r.DiscoverTime = nil, timestamppb.New(noon.Add(-24*time.Hour))
		},
			[]reportingv1.Flag{reportingv1.Flag_FLAG_LATE}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, newReport(t, tc.edit).GetFlags()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheStationOfTheResidenceHoldsTheReportFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	s := newReport(t).GetStanding()
	if s.GetHolder() != station || s.GetOfferedTo() != "" || s.GetClock() != "report.accept" || !s.GetDeadline().AsTime().Equal(noon.Add(time.Hour)) {
		t.Errorf("standing %v", s)
	}
	if s.GetMatterId() != s.GetId() {
		t.Error("a report opens its own matter")
	}
}

func TestTheIdentityNumberFillsInWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	req := submission(func(r *reportingv1.SubmitReportRequest) { r.Child = &personv1.Person{IdNumber: "320411201609120026"} })
	_, children := rules.NewReport(xinbei(t), req, ids, noon)
	child := children[0]
	if child.GetPerson().GetBirthDate() != "2016-09-12" || child.GetPerson().GetSex() != personv1.Sex_SEX_FEMALE {
		t.Errorf("birth date %s, sex %v", child.GetPerson().GetBirthDate(), child.GetPerson().GetSex())
	}
	if req.GetChild().GetBirthDate() != "" {
		t.Error("the request was changed; its digest would differ from the sender's")
	}
}

// A foreign permanent resident has a number, built like a citizen's, and is no citizen: both are kept. A reason beside any other number is void.
func TestAForeignersNumberKeepsItsReason(t *testing.T) {
	t.Parallel()
	const foreign, unknown = personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_FOREIGN_NATIONAL, personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_NOT_KNOWN
	const none = personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNSPECIFIED
	birth := calendar.Date{Year: 2016, Month: time.September, Day: 12}
	for _, c := range []struct {
		area       string
		said, kept personv1.NoIdNumberReason
	}{
		{"932840", foreign, foreign}, {"932840", unknown, none}, {"932840", none, none}, {"810000", foreign, none}, {"830000", none, none}, {"320411", foreign, none},
	} {
		number := idcode.MakeIDNumber(c.area, birth, 2)
		req := submission(func(r *reportingv1.SubmitReportRequest) {
			r.Child = &personv1.Person{IdNumber: number, NoIdNumberReason: c.said}
		})
		if err := rules.CheckSubmission(xinbei(t), req, noon); err != nil {
			t.Errorf("area %s: %v", c.area, err)
		}
		_, children := rules.NewReport(xinbei(t), req, ids, noon)
		child := children[0].GetPerson()
		if child.GetIdNumber() != number || child.GetNoIdNumberReason() != c.kept || child.GetBirthDate() != "2016-09-12" {
			t.Errorf("area %s, said %v: kept %v", c.area, c.said, child)
		}
		known := &reportingv1.ProvisionalChild{Person: &personv1.Person{Name: "测试一"}}
		if err := rules.IdentifyChild(known, rules.Actor{}, req.GetChild(), "证件", noon); err != nil || known.GetPerson().GetNoIdNumberReason() != c.kept {
			t.Errorf("area %s, said %v: identified as %v, %v", c.area, c.said, known.GetPerson(), err)
		}
	}
}
