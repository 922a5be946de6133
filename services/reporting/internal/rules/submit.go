package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// CheckSubmission refuses a report that cannot be true in any state of the world. A child that does not fit the situation is
// no reason: such a report is accepted and flagged (policy R3.3).
func CheckSubmission(d *district.District, req *reportingv1.SubmitReportRequest, now time.Time) error {
	if err := d.CheckDivision("residence_division", req.GetResidenceDivision(), calendar.Today(now)); err != nil {
		return err
	}
	if err := checkPerson("child", req.GetChild(), now); err != nil {
		return err
	}
	for i, code := range req.GetSituations() {
		field := fmt.Sprintf("situations[%d]", i)
		situation, ok := d.Situation(code)
		if !ok {
			return situationUnknown(field, code)
		}
		if !situation.Reportable {
			return fault.New(reportingv1.Reason_REASON_SITUATION_NOT_REPORTABLE, field+": found by the responding police only", "field", field, "situation", code).
				Field(field, "found by the responding police only")
		}
	}
	if err := notInFuture("discover_time", req.GetDiscoverTime().AsTime(), now); err != nil {
		return err
	}
	if req.GetOccurTime() != nil {
		if err := notInFuture("occur_time", req.GetOccurTime().AsTime(), now); err != nil {
			return err
		}
	}
	return checkUnit(d, "school_unit", req.GetSchoolUnit(), now)
}

// NewReport makes the report and the provisional child of a checked submission. The station that serves the child's residence
// holds the report from the first moment; the reporter never does.
func NewReport(d *district.District, req *reportingv1.SubmitReportRequest, reportID, childID string, now time.Time) (*reportingv1.Report, *reportingv1.ProvisionalChild) {
	person := proto.CloneOf(req.GetChild())
	complete(person)
	child := &reportingv1.ProvisionalChild{
		Id: childID, MatterId: reportID, Division: req.GetResidenceDivision(), Person: person, SchoolUnit: req.GetSchoolUnit(),
	}
	report := &reportingv1.Report{
		Standing:           &custodyv1.Standing{Id: reportID, MatterId: reportID},
		State:              reportingv1.Report_STATE_SUBMITTED,
		Division:           req.GetResidenceDivision(),
		ReceiptNumber:      receiptNumber(reportID, now),
		Situations:         req.GetSituations(),
		Flags:              flags(d, req, person, now),
		OccurTime:          req.GetOccurTime(),
		DiscoverTime:       req.GetDiscoverTime(),
		OccurPlace:         req.GetOccurPlace(),
		Narrative:          req.GetNarrative(),
		ProvisionalChildId: childID,
	}
	hold(d, report.Standing, d.StationFor(report.Division), district.ClockReportAccept, now)
	return report, child
}

// receiptNumber is the day of receipt and the first twelve digits of the report's id.
func receiptNumber(reportID string, now time.Time) string {
	digits := strings.ToUpper(strings.ReplaceAll(reportID, "-", ""))
	return strings.ReplaceAll(calendar.Today(now).String(), "-", "") + "-" + digits[:12]
}

// flags collects what is odd about a submission, in the order of the enum.
func flags(d *district.District, req *reportingv1.SubmitReportRequest, p *personv1.Person, now time.Time) []reportingv1.Flag {
	event := req.GetOccurTime()
	if event == nil {
		event = req.GetDiscoverTime()
	}
	found := flagsOfChild(d, req.GetSituations(), p, event.AsTime())
	if now.After(d.Deadline(clockReportImmediate, req.GetDiscoverTime().AsTime())) {
		found = append(found, reportingv1.Flag_FLAG_LATE)
	}
	return found
}

// flagsOfChild compares the child with the words of the situations on the day of the event.
func flagsOfChild(d *district.District, situations []string, p *personv1.Person, event time.Time) []reportingv1.Flag {
	var birth calendar.Date
	var found []reportingv1.Flag
	if p.GetBirthDate() == "" {
		found = append(found, reportingv1.Flag_FLAG_AGE_UNKNOWN)
	} else if known, err := calendar.ParseDate(p.GetBirthDate()); err == nil {
		birth = known
	}
	for _, code := range situations {
		for _, flag := range d.Flags(code, sexCode(p.GetSex()), birth, calendar.Today(event)) {
			found = append(found, flagOf(flag))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func flagOf(f district.Flag) reportingv1.Flag {
	switch f {
	case district.FlagAgeUnknown:
		return reportingv1.Flag_FLAG_AGE_UNKNOWN
	case district.FlagSexUnknown:
		return reportingv1.Flag_FLAG_SEX_UNKNOWN
	case district.FlagAgeContradicts:
		return reportingv1.Flag_FLAG_AGE_CONTRADICTS_SITUATION
	case district.FlagSexContradicts:
		return reportingv1.Flag_FLAG_SEX_CONTRADICTS_SITUATION
	default:
		return reportingv1.Flag_FLAG_NOT_A_MINOR
	}
}

// Receipt is what the reporter keeps.
func Receipt(r *reportingv1.Report, receiver string) *reportingv1.Receipt {
	return &reportingv1.Receipt{ReceiptNumber: r.GetReceiptNumber(), ReceiveTime: r.GetCreateTime(), ReceiveUnit: receiver}
}

func situationUnknown(field, code string) error {
	return fault.New(reportingv1.Reason_REASON_SITUATION_UNKNOWN, field+": not in the district's table", "field", field, "situation", code).
		Field(field, "not in the district's table")
}

func notInFuture(field string, t, now time.Time) error {
	if !t.After(now) {
		return nil
	}
	return fault.New(reportingv1.Reason_REASON_TIME_IN_FUTURE, field+": lies in the future", "field", field).Field(field, "must not lie in the future")
}

// checkUnit refuses a unit that the district does not have today; empty is fine.
func checkUnit(d *district.District, field, unit string, now time.Time) error {
	if unit == "" {
		return nil
	}
	if u, ok := d.Unit(unit); ok && u.Kind != district.KindService && u.OpenOn(calendar.Today(now)) {
		return nil
	}
	return fault.New(reportingv1.Reason_REASON_UNIT_INVALID, field+": not a unit of the district", "field", field).Field(field, "not a unit of the district")
}
