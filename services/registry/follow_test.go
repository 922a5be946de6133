package registry_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/identity"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// binding settles and reads which child of the ledger a reported child is, as the station that holds the report.
func (h *house) binding(t *testing.T, r *reportingv1.GetReportResponse) *registryv1.Binding {
	t.Helper()
	h.settle(t)
	got, err := h.at(t, station).read.GetBinding(responding(t), &registryv1.GetBindingRequest{BindingId: r.GetChild().GetId()})
	ok(t, err)
	return got.GetBinding()
}

// plan reads a child's visit plan as a service of the suite.
func (h *house) plan(t *testing.T, child string) *registryv1.VisitPlan {
	t.Helper()
	got, err := h.as(t, identity.OfService(domain, "referral")).read.GetVisitPlan(t.Context(), &registryv1.GetVisitPlanRequest{ChildId: child})
	ok(t, err)
	return got.GetVisitPlan()
}

// graded is a reported child of that colour, with its visit plan: the bulletin was acknowledged and the child assessed.
func (h *house) graded(t *testing.T, seq int, colour personv1.RiskColour) (*reportingv1.GetReportResponse, *registryv1.VisitPlan) {
	t.Helper()
	r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(seq)})
	h.acknowledge(t, r)
	h.assess(t, r, colour)
	return r, h.plan(t, h.binding(t, r).GetChildId())
}

// again delivers what reporting said once more, as after a restore of its database.
func (h *house) again(t *testing.T, kind, what string, s *custodyv1.Standing) {
	t.Helper()
	before := h.dump(t)
	h.say(t, kind, what, s, h.now(t))
	h.settle(t)
	h.unchanged(t, before)
}

func TestAReportMakesTheRecordOfAnUnknownChild(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(1), BirthDate: "2016-05-04", Sex: personv1.Sex_SEX_MALE})
	b := h.binding(t, r)
	want := &registryv1.Binding{
		Id: r.GetChild().GetId(), MatterId: r.GetChild().GetMatterId(), Division: division, ChildId: b.GetChildId(),
		Basis: registryv1.Binding_BASIS_NEW, ReportId: r.GetReport().GetStanding().GetId(), Version: 1,
	}
	if diff := cmp.Diff(want, b, protocmp.Transform(), protocmp.IgnoreFields(b, "etag", "create_time", "update_time")); diff != "" {
		t.Error(diff)
	}
	got, err := h.at(t, station).read.GetChild(responding(t), &registryv1.GetChildRequest{ChildId: b.GetChildId()})
	ok(t, err)
	c := got.GetChild()
	if diff := cmp.Diff(r.GetChild().GetPerson(), c.GetPerson(), protocmp.Transform()); diff != "" {
		t.Errorf("the person is not the one reported: %s", diff)
	}
	if c.GetOrigin() != registryv1.Origin_ORIGIN_REPORTED || c.GetSchooling() != nil || c.GetDivision() != division || c.GetMatterId() != b.GetMatterId() {
		t.Errorf("record is %v, %v, of matter %q", c.GetOrigin(), c.GetDivision(), c.GetMatterId())
	}
	h.again(t, "provisional_child", "created", standing(r.GetChild()))
	_, err = h.at(t, "police/320411122000").read.GetBinding(responding(t), &registryv1.GetBindingRequest{BindingId: b.GetId()})
	refused(t, err, "NOT_FOUND") // that station has no part in the matter
	h.promises(t)
}

// A report of two children, and a third found later: each is bound by its own event to a child of its own, in one matter.
func TestEachChildOfAReportIsBound(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(31)})
	bound := map[string]bool{h.binding(t, r).GetChildId(): true}
	for i := range 2 {
		child := proto.CloneOf(r.GetChild())
		child.Id, child.Person = uuid.NewString(), &personv1.Person{Name: "丁小雪", IdNumber: number(32 + i)}
		r = proto.CloneOf(r)
		r.Child, r.Children = child, append(r.Children, child)
		h.reports.Store(r.GetReport().GetStanding().GetId(), r)
		h.say(t, "provisional_child", "created", standing(child), h.now(t))
		b := h.binding(t, r)
		if b.GetMatterId() != r.GetReport().GetStanding().GetId() || h.asPolice(t, b.GetChildId()).GetPerson().GetIdNumber() != number(32+i) {
			t.Errorf("bound as %v", b)
		}
		bound[b.GetChildId()] = true
	}
	if len(bound) != 3 {
		t.Errorf("three children are bound to %d", len(bound))
	}
}

