package relief_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// From an accepted referral to the money on a corrected account; the account adds up after each step.
func TestOneMatterFromTheReferralToTheMoney(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	child := uuid.NewString()
	application := h.opened(t, child)
	id := application.GetStanding().GetId()
	if s := application.GetStanding(); s.GetHolder() != township || s.GetClock() != "templief.fast" || application.GetBeneficiaryId() != child {
		t.Errorf("opened: %v", s)
	}
	q := asking("", 80000)
	q.ApplicationId = id
	submitted, err := h.at(t, township).SubmitApplication(client.By(deciding(t), supervisor), q)
	ok(t, err)
	if s := submitted.GetStanding(); submitted.GetState() != reliefv1.Application_STATE_SUBMITTED || !s.GetDeadline().AsTime().Equal(application.GetStanding().GetDeadline().AsTime()) {
		t.Errorf("submitted: %v", submitted)
	}
	h.holds(t, "the application", 0, 0)
	decided, err := h.at(t, township).DecideApplication(client.By(deciding(t), leader), confirming(id))
	ok(t, err)
	h.holds(t, "the decision", 80000, 0)
	h.explained(t, id, decided)
	other := h.approved(t, 30000)
	h.holds(t, "the second decision", 110000, 0)

	failed := decided.GetPaymentId()
	batch := h.exported(t, failed, other)
	h.holds(t, "the export", 110000, 0)
	h.steady(t, batch)
	part := h.record(t, answering(t, batch, line(failed, "800.00", "01")))
	if diff := cmp.Diff([]int32{0, 1, 1}, []int32{part.GetSettledCount(), part.GetReturnedCount(), part.GetOpenCount()}); diff != "" {
		t.Errorf("the first return: %s", diff)
	}
	h.holds(t, "the failed line", 110000, 0)
	rest := h.record(t, answering(t, batch, line(other, "300.00", "00")))
	if diff := cmp.Diff([]int32{1, 0, 0}, []int32{rest.GetSettledCount(), rest.GetReturnedCount(), rest.GetOpenCount()}); diff != "" {
		t.Errorf("the second return: %s", diff)
	}
	if rest.GetState() != reliefv1.Batch_STATE_SETTLED || rest.GetStanding().GetHolder() != "" {
		t.Errorf("all lines are answered, and the batch is %v", rest)
	}
	h.holds(t, "the paid line", 80000, 30000)
	h.promises(t)

	again, err := h.at(t, finance).RepayPayment(paying(t, preparer), &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: failed, Payee: payee(otherAccount)})
	ok(t, err)
	h.holds(t, "the correction", 80000, 30000)
	old, corrected := h.payment(t, failed), h.payment(t, again.GetStanding().GetId())
	if old.GetState() != reliefv1.Payment_STATE_REPLACED || old.GetReplacedByPaymentId() != corrected.GetStanding().GetId() || old.GetStanding().GetHolder() != "" {
		t.Errorf("the failed payment is %v", old.GetState())
	}
	if corrected.GetAttempt() != 2 || corrected.GetReplacesPaymentId() != failed || corrected.GetPayee().GetAccountNumber() != otherAccount || corrected.GetBatchId() != "" {
		t.Errorf("attempt %d replaces %s, batch %q", corrected.GetAttempt(), corrected.GetReplacesPaymentId(), corrected.GetBatchId())
	}
	batch = h.exported(t, corrected.GetStanding().GetId())
	h.holds(t, "the second export", 80000, 30000)
	h.record(t, answering(t, batch, line(corrected.GetStanding().GetId(), "800.00", "00")))
	h.holds(t, "the money", 0, 110000)
	if a := h.application(t, id); a.GetState() != reliefv1.Application_STATE_PAID || a.GetStanding().GetHolder() != "" {
		t.Errorf("paid, and the application is %v", a.GetState())
	}
	h.ledger(t, []reliefv1.LedgerEntry_Kind{
		reliefv1.LedgerEntry_KIND_OPEN, reliefv1.LedgerEntry_KIND_RESERVE, reliefv1.LedgerEntry_KIND_RESERVE,
		reliefv1.LedgerEntry_KIND_PAY, reliefv1.LedgerEntry_KIND_PAY,
	})
	h.promises(t)
}

// explained demands that the decision is kept with everything it rests on.
func (h *house) explained(t *testing.T, application string, decided *reliefv1.DecideApplicationResponse) {
	t.Helper()
	got, err := h.at(t, township).read.ExplainDecision(deciding(t), &reliefv1.ExplainDecisionRequest{ApplicationId: application})
	ok(t, err)
	d := got.GetDecision()
	if decided.GetOutcome() != reliefv1.Outcome_OUTCOME_APPROVED || d.GetOutcome() != decided.GetOutcome() || d.GetId() != decided.GetDecisionId() {
		t.Errorf("decided %v, kept %v", decided.GetOutcome(), d.GetOutcome())
	}
	if d.GetRuleId() != programme || d.GetRuleVersion() != 1 || d.GetDistrictDigest() == "" || d.GetLegalSource() == "" || d.GetExplanation() == "" ||
		d.GetAmountFen() != 80000 || d.GetOfficer() != leader || d.GetUnit() != township {
		t.Errorf("the decision does not explain itself: rule %s/%d by %s", d.GetRuleId(), d.GetRuleVersion(), d.GetOfficer())
	}
	origins := map[string]reliefv1.Fact_Origin{}
	for _, f := range d.GetFacts() {
		origins[f.GetName()] = f.GetOrigin()
	}
	want := map[string]reliefv1.Fact_Origin{
		"emergency_kind": reliefv1.Fact_ORIGIN_DECLARED, "happened_in_district": reliefv1.Fact_ORIGIN_DECLARED,
		"emergency_confirmed": reliefv1.Fact_ORIGIN_CONFIRMED, "amount_fen": reliefv1.Fact_ORIGIN_DERIVED,
		"limit_fen": reliefv1.Fact_ORIGIN_DERIVED, "granted_same_reason_this_year": reliefv1.Fact_ORIGIN_DERIVED,
	}
	if diff := cmp.Diff(want, origins); diff != "" {
		t.Error(diff)
	}
	if slices.ContainsFunc(d.GetConditions(), func(c *reliefv1.Condition) bool { return !c.GetHolds() }) || len(d.GetConditions()) != 5 {
		t.Errorf("approved with %d conditions", len(d.GetConditions()))
	}
}

