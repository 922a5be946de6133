package registry_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/idcode"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry"
)

// number makes the identity number of an invented child of nine; an odd seq is a boy's.
func number(seq int) string {
	return idcode.MakeIDNumber("320411", calendar.Date{Year: 2016, Month: time.May, Day: 4}, seq)
}

// invented is the record of a child of the village.
func invented(seq int) *registryv1.Child {
	return &registryv1.Child{
		Division: division, Person: &personv1.Person{Name: "丁小满", IdNumber: number(seq)}, Registration: registryv1.Registration_REGISTRATION_RURAL,
		Schooling: &registryv1.Schooling{Stage: registryv1.Schooling_STAGE_PRIMARY, SchoolUnit: school},
		Parents: []*registryv1.Parent{
			{Relation: registryv1.Parent_RELATION_FATHER, State: registryv1.ParentState_PARENT_STATE_WORKING_AWAY},
			{Relation: registryv1.Parent_RELATION_MOTHER, State: registryv1.ParentState_PARENT_STATE_WORKING_AWAY},
		},
	}
}

// register makes a record at the village and gives its id.
func (h *house) register(t *testing.T, child *registryv1.Child) string {
	t.Helper()
	made, err := h.at(t, village).RegisterChild(keeping(t), &registryv1.RegisterChildRequest{RequestId: request(), Child: child})
	ok(t, err)
	return made.GetChildId()
}

func (h *house) child(t *testing.T, id string) *registryv1.Child {
	t.Helper()
	got, err := h.at(t, township).read.GetChild(keeping(t), &registryv1.GetChildRequest{ChildId: id})
	ok(t, err)
	return got.GetChild()
}

// asPolice reads a record as the station that holds the report of the child.
func (h *house) asPolice(t *testing.T, id string) *registryv1.Child {
	t.Helper()
	got, err := h.at(t, station).read.GetChild(responding(t), &registryv1.GetChildRequest{ChildId: id})
	ok(t, err)
	return got.GetChild()
}

// dump is everything a refusal must leave alone.
func (h *house) dump(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for name, sql := range map[string]string{
		"children":    "SELECT coalesce(sum(version), 0) FROM child",
		"early":       "SELECT coalesce(sum(version), 0) FROM early_child",
		"intervals":   "SELECT (SELECT coalesce(sum(version), 0) FROM guardianship) + (SELECT coalesce(sum(version), 0) FROM care_agreement)",
		"visits":      "SELECT (SELECT coalesce(sum(version), 0) FROM visit_plan) + (SELECT count(*) FROM visit)",
		"bindings":    "SELECT coalesce(sum(version), 0) FROM binding",
		"custody":     "SELECT count(*) FROM custody",
		"events":      "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM feed)",
		"idempotency": "SELECT count(*) FROM idempotency",
		"effects":     "SELECT count(*) FROM audit WHERE effect",
	} {
		var n int64
		ok(t, h.db.QueryRow(t.Context(), sql).Scan(&n))
		counts[name] = n
	}
	return counts
}

// unchanged demands that nothing has changed since the dump.
func (h *house) unchanged(t *testing.T, before map[string]int64) {
	t.Helper()
	if diff := cmp.Diff(before, h.dump(t)); diff != "" {
		t.Errorf("something changed: %s", diff)
	}
}

// promises demands that nothing in the database breaks one of the five.
func (h *house) promises(t *testing.T) {
	t.Helper()
	h.settle(t)
	counts, err := registry.Promises(t.Context(), h.db, h.now(t))
	ok(t, err)
	for _, c := range counts {
		if c.Violations != 0 {
			t.Errorf("promise %d, %s: %d of %d", c.Promise, c.Name, c.Violations, c.Checked)
		}
	}
}

func together(n int, do func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	group.Wait()
}

// Two units register the same child at the same moment, one of them sending its request several times.
func TestTwoRegisterTheSameChild(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	same := &registryv1.RegisterChildRequest{RequestId: request(), Child: invented(1)}
	other := &registryv1.RegisterChildRequest{RequestId: request(), Child: invented(1)}
	requests := []*registryv1.RegisterChildRequest{same, same, same, other, other}
	desks := []*desk{h.at(t, village), h.at(t, village), h.at(t, village), h.at(t, township), h.at(t, township)}
	answers, errs := make([]*registryv1.RegisterChildResponse, len(requests)), make([]error, len(requests))
	together(len(requests), func(i int) { answers[i], errs[i] = desks[i].RegisterChild(keeping(t), requests[i]) })
	won := map[*registryv1.RegisterChildRequest]*registryv1.RegisterChildResponse{}
	for i, err := range errs {
		if err == nil {
			won[requests[i]] = answers[i]
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d requests were told that they made the record", len(won))
	}
	for i, err := range errs {
		first, winner := won[requests[i]]
		if !winner {
			refused(t, err, "CHILD_EXISTS")
			continue
		}
		ok(t, err)
		if diff := cmp.Diff(first, answers[i], protocmp.Transform()); diff != "" {
			t.Errorf("two sendings of one request are answered differently: %s", diff)
		}
	}
	after := h.dump(t)
	for i, q := range requests { // the retry comes later, and answers the same
		again, err := desks[i].RegisterChild(keeping(t), q)
		if first, winner := won[q]; winner {
			ok(t, err)
			if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
				t.Errorf("the retry answers otherwise: %s", diff)
			}
			continue
		}
		refused(t, err, "CHILD_EXISTS")
	}
	h.unchanged(t, after)
	if after["children"] != 1 || after["effects"] != 2 || after["visits"] != 1 || after["idempotency"] != 1 {
		t.Errorf("not one effect: %v", after)
	}
	h.promises(t)
}