func TestAReportFindsTheChildOfTheLedger(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	known := h.register(t, invented(1))
	before := h.child(t, known)
	first, second := h.report(t, &personv1.Person{Name: "小满", IdNumber: number(1)}), h.report(t, &personv1.Person{IdNumber: number(1)})
	for _, r := range []*reportingv1.GetReportResponse{first, second} {
		if b := h.binding(t, r); b.GetChildId() != known || b.GetBasis() != registryv1.Binding_BASIS_ID_NUMBER || b.GetMatterId() != r.GetChild().GetMatterId() {
			t.Errorf("bound %v", b)
		}
	}
	if diff := cmp.Diff(before, h.child(t, known), protocmp.Transform()); diff != "" {
		t.Errorf("the report changed the record: %s", diff)
	}
	nameless := &personv1.Person{NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_NOT_KNOWN}
	one, two := h.binding(t, h.report(t, nameless)), h.binding(t, h.report(t, nameless))
	if one.GetChildId() == two.GetChildId() || one.GetBasis() != registryv1.Binding_BASIS_NEW {
		t.Error("two children without a number are taken for one")
	}
	h.promises(t)
}

// A village registers a child while a report of it arrives, or while the bulletin lets the reported child into the ledger: there is one record,
// the report is bound to it, and the village does not learn from its registration that there is a report.
func TestARegistrationAgainstAReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	unit := h.at(t, village)
	for seq := range 6 {
		r := h.report(t, &personv1.Person{Name: "丁小满", IdNumber: number(seq)})
		late := seq%2 == 1
		if late {
			h.settle(t)
			h.acknowledge(t, r)
		}
		var registering, following error
		together(2, func(i int) {
			if i == 0 {
				_, registering = unit.RegisterChild(keeping(t), &registryv1.RegisterChildRequest{RequestId: request(), Child: invented(seq)})
				return
			}
			following = h.sequencer.Drain(t.Context())
		})
		ok(t, following)
		switch {
		case registering == nil:
		case late:
			refused(t, registering, "CHILD_EXISTS")
		default:
			t.Errorf("before the bulletin a registration is refused: %v", registering)
		}
		if !late {
			h.acknowledge(t, r)
		}
		b := h.binding(t, r)
		found, err := unit.read.FindChild(keeping(t), &registryv1.FindChildRequest{IdNumber: number(seq)})
		ok(t, err)
		if found.GetChildId() != b.GetChildId() {
			t.Error("the report is bound to another record than the number's")
		}
	}
	if n := h.dump(t)["children"]; n != 6 {
		t.Errorf("%d records of 6 children", n)
	}
	h.promises(t)
}

func TestAnAssessmentGradesTheChildAndPlansTheVisit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r, p := h.graded(t, 1, personv1.RiskColour_RISK_COLOUR_RED)
	want := &registryv1.VisitPlan{
		Standing: &custodyv1.Standing{
			Id: p.GetStanding().GetId(), Version: 1, Holder: village, Clock: "visit.red",
			Deadline: timestamppb.New(time.Date(2026, 3, 9, 16, 0, 0, 0, time.UTC)), // the seventh day ends
		},
		State: registryv1.VisitPlan_STATE_DUE, Division: division, ChildId: p.GetChildId(), Colour: personv1.RiskColour_RISK_COLOUR_RED, AssessmentId: p.GetAssessmentId(),
	}
	ignored := []cmp.Option{
		protocmp.Transform(), protocmp.IgnoreFields(p, "create_time", "update_time"), protocmp.IgnoreFields(p.GetStanding(), "etag", "clocks"),
	}
	if diff := cmp.Diff(want, p, ignored...); diff != "" {
		t.Error(diff)
	}
	if c := h.child(t, p.GetChildId()); c.GetColour() != personv1.RiskColour_RISK_COLOUR_RED || c.GetAssessmentId() != p.GetAssessmentId() || c.GetColourTime() == nil {
		t.Errorf("the child is %v by %s", c.GetColour(), c.GetAssessmentId())
	}
	h.again(t, "assessment", "concluded", &custodyv1.Standing{Id: p.GetAssessmentId(), MatterId: r.GetChild().GetMatterId()})
	h.assess(t, r, personv1.RiskColour_RISK_COLOUR_BLUE)
	h.settle(t)
	if s := h.plan(t, p.GetChildId()).GetStanding(); s.GetClock() != "visit.red" || s.GetVersion() != 2 || s.GetHolder() != village || !proto.Equal(s.GetDeadline(), p.GetStanding().GetDeadline()) {
		t.Errorf("graded anew, the visit that is due was put off: %v", s)
	}
	h.history(t, p, "opened", "graded")
	h.promises(t)
}

