package rules

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// plausibleFrom is the earliest source time by which lives are told apart; an earlier one is no time at all, and the receiving counts instead.
var plausibleFrom = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// LifeOf tells to which of a number's lives, the first one first, an update belongs; their count means that it begins the next one. See the
// contract.
func LifeOf(d *district.District, lives []*reportingv1.Incident, u Update) int {
	for n, life := range lives {
		over := u.Envelope.GetSourceTime().AsTime().After(lastTold(life).Add(d.SecondLife()))
		switch {
		case !over:
			return n
		case n < len(lives)-1:
			continue
		case continues(life, u):
			return n
		}
	}
	return len(lives)
}

// lastTold is when the update that stands was made.
func lastTold(i *reportingv1.Incident) time.Time {
	if at := i.GetSourceTime().AsTime(); at.After(plausibleFrom) {
		return at
	}
	return i.GetReceiveTime().AsTime()
}

// continues reports whether an update made long after the top can be news of the same life: with a higher version it can, and so can one that its
// source numbered earlier.
func continues(i *reportingv1.Incident, u Update) bool {
	stands, told := top(i), u.rank()
	if told.version > stands.version {
		return true
	}
	return told.source == stands.source && cmp.Or(cmp.Compare(told.epoch, stands.epoch), cmp.Compare(told.sequence, stands.sequence)) <= 0
}

// SortByLife tells which updates belong to which life of a number, in the order they came; beyond the lives there are come those that begin
// further ones.
func SortByLife(d *district.District, lives []*reportingv1.Incident, updates []Update) [][]Update {
	parts := make([][]Update, len(lives))
	if len(updates) == 1 && len(lives) > 0 && LifeOf(d, lives, updates[0]) < len(lives) { // nearly always
		parts[LifeOf(d, lives, updates[0])] = updates
		return parts
	}
	tried := make([]*reportingv1.Incident, len(lives)) // what one update tells decides about the next
	for n, life := range lives {
		tried[n] = proto.CloneOf(life)
	}
	for _, u := range updates {
		n := LifeOf(d, tried, u)
		if n == len(tried) {
			tried, parts = append(tried, &reportingv1.Incident{}), append(parts, nil)
		}
		foldContent(d, tried[n], u)
		parts[n] = append(parts[n], u)
	}
	return parts
}
