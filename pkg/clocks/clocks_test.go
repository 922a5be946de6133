package clocks_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/clocks"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

func at(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }

// write ends a change: it gives the states of the clocks it touched, by id.
func write(s *custodyv1.Standing, now time.Time) map[string]string {
	s.Version++
	clocks.Stamp(s, s.GetVersion(), now)
	states := map[string]string{}
	for _, c := range s.GetClocks() {
		states[c.GetClock()] = c.GetState().String()[len("STATE_"):]
	}
	clocks.Forget(s)
	return states
}

// The law's clock goes on under every step, drives the deadline while it is the earliest, and what was missed stays outstanding until its own act.
func TestAStepRunsBesideTheLaw(t *testing.T) {
	t.Parallel()
	s := &custodyv1.Standing{Holder: "police/1"}
	clocks.Last(s, "law", noon, at(24))
	write(s, noon)
	clocks.Step(s, "offer", at(4), "police/2")
	write(s, noon)
	if s.GetClock() != "offer" || !s.GetDeadline().AsTime().Equal(at(4)) {
		t.Errorf("%v", s)
	}
	if missed := clocks.Miss(s, at(5)); !missed.Has("offer") || !missed.Step() || missed[0].GetUnit() != "police/2" || s.GetClock() != "law" {
		t.Errorf("%v, %v", missed, s)
	}
	clocks.Step(s, "offer.again", at(30), "police")
	if diff := cmp.Diff(map[string]string{"law": "RUNNING", "offer": "MISSED", "offer.again": "RUNNING"}, write(s, at(5))); diff != "" {
		t.Error(diff)
	}
	clocks.Last(s, "law", at(6), at(99)) // begun again, it is the same one
	if missed := clocks.Miss(s, at(24)); missed.Step() || missed[0].GetUnit() != "police/1" || !missed[0].GetDueTime().AsTime().Equal(at(24)) {
		t.Errorf("%v", missed)
	}
	write(s, at(24))
	clocks.EndSteps(s)
	clocks.Step(s, "next", at(40), "")
	if diff := cmp.Diff(map[string]string{"law": "MISSED", "offer": "ENDED_LATE", "offer.again": "MET", "next": "RUNNING"}, write(s, at(25))); diff != "" {
		t.Error(diff)
	}
	if !clocks.Overdue(s) {
		t.Error("a step that was taken made good what the law asks for")
	}
	clocks.Meet(s, "law")
	if write(s, at(26)); clocks.Overdue(s) {
		t.Errorf("%v", s)
	}
}

// A row written by a version that knew one deadline only is read with that deadline as its running clock, and stays so when it is written again.
func TestARowWithoutClocksIsAdopted(t *testing.T) {
	t.Parallel()
	since := timestamppb.New(noon)
	s := &custodyv1.Standing{Holder: "police/1", Version: 7, Deadline: timestamppb.New(at(4)), Clock: "report.accept"}
	clocks.Adopt(s, true, since)
	if clocks.Check(s) != nil || !clocks.Overdue(s) || len(s.GetClocks()) != 2 || s.GetClocks()[0].GetClock() != clocks.Earlier {
		t.Fatalf("%v", s)
	}
	before := proto.CloneOf(s)
	clocks.Adopt(s, true, since)
	if !proto.Equal(before, s) {
		t.Errorf("adopted twice: %v", s)
	}
	// A rolling upgrade: a replica of the earlier version moved the item on, or closed it.
	s.Deadline, s.Clock, s.Version = timestamppb.New(at(9)), "report.response", 8
	if clocks.Adopt(s, true, since); clocks.Check(s) != nil || s.GetClock() != "report.response" {
		t.Errorf("%v", s)
	}
	s.Holder, s.Deadline, s.Clock = "", nil, ""
	if clocks.Adopt(s, false, since); clocks.Check(s) != nil || clocks.Running(s) || clocks.Overdue(s) {
		t.Errorf("%v", s)
	}
}

// Whatever is started, ended, missed and written in whatever order: the deadline is that of the earliest clock that runs, a lasting clock has one
// start and is missed exactly when its end came after it was due, and nothing that was missed is ever unmarked.
func TestTheDeadlineIsTheEarliestRunningClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, now := &custodyv1.Standing{Holder: "police/1"}, noon
		seen := map[string]*custodyv1.Clock{}
		key := func(c *custodyv1.Clock) string {
			return c.GetClock() + "/" + time.Duration(c.GetStartVersion()).String()
		}
		for range rapid.IntRange(1, 30).Draw(rt, "acts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 6).Draw(rt, "hours")) * time.Hour)
			due := now.Add(time.Duration(rapid.IntRange(-3, 12).Draw(rt, "due")) * time.Hour)
			id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "clock")
			switch rapid.IntRange(0, 5).Draw(rt, "act") {
			case 0:
				clocks.Step(s, id, due, "")
			case 1:
				clocks.Last(s, "law."+id, now, due)
			case 2:
				clocks.Meet(s, id, "law."+id)
			case 3:
				clocks.Miss(s, now)
			case 4:
				clocks.EndSteps(s)
			case 5:
				clocks.Replace(s, id, due)
			}
			if err := clocks.Check(s); err != nil {
				rt.Fatalf("%v: %v", err, s)
			}
			s.Version++
			clocks.Stamp(s, s.GetVersion(), now)
			for _, c := range s.GetClocks() {
				if was := seen[key(c)]; was != nil && (!proto.Equal(was.GetStartTime(), c.GetStartTime()) || !proto.Equal(was.GetDueTime(), c.GetDueTime()) ||
					was.GetMissedTime() != nil && !proto.Equal(was.GetMissedTime(), c.GetMissedTime())) {
					rt.Fatalf("%v became %v", was, c)
				}
				seen[key(c)] = proto.CloneOf(c)
				if c.GetEndTime() != nil && c.GetEndTime().AsTime().Before(c.GetDueTime().AsTime()) != (c.GetMissedTime() == nil) {
					rt.Fatalf("ended in time or not: %v", c)
				}
			}
			clocks.Forget(s)
		}
	})
}
