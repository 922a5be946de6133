package rules

import (
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Carer is the unit that takes children into temporary care (policy R6.1).
const Carer = "civil_affairs"

// RequestPlacement asks civil affairs to take a child into care. The measure is recorded at once and stands as pending: it meets its group only
// when civil affairs has accepted, because a child that nobody took is not placed.
func RequestPlacement(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.RequestPlacementRequest, measureID, id string, now time.Time) (*reportingv1.Placement, error) {
	if err := responding(r, by, "requestPlacement"); err != nil {
		return nil, err
	}
	child, err := childOf(r, req.GetProvisionalChildId())
	if err != nil {
		return nil, err
	}
	asked := &reportingv1.Measure{Id: measureID, ItemId: id, ProvisionalChildIds: only(child), Pending: true, Text: req.GetText(), TakeTime: stamp(now)}
	if err := openByMeasure(d, r, by, district.OpensPlacement, asked, now); err != nil {
		return nil, err
	}
	p := &reportingv1.Placement{
		Standing: &custodyv1.Standing{Id: id, MatterId: r.GetStanding().GetMatterId()},
		State:    reportingv1.Placement_STATE_REQUESTED, Division: r.GetDivision(),
		ReportId: r.GetStanding().GetId(), ProvisionalChildId: child, Kind: req.GetKind(), Text: req.GetText(),
		RequestUnit: by.Unit, MeasureId: measureID,
	}
	p.Standing.Holder = by.Unit
	offer(d, p.Standing, Carer, clockPlacementAccept, now)
	return p, nil
}

// AcceptPlacement makes civil affairs the holder of the child's care and lets the measure count.
func AcceptPlacement(d *district.District, p *reportingv1.Placement, r *reportingv1.Report, by Actor, careUnit string, now time.Time) error {
	if err := placing(p, by, "acceptPlacement", reportingv1.Placement_STATE_REQUESTED, reportingv1.Placement_STATE_DECLINED); err != nil {
		return err
	}
	if err := checkUnit(d, "care_unit", careUnit, now); err != nil {
		return err
	}
	p.State, p.CareUnit, p.AcceptTime = reportingv1.Placement_STATE_PLACED, careUnit, stamp(now)
	hold(d, p.Standing, by.Unit, clockPlacementReview, now)
	for _, m := range r.GetMeasures() {
		if m.GetId() == p.GetMeasureId() && restored(d, r, m) {
			m.Pending, m.PlacementUnit, m.TakeTime = false, careUnit, stamp(now)
		}
	}
	return nil
}

// restored lets a measure stand that was struck out when its placement was declined, unless the police have chosen otherwise or are done.
func restored(d *district.District, r *reportingv1.Report, m *reportingv1.Measure) bool {
	if m.GetStrikeTime() == nil {
		return true
	}
	open := r.GetState() == reportingv1.Report_STATE_RESPONDING || r.GetState() == reportingv1.Report_STATE_TRANSFERRING
	if !open || notExcluded(d, r, m.GetCode(), m.GetProvisionalChildIds()) != nil {
		return false
	}
	m.StrikeTime, m.StrikeText = nil, ""
	return true
}

// DeclinePlacement refuses what was asked for. The measure is struck out, so that the response stays open until the police find another way; the
// lead office holds the placement meanwhile, so that the child is not nobody's.
func DeclinePlacement(d *district.District, p *reportingv1.Placement, r *reportingv1.Report, by Actor, text string, now time.Time) error {
	if err := placing(p, by, "declinePlacement", reportingv1.Placement_STATE_REQUESTED); err != nil {
		return err
	}
	p.State, p.DeclineText = reportingv1.Placement_STATE_DECLINED, text
	hold(d, p.Standing, d.LeadOffice(), district.ClockLeadResolve, now)
	strikePlacing(p, r, text, now)
	return nil
}

// WithdrawPlacement takes back what is not needed any more.
func WithdrawPlacement(p *reportingv1.Placement, r *reportingv1.Report, by Actor, text string, now time.Time) error {
	asked := p.GetState() == reportingv1.Placement_STATE_REQUESTED || p.GetState() == reportingv1.Placement_STATE_DECLINED
	if !asked || by.Unit != p.GetRequestUnit() && by.Unit != r.GetStanding().GetHolder() {
		return fault.StateForbids(row.StateName(p.ProtoReflect()), "withdrawPlacement")
	}
	p.State, p.WithdrawText, p.EndTime = reportingv1.Placement_STATE_WITHDRAWN, text, stamp(now)
	custody.Close(p.Standing)
	strikePlacing(p, r, text, now)
	return nil
}

// strikePlacing strikes out the measure that a placement does not fulfil.
func strikePlacing(p *reportingv1.Placement, r *reportingv1.Report, text string, now time.Time) {
	for _, m := range r.GetMeasures() {
		if m.GetId() == p.GetMeasureId() && m.GetStrikeTime() == nil {
			m.StrikeTime, m.StrikeText = stamp(now), text
		}
	}
}

// EndPlacement records where the child went.
func EndPlacement(p *reportingv1.Placement, by Actor, end reportingv1.Placement_End, text string, now time.Time) error {
	if err := placing(p, by, "endPlacement", reportingv1.Placement_STATE_PLACED); err != nil {
		return err
	}
	p.State, p.End, p.EndText, p.EndTime = reportingv1.Placement_STATE_ENDED, end, text, stamp(now)
	custody.Close(p.Standing)
	return nil
}

// ExpirePlacement makes the lead office the holder of what civil affairs did not answer; a care that is due for review, or one that was declined, only becomes overdue.
func ExpirePlacement(d *district.District, p *reportingv1.Placement, now time.Time) error {
	if len(custody.Miss(p.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	if p.GetState() != reportingv1.Placement_STATE_REQUESTED {
		extend(d, p.Standing, district.ClockOverdueReview, now)
		return nil
	}
	escalateToLead(d, p.Standing, Carer, now)
	return nil
}

// placing lets civil affairs act in some states of a placement.
func placing(p *reportingv1.Placement, by Actor, verb string, states ...reportingv1.Placement_State) error {
	if !slices.Contains(states, p.GetState()) || by.Unit != Carer || !concerns(p.GetStanding(), by) {
		return fault.StateForbids(row.StateName(p.ProtoReflect()), verb)
	}
	return nil
}
