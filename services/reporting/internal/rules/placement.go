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
	asked := &reportingv1.Measure{Id: measureID, ItemId: id, Pending: true, Text: req.GetText(), TakeTime: stamp(now)}
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
	if err := placing(p, by, "acceptPlacement", reportingv1.Placement_STATE_REQUESTED); err != nil {
		return err
	}
	if err := checkUnit(d, "care_unit", careUnit, now); err != nil {
		return err
	}
	p.State, p.CareUnit, p.AcceptTime = reportingv1.Placement_STATE_PLACED, careUnit, stamp(now)
	hold(d, p.Standing, by.Unit, clockPlacementReview, now)
	for _, m := range r.GetMeasures() {
		if m.GetId() == p.GetMeasureId() {
			m.Pending, m.PlacementUnit, m.TakeTime = false, careUnit, stamp(now)
		}
	}
	return nil
}

// DeclinePlacement ends what was asked for. The measure is struck out, so that the response stays open until the police find another way.
func DeclinePlacement(p *reportingv1.Placement, r *reportingv1.Report, by Actor, text string, now time.Time) error {
	if err := placing(p, by, "declinePlacement", reportingv1.Placement_STATE_REQUESTED); err != nil {
		return err
	}
	p.State, p.DeclineText, p.EndTime = reportingv1.Placement_STATE_DECLINED, text, stamp(now)
	custody.Close(p.Standing)
	for _, m := range r.GetMeasures() {
		if m.GetId() == p.GetMeasureId() && m.GetStrikeTime() == nil {
			m.StrikeTime, m.StrikeText = stamp(now), text
		}
	}
	return nil
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

// ExpirePlacement makes the lead office the holder of what civil affairs did not answer; a care that is due for review only becomes overdue.
func ExpirePlacement(d *district.District, p *reportingv1.Placement, now time.Time) error {
	if len(custody.Miss(p.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	if p.GetState() == reportingv1.Placement_STATE_PLACED {
		extend(d, p.Standing, district.ClockOverdueReview, now)
		return nil
	}
	escalateToLead(d, p.Standing, Carer, now)
	if p.GetStanding().GetOfferedTo() == p.GetStanding().GetHolder() {
		p.Standing.OfferedTo = "" // the lead office is the carer itself here
	}
	return nil
}

// placing lets civil affairs act in one state of a placement.
func placing(p *reportingv1.Placement, by Actor, verb string, state reportingv1.Placement_State) error {
	if p.GetState() != state || by.Unit != Carer || !concerns(p.GetStanding(), by) {
		return fault.StateForbids(row.StateName(p.ProtoReflect()), verb)
	}
	return nil
}
