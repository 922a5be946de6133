package relief_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lianhu/lianhu/pkg/identity"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

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

// outcomes counts what racing calls were told: "" for done.
func outcomes(errs []error) map[string]int {
	told := map[string]int{}
	for _, err := range errs {
		reason, _ := reasonOf(err)
		if reason == "" && err != nil {
			reason = err.Error()
		}
		told[reason]++
	}
	return told
}

// Many decisions on the last money of an account, through two replicas: never more than there is, and exactly as much as there is. Who
// met too many rivals comes back with the same request, as the contract says.
func TestDecisionsRaceForTheLastMoney(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const fen, racers, affordable = 100000, 25, 20 // of an account of 2000000
	requests := make([]*reliefv1.DecideApplicationRequest, racers)
	for i := range requests {
		requests[i] = confirming(h.submit(t, fen))
	}
	replicas := []*desk{h.at(t, township), h.desk(t, h.replica(t), identity.OfUnit(domain, township, "main"))}
	errs := make([]error, racers)
	together(racers, func(i int) { _, errs[i] = replicas[i%2].DecideApplication(deciding(t), requests[i]) })
	if a := h.account(t); a.GetReservedFen() > a.GetAmountFen() {
		t.Errorf("reserved %d of %d", a.GetReservedFen(), a.GetAmountFen())
	}
	for i, err := range errs {
		if reason, _ := reasonOf(err); reason == "CONTENTION" {
			_, errs[i] = replicas[0].DecideApplication(deciding(t), requests[i])
		}
	}
	if diff := cmp.Diff(map[string]int{"": affordable, "BUDGET_EXHAUSTED": racers - affordable}, outcomes(errs)); diff != "" {
		t.Error(diff)
	}
	h.holds(t, "the race", fen*affordable, 0)
	h.promises(t)
}

// The same officer twice is one approval; two officers are two; a third finds it approved.
func TestOfficersApproveAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.freeze(t, h.approved(t, 1000))
	errs := make([]error, 4)
	together(len(errs), func(i int) { _, errs[i] = h.at(t, finance).ApproveBatch(paying(t, first), approving(b)) })
	if diff := cmp.Diff(map[string]int{"": 1, "APPROVER_REPEATED": len(errs) - 1}, outcomes(errs)); diff != "" {
		t.Errorf("one officer: %s", diff)
	}
	if got := h.batch(t, b.GetStanding().GetId()); got.GetState() != reliefv1.Batch_STATE_FROZEN || len(got.GetApprovals()) != 1 {
		t.Errorf("one officer, %d approvals, %v", len(got.GetApprovals()), got.GetState())
	}
	b = h.freeze(t, h.approved(t, 1000))
	who := []struct{ unit, officer string }{{finance, first}, {finance, third}, {lead, second}}
	errs = make([]error, len(who))
	together(len(who), func(i int) { _, errs[i] = h.at(t, who[i].unit).ApproveBatch(paying(t, who[i].officer), approving(b)) })
	if diff := cmp.Diff(map[string]int{"": 2, "STATE_FORBIDS": 1}, outcomes(errs)); diff != "" {
		t.Errorf("three officers: %s", diff)
	}
	got := h.batch(t, b.GetStanding().GetId())
	if got.GetState() != reliefv1.Batch_STATE_APPROVED || len(got.GetApprovals()) != 2 || got.GetApprovals()[0].GetOfficer() == got.GetApprovals()[1].GetOfficer() {
		t.Errorf("two officers: %v", got.GetState())
	}
	h.promises(t)
}

func (h *house) batch(t *testing.T, id string) *reliefv1.Batch {
	t.Helper()
	got, err := h.at(t, finance).read.GetBatch(paying(t, ""), &reliefv1.GetBatchRequest{BatchId: id})
	ok(t, err)
	return got.GetBatch()
}

// One programme, child and period: one open application, one payment, whoever comes first; a period under whatever name once a year.
func TestAPeriodIsGrantedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	child := uuid.NewString()
	ids, errs := make([]string, 6), make([]error, 6)
	together(len(errs), func(i int) {
		answer, err := h.at(t, township).SubmitApplication(deciding(t), asking(child, 1000))
		ids[i], errs[i] = answer.GetStanding().GetId(), err
	})
	if diff := cmp.Diff(map[string]int{"": 1, "APPLICATION_EXISTS": 5}, outcomes(errs)); diff != "" {
		t.Fatal(diff)
	}
	id := ids[0]
	for _, err := range errs {
		if _, metadata := reasonOf(err); metadata != nil {
			id = metadata["application_id"]
		}
	}
	together(len(errs), func(i int) { _, errs[i] = h.at(t, township).DecideApplication(deciding(t), confirming(id)) })
	if diff := cmp.Diff(map[string]int{"": 1, "STATE_FORBIDS": 5}, outcomes(errs)); diff != "" {
		t.Error(diff)
	}
	h.holds(t, "the decisions", 1000, 0)
	for name, declared := range map[string][]*reliefv1.Fact{
		"another cause": {text("emergency_kind", "major_illness"), yes("happened_in_district")}, "no cause": {yes("happened_in_district")},
	} {
		q := asking(child, 500)
		q.Facts = declared
		answer, err := h.at(t, township).SubmitApplication(deciding(t), q)
		ok(t, err)
		same := confirming(answer.GetStanding().GetId())
		same.Facts = append(same.Facts, text("emergency_kind", "sudden_change"))
		_, err = h.at(t, township).DecideApplication(deciding(t), same)
		if err == nil && h.application(t, answer.GetStanding().GetId()).GetState() == reliefv1.Application_STATE_REFUSED {
			continue
		}
		t.Errorf("declared as %s and confirmed as the same: %v", name, err)
	}
	h.holds(t, "the same cause again", 1000, 0)
	h.promises(t)
}

