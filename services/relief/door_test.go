package relief_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lianhu/lianhu/pkg/client"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Every verb: only checked, without and with a stale etag, without a request id, repeated, and with the id of another content.
func TestARequestHasOneEffect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	officer, money := paying(t, preparer), h.at(t, finance)
	submitted := effect(deciding(t), t, h, asking(uuid.NewString(), 1000), h.at(t, township).SubmitApplication, "narrative")
	decided := effect(deciding(t), t, h, confirming(submitted.GetStanding().GetId()), h.at(t, township).DecideApplication, "note")
	other := h.approved(t, 1000)
	frozen := effect(officer, t, h, &reliefv1.FreezeBatchRequest{RequestId: request(), PaymentIds: []string{decided.GetPaymentId(), other}}, money.FreezeBatch, "payment_ids")
	effect(paying(t, first), t, h, approving(frozen), money.ApproveBatch, "batch_id")
	effect(paying(t, third), t, h, approving(frozen), money.ApproveBatch, "batch_id")
	batch := frozen.GetStanding().GetId()
	effect(officer, t, h, exporting(batch), money.ExportBatch, "batch_id")
	effect(officer, t, h, answering(t, batch, line(other, "10.00", "01")), money.RecordBankReturn, "batch_id")
	effect(officer, t, h, &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: other, Payee: payee(otherAccount)}, money.RepayPayment, "payment_id")
	effect(officer, t, h, &reliefv1.OpenBudgetRequest{RequestId: request(), Programme: programme, Division: town, Year: 2029, AmountFen: 1}, money.OpenBudget, "year")
	h.promises(t)
}

// effect sends a request in all these ways; field is one whose other content makes it another request.
func effect[Q, A proto.Message](ctx context.Context, t *testing.T, h *house, q Q, call func(context.Context, Q, ...grpc.CallOption) (A, error), field protoreflect.Name) A {
	t.Helper()
	name := string(q.ProtoReflect().Descriptor().Name())
	with := func(field protoreflect.Name, value any) (q2 Q) {
		q2 = proto.CloneOf(q)
		q2.ProtoReflect().Set(q2.ProtoReflect().Descriptor().Fields().ByName(field), protoreflect.ValueOf(value))
		return q2
	}
	check := func(what string, q Q, want string) (a A) {
		err := h.unchanged(t, name+" "+what, func() (err error) { a, err = call(ctx, q); return err })
		if reason, _ := reasonOf(err); reason != want {
			t.Errorf("%s %s: %q (%v), want %q", name, what, reason, err, want)
		}
		return a
	}
	if a := check("only checked", with("validate_only", true), ""); proto.Size(a) != 0 {
		t.Errorf("%s only checked is answered by %v", name, a)
	}
	check("without id", with("request_id", ""), "REQUEST_ID_REQUIRED")
	check("with no id", with("request_id", "1"), "FIELD_INVALID")
	if fields := q.ProtoReflect().Descriptor().Fields(); fields.ByName("etag") != nil && name != "SubmitApplicationRequest" {
		check("of another version", with("etag", "v99"), "ETAG_MISMATCH")
	}
	done, err := call(ctx, q)
	ok(t, err)
	if diff := cmp.Diff(done, check("again", q, ""), protocmp.Transform()); diff != "" {
		t.Errorf("%s again is answered otherwise: %s", name, diff)
	}
	check("with another content", changed(q, field), "REQUEST_ID_REUSED")
	return done
}

// changed is the request with another content in a field.
func changed[Q proto.Message](q Q, name protoreflect.Name) Q {
	q = proto.CloneOf(q)
	m := q.ProtoReflect()
	field := m.Descriptor().Fields().ByName(name)
	switch {
	case field.IsList():
		m.Mutable(field).List().Append(protoreflect.ValueOfString(uuid.NewString()))
	case field.Kind() == protoreflect.Int32Kind:
		m.Set(field, protoreflect.ValueOfInt32(int32(m.Get(field).Int())+1))
	default:
		m.Set(field, protoreflect.ValueOfString(uuid.NewString()))
	}
	return q
}

