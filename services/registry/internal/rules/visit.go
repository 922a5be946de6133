package rules

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// What happened to a visit plan; the second halves of its event types.
const (
	Opened    = "opened"
	Graded    = "graded"
	Visited   = "visited"
	Escalated = "escalated"
	Ended     = "ended"
)

// visitClock is the clock of a colour (四色管理, policy R7.5).
func visitClock(colour personv1.RiskColour) string {
	switch colour {
	case personv1.RiskColour_RISK_COLOUR_RED:
		return district.ClockVisitRed
	case personv1.RiskColour_RISK_COLOUR_YELLOW:
		return district.ClockVisitYellow
	case personv1.RiskColour_RISK_COLOUR_BLUE:
		return district.ClockVisitBlue
	}
	return district.ClockVisitGreen
}

// visitor is who visits a child of a division: the village committee, or the township where only that is known. Where the division is
// closed it is whoever took it over.
func visitor(d *district.District, division string, now time.Time) string {
	division = d.Responsible(division, calendar.Today(now))
	if village := d.VillageUnit(division); village != "" {
		return village
	}
	return d.TownshipUnit(division)
}

// OpenPlan makes the visit plan of a child of the ledger: by its colour, green until an assessment gives one. It names no matter.
func OpenPlan(d *district.District, id string, c *registryv1.Child, now time.Time) *registryv1.VisitPlan {
	p := &registryv1.VisitPlan{
		Standing: &custodyv1.Standing{Id: id}, State: registryv1.VisitPlan_STATE_DUE,
		Division: c.GetDivision(), ChildId: c.GetId(),
	}
	Grade(d, p, c, now)
	return p
}

// visitClocks are the clocks of a visit; one of them runs at a time.
var visitClocks = []string{district.ClockVisitRed, district.ClockVisitYellow, district.ClockVisitBlue, district.ClockVisitGreen}

// Grade takes over the colour of a new assessment: the next visit is due by the new colour's clock, by the village again. A visit that is due
// earlier stays due, and one that was missed stays missed, with a clock of its own for making it up: being graded is no visit.
func Grade(d *district.District, p *registryv1.VisitPlan, c *registryv1.Child, now time.Time) {
	p.State, p.Division, p.Ending = registryv1.VisitPlan_STATE_DUE, c.GetDivision(), nil
	p.Colour, p.AssessmentId = c.GetColour(), c.GetAssessmentId()
	s, clock := p.GetStanding(), visitClock(p.GetColour())
	due := d.Deadline(clock, now)
	if overdueVisit(s) {
		custody.Set(s, visitor(d, p.GetDivision(), now), due, clock)
		return
	}
	if at := s.GetDeadline(); slices.Contains(visitClocks, s.GetClock()) && !at.AsTime().After(due) {
		custody.Hold(s, visitor(d, p.GetDivision(), now))
		return
	}
	custody.Meet(s, visitClocks...)
	custody.Hold(s, visitor(d, p.GetDivision(), now))
	custody.Start(s, clock, now, due)
}

// overdueVisit reports whether a visit was missed and has not been made up.
func overdueVisit(s *custodyv1.Standing) bool {
	return slices.ContainsFunc(visitClocks, func(clock string) bool { return custody.Outstanding(s, clock) }) && custody.Overdue(s)
}

// Visit records that the child was visited; the next visit is due by the day of the last one, however late that is told. What is not
// the visit that is due leaves the deadline as it is: a remote contact, one older than the last, one too long ago.
//
// Errors: TIME_IN_FUTURE, STATE_FORBIDS.
func Visit(d *district.District, p *registryv1.VisitPlan, v *registryv1.Visit, now time.Time) error {
	if v.GetVisitTime().AsTime().After(now) {
		return fieldFault(registryv1.Reason_REASON_TIME_IN_FUTURE, "visit_time", "lies in the future")
	}
	if p.GetState() != registryv1.VisitPlan_STATE_DUE {
		return fault.StateForbids("ENDED", "record a visit")
	}
	if v.GetWay() == registryv1.Visit_WAY_REMOTE {
		return nil
	}
	p.VisitCount++
	at := v.GetVisitTime().AsTime()
	if p.GetLastVisitTime() != nil && at.Before(p.GetLastVisitTime().AsTime()) {
		return nil
	}
	p.LastVisitTime = timestamppb.New(at)
	clock := visitClock(p.GetColour())
	next := d.Deadline(clock, at)
	if !next.After(now) {
		return nil
	}
	custody.Meet(p.GetStanding(), visitClocks...)
	custody.Hold(p.GetStanding(), visitor(d, p.GetDivision(), now))
	custody.Start(p.GetStanding(), clock, at, next)
	return nil
}

// Expire hands a visit that did not happen up: from the village to the township, from there to the lead office, which keeps it.
func Expire(d *district.District, p *registryv1.VisitPlan, now time.Time) {
	s, township := p.GetStanding(), d.TownshipUnit(d.Responsible(p.GetDivision(), calendar.Today(now)))
	if custody.Miss(s, now); custody.Running(s) {
		return
	}
	switch s.GetHolder() {
	case d.LeadOffice():
		custody.Extend(s, d.Deadline(district.ClockOverdueReview, now), district.ClockOverdueReview)
	case township:
		custody.Set(s, d.LeadOffice(), d.Deadline(district.ClockLeadResolve, now), district.ClockLeadResolve)
	default:
		custody.Set(s, township, d.Deadline(district.ClockOverdueReview, now), district.ClockOverdueReview)
	}
}
