package rules

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/district"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Seek begins the searches that an accepted report calls for, one for each child, and records the measures that say so. Where a search runs for
// the report already, having begun with its incident, that one is it: it is answered as joined. A report whose measure stands needs nothing.
func Seek(d *district.District, r *reportingv1.Report, running []*reportingv1.Search, by Actor, id func(string) string, now time.Time) (begun []*reportingv1.Search, joined *reportingv1.Search) {
	opening, _ := d.MeasureOpening(district.OpensSearch)
	recorded := codes(r, func(*reportingv1.Measure) bool { return true })
	if r.GetAcceptTime() == nil || !callsFor(d, opening.Code, r.GetSituations()) || slices.Contains(recorded, opening.Code) {
		return nil, nil
	}
	// What nobody did by hand cannot exclude what somebody did: then the choice stands as it was made.
	record := func(measure, search, child string) bool {
		opened := &reportingv1.Measure{Id: measure, ItemId: search, ProvisionalChildIds: only(child), TakeTime: stamp(now)}
		return openByMeasure(d, r, by, district.OpensSearch, opened, now) == nil
	}
	children := Children(r)
	if len(running) > 0 {
		joined = running[0]
		if !record(id("seek.measure"), joined.GetStanding().GetId(), "") {
			return nil, nil
		}
		if joined.GetProvisionalChildId() == "" && len(children) == 1 {
			joined.ProvisionalChildId = children[0].GetProvisionalChildId()
		}
		return nil, joined
	}
	missing := []string{""} // somebody nobody can name yet
	if len(children) > 0 {
		missing = missing[:0]
	}
	for _, child := range children {
		missing = append(missing, child.GetProvisionalChildId())
	}
	for i, child := range missing {
		s := &reportingv1.Search{
			Standing: &custodyv1.Standing{Id: id(fmt.Sprintf("seek.%d", i)), MatterId: r.GetStanding().GetMatterId()},
			State:    reportingv1.Search_STATE_SEARCHING, Division: r.GetDivision(),
			ReportId: r.GetStanding().GetId(), ProvisionalChildId: child, StartUnit: by.Unit, LastSeenTime: r.GetOccurTime(), LastSeenPlace: r.GetOccurPlace(),
		}
		if !record(id(fmt.Sprintf("seek.measure.%d", i)), s.GetStanding().GetId(), child) {
			return nil, nil
		}
		hold(d, s.Standing, by.Unit, clockMissingSearch, now)
		begun = append(begun, s)
	}
	return begun, nil
}

// Missing reports whether an incident that is not over tells of a missing child.
func Missing(d *district.District, i *reportingv1.Incident) bool {
	opening, _ := d.MeasureOpening(district.OpensSearch)
	told := proto.CloneOf(i)
	Recognise(d, told)
	return i.GetState() != reportingv1.Incident_STATE_CLOSED && callsFor(d, opening.Code, told.GetRecognisedSituations())
}

// SeekFor begins the search of an incident that tells of a missing child.
func SeekFor(d *district.District, i *reportingv1.Incident, id string, now time.Time) *reportingv1.Search {
	unit := handler(d, i.GetDivision())
	s := &reportingv1.Search{
		Standing: &custodyv1.Standing{Id: id}, State: reportingv1.Search_STATE_SEARCHING, Division: i.GetDivision(),
		IncidentNumber: i.GetIncidentNumber(), StartUnit: unit, LastSeenPlace: i.GetContent().GetPlace(),
	}
	Follow(s, i)
	hold(d, s.Standing, unit, clockMissingSearch, now)
	return s
}

// Follow lets a search that runs belong to the report of its incident, or to none. It reports whether that changed anything.
func Follow(s *reportingv1.Search, i *reportingv1.Incident) bool {
	report := i.GetStanding().GetMatterId()
	if s.GetState() != reportingv1.Search_STATE_SEARCHING || s.GetReportId() == report {
		return false
	}
	s.ReportId, s.Standing.MatterId, s.ProvisionalChildId = report, report, ""
	return true
}

// FoundOut gives a search for somebody nobody could name the child that was added. It reports whether it did.
func FoundOut(s *reportingv1.Search, child string) bool {
	if s.GetState() != reportingv1.Search_STATE_SEARCHING || s.GetProvisionalChildId() != "" {
		return false
	}
	s.ProvisionalChildId = child
	return true
}

// callsFor reports whether situations call for a measure.
func callsFor(d *district.District, measure string, situations []string) bool {
	return slices.ContainsFunc(d.Measures(situations...), func(g district.Group) bool { return slices.Contains(g.Measures, measure) })
}
