package rules

import (
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// ExpireReport is what a passed deadline does to a report: the bureau is asked, then the lead office becomes holder without
// being asked. A report that waits for the township's acknowledgement only becomes overdue: its bulletin goes up by itself.
func ExpireReport(d *district.District, r *reportingv1.Report, now time.Time) error {
	s := r.GetStanding()
	missed := custody.Miss(s, now)
	if len(missed) == 0 {
		return custody.ErrNotDue
	}
	silent := missed.Has(district.ClockReportTransfer)
	if !missed.Step() && s.GetOfferedTo() != "" && custody.Running(s) {
		return nil // the law's hour passed while another unit is asked: it is marked, and that unit's own hour goes on
	}
	stationSilent := silent && r.GetState() == reportingv1.Report_STATE_TRANSFERRING && s.GetOfferedTo() != Bureau
	if silent {
		answerTransfer(r, reportingv1.Transfer_OUTCOME_SILENT, "", now)
	}
	switch {
	case r.GetState() == reportingv1.Report_STATE_NOTIFIED:
		extend(d, s, district.ClockOverdueReview, now)
	case stationSilent:
		askBureau(d, r, now)
	case s.GetHolder() == Bureau, s.GetOfferedTo() == Bureau, s.GetHolder() == d.LeadOffice():
		escalateToLead(d, s, Bureau, now)
	default:
		offer(d, s, Bureau, district.ClockReportTransfer, now)
	}
	return nil
}

// ExpireBulletin makes the lead office the holder of a bulletin that nobody acknowledged. Whom it was offered to can still take it over, and the
// lead office can acknowledge in its stead or address it anew.
func ExpireBulletin(d *district.District, b *reportingv1.Bulletin, now time.Time) error {
	if len(custody.Miss(b.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	silent(b.GetOffers(), now)
	escalateToLead(d, b.GetStanding(), b.GetStanding().GetOfferedTo(), now)
	return nil
}

// ExpireAssessment makes the lead office the holder of an assessment that was not done or not taken over in time. The township responsible, or the
// one it was offered to, is still the one who can.
func ExpireAssessment(d *district.District, a *reportingv1.Assessment, now time.Time) error {
	if len(custody.Miss(a.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	silent(a.GetOffers(), now)
	to := a.GetStanding().GetOfferedTo()
	if to == "" {
		to = a.GetTownship()
	}
	escalateToLead(d, a.GetStanding(), to, now)
	return nil
}

// ExpireIncident moves an incident up: from the station to the bureau above it, then to the lead office. Where a unit that was asked is silent,
// the bureau is asked instead, and the holder stays.
func ExpireIncident(d *district.District, i *reportingv1.Incident, now time.Time) error {
	miss(d, i, now)
	missed := custody.Miss(i.GetStanding(), now)
	if len(missed) == 0 {
		return custody.ErrNotDue
	}
	s := i.GetStanding()
	if !missed.Step() && s.GetOfferedTo() != "" && custody.Running(s) {
		return nil // the law's hour is marked; whoever is asked has its own to answer
	}
	if missed.Has(clockIncidentTransfer) {
		answered(i, reportingv1.IncidentOffer_OUTCOME_SILENT, "", now)
		askNext(d, i, s.GetOfferedTo(), now)
		if len(missed) == 1 {
			return nil
		}
	}
	withdraw(i, now)
	if s.GetHolder() != Bureau && s.GetHolder() != d.LeadOffice() {
		hold(d, s, Bureau, clockIncidentHandle, now)
		return nil
	}
	escalateToLead(d, s, Bureau, now)
	return nil
}
