package registry_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// Who may not know of a child cannot tell it from one that does not exist, by whatever call.
func TestAStrangerLearnsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r, plan := h.graded(t, 1, personv1.RiskColour_RISK_COLOUR_RED)
	child := plan.GetChildId()
	interval, err := h.at(t, village).RecordGuardianship(keeping(t), with(mother(child), func(q *registryv1.RecordGuardianshipRequest) { q.RequestId = request() }))
	ok(t, err)
	agreement, err := h.at(t, village).RecordCareAgreement(keeping(t), with(grandmother(child), func(q *registryv1.RecordCareAgreementRequest) { q.RequestId = request() }))
	ok(t, err)
	neighbour := h.at(t, "village/320411101204")
	write := func(q proto.Message) error {
		set(q, "request_id", request())
		_, err := send(t, neighbour, q)
		return err
	}
	type call struct {
		id string
		by func(id string) error
	}
	read := func(id string, by func(ctx context.Context, id string) error) call {
		return call{id, func(id string) error { return by(keeping(t), id) }}
	}
	calls := map[string]call{
		"GetChild": read(child, func(ctx context.Context, id string) error {
			_, err := neighbour.read.GetChild(ctx, &registryv1.GetChildRequest{ChildId: id})
			return err
		}),
		"GetChild by another station": {child, func(id string) error {
			_, err := h.at(t, "police/320411122000").read.GetChild(responding(t), &registryv1.GetChildRequest{ChildId: id})
			return err
		}},
		"GetBinding": read(r.GetChild().GetId(), func(ctx context.Context, id string) error {
			_, err := neighbour.read.GetBinding(ctx, &registryv1.GetBindingRequest{BindingId: id})
			return err
		}),
		"ListGuardianships": read(child, func(ctx context.Context, id string) error {
			_, err := neighbour.read.ListGuardianships(ctx, &registryv1.ListGuardianshipsRequest{ChildId: id})
			return err
		}),
		"ListCareAgreements": read(child, func(ctx context.Context, id string) error {
			_, err := neighbour.read.ListCareAgreements(ctx, &registryv1.ListCareAgreementsRequest{ChildId: id})
			return err
		}),
		"ListVisits": read(child, func(ctx context.Context, id string) error {
			_, err := neighbour.read.ListVisits(ctx, &registryv1.ListVisitsRequest{ChildId: id})
			return err
		}),
		"GetVisitPlan": read(child, func(ctx context.Context, id string) error {
			_, err := neighbour.read.GetVisitPlan(ctx, &registryv1.GetVisitPlanRequest{ChildId: id})
			return err
		}),
		"GetCustodyHistory": read(plan.GetStanding().GetId(), func(ctx context.Context, id string) error {
			_, err := neighbour.read.GetCustodyHistory(ctx, &registryv1.GetCustodyHistoryRequest{Id: id})
			return err
		}),
		"UpdateChild": {child, func(id string) error { return write(update(id, &registryv1.Child{Ethnicity: "汉"}, "ethnicity")) }},
		"UpdateChild with a stale etag": {child, func(id string) error {
			return write(with(update(id, &registryv1.Child{}, "colour"), func(q *registryv1.UpdateChildRequest) { q.Etag = "v9" }))
		}},
		"RecordGuardianship that overlaps": {child, func(id string) error { return write(mother(id)) }},
		"EndGuardianship": {interval.GetGuardianshipId(), func(id string) error {
			return write(&registryv1.EndGuardianshipRequest{GuardianshipId: id, To: "2010-01-01", Etag: "v9"})
		}},
		"RecordCareAgreement that overlaps": {child, func(id string) error { return write(grandmother(id)) }},
		"EndCareAgreement": {agreement.GetCareAgreementId(), func(id string) error {
			return write(&registryv1.EndCareAgreementRequest{CareAgreementId: id, Ground: "母亲返乡"})
		}},
		"RecordVisit": {child, func(id string) error { return write(visit(id, h.now(t))) }},
	}
	before := h.dump(t)
	for name, c := range calls {
		hidden, absent := status.Convert(c.by(c.id)).Proto(), status.Convert(c.by(uuid.NewString())).Proto()
		if diff := cmp.Diff(absent, hidden, protocmp.Transform(), protocmp.IgnoreFields(&errdetails.RequestInfo{}, "request_id")); diff != "" {
			t.Errorf("%s tells the hidden from the absent: %s", name, diff)
		}
		refused(t, status.FromProto(hidden).Err(), "NOT_FOUND")
	}
	h.unchanged(t, before)
	children, err := neighbour.read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{})
	ok(t, err)
	work, err := neighbour.read.ListWork(keeping(t), &registryv1.ListWorkRequest{})
	ok(t, err)
	if len(children.GetChildren())+len(work.GetItems()) != 0 {
		t.Errorf("a stranger is shown %d children and %d items", len(children.GetChildren()), len(work.GetItems()))
	}
}

// Each look at the ledger is on record with its purpose, and FindChild tells where to ask and nothing else.
func TestALookIsOnRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	child := h.register(t, invented(1))
	found, err := h.at(t, "police/320411122000").read.FindChild(responding(t), &registryv1.FindChildRequest{IdNumber: number(1)})
	ok(t, err)
	if diff := cmp.Diff(&registryv1.FindChildResponse{ChildId: child, Division: division}, found, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	h.child(t, child)
	_, err = h.at(t, lead).read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{})
	ok(t, err)
	var looks []string
	ok(t, h.db.QueryRow(t.Context(), `
		SELECT array_agg(unit ORDER BY unit) FROM audit WHERE NOT effect AND subject_id = $1 AND purpose <> 0`, child).Scan(&looks))
	if diff := cmp.Diff([]string{lead, "police/320411122000", township}, looks); diff != "" {
		t.Error(diff)
	}
	h.promises(t)
}

// Village and township find the children of their own division; where any other child lives is none of their business. Police and civil affairs
// find every child. A look that found nothing is on record like one that did.
func TestWhoFindsAChildAndThatItIsOnRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	child := h.register(t, invented(1))
	for _, c := range []struct {
		unit  string
		finds bool
	}{
		{village, true}, {township, true}, {lead, true}, {"police/320411122000", true}, {"police", true},
		{"village/320411101204", false}, {"township/320411103000", false},
	} {
		ctx := keeping(t)
		if c.unit[:6] == "police" {
			ctx = responding(t)
		}
		for _, seq := range []int{1, 99} { // and one that nobody has
			looks := func() (n int) {
				ok(t, h.db.QueryRow(t.Context(), "SELECT count(*) FROM audit WHERE NOT effect AND unit = $1 AND method LIKE '%/FindChild'", c.unit).Scan(&n))
				return n
			}
			before := looks()
			found, err := h.at(t, c.unit).read.FindChild(ctx, &registryv1.FindChildRequest{IdNumber: number(seq)})
			if c.finds && seq == 1 {
				ok(t, err)
				if found.GetChildId() != child {
					t.Errorf("%s finds %v", c.unit, found)
				}
			} else {
				refused(t, err, "NOT_FOUND")
			}
			if looks() != before+1 {
				t.Errorf("%s: the look for number %d is not on record", c.unit, seq)
			}
		}
	}
	h.promises(t)
}