// steady demands that the file is the same bytes whoever fetches it and however, and that exporting again makes no other.
func (h *house) steady(t *testing.T, batch string) {
	t.Helper()
	content := h.download(t, finance, batch)
	got, err := h.at(t, finance).read.GetBatchFile(paying(t, ""), &reliefv1.GetBatchFileRequest{BatchId: batch})
	ok(t, err)
	same(t, "the file by chunks", content, got.GetContent())
	if sum := returning(batch, content).GetSha256(); sum != got.GetFile().GetSha256() || int64(len(content)) != got.GetFile().GetSizeBytes() {
		t.Errorf("the file is not the one described: %v", got.GetFile())
	}
	before := h.dump(t)
	_, err = h.at(t, finance).ExportBatch(paying(t, preparer), exporting(batch))
	refused(t, err, "STATE_FORBIDS")
	if diff := cmp.Diff(before, h.dump(t)); diff != "" {
		t.Errorf("exporting again changed something: %s", diff)
	}
	ctx := client.For(t.Context(), accessv1.Purpose_PURPOSE_PAYMENT)
	again, err := h.at(t, lead).read.GetBatchFile(ctx, &reliefv1.GetBatchFileRequest{BatchId: batch})
	ok(t, err)
	if diff := cmp.Diff(got, again, protocmp.Transform()); diff != "" {
		t.Errorf("exported again, and another file: %d bytes", len(again.GetContent()))
	}
}

// ledger compares the movements of the account and demands that they carry on from each other.
func (h *house) ledger(t *testing.T, want []reliefv1.LedgerEntry_Kind) {
	t.Helper()
	account := h.account(t)
	var got []reliefv1.LedgerEntry_Kind
	token := ""
	for {
		page, err := h.at(t, finance).read.ListLedgerEntries(paying(t, ""), &reliefv1.ListLedgerEntriesRequest{
			BudgetAccountId: account.GetId(), PageSize: 2, PageToken: token,
		})
		ok(t, err)
		for _, e := range page.GetEntries() {
			got = append(got, e.GetKind())
			if e.GetSequence() != int64(len(got)) {
				t.Errorf("entry %d stands at place %d", e.GetSequence(), len(got))
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A township that twice lets a deadline pass hands the application up, and its history says so.
func TestAnApplicationNobodyHandlesGoesUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.opened(t, uuid.NewString()).GetStanding().GetId()
	h.pass(t, h.application(t, id).GetStanding())
	if a := h.application(t, id); !a.GetOverdue() || a.GetStanding().GetHolder() != township || a.GetStanding().GetClock() != "overdue.review" {
		t.Errorf("after the first: %v", a.GetStanding())
	}
	h.pass(t, h.application(t, id).GetStanding())
	if a := h.application(t, id); a.GetStanding().GetHolder() != lead || a.GetStanding().GetClock() != "lead.resolve" {
		t.Errorf("after the second: %v", a.GetStanding())
	}
	h.history(t, id, []string{"opened", "overdue", "escalated"})
	h.promises(t)
}

// history compares the reasons of an item's custody points as the lead office reads them.
func (h *house) history(t *testing.T, id string, want []string) {
	t.Helper()
	answer, err := h.at(t, lead).read.GetCustodyHistory(paying(t, ""), &reliefv1.GetCustodyHistoryRequest{Id: id})
	ok(t, err)
	var got []string
	for i, p := range answer.GetPoints() {
		got = append(got, p.GetReason())
		if p.GetVersion() != int64(i+1) {
			t.Errorf("point %d is of version %d", i, p.GetVersion())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A referral that is told twice, or for a need no programme serves, opens nothing more.
func TestAReferralOpensOneApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.accept(t, "temporary_relief", "")
	h.accept(t, "psychological_support", uuid.NewString())
	h.say(t, "offered", r, h.now(t))
	h.say(t, "accepted", r, h.now(t))
	h.settle(t)
	listed, err := h.at(t, township).read.ListApplications(deciding(t), &reliefv1.ListApplicationsRequest{})
	ok(t, err)
	if len(listed.GetApplications()) != 1 || listed.GetApplications()[0].GetStanding().GetMatterId() != r.GetStanding().GetMatterId() {
		t.Errorf("%d applications", len(listed.GetApplications()))
	}
	h.promises(t)
}
