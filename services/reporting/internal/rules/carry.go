package rules

import (
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Carrier is what an incident must know of a report to leave itself to it.
type Carrier struct {
	// Holder of the report; empty when it has ended.
	Holder string
	// Version of the report's row as it was read.
	Version int64
	// Done is true when its response is closed: police act under it no more.
	Done bool
}

// Carriers are reports by their ids. What is missing carries nothing.
type Carriers map[string]Carrier

// CarrierOf is what an incident must know of a report.
func CarrierOf(r *reportingv1.Report) Carrier {
	return Carrier{Holder: r.GetStanding().GetHolder(), Version: r.GetStanding().GetVersion(), Done: r.GetResponseCloseTime() != nil}
}

// with are the carriers and one more.
func (c Carriers) with(report string, one Carrier) Carriers {
	more := Carriers{report: one}
	for id, other := range c {
		if id != report {
			more[id] = other
		}
	}
	return more
}

// carries reports whether a report carries what an incident tells now: it has not ended, and what is told came before its response was closed.
func (c Carriers) carries(i *reportingv1.Incident, report string) bool {
	r, ok := c[report]
	return ok && r.Holder != "" && !slices.Contains(i.GetDoneReports(), report)
}

// done are the reports an incident is linked to that act on news no more.
func (c Carriers) done(i *reportingv1.Incident) []string {
	return slices.DeleteFunc(LinkedReports(i), func(report string) bool { return !c[report].Done })
}

// LinkedReports are the reports an incident is linked to: the one dispatch names, then those of the officers' links that stand.
func LinkedReports(i *reportingv1.Incident) []string {
	var reports []string
	if named := i.GetContent().GetReportId(); named != "" {
		reports = append(reports, named)
	}
	for _, link := range i.GetLinks() {
		if link.GetStrikeTime() == nil && !slices.Contains(reports, link.GetReportId()) {
			reports = append(reports, link.GetReportId())
		}
	}
	return reports
}

// linkedTo is the report that carries an incident, and whether there is one; else the first link that stands, which is kept.
func linkedTo(i *reportingv1.Incident, carriers Carriers) (report string, carried bool) {
	reports := LinkedReports(i)
	for _, report := range reports {
		if carriers.carries(i, report) {
			return report, true
		}
	}
	if len(reports) == 0 {
		return "", false
	}
	return reports[0], false
}

// settle brings state and custody of an incident in line with its content, its links and how it was ended.
func settle(d *district.District, i *reportingv1.Incident, carriers Carriers, now time.Time) string {
	before, area := i.GetState(), i.GetDivision()
	locate(d, i, now)
	report, carried := linkedTo(i, carriers)
	i.Standing.MatterId = report
	switch {
	case carried:
		i.State = reportingv1.Incident_STATE_LINKED
	case i.GetContent().GetStatus() == reportingv1.IncidentContent_STATUS_CLOSED, ended(i):
		i.State = reportingv1.Incident_STATE_CLOSED
	default:
		i.State = reportingv1.Incident_STATE_OPEN
	}
	switch {
	case i.GetState() != reportingv1.Incident_STATE_OPEN:
		withdraw(i, now)
		custody.Close(i.Standing)
	case before != i.GetState():
		begin(d, i.Standing, clockIncidentHandle, now)
		carryOn(d, i.Standing, handler(d, i.GetDivision()), clockIncidentHandle, now)
	case area != i.GetDivision():
		moveTo(d, i, handler(d, i.GetDivision()), now)
	}
	switch {
	case before == i.GetState():
		return "updated"
	case i.GetState() == reportingv1.Incident_STATE_LINKED:
		return "linked"
	case i.GetState() == reportingv1.Incident_STATE_CLOSED:
		return "closed"
	default:
		return "opened"
	}
}

// locate puts an incident to the division in force that answers for the one told.
func locate(d *district.District, i *reportingv1.Incident, now time.Time) {
	told := i.GetContent().GetDivision()
	i.Division, i.StaleDivision = told, ""
	if told == "" {
		return
	}
	if place, err := d.TakeIn("division", told, calendar.Today(now)); err == nil {
		i.Division, i.StaleDivision = place.Code, place.Stale
	}
}

// handler is the station of a division, or the bureau where none is known.
func handler(d *district.District, division string) string {
	if station := d.StationFor(division); station != "" {
		return station
	}
	return Bureau
}

// ended reports whether what stands has been dealt with.
func ended(i *reportingv1.Incident) bool {
	n := len(i.GetEnds())
	if n == 0 {
		return false
	}
	e := i.GetEnds()[n-1]
	return e.GetIncidentVersion() == i.GetIncidentVersion() && e.GetEpoch() == i.GetEpoch() && e.GetSequence() == i.GetSequence() && e.GetSource() == i.GetSource()
}

// end says that what stands has been dealt with.
func end(i *reportingv1.Incident, ground reportingv1.IncidentEnd_Ground, by Actor, text string, now time.Time) {
	i.Ends = append(i.Ends, &reportingv1.IncidentEnd{
		Ground: ground, Text: text, Unit: by.Unit, Officer: by.Officer, EndTime: stamp(now),
		IncidentVersion: i.GetIncidentVersion(), Epoch: i.GetEpoch(), Sequence: i.GetSequence(), Source: i.GetSource(),
	})
}

// Release lets go of an incident whose report has ended. What the report's response covered ends with it, unless another report carries it; where
// there was no response the incident is its station's again.
func Release(d *district.District, i *reportingv1.Incident, report *reportingv1.Report, carriers Carriers, now time.Time) string {
	carriers = carriers.with(report.GetStanding().GetId(), CarrierOf(report))
	if _, carried := linkedTo(i, carriers); !carried && report.GetResponseCloseTime() != nil {
		end(i, reportingv1.IncidentEnd_GROUND_WITH_REPORT, Actor{}, "", now)
	}
	return settle(d, i, carriers, now)
}
