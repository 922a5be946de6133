package rules

import (
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// StartSearch begins to look for a missing child and records the measure that says so. No time has to pass before: the search starts with the
// report in hand (policy R1.4). measureID and id become the ids of measure and search.
func StartSearch(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.StartSearchRequest, measureID, id string, now time.Time) (*reportingv1.Search, error) {
	if err := responding(r, by, "startSearch"); err != nil {
		return nil, err
	}
	if err := notInFuture("last_seen_time", req.GetLastSeenTime().AsTime(), now); err != nil {
		return nil, err
	}
	child := req.GetProvisionalChildId()
	if child != "" || len(Children(r)) > 0 { // else somebody is missing whom nobody can name yet
		named, err := childOf(r, child)
		if err != nil {
			return nil, err
		}
		child = named
	}
	opened := &reportingv1.Measure{Id: measureID, ItemId: id, ProvisionalChildIds: only(child), Text: req.GetText(), TakeTime: stamp(now)}
	if err := openByMeasure(d, r, by, district.OpensSearch, opened, now); err != nil {
		return nil, err
	}
	s := &reportingv1.Search{
		Standing: &custodyv1.Standing{Id: id, MatterId: r.GetStanding().GetMatterId()},
		State:    reportingv1.Search_STATE_SEARCHING, Division: r.GetDivision(),
		ReportId: r.GetStanding().GetId(), ProvisionalChildId: child, StartUnit: by.Unit,
		LastSeenTime: req.GetLastSeenTime(), LastSeenPlace: req.GetLastSeenPlace(), Text: req.GetText(),
	}
	hold(d, s.Standing, by.Unit, clockMissingSearch, now)
	return s, nil
}

// RecordSearch adds a step. Whoever records holds the search on, also one that had gone up.
func RecordSearch(d *district.District, s *reportingv1.Search, by Actor, text string, now time.Time) error {
	if err := searching(s, by, "recordSearch"); err != nil {
		return err
	}
	s.Steps = append(s.Steps, &reportingv1.SearchStep{Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now)})
	hold(d, s.Standing, by.Unit, clockMissingSearch, now)
	return nil
}

// EndSearch ends a search with its outcome. There is none for giving up.
func EndSearch(s *reportingv1.Search, by Actor, req *reportingv1.EndSearchRequest, now time.Time) error {
	if err := searching(s, by, "endSearch"); err != nil {
		return err
	}
	if missing := req.GetOutcome() != reportingv1.Search_OUTCOME_NOT_MISSING; missing != (req.GetFoundTime() != nil) {
		return fault.Invalid("found_time", "give it for a child that was found, and only then")
	}
	if req.GetFoundTime() != nil {
		if err := notInFuture("found_time", req.GetFoundTime().AsTime(), now); err != nil {
			return err
		}
		if req.GetFoundTime().AsTime().Before(s.GetLastSeenTime().AsTime()) {
			return fault.Invalid("found_time", "lies before the child was last seen")
		}
	}
	s.State, s.Outcome, s.OutcomeText = reportingv1.Search_STATE_ENDED, req.GetOutcome(), req.GetText()
	s.FoundTime, s.EndTime = req.GetFoundTime(), stamp(now)
	custody.Close(s.Standing)
	return nil
}

// ExpireSearch moves a search that nobody reports on up: to the bureau, then to the lead office. Whoever searched still can.
func ExpireSearch(d *district.District, s *reportingv1.Search, now time.Time) error {
	if len(custody.Miss(s.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	goUp(d, s.GetStanding(), clockMissingSearch, now)
	return nil
}

// only is a child as a list, empty for one that nobody can name.
func only(child string) []string {
	if child == "" {
		return nil
	}
	return []string{child}
}

// goUp moves an item of the police up: a station's to the bureau under the same clock, the bureau's to the lead office. The one it was taken
// from can still act.
func goUp(d *district.District, s *custodyv1.Standing, clock string, now time.Time) {
	if from := s.GetHolder(); from != Bureau && from != d.LeadOffice() {
		hold(d, s, Bureau, clock, now)
		s.OfferedTo = from
		return
	}
	escalateToLead(d, s, Bureau, now)
}

// searching lets those act whose search it is, as long as it runs.
func searching(s *reportingv1.Search, by Actor, verb string) error {
	if s.GetState() != reportingv1.Search_STATE_SEARCHING || !concerns(s.GetStanding(), by) {
		return fault.StateForbids(row.StateName(s.ProtoReflect()), verb)
	}
	return nil
}

// concerns reports whether an item is the actor's to act on: held by it, or offered to it.
func concerns(s *custodyv1.Standing, by Actor) bool {
	return s.GetHolder() == by.Unit || s.GetOfferedTo() == by.Unit
}

// openByMeasure records the measure that opens something, with what it opens.
func openByMeasure(d *district.District, r *reportingv1.Report, by Actor, what string, m *reportingv1.Measure, now time.Time) error {
	opening, ok := d.MeasureOpening(what)
	if !ok {
		return fault.New(reportingv1.Reason_REASON_MEASURE_UNKNOWN, "no measure of the district opens a "+what, "field", "measure", "measure", what)
	}
	if err := notExcluded(d, r, opening.Code, m.GetProvisionalChildIds()); err != nil {
		return err
	}
	m.Code, m.Unit, m.Officer, m.RecordTime = opening.Code, by.Unit, by.Officer, stamp(now)
	r.Measures = append(r.Measures, m)
	return nil
}
