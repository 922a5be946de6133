package registry_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// identified lets reporting learn who a reported child is and tell its feed.
func (h *house) identified(t *testing.T, r *reportingv1.GetReportResponse, person *personv1.Person) *reportingv1.GetReportResponse {
	t.Helper()
	r = proto.CloneOf(r)
	r.Child.Person, r.Children[0].Person = person, person
	h.reports.Store(r.GetReport().GetStanding().GetId(), r)
	h.say(t, "provisional_child", "identified", standing(r.GetChild()), h.now(t))
	return r
}

func unknown() *personv1.Person {
	return &personv1.Person{Name: "不详", NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNKNOWN_IDENTITY}
}

// A child nobody knew turns out to be one of the ledger: the binding moves to it, under the same id, and keeps whom it named before.
func TestAnUnknownChildIsBoundLaterToTheChildOfTheLedger(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	known := h.binding(t, h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(41)}))
	r := h.report(t, unknown())
	before := h.binding(t, r)
	if before.GetBasis() != registryv1.Binding_BASIS_NEW || before.GetChildId() == known.GetChildId() {
		t.Fatalf("an unknown child was bound as %v", before)
	}
	r = h.identified(t, r, &personv1.Person{Name: "丁小满", IdNumber: number(41)})
	after := h.binding(t, r)
	if after.GetChildId() != known.GetChildId() || after.GetBasis() != registryv1.Binding_BASIS_ID_NUMBER || after.GetId() != before.GetId() ||
		after.GetMatterId() != before.GetMatterId() || !slices.Equal(after.GetEarlierChildIds(), []string{before.GetChildId()}) {
		t.Errorf("bound %v, before %v", after, before)
	}
	h.identified(t, r, &personv1.Person{Name: "丁小满", IdNumber: number(41)}) // told again
	if again := h.binding(t, r); again.GetVersion() != after.GetVersion() {
		t.Errorf("told again, it changed: %v", again)
	}
}

// A number the ledger does not know goes into the record that was made for the report: its id stays, and the next report finds it by the number.
func TestAnUnknownChildGetsItsNumberLater(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.report(t, unknown())
	before := h.binding(t, r)
	h.identified(t, r, &personv1.Person{Name: "丁小满", IdNumber: number(42)})
	if after := h.binding(t, r); after.GetChildId() != before.GetChildId() || len(after.GetEarlierChildIds()) != 0 {
		t.Errorf("bound %v, before %v", after, before)
	}
	if next := h.binding(t, h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(42)})); next.GetChildId() != before.GetChildId() {
		t.Errorf("the next report names %s, want %s", next.GetChildId(), before.GetChildId())
	}
}

// A number the ledger does not know, for a report whose record has another one already: the report gets a record of its own. It enters the ledger
// with the bulletin, or at once when the township has been told.
func TestANumberNobodyHasMakesARecordOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i, told := range []bool{false, true} {
		wrong := h.register(t, invented(60+2*i))
		r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(60 + 2*i)})
		if told {
			h.acknowledge(t, r)
		}
		before := h.binding(t, r)
		h.identified(t, r, &personv1.Person{Name: "丁小雪", IdNumber: number(61 + 2*i)})
		after := h.binding(t, r)
		if before.GetChildId() != wrong || after.GetChildId() == wrong || !slices.Equal(after.GetEarlierChildIds(), []string{wrong}) {
			t.Errorf("bound %v, before %v", after, before)
		}
		if c := h.asPolice(t, after.GetChildId()); c.GetPerson().GetIdNumber() != number(61+2*i) {
			t.Errorf("the new record is %v", c)
		}
		if got := h.ledger(t, township); len(got) != 1+2*i {
			t.Errorf("told %v: the ledger has %d records", told, len(got))
		}
	}
	h.promises(t)
}

// What the police find out of a child before the bulletin - an age, where it lives - is what enters the ledger.
func TestWhatIsFoundOutBeforeTheBulletinEntersTheLedger(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.report(t, unknown())
	h.settle(t)
	known := proto.CloneOf(unknown())
	known.BirthDate = "2016-05-04"
	h.identified(t, r, known)
	h.acknowledge(t, r)
	if c := h.child(t, h.binding(t, r).GetChildId()); c.GetPerson().GetBirthDate() != "2016-05-04" {
		t.Errorf("the ledger has %v", c.GetPerson())
	}
	h.promises(t)
}
