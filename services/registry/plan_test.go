package registry_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// A child that a village registers is visited by plan from that day on.
func TestARegisteredChildIsVisited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	child := h.register(t, invented(1))
	p := h.plan(t, child)
	if p.GetState() != registryv1.VisitPlan_STATE_DUE || p.GetStanding().GetHolder() != village || p.GetStanding().GetClock() != "visit.green" || p.GetStanding().GetDeadline() == nil {
		t.Fatalf("the plan is %v", p)
	}
	_, err := h.at(t, village).RecordVisit(keeping(t), with(visit(child, h.now(t)), func(q *registryv1.RecordVisitRequest) { q.RequestId = request() }))
	ok(t, err)
	if got := h.plan(t, child); got.GetVisitCount() != 1 {
		t.Errorf("visited %d times", got.GetVisitCount())
	}
	h.promises(t)
}

// A visit that went up to the lead office can be made by it, and ended with a reason.
func TestTheVisitsToAChildEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	child := h.register(t, invented(1))
	for range 2 {
		h.pass(t, h.plan(t, child).GetStanding())
	}
	if holder := h.plan(t, child).GetStanding().GetHolder(); holder != lead {
		t.Fatalf("held by %s", holder)
	}
	_, err := h.at(t, lead).RecordVisit(keeping(t), with(visit(child, h.now(t)), func(q *registryv1.RecordVisitRequest) { q.RequestId = request() }))
	ok(t, err)
	end := func(grounds registryv1.PlanEnding_Grounds) error {
		_, err := h.at(t, village).EndVisitPlan(client.By(keeping(t), "village-320411101201-1"), &registryv1.EndVisitPlanRequest{RequestId: request(), ChildId: child, Grounds: grounds})
		return err
	}
	refused(t, end(registryv1.PlanEnding_GROUNDS_OTHER), "NOTE_REQUIRED")
	ok(t, end(registryv1.PlanEnding_GROUNDS_MOVED_AWAY))
	refused(t, end(registryv1.PlanEnding_GROUNDS_MOVED_AWAY), "STATE_FORBIDS")
	if p := h.plan(t, child); p.GetState() != registryv1.VisitPlan_STATE_ENDED || p.GetStanding().GetHolder() != "" || p.GetEnding().GetUnit() != village {
		t.Errorf("ended as %v", p)
	}
	h.promises(t)
}

// Services are told under which id a child is kept now, and under which it was.
func TestAChildIsResolvedToTheRecordThatStandsForIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	relief := h.as(t, identity.OfService(domain, "relief"))
	known := h.register(t, invented(41))
	r := h.report(t, unknown())
	made := h.binding(t, r).GetChildId()
	h.identified(t, r, &personv1.Person{Name: "丁小满", IdNumber: number(41)})
	if now := h.binding(t, r).GetChildId(); now != known {
		t.Fatalf("bound to %s", now)
	}
	for _, id := range []string{known, made} {
		got, err := relief.read.ResolveChild(t.Context(), &registryv1.ResolveChildRequest{ChildId: id})
		ok(t, err)
		if got.GetChildId() != known || !slices.Equal(got.GetEarlierChildIds(), []string{made}) {
			t.Errorf("%s is %v", id, got)
		}
	}
	_, err := relief.read.ResolveChild(t.Context(), &registryv1.ResolveChildRequest{ChildId: uuid.NewString()})
	refused(t, err, "NOT_FOUND")
	_, err = h.at(t, village).read.ResolveChild(keeping(t), &registryv1.ResolveChildRequest{ChildId: known})
	refused(t, err, "METHOD_NOT_ALLOWED")
}
