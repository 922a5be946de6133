package rules_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/custody"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// written does to an item's clocks what writing the change does, and gives those that ended with it.
func written(s *custodyv1.Standing, now time.Time) []*custodyv1.Clock {
	s.Version++
	clocks.Stamp(s, s.GetVersion(), now)
	ended := slices.DeleteFunc(clocks.Copy(s), func(c *custodyv1.Clock) bool { return c.GetEndTime() == nil })
	clocks.Forget(s)
	return ended
}

// clockOf is the last clock of an id that something is owed under.
func clockOf(s *custodyv1.Standing, id string) *custodyv1.Clock {
	var found *custodyv1.Clock
	for _, c := range s.GetClocks() {
		if c.GetClock() == id {
			found = c
		}
	}
	return found
}

// Five transfers, each accepted at the last moment, kept a report from ever being late. The response runs from the first acceptance: it is missed
// and marked while the report goes from hand to hand, and each transfer has a clock of its own beside it.
func TestTransfersDoNotRestartTheResponse(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), responding(t)
	due := noon.Add(24 * time.Hour)
	now, units := noon, []string{station, other}
	var transfers []*custodyv1.Clock
	for n := range 10 {
		from, to := units[n%2], units[(n+1)%2]
		now = now.Add(time.Hour)
		if err := rules.Transfer(d, r, rules.Actor{Unit: from}, to, "移送", now); err != nil {
			t.Fatal(err)
		}
		if c := clockOf(r.GetStanding(), "report.transfer"); !c.GetDueTime().AsTime().Equal(now.Add(4*time.Hour)) || c.GetUnit() != to {
			t.Fatalf("the transfer's own clock: %v", c)
		}
		written(r.GetStanding(), now)
		for now = now.Add(3 * time.Hour); custody.Due(r.GetStanding(), now); {
			if err := rules.ExpireReport(d, r, now); err != nil {
				t.Fatal(err)
			}
			written(r.GetStanding(), now)
		}
		if err := rules.Accept(d, r, rules.Actor{Unit: to}, now); err != nil {
			t.Fatal(err)
		}
		transfers = append(transfers, written(r.GetStanding(), now)...)
		if c := clockOf(r.GetStanding(), "report.response"); !c.GetStartTime().AsTime().Equal(noon) || !c.GetDueTime().AsTime().Equal(due) {
			t.Fatalf("after %d transfers the response runs from %v until %v", n+1, c.GetStartTime().AsTime(), c.GetDueTime().AsTime())
		}
		if late := !now.Before(due); late != custody.Overdue(r.GetStanding()) || !r.GetAcceptTime().AsTime().Equal(noon) {
			t.Fatalf("at %v overdue is %t, accepted at %v", now, !late, r.GetAcceptTime().AsTime())
		}
	}
	if len(transfers) < 10 || slices.ContainsFunc(transfers, func(c *custodyv1.Clock) bool { return c.GetClock() == "report.response" }) {
		t.Errorf("ended: %v", transfers)
	}
}

// Acceptance runs from receipt: a transfer before it, and a decline, win no time.
func TestTheAcceptanceRunsFromTheReceipt(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), newReport(t)
	written(r.GetStanding(), noon)
	half := noon.Add(30 * time.Minute)
	if err := rules.Transfer(d, r, rules.Actor{Unit: station}, other, "移送", half); err != nil {
		t.Fatal(err)
	}
	written(r.GetStanding(), half)
	if err := rules.Decline(d, r, rules.Actor{Unit: other}, "不属本辖区", half); err != nil {
		t.Fatal(err)
	}
	written(r.GetStanding(), half)
	if s := r.GetStanding(); s.GetClock() != "report.accept" || !s.GetDeadline().AsTime().Equal(noon.Add(time.Hour)) {
		t.Fatalf("%v", s)
	}
	// Accepted after the hour and before the sweeper: late all the same, and the response runs.
	now := noon.Add(2 * time.Hour)
	if err := rules.Accept(d, r, rules.Actor{Unit: rules.Bureau}, now); err != nil {
		t.Fatal(err)
	}
	for _, c := range written(r.GetStanding(), now) {
		if late := c.GetClock() == "report.accept"; late != (c.GetState() == custodyv1.Clock_STATE_ENDED_LATE) || late != (c.GetMissedTime() != nil) {
			t.Errorf("ended: %v", c)
		}
	}
	if s := r.GetStanding(); s.GetClock() != "report.response" || custody.Overdue(s) {
		t.Errorf("%v", s)
	}
}

