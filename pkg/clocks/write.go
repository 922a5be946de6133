package clocks

import (
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// Stamp writes version and business time into what a change did to the clocks. An act that came after its clock was due, and before the
// sweeper, was late all the same.
func Stamp(s *custodyv1.Standing, version int64, now time.Time) {
	at := timestamppb.New(now)
	for _, c := range s.GetClocks() {
		if c.GetStartVersion() == 0 {
			c.StartVersion = version
		}
		if c.GetStartTime() == nil {
			c.StartTime = at
		}
		if c.GetState() == met && c.GetEndTime() == nil && !c.GetDueTime().AsTime().After(now) {
			c.State = endedLate
		}
		if (c.GetState() == met || c.GetState() == endedLate) && c.GetEndTime() == nil {
			c.EndTime = at
		}
		if (c.GetState() == missed || c.GetState() == endedLate) && c.GetMissedTime() == nil {
			c.MissedTime = at
		}
	}
}

// Forget drops the clocks under which nothing is owed any more. Their rows stay.
func Forget(s *custodyv1.Standing) {
	s.Clocks = slices.DeleteFunc(s.GetClocks(), func(c *custodyv1.Clock) bool { return !outstanding(c) })
}

// Copy is the clocks of a Standing as they are now.
func Copy(s *custodyv1.Standing) []*custodyv1.Clock {
	var copies []*custodyv1.Clock
	for _, c := range s.GetClocks() {
		copies = append(copies, proto.CloneOf(c))
	}
	return copies
}

// Changed gives the clocks that are not as they were before.
func Changed(s *custodyv1.Standing, before []*custodyv1.Clock) []*custodyv1.Clock {
	return slices.DeleteFunc(slices.Clone(s.GetClocks()), func(c *custodyv1.Clock) bool {
		return slices.ContainsFunc(before, func(b *custodyv1.Clock) bool { return proto.Equal(b, c) })
	})
}

// Check refuses a Standing whose deadline is not its earliest running clock.
func Check(s *custodyv1.Standing) error {
	first := earliest(s)
	if s.GetClock() != first.GetClock() || !proto.Equal(s.GetDeadline(), first.GetDueTime()) {
		return errors.New("clocks: the deadline is not that of the earliest running clock")
	}
	return nil
}

// Adopt brings the clocks of a row as it was read in line with its deadline. They differ where the row was written by a version that knew
// one deadline only: that one is then its running clock, since the row's last change. overdue is what such a version had noted.
func Adopt(s *custodyv1.Standing, overdue bool, since *timestamppb.Timestamp) {
	if Check(s) == nil {
		return
	}
	deadline, clock := s.GetDeadline(), s.GetClock()
	if deadline == nil {
		EndAll(s)
		return
	}
	if overdue && !Overdue(s) {
		add(s, &custodyv1.Clock{Clock: Earlier, State: missed, StartTime: since, DueTime: since, MissedTime: since, StartVersion: s.GetVersion()})
	}
	Replace(s, clock, deadline.AsTime())
	adopted := s.GetClocks()[len(s.GetClocks())-1]
	adopted.StartTime, adopted.StartVersion = since, s.GetVersion()
}