// history compares the reasons of a plan's custody points, each of which must be there.
func (h *house) history(t *testing.T, p *registryv1.VisitPlan, want ...string) []*custodyv1.Point {
	t.Helper()
	answer, err := h.at(t, township).read.GetCustodyHistory(keeping(t), &registryv1.GetCustodyHistoryRequest{Id: p.GetStanding().GetId()})
	ok(t, err)
	var got []string
	for i, point := range answer.GetPoints() {
		got = append(got, point.GetReason())
		if point.GetVersion() != int64(i+1) {
			t.Errorf("point %d is of version %d", i, point.GetVersion())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	return answer.GetPoints()
}

// A visit that does not happen goes up, never to nobody, and a visit brings it back to the village.
func TestAMissedVisitGoesUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, p := h.graded(t, 1, personv1.RiskColour_RISK_COLOUR_YELLOW)
	for _, want := range []struct{ holder, clock string }{
		{township, "overdue.review"}, {lead, "lead.resolve"}, {lead, "overdue.review"}, {lead, "overdue.review"},
	} {
		due := h.plan(t, p.GetChildId()).GetStanding()
		h.pass(t, due)
		got := h.plan(t, p.GetChildId())
		s := got.GetStanding()
		if s.GetHolder() != want.holder || s.GetClock() != want.clock || !got.GetOverdue() || s.GetVersion() != due.GetVersion()+1 {
			t.Errorf("after %s of %s: %v", due.GetClock(), due.GetHolder(), s)
		}
		if !s.GetDeadline().AsTime().After(due.GetDeadline().AsTime()) {
			t.Errorf("the deadline %v does not lie behind %v", s.GetDeadline().AsTime(), due.GetDeadline().AsTime())
		}
	}
	visit := func(way registryv1.Visit_Way) *registryv1.RecordVisitResponse {
		answer, err := h.at(t, village).RecordVisit(keeping(t), &registryv1.RecordVisitRequest{
			RequestId: request(), ChildId: p.GetChildId(), VisitTime: timestamppb.New(h.now(t)), Way: way, ChildSeen: true, Text: "一切安好",
		})
		ok(t, err)
		return answer
	}
	before := h.plan(t, p.GetChildId()).GetStanding()
	if s := visit(registryv1.Visit_WAY_REMOTE).GetStanding(); s.GetHolder() != lead || !s.GetDeadline().AsTime().Equal(before.GetDeadline().AsTime()) {
		t.Errorf("a call counts as the visit that is due: %v", s)
	}
	h.later(t, time.Minute)
	answer := visit(registryv1.Visit_WAY_HOME)
	if s := answer.GetStanding(); s.GetHolder() != village || s.GetClock() != "visit.yellow" || answer.GetState() != registryv1.VisitPlan_STATE_DUE {
		t.Errorf("visited: %v", s)
	}
	if after := h.plan(t, p.GetChildId()); after.GetOverdue() || after.GetVisitCount() != 1 || after.GetLastVisitTime() == nil {
		t.Errorf("overdue %v, %d visits", after.GetOverdue(), after.GetVisitCount())
	}
	visits, err := h.at(t, village).read.ListVisits(keeping(t), &registryv1.ListVisitsRequest{ChildId: p.GetChildId()})
	ok(t, err)
	if len(visits.GetVisits()) != 2 || visits.GetVisits()[0].GetId() != answer.GetVisitId() || visits.GetVisits()[0].GetText() != "一切安好" {
		t.Errorf("%d visits on record, the newest not first or without its text", len(visits.GetVisits()))
	}
	points := h.history(t, p, "opened", "escalated", "escalated", "escalated", "escalated", "visited", "visited")
	for i, holder := range []string{village, township, lead, lead, lead, lead, village} {
		if points[i].GetHolder() != holder {
			t.Errorf("point %d names %s", i, points[i].GetHolder())
		}
	}
	h.promises(t)
}
