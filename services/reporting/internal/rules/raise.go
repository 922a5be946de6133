package rules

import (
	"time"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// RaiseReport makes a report out of an incident that has none. Police who raise it have accepted it by that; its clocks start now. It was found
// out when the incident came in: raised late, it is flagged like any other.
func RaiseReport(d *district.District, i *reportingv1.Incident, by Actor, req *reportingv1.RaiseReportRequest, id func(string) string, now time.Time) (*reportingv1.Report, []*reportingv1.ProvisionalChild, error) {
	if err := raising(d, i, by); err != nil {
		return nil, nil, err
	}
	code := req.GetResidenceDivision()
	if code == "" {
		code = i.GetDivision()
	}
	place, err := residence(d, "residence_division", code, now)
	if err != nil {
		return nil, nil, err
	}
	report := &reportingv1.Report{
		Division: place.Code, StaleDivision: place.Stale, Situations: req.GetSituations(), OccurTime: req.GetOccurTime(),
		DiscoverTime: later(i.GetCreateTime(), req.GetOccurTime()), OccurPlace: i.GetContent().GetPlace(), Narrative: req.GetNarrative(),
	}
	children, err := raised(d, report, by, req.GetChildren(), id("report"), id, now)
	if err != nil {
		return nil, nil, err
	}
	i.Links = append(i.Links, &reportingv1.IncidentLink{ReportId: report.GetStanding().GetId(), Text: raisedText, Unit: by.Unit, Officer: by.Officer, LinkTime: stamp(now)})
	settle(d, i, Carriers{report.GetStanding().GetId(): CarrierOf(report)}, now)
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
