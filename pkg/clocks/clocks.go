// Package clocks keeps the clocks of an item inside its Standing, where pure rules can see them: which of them run, which were met and
// which were missed. The deadline of the item is always the earliest clock that runs, and only this package sets it.
//
// There are two kinds. A lasting clock, the law's, runs from its event until its own act, whoever holds the item and whatever else is
// done. The clock of a step - an offer, an extension, a review - ends with the next step. What was missed stays marked for ever.
//
// A rule says that a clock started, ended or was missed; Stamp says when, at the time of the write.
package clocks

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// Earlier is the id of a deadline that was missed before clocks were kept one by one.
const Earlier = "custody.earlier"

const (
	running   = custodyv1.Clock_STATE_RUNNING
	met       = custodyv1.Clock_STATE_MET
	missed    = custodyv1.Clock_STATE_MISSED
	endedLate = custodyv1.Clock_STATE_ENDED_LATE
)

// Step ends the clock of the step before and starts that of the next. unit is who is asked; empty means the holder.
func Step(s *custodyv1.Standing, clock string, due time.Time, unit string) {
	EndSteps(s)
	add(s, &custodyv1.Clock{Clock: clock, State: running, DueTime: instant(due), Unit: unit})
}

// Replace starts the clock of a step in which nobody acted: what runs of steps ends, what was missed stays outstanding.
func Replace(s *custodyv1.Standing, clock string, due time.Time) {
	end(s, func(c *custodyv1.Clock) bool { return !c.GetLasting() && c.GetState() == running })
	add(s, &custodyv1.Clock{Clock: clock, State: running, DueTime: instant(due)})
}

func add(s *custodyv1.Standing, c *custodyv1.Clock) {
	s.Clocks = append(s.Clocks, c)
	settle(s)
}

// Last starts a lasting clock. One of that id under which something is still owed goes on as it is: it is never restarted.
func Last(s *custodyv1.Standing, clock string, start, due time.Time) {
	if slices.ContainsFunc(s.GetClocks(), func(c *custodyv1.Clock) bool { return c.GetLasting() && c.GetClock() == clock && outstanding(c) }) {
		return
	}
	add(s, &custodyv1.Clock{Clock: clock, State: running, Lasting: true, StartTime: instant(start), DueTime: instant(due)})
}

// instant is a time as the database keeps it, so that a clock is read back as it was written.
func instant(t time.Time) *timestamppb.Timestamp {
	return timestamppb.New(t.Truncate(time.Microsecond))
}

// EndSteps ends what runs of steps, without a next one. A step that somebody takes also ends what was missed of earlier steps; one that follows
// from a miss in the same change does not, as nobody has acted.
func EndSteps(s *custodyv1.Standing) {
	acted := !slices.ContainsFunc(s.GetClocks(), missedNow)
	end(s, func(c *custodyv1.Clock) bool { return !c.GetLasting() && (acted || c.GetState() == running) })
}

// Meet ends all clocks of these ids: their act has come, in time or late.
func Meet(s *custodyv1.Standing, ids ...string) {
	end(s, func(c *custodyv1.Clock) bool { return slices.Contains(ids, c.GetClock()) })
}

// EndAll ends everything: the item is closed.
func EndAll(s *custodyv1.Standing) {
	end(s, func(*custodyv1.Clock) bool { return true })
}

func end(s *custodyv1.Standing, which func(*custodyv1.Clock) bool) {
	kept := s.GetClocks()[:0:0]
	for _, c := range s.GetClocks() {
		if outstanding(c) && which(c) {
			if c.GetStartVersion() == 0 {
				continue // started and ended in one change: it never ran
			}
			c.State = ended(c)
			unitOf(s, c)
		}
		kept = append(kept, c)
	}
	s.Clocks = kept
	settle(s)
}

func ended(c *custodyv1.Clock) custodyv1.Clock_State {
	if c.GetState() == missed {
		return endedLate
	}
	return met
}

// Missed are the clocks that one change marked as missed.
type Missed []*custodyv1.Clock

// Has reports whether a clock of that id is among them.
func (m Missed) Has(id string) bool {
	return slices.ContainsFunc(m, func(c *custodyv1.Clock) bool { return c.GetClock() == id })
}

// Step reports whether the clock of a step is among them.
func (m Missed) Step() bool {
	return slices.ContainsFunc(m, func(c *custodyv1.Clock) bool { return !c.GetLasting() })
}

// Miss marks every clock that is due at business time now, and gives them. They do not drive the deadline any more: the rule that calls it
// names the next clock unless another one runs.
func Miss(s *custodyv1.Standing, now time.Time) Missed {
	var found Missed
	for _, c := range s.GetClocks() {
		if c.GetState() == running && !c.GetDueTime().AsTime().After(now) {
			c.State = missed
			unitOf(s, c)
			found = append(found, c)
		}
	}
	settle(s)
	return found
}

// unitOf notes who had to act, before the item moves on.
func unitOf(s *custodyv1.Standing, c *custodyv1.Clock) {
	if c.GetUnit() == "" {
		c.Unit = s.GetHolder()
	}
}

// Running reports whether any clock runs.
func Running(s *custodyv1.Standing) bool {
	return slices.ContainsFunc(s.GetClocks(), func(c *custodyv1.Clock) bool { return c.GetState() == running })
}

// Outstanding reports whether something is owed under a clock of that id.
func Outstanding(s *custodyv1.Standing, id string) bool {
	return slices.ContainsFunc(s.GetClocks(), func(c *custodyv1.Clock) bool { return c.GetClock() == id && outstanding(c) })
}

// Overdue reports whether a clock was missed and its act is still outstanding.
func Overdue(s *custodyv1.Standing) bool {
	return slices.ContainsFunc(s.GetClocks(), func(c *custodyv1.Clock) bool { return c.GetState() == missed })
}

func outstanding(c *custodyv1.Clock) bool { return c.GetState() == running || c.GetState() == missed }

func missedNow(c *custodyv1.Clock) bool { return c.GetState() == missed && c.GetMissedTime() == nil }

// settle makes deadline and clock of the item those of the earliest clock that runs; of two, the older.
func settle(s *custodyv1.Standing) {
	s.Deadline, s.Clock = nil, ""
	if first := earliest(s); first != nil {
		s.Deadline, s.Clock = first.GetDueTime(), first.GetClock()
	}
}

func earliest(s *custodyv1.Standing) *custodyv1.Clock {
	var first *custodyv1.Clock
	for _, c := range s.GetClocks() {
		if c.GetState() == running && (first == nil || c.GetDueTime().AsTime().Before(first.GetDueTime().AsTime())) {
			first = c
		}
	}
	return first
}
