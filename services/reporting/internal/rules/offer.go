package rules

import (
	"time"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// moveTo asks the unit whose area an incident lies in now to take it over. Whoever holds it stays accountable until it does: news does not
// take anything away from anybody.
func moveTo(d *district.District, i *reportingv1.Incident, unit string, now time.Time) {
	s := i.GetStanding()
	switch unit {
	case s.GetOfferedTo():
	case s.GetHolder():
		withdraw(i, now)
		carryOn(d, s, s.GetHolder(), clockIncidentHandle, now)
	default:
		withdraw(i, now)
		ask(d, i, unit, "", now)
	}
}

// ask offers an incident to a unit.
func ask(d *district.District, i *reportingv1.Incident, unit, text string, now time.Time) {
	s := i.GetStanding()
	i.Offers = append(i.Offers, &reportingv1.IncidentOffer{FromUnit: s.GetHolder(), ToUnit: unit, Text: text, OfferTime: stamp(now)})
	offer(d, s, unit, clockIncidentTransfer, now)
}

// answered closes the offer that is not answered yet, if there is one.
func answered(i *reportingv1.Incident, outcome reportingv1.IncidentOffer_Outcome, text string, now time.Time) {
	if n := len(i.GetOffers()); n > 0 && i.GetOffers()[n-1].GetAnswerTime() == nil {
		o := i.GetOffers()[n-1]
		o.Outcome, o.DeclineText, o.AnswerTime = outcome, text, stamp(now)
	}
}

func withdraw(i *reportingv1.Incident, now time.Time) {
	answered(i, reportingv1.IncidentOffer_OUTCOME_WITHDRAWN, "", now)
}

// askNext asks the bureau after a station, and leaves the incident with its holder after the bureau.
func askNext(d *district.District, i *reportingv1.Incident, from string, now time.Time) {
	if s := i.GetStanding(); from == Bureau || s.GetHolder() == Bureau {
		carryOn(d, s, s.GetHolder(), clockIncidentHandle, now)
		return
	}
	ask(d, i, Bureau, "", now)
}

// offeredTo lets the unit act that an open incident is offered to.
func offeredTo(i *reportingv1.Incident, by Actor, verb string) error {
	if i.GetState() != reportingv1.Incident_STATE_OPEN || i.GetStanding().GetOfferedTo() != by.Unit {
		return fault.StateForbids(row.StateName(i.ProtoReflect()), verb)
	}
	return nil
}

// AcceptIncident makes the unit that was asked the holder.
func AcceptIncident(d *district.District, i *reportingv1.Incident, by Actor, now time.Time) error {
	if err := offeredTo(i, by, "acceptIncident"); err != nil {
		return err
	}
	answered(i, reportingv1.IncidentOffer_OUTCOME_ACCEPTED, "", now)
	carryOn(d, i.GetStanding(), by.Unit, clockIncidentHandle, now)
	return nil
}

// DeclineIncident leaves the incident with its holder and asks the next one.
func DeclineIncident(d *district.District, i *reportingv1.Incident, by Actor, text string, now time.Time) error {
	if err := offeredTo(i, by, "declineIncident"); err != nil {
		return err
	}
	answered(i, reportingv1.IncidentOffer_OUTCOME_DECLINED, text, now)
	askNext(d, i, by.Unit, now)
	return nil
}

// TransferIncident asks another police unit.
func TransferIncident(d *district.District, i *reportingv1.Incident, by Actor, to, text string, now time.Time) error {
	if i.GetState() != reportingv1.Incident_STATE_OPEN || i.GetStanding().GetHolder() != by.Unit {
		return fault.StateForbids(row.StateName(i.ProtoReflect()), "transferIncident")
	}
	unit, ok := d.Unit(to)
	if !ok || to == by.Unit || to != Bureau && unit.Kind != district.KindPoliceStation {
		return fault.New(reportingv1.Reason_REASON_TRANSFER_TARGET_INVALID, "to_unit: no other police station or bureau of the district", "field", "to_unit").
			Field("to_unit", "is no other police station or bureau of the district")
	}
	withdraw(i, now)
	ask(d, i, to, text, now)
	return nil
}

// EndIncident ends an incident that its police unit has dealt with. News told later opens it again.
func EndIncident(d *district.District, i *reportingv1.Incident, by Actor, ground reportingv1.IncidentEnd_Ground, text string, carriers Carriers, now time.Time) (string, error) {
	if i.GetState() != reportingv1.Incident_STATE_OPEN || !concerns(i.GetStanding(), by) {
		return "", fault.StateForbids(row.StateName(i.ProtoReflect()), "endIncident")
	}
	if by.Officer == "" {
		return "", fault.New(reportingv1.Reason_REASON_OFFICER_REQUIRED, "name the acting officer in lianhu-officer")
	}
	end(i, ground, by, text, now)
	return settle(d, i, carriers, now), nil
}
