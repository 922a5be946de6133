package rules

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// lateAfter is how long after its source time an update is received late: its link was down, and not merely slow.
const lateAfter = 60 * time.Second

// miss keeps the deadline that has passed, once. The lead office's own are no police unit's.
func miss(d *district.District, i *reportingv1.Incident, now time.Time) {
	s := i.GetStanding()
	if !custody.Due(s, now) || s.GetHolder() == d.LeadOffice() || s.GetClock() == clockIncidentTransfer { // the last is whose silence, not the holder's
		return
	}
	if n := len(i.GetMissedDeadlines()); n > 0 && proto.Equal(i.GetMissedDeadlines()[n-1].GetDeadline(), s.GetDeadline()) {
		return
	}
	i.MissedDeadlines = append(i.MissedDeadlines, &reportingv1.MissedDeadline{Deadline: s.GetDeadline(), Holder: s.GetHolder(), Clock: s.GetClock()})
}

// excuse marks the missed deadlines that passed while an update was on its way, by the source's clock set right. A time before the incident was
// known here is no time at which its news can have been made, and excuses nothing. It reports whether there was one.
func excuse(i *reportingv1.Incident, u Update) bool {
	sent := u.Envelope.GetSourceTime().AsTime().Add(-u.Skew)
	if u.Received.Sub(sent) <= lateAfter || sent.Before(i.GetCreateTime().AsTime()) {
		return false
	}
	changed := false
	for _, m := range i.GetMissedDeadlines() {
		if at := m.GetDeadline().AsTime(); !m.GetOverdueWhileLinkDown() && !at.Before(sent) && !at.After(u.Received) {
			m.OverdueWhileLinkDown, changed = true, true
		}
	}
	return changed
}