// A payment is frozen into one batch, its answer is taken in once, and it is corrected once.
func TestAPaymentGoesOneWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk, one, two := h.at(t, finance), h.approved(t, 1000), h.approved(t, 2000)
	errs := make([]error, 4)
	together(len(errs), func(i int) {
		_, errs[i] = desk.FreezeBatch(paying(t, preparer), &reliefv1.FreezeBatchRequest{RequestId: request(), PaymentIds: [][]string{{one, two}, {two, one}}[i%2]})
	})
	if diff := cmp.Diff(map[string]int{"": 1, "PAYMENT_NOT_FREE": 3}, outcomes(errs)); diff != "" {
		t.Error(diff)
	}
	batch := h.payment(t, one).GetBatchId()
	b := h.batch(t, batch)
	h.approve(t, &reliefv1.FreezeBatchResponse{Standing: b.GetStanding(), Digest: b.GetDigest()})
	together(len(errs), func(i int) { _, errs[i] = desk.ExportBatch(paying(t, preparer), exporting(batch)) })
	if diff := cmp.Diff(map[string]int{"": 1, "STATE_FORBIDS": 3}, outcomes(errs)); diff != "" {
		t.Error(diff)
	}
	together(len(errs), func(i int) {
		_, errs[i] = desk.RecordBankReturn(paying(t, preparer), answering(t, batch, line(one, "10.00", "00"), line(two, "20.00", "03")))
	})
	// The same file again says what is recorded: it is taken, and changes nothing. One of other words is refused.
	if diff := cmp.Diff(map[string]int{"": 4}, outcomes(errs)); diff != "" {
		t.Error(diff)
	}
	_, err := desk.RecordBankReturn(paying(t, preparer), answering(t, batch, line(one, "10.00", "03")))
	refused(t, err, "RETURN_LINE_REPEATED")
	h.holds(t, "four returns", 2000, 1000)
	together(len(errs), func(i int) {
		_, errs[i] = desk.RepayPayment(paying(t, preparer), &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: two, Payee: payee(otherAccount)})
	})
	if diff := cmp.Diff(map[string]int{"": 1, "STATE_FORBIDS": 3}, outcomes(errs)); diff != "" {
		t.Error(diff)
	}
	h.holds(t, "four corrections", 2000, 1000)
	h.promises(t)
}

// The same request sent many times at once has one effect and one answer, for each verb.
func TestTheSameRequestAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	officer := paying(t, preparer)
	town, money := h.at(t, township), h.at(t, finance)
	submitted := once(deciding(t), t, asking(uuid.NewString(), 1000), town.SubmitApplication)
	decided := once(deciding(t), t, confirming(submitted.GetStanding().GetId()), town.DecideApplication)
	frozen := once(officer, t, &reliefv1.FreezeBatchRequest{RequestId: request(), PaymentIds: []string{decided.GetPaymentId()}}, money.FreezeBatch)
	once(paying(t, first), t, approving(frozen), money.ApproveBatch)
	once(paying(t, third), t, approving(frozen), money.ApproveBatch)
	batch := once(officer, t, exporting(frozen.GetStanding().GetId()), money.ExportBatch).GetStanding().GetId()
	once(officer, t, answering(t, batch, line(decided.GetPaymentId(), "10.00", "01")), money.RecordBankReturn)
	once(officer, t, &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: decided.GetPaymentId(), Payee: payee(otherAccount)}, money.RepayPayment)
	once(officer, t, &reliefv1.OpenBudgetRequest{RequestId: request(), Programme: programme, Division: "320411101000", Year: 2028, AmountFen: 1}, money.OpenBudget)
	h.holds(t, "all of it", 1000, 0)
	var rows int
	ok(t, h.db.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM application) + (SELECT count(*) FROM payment) + (SELECT count(*) FROM batch)").Scan(&rows))
	if rows != 4 { // one application, its payment and the corrected one, one batch
		t.Errorf("%d rows", rows)
	}
	h.promises(t)
}

func once[Q, A proto.Message](ctx context.Context, t *testing.T, q Q, call func(context.Context, Q, ...grpc.CallOption) (A, error)) A {
	t.Helper()
	answers, errs := make([]A, 5), make([]error, 5)
	together(len(answers), func(i int) { answers[i], errs[i] = call(ctx, proto.CloneOf(q)) })
	for i := range answers {
		ok(t, errs[i])
		if diff := cmp.Diff(answers[0], answers[i], protocmp.Transform()); diff != "" {
			t.Errorf("%T: sending %d is answered otherwise: %s", q, i, diff)
		}
	}
	return answers[0]
}
