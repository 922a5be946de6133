package rules

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
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
	var err error
	if u.GetPayloadFormat() == reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON {
		err = readJSON(u.GetPayload(), content)
	} else {
		err = proto.Unmarshal(u.GetPayload(), content)
	}
	if err != nil {
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
	if content.GetDivision() != "" && d.CheckDivision("division", content.GetDivision(), calendar.Today(now)) != nil {
		return nil, reportingv1.Quarantined_CAUSE_DIVISION_UNKNOWN
	}
	return content, 0
}

// hasNUL finds the one character PostgreSQL cannot store: the payload has not passed the server's own check.
func hasNUL(c *reportingv1.IncidentContent) bool {
	return strings.ContainsRune(strings.Join(slices.Concat([]string{c.GetCategory(), c.GetPlace(), c.GetSummary()}, c.GetSituations(), c.GetCodes()), ""), 0)
}

// NewIncident is an incident nobody has told anything of yet; Fold gives it content and holder.
func NewIncident(id, number string) *reportingv1.Incident {
	return &reportingv1.Incident{Standing: &custodyv1.Standing{Id: id}, IncidentNumber: number}
}

// Fold works updates into an incident, in any order and with the same outcome; see the contract. It answers what happened, in
// the words of the feed, or nothing when no update told anything new.
func Fold(d *district.District, i *reportingv1.Incident, updates []Update, now time.Time) string {
	what := ""
	miss(d, i, now) // what is due and not swept yet
	for _, u := range updates {
		excused, told := excuse(i, u), foldMilestones(i, u.Content.GetMilestones())
		if excused || told {
			what = "updated"
		}
		if !newer(i, u) {
			continue
		}
		content := proto.CloneOf(u.Content)
		content.Milestones = nil
		i.Content, i.IncidentVersion, i.SourceTime = content, u.Envelope.GetIncidentVersion(), u.Envelope.GetSourceTime()
		i.Source, i.Epoch, i.Sequence = u.Source, u.Epoch, u.Envelope.GetSequence()
		what = "updated"
	}
	if what == "" {
		return ""
	}
	return settle(d, i, now)
}

// settle brings state and custody of an incident in line with its content.
func settle(d *district.District, i *reportingv1.Incident, now time.Time) string {
	before, moved := i.GetState(), i.GetDivision() != i.GetContent().GetDivision()
	i.Division, i.Standing.MatterId = i.GetContent().GetDivision(), linkedTo(i)
	switch {
	case i.GetStanding().GetMatterId() != "":
		i.State = reportingv1.Incident_STATE_LINKED
	case i.GetContent().GetStatus() == reportingv1.IncidentContent_STATUS_CLOSED:
		i.State = reportingv1.Incident_STATE_CLOSED
	default:
		i.State = reportingv1.Incident_STATE_OPEN
	}
	if i.GetState() == reportingv1.Incident_STATE_OPEN {
		if before != i.GetState() || moved {
			if before != i.GetState() {
				begin(d, i.Standing, clockIncidentHandle, now)
			}
			carryOn(d, i.Standing, handler(d, i.GetDivision()), clockIncidentHandle, now)
		}
	} else {
		custody.Close(i.Standing)
	}
	switch {
	case before == i.GetState():
		return "updated"
	case i.GetState() == reportingv1.Incident_STATE_LINKED:
		return "linked"
	case i.GetState() == reportingv1.Incident_STATE_CLOSED:
		return "closed"
	default:
		return "opened"
	}
}

// handler is the station of a division, or the bureau where none is known.
func handler(d *district.District, division string) string {
	if station := d.StationFor(division); station != "" {
		return station
	}
	return Bureau
}

// foldMilestones keeps the earliest time ever told of each kind, ordered by kind.
func foldMilestones(i *reportingv1.Incident, told []*reportingv1.Milestone) bool {
	changed := false
	for _, m := range told {
		at := 0
		for at < len(i.GetMilestones()) && i.GetMilestones()[at].GetKind() < m.GetKind() {
			at++
		}
		switch {
		case at == len(i.GetMilestones()) || i.GetMilestones()[at].GetKind() != m.GetKind():
			i.Milestones = append(i.Milestones[:at:at], append([]*reportingv1.Milestone{proto.CloneOf(m)}, i.Milestones[at:]...)...)
		case m.GetTime().AsTime().Before(i.GetMilestones()[at].GetTime().AsTime()):
			i.Milestones[at] = proto.CloneOf(m)
		default:
			continue
		}
		changed = true
	}
	return changed
}
