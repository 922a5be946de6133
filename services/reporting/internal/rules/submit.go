package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// CheckSubmission refuses a report that cannot be true in any state of the world. A child that does not fit the situation is
// no reason: such a report is accepted and flagged (policy R3.3).
func CheckSubmission(d *district.District, req *reportingv1.SubmitReportRequest, now time.Time) error {
	if _, err := residence(d, "residence_division", req.GetResidenceDivision(), now); err != nil {
		return err
	}
	if _, err := found(d, req.GetFoundDivision(), now); err != nil {
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
		if err := occurredInOrder("occur_time", req.GetOccurTime().AsTime(), req.GetDiscoverTime().AsTime()); err != nil {
			return err
		}
	}
	return checkChildren(d, described(req), func(i int) (string, string) {
		if i == 0 {
			return "child", "school_unit" // the first one's fields stand in the request itself
		}
		return fmt.Sprintf("further_children[%d].person", i-1), fmt.Sprintf("further_children[%d].school_unit", i-1)
	}, now)
}

// NewReport makes the report and the provisional children of a checked submission. The station that serves their residence, or the place where they
// were found, holds the report from the first moment; the reporter never does. id makes the id of what a word names.
func NewReport(d *district.District, req *reportingv1.SubmitReportRequest, id func(string) string, now time.Time) (*reportingv1.Report, []*reportingv1.ProvisionalChild) {
	reportID := id("")
	place, _ := residence(d, "", req.GetResidenceDivision(), now) // checked before, as is the other
	foundIn, _ := found(d, req.GetFoundDivision(), now)
	report := &reportingv1.Report{
		Standing:      &custodyv1.Standing{Id: reportID, MatterId: reportID},
		State:         reportingv1.Report_STATE_SUBMITTED,
		Division:      place.Code,
		StaleDivision: place.Stale,
		FoundDivision: foundIn,
		ReceiptNumber: receiptNumber(reportID, now),
		Situations:    req.GetSituations(),
		OccurTime:     req.GetOccurTime(),
		DiscoverTime:  req.GetDiscoverTime(),
		OccurPlace:    req.GetOccurPlace(),
		Narrative:     req.GetNarrative(),
	}
	children := enter(d, report, described(req), id, now)
	custody.Hold(report.Standing, responder(d, report.GetDivision(), report.GetFoundDivision()))
	begin(d, report.Standing, district.ClockReportAccept, now)
	return report, children
}

// receiptNumber is the day of receipt and the first twelve digits of the report's id.
func receiptNumber(reportID string, now time.Time) string {
	digits := strings.ToUpper(strings.ReplaceAll(reportID, "-", ""))
	return strings.ReplaceAll(calendar.Today(now).String(), "-", "") + "-" + digits[:12]
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
