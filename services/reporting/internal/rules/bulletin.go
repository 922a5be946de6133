package rules

import (
	"fmt"
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// IssueBulletin makes the bulletin of a report whose response is complete. It goes to the unit named, else to the township of the residence, and to
// the lead office where none is known here. The report stays with its holder and waits.
func IssueBulletin(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.IssueBulletinRequest, id string, now time.Time) (*reportingv1.Bulletin, error) {
	if err := heldBy(r, by, "issueBulletin", reportingv1.Report_STATE_RESPONSE_CLOSED); err != nil {
		return nil, err
	}
	to := req.GetToUnit()
	if to == "" {
		to = assessorOf(d, r.GetDivision(), now)
	}
	if err := checkAssessor(d, "to_unit", to, now); err != nil {
		return nil, err
	}
	b := &reportingv1.Bulletin{
		Standing: &custodyv1.Standing{Id: id, MatterId: r.GetStanding().GetMatterId()},
		State:    reportingv1.Bulletin_STATE_ISSUED, Division: r.GetDivision(),
		ReportId: r.GetStanding().GetId(), ProvisionalChildId: r.GetProvisionalChildId(), ChildId: r.GetChildId(),
		Measures: done(r), PlacementUnit: placement(r), Text: req.GetText(), IssueUnit: by.Unit,
	}
	b.Standing.Holder = by.Unit
	address(d, b, by.Unit, to, "", now)
	r.State, r.BulletinId = reportingv1.Report_STATE_NOTIFIED, id
	custody.Meet(r.Standing, district.ClockTownshipNotice)
	custody.Hold(r.Standing, by.Unit)
	begin(d, r.Standing, district.ClockBulletin, now)
	return b, nil
}

// Acknowledge closes bulletin and report and opens the assessment of each child. Whoever acknowledges holds them; what the lead office took over in
// the stead of a silent township is offered to that township. id makes the id of what a word names.
func Acknowledge(d *district.District, b *reportingv1.Bulletin, r *reportingv1.Report, by Actor, id func(string) string, now time.Time) ([]*reportingv1.Assessment, error) {
	s := b.GetStanding()
	inStead := by.Unit == d.LeadOffice() && s.GetHolder() == by.Unit
	if b.GetState() != reportingv1.Bulletin_STATE_ISSUED || s.GetOfferedTo() != by.Unit && !inStead {
		return nil, fault.StateForbids(row.StateName(b.ProtoReflect()), "acknowledge")
	}
	responsible := by.Unit
	if inStead && s.GetOfferedTo() != "" {
		responsible = s.GetOfferedTo()
	}
	answerOffer(b.GetOffers(), by, reportingv1.Offer_OUTCOME_ACCEPTED, "", now)
	b.State, b.AcknowledgeTime, b.AcknowledgeUnit = reportingv1.Bulletin_STATE_ACKNOWLEDGED, stamp(now), by.Unit
	custody.Close(b.Standing)
	r.State, r.AssessUnit = reportingv1.Report_STATE_CLOSED, responsible
	custody.Close(r.Standing)
	var opened []*reportingv1.Assessment
	for i, child := range Children(r) {
		word := "assessment"
		if i > 0 {
			word = fmt.Sprintf("assessment.%d", i)
		}
		a := assess(d, r, child, b.GetStanding().GetId(), id(word), now)
		if by.Unit != responsible {
			custody.Hold(a.Standing, by.Unit)
			offerAssessment(d, a, by.Unit, responsible, "", now)
		}
		opened = append(opened, a)
	}
	return opened, nil
}

// placement is the unit of the last standing measure that placed the child.
func placement(r *reportingv1.Report) string {
	unit := ""
	for _, m := range r.GetMeasures() {
		if m.GetStrikeTime() == nil && m.GetPlacementUnit() != "" {
			unit = m.GetPlacementUnit()
		}
	}
	return unit
}