// Who may not know of an application cannot tell it from one that does not exist, by whatever call; lists and feed are silent too.
func TestAStrangerLearnsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	opened := h.opened(t, uuid.NewString())
	id, payment := opened.GetStanding().GetId(), h.approved(t, 1000)
	other := h.at(t, "township/320411122000")
	submit := asking(uuid.NewString(), 1)
	submit.Division = "320411122201"
	for name, call := range map[string]func(id string) error{
		"GetApplication": func(id string) error {
			_, err := other.read.GetApplication(deciding(t), &reliefv1.GetApplicationRequest{ApplicationId: id})
			return err
		},
		"ExplainDecision": func(id string) error {
			_, err := other.read.ExplainDecision(deciding(t), &reliefv1.ExplainDecisionRequest{ApplicationId: id})
			return err
		},
		"GetCustodyHistory": func(id string) error {
			_, err := other.read.GetCustodyHistory(deciding(t), &reliefv1.GetCustodyHistoryRequest{Id: id})
			return err
		},
		"DecideApplication": func(id string) error {
			_, err := other.DecideApplication(deciding(t), confirming(id))
			return err
		},
		"DecideApplication of another version": func(id string) error {
			q := confirming(id)
			q.Etag = "v9"
			_, err := other.DecideApplication(deciding(t), q)
			return err
		},
		"SubmitApplication": func(id string) error {
			q := proto.CloneOf(submit)
			q.RequestId, q.ApplicationId = request(), id
			_, err := other.SubmitApplication(deciding(t), q)
			return err
		},
	} {
		hidden, absent := status.Convert(call(id)).Proto(), status.Convert(call(uuid.NewString())).Proto()
		if diff := cmp.Diff(absent, hidden, protocmp.Transform(), protocmp.IgnoreFields(&errdetails.RequestInfo{}, "request_id")); diff != "" {
			t.Errorf("%s tells the hidden from the absent: %s", name, diff)
		}
		refused(t, status.FromProto(hidden).Err(), "NOT_FOUND")
	}
	for _, unit := range []string{"health", village, township} {
		_, err := h.at(t, unit).read.GetPayment(paying(t, ""), &reliefv1.GetPaymentRequest{PaymentId: payment})
		refused(t, err, "METHOD_NOT_ALLOWED")
	}
	_, err := other.SubmitApplication(deciding(t), asking(uuid.NewString(), 1)) // in another township's division
	refused(t, err, "NOT_FOUND")
	_, err = h.at(t, lead).ApproveBatch(paying(t, first), approving(h.freeze(t, payment))) // finance's officer
	refused(t, err, "OFFICER_UNKNOWN")
	h.silent(t, other)
	h.promises(t)
}

// silent demands that nothing is listed to a unit and nothing of the area reaches it.
func (h *house) silent(t *testing.T, d *desk) {
	t.Helper()
	listed, err := d.read.ListApplications(deciding(t), &reliefv1.ListApplicationsRequest{})
	ok(t, err)
	_, err = d.read.ListWork(deciding(t), &reliefv1.ListWorkRequest{Filter: &custodyv1.WorkFilter{Unit: township}})
	if reason := client.Refusal(err).GetReason(); reason != "METHOD_NOT_ALLOWED" {
		t.Errorf("the work of another unit: %v", err)
	}
	work, err := d.read.ListWork(deciding(t), &reliefv1.ListWorkRequest{})
	ok(t, err)
	h.settle(t)
	batch, err := d.feed.ReadFeed(deciding(t), &reliefv1.ReadFeedRequest{Position: &feedv1.Position{}})
	ok(t, err)
	if len(listed.GetApplications())+len(work.GetItems())+len(batch.GetBatch().GetEvents()) != 0 {
		t.Errorf("a stranger is shown %d applications, %d items, %d events", len(listed.GetApplications()), len(work.GetItems()), len(batch.GetBatch().GetEvents()))
	}
}

// A page token is good for the caller, the list and the filter it was given for.
func TestAForeignPageTokenIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := map[string]bool{h.approved(t, 100): true, h.approved(t, 100): true, h.approved(t, 100): true}
	money := h.at(t, finance).read
	page, err := money.ListPayments(paying(t, ""), &reliefv1.ListPaymentsRequest{PageSize: 2})
	ok(t, err)
	token := page.GetNextPageToken()
	rest, err := money.ListPayments(paying(t, ""), &reliefv1.ListPaymentsRequest{PageSize: 2, PageToken: token})
	ok(t, err)
	for _, p := range append(page.GetPayments(), rest.GetPayments()...) {
		delete(want, p.GetStanding().GetId())
	}
	if len(want) != 0 || len(rest.GetPayments()) != 1 || rest.GetNextPageToken() != "" {
		t.Errorf("%d payments are on no page", len(want))
	}
	for name, err := range map[string]error{
		"another unit":   refusalOf(h.at(t, lead).read.ListPayments(paying(t, ""), &reliefv1.ListPaymentsRequest{PageSize: 2, PageToken: token})),
		"another filter": refusalOf(money.ListPayments(paying(t, ""), &reliefv1.ListPaymentsRequest{PageSize: 2, PageToken: token, Programme: programme})),
		"another list":   refusalOf(money.ListBatches(paying(t, ""), &reliefv1.ListBatchesRequest{PageSize: 2, PageToken: token})),
		"a ledger":       refusalOf(money.ListLedgerEntries(paying(t, ""), &reliefv1.ListLedgerEntriesRequest{BudgetAccountId: h.account(t).GetId(), PageToken: token})),
		"work":           refusalOf(money.ListWork(paying(t, ""), &reliefv1.ListWorkRequest{PageToken: token})),
		"cut":            refusalOf(money.ListPayments(paying(t, ""), &reliefv1.ListPaymentsRequest{PageSize: 2, PageToken: token[:len(token)-2]})),
		"made up":        refusalOf(money.ListPayments(paying(t, ""), &reliefv1.ListPaymentsRequest{PageSize: 2, PageToken: "AAAA"})),
	} {
		if reason, _ := reasonOf(err); reason != "PAGE_TOKEN_INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func refusalOf[A any](_ A, err error) error { return err }
