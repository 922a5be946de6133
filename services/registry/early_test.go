package registry_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// keepers are the units that keep the ledger where the children of these tests live.
func keepers() []string { return []string{village, township, lead} }

// events are what a unit receives of the feed from its beginning.
func (h *house) events(t *testing.T, unit string) []*feedv1.Event {
	t.Helper()
	h.settle(t)
	batch, err := h.at(t, unit).feed.ReadFeed(keeping(t), &registryv1.ReadFeedRequest{})
	ok(t, err)
	return batch.GetBatch().GetEvents()
}

// ledger is what a unit sees of the ledger.
func (h *house) ledger(t *testing.T, unit string) []*registryv1.Child {
	t.Helper()
	list, err := h.at(t, unit).read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{})
	ok(t, err)
	return list.GetChildren()
}

// sees is all that a unit can find out by reading without knowing an id.
type sees struct {
	Children []*registryv1.Child
	Work     *registryv1.ListWorkResponse
	Events   []*feedv1.Event
	Found    string
}

func (h *house) seenBy(t *testing.T, unit, number string) sees {
	t.Helper()
	work, err := h.at(t, unit).read.ListWork(keeping(t), &registryv1.ListWorkRequest{})
	ok(t, err)
	_, err = h.at(t, unit).read.FindChild(keeping(t), &registryv1.FindChildRequest{IdNumber: number})
	return sees{h.ledger(t, unit), work, h.events(t, unit), status.Convert(err).Message()}
}

// A school reports a girl the ledger does not know. Until the township has acknowledged the bulletin nobody who keeps the ledger can tell from
// anything it reads that there is a report: not from lists, searches, work, events, ids it might have, nor from a registration.
func TestBeforeTheBulletinTheLedgerKnowsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := map[string]sees{}
	for _, unit := range keepers() {
		before[unit] = h.seenBy(t, unit, number(51))
	}
	r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(51)})
	b := h.binding(t, r)
	for _, unit := range keepers() {
		if diff := cmp.Diff(before[unit], h.seenBy(t, unit, number(51)), protocmp.Transform()); diff != "" {
			t.Errorf("%s learns of the report: %s", unit, diff)
		}
		desk := h.at(t, unit)
		_, err := desk.read.GetChild(keeping(t), &registryv1.GetChildRequest{ChildId: b.GetChildId()})
		refused(t, err, "NOT_FOUND")
		_, err = desk.read.GetBinding(keeping(t), &registryv1.GetBindingRequest{BindingId: b.GetId()})
		refused(t, err, "NOT_FOUND")
		_, err = desk.read.ListVisits(keeping(t), &registryv1.ListVisitsRequest{ChildId: b.GetChildId()})
		refused(t, err, "NOT_FOUND")
	}
	for _, q := range []proto.Message{
		update(b.GetChildId(), &registryv1.Child{Ethnicity: "汉"}, "ethnicity"), mother(b.GetChildId()), grandmother(b.GetChildId()), visit(b.GetChildId(), h.now(t)),
	} {
		set(q, "request_id", request())
		_, err := send(t, h.at(t, village), q)
		refused(t, err, "NOT_FOUND")
	}
	_, err := h.at(t, village).RegisterChild(keeping(t), &registryv1.RegisterChildRequest{RequestId: request(), Child: invented(51), ValidateOnly: true})
	ok(t, err)
	if c := h.asPolice(t, b.GetChildId()); c.GetPerson().GetIdNumber() != number(51) || c.GetMatterId() != b.GetMatterId() {
		t.Errorf("the police read %v", c)
	}
	found, err := h.at(t, station).read.FindChild(responding(t), &registryv1.FindChildRequest{IdNumber: number(51)})
	ok(t, err)
	if found.GetChildId() != b.GetChildId() {
		t.Errorf("the police find %s", found.GetChildId())
	}
	_, err = h.at(t, "police/320411122000").read.FindChild(responding(t), &registryv1.FindChildRequest{IdNumber: number(51)})
	refused(t, err, "NOT_FOUND") // no part in the matter
	h.promises(t)
}

