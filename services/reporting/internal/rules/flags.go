package rules

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Flag notes what is odd about a report, in the order of the enum, as its situations, its children and its residence stand now. It is done after
// every change of one of these, so that no flag outlives its reason; only how late it came stays. It reports whether anything changed.
func Flag(d *district.District, r *reportingv1.Report, children []*reportingv1.ProvisionalChild) bool {
	found := flagsOfResidence(d, r.GetDivision())
	if r.GetStaleDivision() != "" {
		found = append(found, reportingv1.Flag_FLAG_DIVISION_CLOSED)
	}
	if slices.Contains(r.GetFlags(), reportingv1.Flag_FLAG_LATE) {
		found = append(found, reportingv1.Flag_FLAG_LATE)
	}
	for _, child := range children {
		found = append(found, flagsOfChild(d, r.GetSituations(), child, eventTime(r.GetOccurTime(), r.GetDiscoverTime()))...)
	}
	if len(children) == 0 {
		found = append(found, reportingv1.Flag_FLAG_NO_CHILD_NAMED)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	changed := !slices.Equal(found, r.GetFlags())
	r.Flags = found
	return changed
}

// late flags a report that came later after the discovery than it should.
func late(d *district.District, r *reportingv1.Report, now time.Time) {
	if now.After(d.Deadline(clockReportImmediate, r.GetDiscoverTime().AsTime())) {
		r.Flags = append(r.Flags, reportingv1.Flag_FLAG_LATE)
	}
}

// eventTime is the day that ages count by: when it happened, or when it was found out.
func eventTime(occurred, discovered *timestamppb.Timestamp) time.Time {
	if occurred != nil {
		return occurred.AsTime()
	}
	return discovered.AsTime()
}

// flagsOfChild compares the child with the words of the situations on the day of the event.
func flagsOfChild(d *district.District, situations []string, child *reportingv1.ProvisionalChild, event time.Time) []reportingv1.Flag {
	born, known := birthOf(child)
	switch {
	case known:
		return contradictions(d, situations, child, born, event)
	case child.GetEstimatedAge() == 0:
		return append(contradictions(d, situations, child, calendar.Date{}, event), reportingv1.Flag_FLAG_AGE_UNKNOWN)
	}
	// An estimate may be wrong by a year; what holds for the younger and the older child alike is said of it.
	estimated := child.GetEstimateTime().AsTime()
	older := contradictions(d, situations, child, calendar.Today(estimated.AddDate(-int(child.GetEstimatedAge())-1, 0, 0)), event)
	younger := contradictions(d, situations, child, calendar.Today(estimated.AddDate(1-int(child.GetEstimatedAge()), 0, 0)), event)
	both := slices.DeleteFunc(older, func(f reportingv1.Flag) bool { return !slices.Contains(younger, f) })
	return append(both, reportingv1.Flag_FLAG_AGE_ESTIMATED)
}

func birthOf(child *reportingv1.ProvisionalChild) (calendar.Date, bool) {
	born, err := calendar.ParseDate(child.GetPerson().GetBirthDate())
	return born, err == nil && child.GetPerson().GetBirthDate() != ""
}

// contradictions are what the situations say of a child born on a day; on none, of one whose age is not known.
func contradictions(d *district.District, situations []string, child *reportingv1.ProvisionalChild, born calendar.Date, event time.Time) []reportingv1.Flag {
	var found []reportingv1.Flag
	for _, code := range situations {
		for _, flag := range d.Flags(code, sexCode(child.GetPerson().GetSex()), born, calendar.Today(event)) {
			found = append(found, flagOf(flag))
		}
	}
	return found
}

func flagOf(f district.Flag) reportingv1.Flag {
	switch f {
	case district.FlagAgeUnknown:
		return reportingv1.Flag_FLAG_AGE_UNKNOWN
	case district.FlagSexUnknown:
		return reportingv1.Flag_FLAG_SEX_UNKNOWN
	case district.FlagAgeContradicts:
		return reportingv1.Flag_FLAG_AGE_CONTRADICTS_SITUATION
	case district.FlagSexContradicts:
		return reportingv1.Flag_FLAG_SEX_CONTRADICTS_SITUATION
	default:
		return reportingv1.Flag_FLAG_NOT_A_MINOR
	}
}
