package registry_test

import (
	"testing"
	"time"

	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// The next visit is due by the day of the last one, however late that one is told, and an old one does not excuse a missed one.
func TestAVisitCountsFromItsDay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, p := h.graded(t, 1, personv1.RiskColour_RISK_COLOUR_YELLOW) // fourteen days
	start := h.now(t)
	h.later(t, 3*24*time.Hour)
	in14 := func(day int) time.Time { return time.Date(2026, 3, day+14, 16, 0, 0, 0, time.UTC) }
	tell := func(at time.Time, holder string, deadline, last time.Time) {
		t.Helper()
		answer, err := h.at(t, village).RecordVisit(keeping(t), with(visit(p.GetChildId(), at), func(q *registryv1.RecordVisitRequest) { q.RequestId = request() }))
		ok(t, err)
		if s := answer.GetStanding(); s.GetHolder() != holder || !s.GetDeadline().AsTime().Equal(deadline) {
			t.Errorf("told of %v: held by %s until %v", at, s.GetHolder(), s.GetDeadline().AsTime())
		}
		if got := h.plan(t, p.GetChildId()).GetLastVisitTime().AsTime(); !got.Equal(last) {
			t.Errorf("told of %v: the last visit was %v", at, got)
		}
	}
	first := start.Add(24 * time.Hour)
	tell(first, village, in14(3), first)
	tell(start, village, in14(3), first) // an older one
	h.pass(t, h.plan(t, p.GetChildId()).GetStanding())
	missed := h.plan(t, p.GetChildId())
	if missed.GetStanding().GetHolder() != township {
		t.Fatalf("held by %s", missed.GetStanding().GetHolder())
	}
	long := first.Add(time.Hour) // fourteen days and more ago
	tell(long, township, missed.GetStanding().GetDeadline().AsTime(), long)
	now := h.now(t)
	tell(now, village, in14(18), now)
	if got := h.plan(t, p.GetChildId()); got.GetOverdue() || got.GetVisitCount() != 4 {
		t.Errorf("overdue %v after %d visits", got.GetOverdue(), got.GetVisitCount())
	}
	h.promises(t)
}
