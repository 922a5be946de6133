package rules

import (
	"fmt"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// RaiseReport makes a report out of an incident that has none. Police who raise it have accepted it by that; its clocks start now. It was found
// out when the incident came in: raised late, it is flagged like any other.
func RaiseReport(d *district.District, i *reportingv1.Incident, by Actor, req *reportingv1.RaiseReportRequest, id func(string) string, now time.Time) (*reportingv1.Report, []*reportingv1.ProvisionalChild, error) {
	if err := raising(d, i, by); err != nil {
		return nil, nil, err
	}
	division := req.GetResidenceDivision()
	if division == "" {
		division = i.GetDivision()
	}
	place, bad := d.TakeIn("residence_division", division, calendar.Today(now))
	if bad != nil {
		return nil, nil, bad
	}
	for n, code := range req.GetSituations() {
		if _, ok := d.Situation(code); !ok {
			return nil, nil, situationUnknown(fmt.Sprintf("situations[%d]", n), code)
		}
	}
	if req.GetOccurTime() != nil {
		if err := notInFuture("occur_time", req.GetOccurTime().AsTime(), now); err != nil {
			return nil, nil, err
		}
	}
	if err := checkChildren(d, req.GetChildren(), func(n int) (string, string) {
		return fmt.Sprintf("children[%d].person", n), fmt.Sprintf("children[%d].school_unit", n)
	}, now); err != nil {
		return nil, nil, err
	}
	report := &reportingv1.Report{
		Standing:      &custodyv1.Standing{Id: id("report"), MatterId: id("report")},
		State:         reportingv1.Report_STATE_RESPONDING,
		Division:      place.Code,
		StaleDivision: place.Stale,
		ReceiptNumber: receiptNumber(id("report"), now),
		Situations:    req.GetSituations(),
		OccurTime:     req.GetOccurTime(),
		DiscoverTime:  i.GetCreateTime(),
		OccurPlace:    i.GetContent().GetPlace(),
		Narrative:     req.GetNarrative(),
		AcceptTime:    stamp(now),
	}
	children := enter(d, report, req.GetChildren(), id, now)
	custody.Hold(report.Standing, by.Unit)
	begin(d, report.Standing, district.ClockReportResponse, now)
	i.Links = append(i.Links, &reportingv1.IncidentLink{ReportId: report.GetStanding().GetId(), Text: raisedText, Unit: by.Unit, Officer: by.Officer, LinkTime: stamp(now)})
	settle(d, i, now)
	return report, children, nil
}

// raisedText is why a link was made that came with its report.
const raisedText = "由警情提出报告"

// raising lets those raise a report whose incident it is, and, of one that dispatch has closed, those who would handle it.
func raising(d *district.District, i *reportingv1.Incident, by Actor) error {
	open := i.GetState() == reportingv1.Incident_STATE_OPEN && concerns(i.GetStanding(), by)
	closed := i.GetState() == reportingv1.Incident_STATE_CLOSED && (by.Unit == Bureau || by.Unit == handler(d, i.GetDivision()))
	if !open && !closed {
		return fault.StateForbids(row.StateName(i.ProtoReflect()), "raiseReport")
	}
	return nil
}
