package rules

import (
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Direct lets the lead office name the police unit that has to act on what it holds. state is that of the item, for a refusal.
func Direct(d *district.District, s *custodyv1.Standing, state string, by Actor, to, text string, now time.Time) (*reportingv1.Direction, error) {
	if s.GetHolder() != by.Unit || by.Unit != d.LeadOffice() {
		return nil, fault.StateForbids(state, "direct")
	}
	if !police(d, to, now) {
		return nil, fault.New(reportingv1.Reason_REASON_UNIT_INVALID, "to_unit: not a police unit of the district", "field", "to_unit").
			Field("to_unit", "not a police unit of the district")
	}
	offer(d, s, to, district.ClockLeadResolve, now)
	return &reportingv1.Direction{ToUnit: to, Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now)}, nil
}

// DirectReport is Direct for a report, whose offers stand in a list of their own.
func DirectReport(d *district.District, r *reportingv1.Report, state string, by Actor, to, text string, now time.Time) error {
	if _, err := Direct(d, r.GetStanding(), state, by, to, text, now); err != nil {
		return err
	}
	answerTransfer(r, reportingv1.Transfer_OUTCOME_WITHDRAWN, "", now)
	r.Transfers = append(r.Transfers, &reportingv1.Transfer{FromUnit: by.Unit, ToUnit: to, Text: text, OfferTime: stamp(now)})
	return nil
}

// DeclineItem gives back what a station was asked to act on. The holder stays, and its deadline.
func DeclineItem(s *custodyv1.Standing, state string, by Actor, text string, now time.Time) (*reportingv1.Direction, error) {
	switch {
	case by.Unit == "" || s.GetOfferedTo() != by.Unit:
		return nil, fault.StateForbids(state, "declineItem")
	case by.Unit == Bureau:
		return nil, fault.New(reportingv1.Reason_REASON_BUREAU_CANNOT_DECLINE, "the bureau is the last police unit asked")
	}
	s.OfferedTo = ""
	return &reportingv1.Direction{Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now)}, nil
}

// police reports whether a unit is an open station or the bureau.
func police(d *district.District, unit string, now time.Time) bool {
	u, ok := d.Unit(unit)
	return ok && (u.Kind == district.KindPoliceStation || u.ID == Bureau) && u.OpenOn(calendar.Today(now))
}
