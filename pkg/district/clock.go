package district

import (
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// The clocks our own code starts. A package without one of them is refused, so that no command meets a clock that is
// not there; all other clocks are reference data for partners and later rules.
const (
	ClockReportAccept       = "report.accept"
	ClockReportTransfer     = "report.transfer"
	ClockReportResponse     = "report.response"
	ClockIncident           = "incident.handle"
	ClockTownshipNotice     = "township.notice"
	ClockBulletin           = "bulletin.acknowledge"
	ClockAssessmentStart    = "assessment.start"
	ClockAssessmentDone     = "assessment.done"
	ClockAssessmentHandover = "assessment.handover"
	ClockCaseReview         = "case.review"
	ClockReferralConfirm    = "referral.confirm"
	ClockLeadResolve        = "lead.resolve"
	ClockOverdueReview      = "overdue.review"
	ClockReliefFast         = "templief.fast"
	ClockPaymentApprove     = "payment.approve"
	ClockBankReturn         = "payment.bank_return"
	ClockVisitRed           = "visit.red"
	ClockVisitYellow        = "visit.yellow"
	ClockVisitBlue          = "visit.blue"
	ClockVisitGreen         = "visit.green"
	ClockStaffVetting       = "staff.vetting"
	ClockEventParked        = "event.parked"
	ClockUpdateQuarantined  = "update.quarantined"
	ClockCustodyRepair      = "custody.repair"
)

var ownClocks = []string{
	ClockReportAccept, ClockReportTransfer, ClockReportResponse, ClockIncident, ClockTownshipNotice, ClockBulletin,
	ClockAssessmentStart, ClockAssessmentDone, ClockAssessmentHandover, ClockCaseReview, ClockReferralConfirm,
	ClockLeadResolve, ClockOverdueReview, ClockReliefFast, ClockPaymentApprove, ClockBankReturn, ClockVisitRed,
	ClockVisitYellow, ClockVisitBlue, ClockVisitGreen, ClockStaffVetting, ClockEventParked, ClockUpdateQuarantined,
	ClockCustodyRepair,
}

// Bound says where a clock ends whose rule names no length.
type Bound string

const (
	// BoundBeforeEvent ends with an event, not at an instant.
	BoundBeforeEvent Bound = "before_event"
	// BoundSameMonth ends with the month it starts in.
	BoundSameMonth Bound = "same_month"
	// BoundNextMonth ends with the month after the one it starts in.
	BoundNextMonth Bound = "next_month"
)

// Clock is one length the services time (R9). It has a length or a bound, never both.
type Clock struct {
	ID string `yaml:"id"`
	ZH string `yaml:"zh"`
	// Start says in words what starts the clock.
	Start  string          `yaml:"start"`
	Length calendar.Length `yaml:"-"`
	Bound  Bound           `yaml:"bound"`
	// Owner is the role or unit that has to be done in time.
	Owner  string `yaml:"owner"`
	Source string `yaml:"source"`
	// Status says whether the length itself is law.
	Status Status `yaml:"status"`
}

type clockEntry struct {
	Clock  `yaml:",inline"`
	Length length `yaml:"length"`
}

func (l *loader) readClocks() func() {
	type file struct {
		Clocks []clockEntry `yaml:"clocks"`
	}
	entry, doc := parse[file](l, clocksFile)
	for _, c := range entry.Clocks {
		c.Clock.Length = c.Length.Length
		l.d.clocks = append(l.d.clocks, c.Clock)
	}
	return func() {
		l.d.clockAt = positions(l.d.clocks, func(c Clock) string { return c.ID })
		indexed(doc, "clocks", l.d.clocks, "id", func(c Clock) string { return c.ID })
		for i, c := range l.d.clocks {
			way, what := at{"clocks", i}, "clock "+c.ID
			doc.text(way, what, "zh", c.ZH, "start", c.Start, "owner", c.Owner)
			doc.claims(way, what, c.Source, c.Status)
			switch c.Bound {
			case "", BoundBeforeEvent, BoundSameMonth, BoundNextMonth:
			default:
				doc.fail(at{"clocks", i, "bound"}, "%s: bound %q is not known", what, c.Bound)
			}
			if c.Length.IsZero() == (c.Bound == "") {
				doc.fail(way, "%s needs a length or a bound, and not both", what)
			}
		}
		for _, id := range ownClocks {
			if c, ok := l.d.Clock(id); !ok {
				doc.fail(at{"clocks"}, "clock %s is missing, and the services start it", id)
			} else if c.Bound == BoundBeforeEvent {
				doc.fail(at{"clocks", l.d.clockAt[id], "bound"}, "clock %s must end at an instant: the services wait for it", id)
			}
		}
	}
}

// checkOwners runs when the roles are known: an owner is a role, a member unit, or the child's parents.
func (l *loader) checkOwners() {
	for i, c := range l.d.clocks {
		_, unit := l.d.Unit(c.Owner)
		if !unit && !l.d.isRole(c.Owner) && c.Owner != "parents" {
			l.documents[clocksFile].fail(at{"clocks", i, "owner"}, "clock %s: owner %q is neither a role nor a unit", c.ID, c.Owner)
		}
	}
}

// Clocks lists all clocks.
func (d *District) Clocks() []Clock { return slices.Clone(d.clocks) }

// Clock finds a clock by its id.
func (d *District) Clock(id string) (Clock, bool) { return find(d.clocks, d.clockAt, id) }

// Deadline is the first instant that is too late for a clock started at from. For a clock of the constants of this
// package it is always after from. A clock that ends with an event has none: the zero time. An id that is not in the
// package is a defect of the calling code and panics, as an item without a deadline would break the first promise.
func (d *District) Deadline(clockID string, from time.Time) time.Time {
	c, ok := d.Clock(clockID)
	if !ok {
		panic("district: no clock " + clockID)
	}
	first := calendar.Today(from)
	first.Day = 1
	switch c.Bound {
	case BoundBeforeEvent:
		return time.Time{}
	case BoundSameMonth:
		return first.AddMonths(1).Start()
	case BoundNextMonth:
		return first.AddMonths(2).Start()
	default:
		return d.calendar.Deadline(from, c.Length).At
	}
}
