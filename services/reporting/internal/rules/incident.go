package rules

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/dates"
	"github.com/lianhu/lianhu/pkg/district"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Update is one update with where it came from and what its payload holds.
type Update struct {
	// Source is unit, colon, system.
	Source string
	// Epoch of the number.
	Epoch int64
	// Envelope as sent.
	Envelope *reportingv1.IncidentUpdate
	// Content of the payload.
	Content *reportingv1.IncidentContent
	// Received is the business time it was first received.
	Received time.Time
	// Skew is how far the source's clock is ahead of ours, as measured; negative when it is behind.
	Skew time.Duration
}

// aheadMost is how far a time of an update may lie ahead of business time. Less is a clock that goes wrong and is shown as skew; more would
// stand above every later update of the incident.
const aheadMost = 24 * time.Hour

// ReadUpdate checks an envelope, decodes its payload and checks what that says. A cause other than zero means quarantine; it never fails
// otherwise.
func ReadUpdate(d *district.District, validate func(proto.Message) error, u *reportingv1.IncidentUpdate, now time.Time) (*reportingv1.IncidentContent, reportingv1.Quarantined_Cause) {
	if validate(u) != nil || !u.GetSourceTime().IsValid() {
		return nil, reportingv1.Quarantined_CAUSE_RULE_BROKEN
	}
	content, cause := readPayload(d, validate, u, now)
	if cause != 0 {
		return nil, cause
	}
	latest := u.GetSourceTime().AsTime()
	for _, m := range content.GetMilestones() {
		if t := m.GetTime().AsTime(); t.After(latest) {
			latest = t
		}
	}
	if today := calendar.Today(now); latest.After(now.Add(aheadMost)) || dates.Check(u, today) != nil || dates.Check(content, today) != nil {
		return nil, reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE
	}
	return content, 0
}

func readPayload(d *district.District, validate func(proto.Message) error, u *reportingv1.IncidentUpdate, now time.Time) (*reportingv1.IncidentContent, reportingv1.Quarantined_Cause) {
	content := &reportingv1.IncidentContent{}
	if decode(u, content) != nil {
		return nil, reportingv1.Quarantined_CAUSE_UNDECODABLE
	}
	if validate(content) != nil || hasNUL(content) {
		return nil, reportingv1.Quarantined_CAUSE_RULE_BROKEN
	}
	for _, code := range content.GetSituations() {
		if _, ok := d.Situation(code); !ok {
			return nil, reportingv1.Quarantined_CAUSE_RULE_BROKEN
		}
	}
	if content.GetDivision() != "" {
		if _, err := d.TakeIn("division", content.GetDivision(), calendar.Today(now)); err != nil { // a closed one is answered for
			return nil, reportingv1.Quarantined_CAUSE_DIVISION_UNKNOWN
		}
	}
	return content, 0
}

// hasNUL finds the one character PostgreSQL cannot store: the payload has not passed the server's own check.
func hasNUL(c *reportingv1.IncidentContent) bool {
	return strings.ContainsRune(strings.Join(slices.Concat([]string{c.GetCategory(), c.GetPlace(), c.GetSummary()}, c.GetSituations(), c.GetCodes()), ""), 0)
}

// NewIncident is a life of a number that nobody has told anything of yet; Fold gives it content and holder. It belongs to the owner.
func NewIncident(id, number string, life int, owner string) *reportingv1.Incident {
	return &reportingv1.Incident{Standing: &custodyv1.Standing{Id: id}, IncidentNumber: number, Life: int32(life), Owner: owner}
}
