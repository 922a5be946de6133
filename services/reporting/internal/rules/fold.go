package rules

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// rank is where an update stands among those of an incident.
type rank struct {
	version, epoch, sequence int64
	source                   string
	// at is the source time.
	at time.Time
}

// apart is how far two versions lie from each other.
func apart(a, b rank) int64 { return max(a.version, b.version) - min(a.version, b.version) }

func (u Update) rank() rank {
	e := u.Envelope
	return rank{e.GetIncidentVersion(), u.Epoch, e.GetSequence(), u.Source, e.GetSourceTime().AsTime()}
}

// top is the update whose envelope an incident shows.
func top(i *reportingv1.Incident) rank {
	return rank{i.GetIncidentVersion(), i.GetEpoch(), i.GetSequence(), i.GetSource(), i.GetSourceTime().AsTime()}
}

// Fold works updates into an incident, in any order and with the same outcome; see the contract. carriers are the reports that the updates and
// the incident name. It answers what happened, in the words of the feed, or nothing when no update told anything new.
func Fold(d *district.District, i *reportingv1.Incident, updates []Update, carriers Carriers, now time.Time) string {
	what, stood := "", top(i)
	miss(d, i, now) // what is due and not swept yet
	for _, u := range updates {
		leaps := i.GetIncidentVersion() > 0 && apart(top(i), u.rank()) > d.VersionLeap() && !i.GetVersionLeap()
		i.VersionLeap = i.GetVersionLeap() || leaps
		if excuse(i, u) || leaps {
			what = "updated"
		}
		if foldMilestones(i, u.Content.GetMilestones()) {
			what = "updated"
		}
		if foldContent(d, i, u) {
			what = "updated"
		}
	}
	if what == "" {
		return ""
	}
	if top(i) != stood {
		i.DoneReports = carriers.done(i)
	}
	return settle(d, i, carriers, now)
}

// foldContent puts the fields that an update says where they belong, and reports whether that changed anything.
func foldContent(d *district.District, i *reportingv1.Incident, u Update) bool {
	says := said(u.Envelope)
	if newer(d.VersionLeap(), top(i), u.rank()) {
		rise(i, u, says)
		return true
	}
	changed := false
	for n, kept := range i.GetKeptFields() {
		below := rank{kept.GetIncidentVersion(), kept.GetEpoch(), kept.GetSequence(), kept.GetSource(), kept.GetSourceTime().AsTime()}
		if (says == nil || says[kept.GetField()]) && newer(d.VersionLeap(), below, u.rank()) {
			copyField(i.GetContent(), u.Content, kept.GetField())
			i.KeptFields[n], changed = keptField(kept.GetField(), u.rank()), true
		}
	}
	return changed
}

// rise makes an update the top. What it does not say stays, with the update that said it.
func rise(i *reportingv1.Incident, u Update, says map[string]bool) {
	before, earlier, stood := i.GetContent(), i.GetKeptFields(), top(i)
	content := proto.CloneOf(u.Content)
	content.Milestones = nil
	i.KeptFields = nil
	for _, field := range contentFields() {
		if says == nil || says[field] {
			continue
		}
		if before != nil { // else nobody has said it yet, and whoever did before may still come
			copyField(content, before, field)
		}
		at := slices.IndexFunc(earlier, func(k *reportingv1.KeptField) bool { return k.GetField() == field })
		if at >= 0 {
			i.KeptFields = append(i.KeptFields, earlier[at])
		} else {
			i.KeptFields = append(i.KeptFields, keptField(field, stood))
		}
	}
	i.Content, i.IncidentVersion, i.SourceTime = content, u.Envelope.GetIncidentVersion(), u.Envelope.GetSourceTime()
	i.Source, i.Epoch, i.Sequence = u.Source, u.Epoch, u.Envelope.GetSequence()
	i.ReceiveTime, i.UnknownFields = stamp(u.Received), shortened(unknownNames(u.Envelope))
}

// contentFields are the fields of a content that an update may leave unsaid: all but the milestones, which are slots of their own.
func contentFields() []string {
	var names []string
	fields := (&reportingv1.IncidentContent{}).ProtoReflect().Descriptor().Fields()
	for n := range fields.Len() {
		if name := string(fields.Get(n).Name()); name != "milestones" {
			names = append(names, name)
		}
	}
	return names
}

func keptField(field string, from rank) *reportingv1.KeptField {
	return &reportingv1.KeptField{
		Field: field, IncidentVersion: from.version, Epoch: from.epoch, Sequence: from.sequence, Source: from.source, SourceTime: timestamppb.New(from.at),
	}
}

func copyField(to, from *reportingv1.IncidentContent, name string) {
	field := to.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
	if from.ProtoReflect().Has(field) {
		to.ProtoReflect().Set(field, proto.CloneOf(from).ProtoReflect().Get(field))
	} else {
		to.ProtoReflect().Clear(field)
	}
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