// Review and filing run from the first acceptance (受理), however often the report changes hands before the review is opened.
func TestTheFilingRunsFromTheFirstAcceptance(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), responding(t)
	now := noon.Add(20 * time.Hour)
	if err := rules.Transfer(d, r, rules.Actor{Unit: station}, other, "移送", now); err != nil {
		t.Fatal(err)
	}
	written(r.GetStanding(), now)
	if err := rules.Accept(d, r, rules.Actor{Unit: other}, now); err != nil {
		t.Fatal(err)
	}
	by := rules.Actor{Unit: other, Officer: "police-320411103000-1"}
	f, err := rules.OpenFiling(d, r, by, reportingv1.Filing_KIND_ADMINISTRATIVE, itemID)
	if err != nil {
		t.Fatal(err)
	}
	if c := clockOf(f.GetStanding(), "police.review.admin"); !c.GetStartTime().AsTime().Equal(noon) || !c.GetDueTime().AsTime().Equal(noon.Add(24*time.Hour)) {
		t.Errorf("%v", c)
	}
	// Missed, and then extended: the longer clock runs from the first acceptance as well, and what was missed stays so.
	late := noon.Add(25 * time.Hour)
	written(f.GetStanding(), now)
	if err := rules.ExpireFiling(d, f, late); err != nil {
		t.Fatal(err)
	}
	written(f.GetStanding(), late)
	if err := rules.ExtendFiling(d, f, by, &reportingv1.ExtendFilingRequest{Ground: reportingv1.Filing_GROUND_COMPLEX, Text: "x"}, late); err != nil {
		t.Fatal(err)
	}
	ended := written(f.GetStanding(), late)
	if c := clockOf(f.GetStanding(), "police.review.admin.complex"); !c.GetStartTime().AsTime().Equal(noon) || custody.Overdue(f.GetStanding()) {
		t.Errorf("%v", c)
	}
	if !slices.ContainsFunc(ended, func(c *custodyv1.Clock) bool {
		return c.GetClock() == "police.review.admin" && c.GetMissedTime().AsTime().Equal(late)
	}) {
		t.Errorf("what was missed is not marked: %v", ended)
	}
}

// Whatever units do in whatever order, and whether the sweeper comes in time or not: each of the law's clocks of a report starts once, is missed
// exactly when its act came after it was due, and the deadline is that of the earliest clock that runs.
func TestTheLawsClocksOfAReport(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	law := []string{"report.accept", "report.response", "township.notice", "bulletin.acknowledge"}
	rapid.Check(t, func(rt *rapid.T) {
		r, now := newReport(t), noon
		started, ended := map[string]*custodyv1.Clock{}, map[string]*custodyv1.Clock{}
		missed := map[string]bool{}
		note := func(after []*custodyv1.Clock) {
			for _, c := range slices.Concat(after, r.GetStanding().GetClocks()) {
				if !slices.Contains(law, c.GetClock()) {
					continue
				}
				key := c.GetClock()
				if was := started[key]; was != nil && (!proto.Equal(was.GetStartTime(), c.GetStartTime()) || !proto.Equal(was.GetDueTime(), c.GetDueTime())) {
					rt.Fatalf("%s ran from %v and now from %v", key, was.GetStartTime().AsTime(), c.GetStartTime().AsTime())
				}
				started[key] = proto.CloneOf(c)
				if missed[key] && c.GetMissedTime() == nil {
					rt.Fatalf("%s was missed and is not marked any more", key)
				}
				missed[key] = c.GetMissedTime() != nil
				if c.GetEndTime() != nil {
					ended[key] = proto.CloneOf(c)
				}
			}
		}
		write := func() { note(written(r.GetStanding(), now)) }
		write()
		sweep := func() {
			for custody.Due(r.GetStanding(), now) {
				if err := rules.ExpireReport(d, r, now); err != nil {
					rt.Fatal(err)
				}
				write()
			}
		}
		for range rapid.IntRange(1, 40).Draw(rt, "acts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 12).Draw(rt, "hours")) * time.Hour)
			if rapid.Bool().Draw(rt, "swept") {
				sweep()
			}
			s := r.GetStanding()
			by := rules.Actor{Unit: rapid.SampledFrom([]string{s.GetHolder(), s.GetHolder(), s.GetOfferedTo(), station, other, rules.Bureau}).Draw(rt, "by"), Officer: "police-3"}
			var err error
			switch rapid.IntRange(0, 6).Draw(rt, "act") {
			case 0:
				err = rules.Accept(d, r, by, now)
			case 1, 2:
				err = rules.Transfer(d, r, by, rapid.SampledFrom([]string{station, other, rules.Bureau}).Draw(rt, "to"), "x", now)
			case 3:
				err = rules.Decline(d, r, by, "x", now)
			case 4:
				err = rules.AddSituation(d, r, by, rapid.SampledFrom([]string{"PARENT_UNREACHABLE", "MISSING"}).Draw(rt, "situation"), "x", now)
			case 5:
				r.Situations = nil // what closing asks for is not the matter here
				err = rules.CloseResponse(d, r, by, "", now)
			case 6:
				_, err = rules.IssueBulletin(d, r, by, &reportingv1.IssueBulletinRequest{Text: "x"}, itemID, now)
			}
			if err == nil {
				write()
			}
			checkClocks(rt, r.GetStanding())
		}
		now = now.Add(time.Hour)
		sweep()
		checkClocks(rt, r.GetStanding())
		for key, c := range started {
			acted := now
			if e := ended[key]; e != nil {
				acted = e.GetEndTime().AsTime()
			}
			if late := !acted.Before(c.GetDueTime().AsTime()); late != missed[key] {
				rt.Fatalf("%s was due at %v, its act came at %v, and missed is %t", key, c.GetDueTime().AsTime(), acted, missed[key])
			}
		}
	})
}

// checkClocks holds an item against its clocks.
func checkClocks(rt *rapid.T, s *custodyv1.Standing) {
	rt.Helper()
	var first *custodyv1.Clock
	for _, c := range s.GetClocks() {
		if c.GetState() == custodyv1.Clock_STATE_RUNNING && (first == nil || c.GetDueTime().AsTime().Before(first.GetDueTime().AsTime())) {
			first = c
		}
	}
	if fmt.Sprint(first.GetClock(), first.GetDueTime()) != fmt.Sprint(s.GetClock(), s.GetDeadline()) || (s.GetHolder() != "") != (first != nil) {
		rt.Fatalf("the deadline is %s %v, the clocks are %v", s.GetClock(), s.GetDeadline(), s.GetClocks())
	}
}
