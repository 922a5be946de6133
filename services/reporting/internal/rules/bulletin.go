package rules

import (
	"fmt"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// IssueBulletin makes the bulletin of a report whose response is complete. The report stays with its holder and waits.
func IssueBulletin(d *district.District, r *reportingv1.Report, by Actor, id, text string, now time.Time) (*reportingv1.Bulletin, error) {
	if err := heldBy(r, by, "issueBulletin", reportingv1.Report_STATE_RESPONSE_CLOSED); err != nil {
		return nil, err
	}
	township := d.TownshipUnit(d.Responsible(r.GetDivision(), calendar.Today(now)))
	b := &reportingv1.Bulletin{
		Standing: &custodyv1.Standing{Id: id, MatterId: r.GetStanding().GetMatterId()},
		State:    reportingv1.Bulletin_STATE_ISSUED, Division: r.GetDivision(),
		ReportId: r.GetStanding().GetId(), ProvisionalChildId: r.GetProvisionalChildId(), ChildId: r.GetChildId(),
		Measures: done(r), PlacementUnit: placement(r), Text: text, IssueUnit: by.Unit, Township: township,
	}
	b.Standing.Holder = by.Unit
	offer(d, b.Standing, township, district.ClockBulletin, now)
	r.State, r.BulletinId = reportingv1.Report_STATE_NOTIFIED, id
	custody.Meet(r.Standing, district.ClockTownshipNotice)
	custody.Hold(r.Standing, by.Unit)
	begin(d, r.Standing, district.ClockBulletin, now)
	return b, nil
}

// Acknowledge closes bulletin and report and opens the township's assessment of each child. id makes the id of what a word names.
func Acknowledge(d *district.District, b *reportingv1.Bulletin, r *reportingv1.Report, by Actor, id func(string) string, now time.Time) ([]*reportingv1.Assessment, error) {
	if b.GetState() != reportingv1.Bulletin_STATE_ISSUED || b.GetStanding().GetOfferedTo() != by.Unit {
		return nil, fault.StateForbids(row.StateName(b.ProtoReflect()), "acknowledge")
	}
	b.State, b.AcknowledgeTime = reportingv1.Bulletin_STATE_ACKNOWLEDGED, stamp(now)
	custody.Close(b.Standing)
	r.State = reportingv1.Report_STATE_CLOSED
	custody.Close(r.Standing)
	var opened []*reportingv1.Assessment
	for i, child := range Children(r) {
		word := "assessment"
		if i > 0 {
			word = fmt.Sprintf("assessment.%d", i)
		}
		opened = append(opened, assess(d, r, child, b.GetStanding().GetId(), id(word), now))
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