// A child the ledger knows is reported: its record, version, etag, times and events stay as they are.
func TestAReportLeavesNoTraceOnAChildOfTheLedger(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	child := h.register(t, invented(52))
	byVillage := func() *registryv1.Child {
		got, err := h.at(t, village).read.GetChild(keeping(t), &registryv1.GetChildRequest{ChildId: child})
		ok(t, err)
		return got.GetChild()
	}
	record := byVillage()
	events := map[string]int{}
	for _, unit := range keepers() {
		events[unit] = len(h.events(t, unit))
	}
	h.later(t, time.Hour)
	r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(52)})
	b := h.binding(t, r)
	for _, step := range []string{"reported", "told"} {
		if step == "told" {
			h.acknowledge(t, r)
			h.settle(t)
		}
		for _, unit := range keepers() {
			if n := len(h.events(t, unit)); n != events[unit] {
				t.Errorf("%s: %s receives %d events, had %d", step, unit, n, events[unit])
			}
		}
		if diff := cmp.Diff(record, byVillage(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: the record changed: %s", step, diff)
		}
	}
	if b.GetChildId() != child {
		t.Errorf("bound to %s", b.GetChildId())
	}
	h.promises(t)
}

// fieldsOf are the names of the fields that are set.
func fieldsOf(m proto.Message) []string {
	var names []string
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		names = append(names, string(f.Name()))
		return true
	})
	slices.Sort(names)
	return names
}

// With the bulletin the child enters the ledger, and to who has no part in the matter it looks like one that was registered that moment: same
// fields, version 1, the time of the bulletin. Those with a part see where it came from.
func TestAfterTheBulletinTheRecordLooksLikeAnyOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	registered := h.register(t, &registryv1.Child{Division: division, Person: &personv1.Person{Name: "丁小满", IdNumber: number(54)}})
	reportTime := h.now(t)
	r := h.report(t, &personv1.Person{Name: "丁小雪", IdNumber: number(53)})
	child := h.binding(t, r).GetChildId()
	h.later(t, 26*time.Hour)
	h.acknowledge(t, r)
	h.settle(t)
	told := h.now(t)
	byVillage := func(id string) *registryv1.Child {
		got, err := h.at(t, village).read.GetChild(keeping(t), &registryv1.GetChildRequest{ChildId: id})
		ok(t, err)
		return got.GetChild()
	}
	c := byVillage(child)
	if diff := cmp.Diff(fieldsOf(byVillage(registered)), fieldsOf(c)); diff != "" {
		t.Errorf("a reported child can be told from a registered one: %s", diff)
	}
	if c.GetVersion() != 1 || c.GetCreateTime().AsTime().Before(told.Add(-time.Minute)) || c.GetUpdateTime().AsTime().Before(reportTime.Add(time.Hour)) ||
		c.GetStatuses()[0].GetFrom() != "2026-03-03" {
		t.Errorf("version %d, made %v, statuses from %v", c.GetVersion(), c.GetCreateTime().AsTime(), c.GetStatuses())
	}
	if got := h.asPolice(t, child); got.GetOrigin() != registryv1.Origin_ORIGIN_REPORTED {
		t.Errorf("the station reads the origin %v", got.GetOrigin())
	}
	for _, unit := range []string{village, lead} {
		_, err := h.at(t, unit).read.GetBinding(keeping(t), &registryv1.GetBindingRequest{BindingId: r.GetChild().GetId()})
		refused(t, err, "NOT_FOUND")
	}
	if b := h.binding(t, r); b.GetReleaseTime() == nil || b.GetChildId() != child {
		t.Errorf("the binding is %v", b)
	}
	for _, e := range h.events(t, township) {
		if e.GetMatterId() != "" || e.GetType() != "child.registered" {
			t.Errorf("the township receives %v", e)
		}
	}
	h.assess(t, r, personv1.RiskColour_RISK_COLOUR_RED)
	h.settle(t)
	if c := byVillage(child); c.GetColour() != personv1.RiskColour_RISK_COLOUR_RED || c.GetAssessmentId() != "" || c.GetColourTime() != nil || c.GetMatterId() != "" {
		t.Errorf("the village reads %v", c)
	}
	plan, err := h.at(t, village).read.GetVisitPlan(keeping(t), &registryv1.GetVisitPlanRequest{ChildId: child})
	ok(t, err)
	if p := plan.GetVisitPlan(); p.GetStanding().GetHolder() != village || p.GetStanding().GetMatterId() != "" || p.GetAssessmentId() != "" {
		t.Errorf("the village visits by %v", p)
	}
	work, err := h.at(t, village).read.ListWork(keeping(t), &registryv1.ListWorkRequest{})
	ok(t, err)
	if len(work.GetItems()) == 0 || slices.ContainsFunc(work.GetItems(), func(w *custodyv1.WorkItem) bool { return w.GetStanding().GetMatterId() != "" }) {
		t.Errorf("the village's work is %v", work.GetItems())
	}
	for _, e := range h.events(t, village) {
		if e.GetMatterId() != "" || e.GetTraceparent() != "" {
			t.Errorf("the village receives %v", e)
		}
	}
	if c := h.child(t, child); c.GetAssessmentId() == "" || c.GetColourTime() == nil {
		t.Errorf("the township, which assesses, reads %v", c)
	}
	h.again(t, "bulletin", "acknowledged", h.acknowledge(t, r).GetStanding())
	h.promises(t)
}

// A village registers the child while only the report knows it: nothing tells it so, and with the bulletin both are one record, the village's.
func TestAChildRegisteredMeanwhileIsOneWithTheReports(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, second := h.report(t, &personv1.Person{Name: "小满", IdNumber: number(55)}), h.report(t, &personv1.Person{IdNumber: number(55)})
	early := h.binding(t, first)
	if other := h.binding(t, second); other.GetChildId() != early.GetChildId() {
		t.Fatalf("two reports of one child name %s and %s", early.GetChildId(), other.GetChildId())
	}
	child := h.register(t, invented(55))
	if child == early.GetChildId() {
		t.Fatal("the village learns the id of the report's record")
	}
	h.acknowledge(t, first)
	for _, r := range []*reportingv1.GetReportResponse{first, second} {
		b := h.binding(t, r)
		if b.GetChildId() != child || !slices.Equal(b.GetEarlierChildIds(), []string{early.GetChildId()}) || (b.GetReleaseTime() != nil) != (b.GetMatterId() == early.GetMatterId()) {
			t.Errorf("bound as %v", b)
		}
	}
	if got := h.ledger(t, township); len(got) != 1 || got[0].GetId() != child || got[0].GetVersion() != 1 {
		t.Errorf("the ledger has %v", got)
	}
	var left int
	ok(t, h.db.QueryRow(t.Context(), "SELECT count(*) FROM early_child").Scan(&left))
	if left != 0 {
		t.Errorf("%d records are left outside the ledger", left)
	}
	h.promises(t)
}

// A report that ends without a bulletin leaves the ledger as it was, and the child's next report finds its record.
func TestAReportWithoutABulletinNeverReachesTheLedger(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.binding(t, h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(56)}))
	h.later(t, 100*24*time.Hour)
	if got := h.ledger(t, township); len(got) != 0 {
		t.Errorf("the ledger has %d records", len(got))
	}
	next := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(56)})
	if again := h.binding(t, next); again.GetChildId() != b.GetChildId() {
		t.Errorf("the next report names %s, want %s", again.GetChildId(), b.GetChildId())
	}
	h.acknowledge(t, next)
	h.settle(t)
	if got := h.ledger(t, township); len(got) != 1 || got[0].GetId() != b.GetChildId() {
		t.Errorf("after the next report's bulletin the ledger has %v", got)
	}
	h.promises(t)
}

// A child found after the bulletin - the township assesses it already - is one of the ledger at once.
func TestAChildFoundAfterTheBulletinEntersTheLedgerAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(57)})
	h.acknowledge(t, r)
	h.settle(t)
	r = proto.CloneOf(r)
	found := proto.CloneOf(r.GetChild())
	found.Id, found.Person = request(), &personv1.Person{Name: "丁小雪", IdNumber: number(58)}
	r.Children = append(r.Children, found)
	r.Report.Children = append(r.Report.Children, &reportingv1.ReportedChild{ProvisionalChildId: found.GetId(), AssessmentId: request()})
	h.reports.Store(r.GetReport().GetStanding().GetId(), r)
	h.say(t, "provisional_child", "created", standing(found), h.now(t))
	h.settle(t)
	if got := h.ledger(t, township); len(got) != 2 {
		t.Errorf("the ledger has %d records", len(got))
	}
	h.promises(t)
}
