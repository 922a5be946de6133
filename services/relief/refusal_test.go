package relief_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/calendar"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// refusal is a call that must be refused so.
type refusal struct {
	reason   reliefv1.Reason
	metadata map[string]string
	call     func() error
}

// Every reason of the area, as a partner receives it, and nothing has changed afterwards.
func TestEveryRefusalOfTheArea(t *testing.T) {
	t.Parallel()
	h := newHouseIn(t, twoProgrammes(t))
	produced := map[reliefv1.Reason]bool{}
	for _, prepare := range []func(*testing.T) []refusal{h.applying, h.decisions, h.budgeting, h.freezing, h.approvals, h.returns, h.unconfirmed} {
		for _, r := range prepare(t) {
			told(t, h.unchanged(t, r.reason.String(), r.call), r.reason, r.metadata)
			produced[r.reason] = true
		}
	}
	for number, name := range reliefv1.Reason_name {
		if number != 0 && !produced[reliefv1.Reason(number)] {
			t.Errorf("%s was never produced", name)
		}
	}
	h.promises(t)
}

func (h *house) submitting(t *testing.T, q *reliefv1.SubmitApplicationRequest) func() error {
	return func() error {
		_, err := h.at(t, township).SubmitApplication(deciding(t), q)
		return err
	}
}

func (h *house) applying(t *testing.T) []refusal {
	t.Helper()
	child := uuid.NewString()
	open := h.opened(t, child).GetStanding().GetId()
	twin := uuid.NewString()
	there, err := h.at(t, township).SubmitApplication(deciding(t), asking(twin, 1000))
	ok(t, err)
	unknown, derived, nobody, other := asking(child, 1), asking(child, 1), asking("", 1), asking(uuid.NewString(), 1)
	unknown.Programme = "templief_fst"
	derived.Facts = []*reliefv1.Fact{{Name: "limit_fen", Value: &reliefv1.Fact_IntValue{IntValue: 1}}}
	other.ApplicationId = open
	unbound := asking(twin, 1)
	unbound.ApplicationId = h.opened(t, "").GetStanding().GetId()
	id := map[string]string{"application_id": there.GetStanding().GetId()}
	stranger, moved, stays := uuid.NewString(), uuid.NewString(), uuid.NewString()
	h.stands(stranger, "")
	h.stands(moved, stays)
	unexplained := func() error {
		_, err := h.at(t, township).WithdrawApplication(deciding(t), withdrawing(there.GetStanding().GetId(), reliefv1.EndGrounds_END_GROUNDS_OTHER))
		return err
	}
	return []refusal{
		{reliefv1.Reason_REASON_BENEFICIARY_UNKNOWN, map[string]string{"field": "beneficiary_id"}, h.submitting(t, asking(stranger, 1))},
		{reliefv1.Reason_REASON_BENEFICIARY_SUPERSEDED, map[string]string{"field": "beneficiary_id", "child_id": stays}, h.submitting(t, asking(moved, 1))},
		{reliefv1.Reason_REASON_NOTE_REQUIRED, map[string]string{"field": "note"}, unexplained},
		{reliefv1.Reason_REASON_PROGRAMME_UNKNOWN, map[string]string{"field": "programme", "programme": "templief_fst"}, h.submitting(t, unknown)},
		{reliefv1.Reason_REASON_FACT_INVALID, map[string]string{"field": "facts[0]", "fact": "limit_fen"}, h.submitting(t, derived)},
		{reliefv1.Reason_REASON_BENEFICIARY_REQUIRED, map[string]string{"field": "beneficiary_id"}, h.submitting(t, nobody)},
		{reliefv1.Reason_REASON_BENEFICIARY_DIFFERS, map[string]string{"field": "beneficiary_id"}, h.submitting(t, other)},
		{reliefv1.Reason_REASON_APPLICATION_EXISTS, id, h.submitting(t, asking(twin, 2000))},
		{reliefv1.Reason_REASON_APPLICATION_EXISTS, id, h.submitting(t, unbound)},
	}
}

func (h *house) decided(t *testing.T, q *reliefv1.DecideApplicationRequest) func() error {
	return func() error {
		_, err := h.at(t, township).DecideApplication(deciding(t), q)
		return err
	}
}

func (h *house) decisions(t *testing.T) []refusal {
	t.Helper()
	gone := h.submit(t, 1000)
	h.pass(t, h.application(t, gone).GetStanding())
	h.pass(t, h.application(t, gone).GetStanding()) // with the lead office now
	id := h.submit(t, 1000)
	unconfirmed, wrong := confirming(id), confirming(id)
	unconfirmed.Facts = nil
	wrong.Facts = []*reliefv1.Fact{text("emergency_kind", "wedding")}
	return []refusal{
		{reliefv1.Reason_REASON_FACTS_MISSING, map[string]string{"missing": "emergency_confirmed"}, h.decided(t, unconfirmed)},
		{reliefv1.Reason_REASON_FACT_INVALID, map[string]string{"field": "facts[0]", "fact": "emergency_kind"}, h.decided(t, wrong)},
		{reliefv1.Reason_REASON_NOT_HOLDER, map[string]string{"holder": lead}, h.decided(t, confirming(gone))},
		{reliefv1.Reason_REASON_DECISION_PENDING, map[string]string{"state": "SUBMITTED"}, func() error {
			_, err := h.at(t, township).read.ExplainDecision(deciding(t), &reliefv1.ExplainDecisionRequest{ApplicationId: id})
			return err
		}},
	}
}

// care is an application for the second programme.
func care(child string, fen int64) *reliefv1.SubmitApplicationRequest {
	q := asking(child, fen)
	q.Programme, q.Period, q.Facts = "care_month", "2026-03", nil
	return q
}

func opening(fen int64) *reliefv1.OpenBudgetRequest {
	return &reliefv1.OpenBudgetRequest{RequestId: request(), Programme: "care_month", Division: town, Year: 2026, AmountFen: fen}
}

// grant approves an application for the second programme.
func (h *house) grant(t *testing.T, child string, fen int64) (payment string) {
	t.Helper()
	answer, err := h.at(t, township).SubmitApplication(deciding(t), care(child, fen))
	ok(t, err)
	decided, err := h.at(t, township).DecideApplication(deciding(t), &reliefv1.DecideApplicationRequest{RequestId: request(), ApplicationId: answer.GetStanding().GetId()})
	ok(t, err)
	return decided.GetPaymentId()
}

// caring gives the decision on a new application for the second programme as a call.
func (h *house) caring(t *testing.T, child string, fen int64) func() error {
	t.Helper()
	answer, err := h.at(t, township).SubmitApplication(deciding(t), care(child, fen))
	ok(t, err)
	return h.decided(t, &reliefv1.DecideApplicationRequest{RequestId: request(), ApplicationId: answer.GetStanding().GetId()})
}

func (h *house) budgeting(t *testing.T) []refusal {
	t.Helper()
	line := h.today(t)
	missing := map[string]string{"programme": "care_month", "division": town, "year": "2026"}
	told(t, h.unchanged(t, "no budget", h.caring(t, uuid.NewString(), 1)), reliefv1.Reason_REASON_BUDGET_MISSING, missing)
	_, err := h.at(t, finance).OpenBudget(paying(t, preparer), opening(50000))
	ok(t, err)
	child := uuid.NewString()
	paid := h.grant(t, child, 20000)
	h.record(t, answering(t, h.exported(t, paid), line(paid, "200.00", "00")))
	nowhere := care(uuid.NewString(), 1)
	nowhere.Division = "320411122201"
	elsewhere := h.at(t, "township/320411122000")
	answer, err := elsewhere.SubmitApplication(deciding(t), nowhere)
	ok(t, err)
	return []refusal{
		{reliefv1.Reason_REASON_BUDGET_MISSING, map[string]string{"programme": "care_month", "division": "320411122000", "year": "2026"}, func() error {
			_, err := elsewhere.DecideApplication(deciding(t), &reliefv1.DecideApplicationRequest{RequestId: request(), ApplicationId: answer.GetStanding().GetId()})
			return err
		}},
		{reliefv1.Reason_REASON_BUDGET_EXHAUSTED, map[string]string{"available_fen": "30000", "division": "320411101000", "year": "2026"}, h.caring(t, uuid.NewString(), 30001)},
		{reliefv1.Reason_REASON_BUDGET_EXISTS, map[string]string{"field": "division"}, func() error {
			_, err := h.at(t, finance).OpenBudget(paying(t, preparer), opening(1))
			return err
		}},
		{reliefv1.Reason_REASON_PAYMENT_EXISTS, map[string]string{"period": "2026-03"}, h.caring(t, child, 100)},
	}
}

func (h *house) freezing(t *testing.T) []refusal {
	t.Helper()
	frozen, free, mixed := h.approved(t, 1000), h.approved(t, 1000), h.grant(t, uuid.NewString(), 100)
	h.freeze(t, frozen)
	freeze := func(officer string, payments ...string) func() error {
		return func() error {
			_, err := h.at(t, finance).FreezeBatch(paying(t, officer), &reliefv1.FreezeBatchRequest{RequestId: request(), PaymentIds: payments})
			return err
		}
	}
	return []refusal{
		{reliefv1.Reason_REASON_PAYMENT_IN_BATCH, map[string]string{"payment_id": frozen, "state": "FROZEN"}, func() error {
			_, err := h.at(t, finance).CancelPayment(paying(t, preparer), &reliefv1.CancelPaymentRequest{
				RequestId: request(), PaymentId: frozen, Grounds: reliefv1.EndGrounds_END_GROUNDS_MISTAKE,
			})
			return err
		}},
		{reliefv1.Reason_REASON_OFFICER_REQUIRED, nil, freeze("", free)},
		{reliefv1.Reason_REASON_PAYMENT_NOT_FREE, map[string]string{"payment_id": frozen, "state": "FROZEN"}, freeze(preparer, free, frozen)},
		{reliefv1.Reason_REASON_PROGRAMMES_MIXED, map[string]string{"field": "payment_ids[1]"}, freeze(preparer, free, mixed)},
	}
}

func (h *house) approvals(t *testing.T) []refusal {
	t.Helper()
	b, err := h.at(t, lead).FreezeBatch(paying(t, "civil_affairs-4"), &reliefv1.FreezeBatchRequest{RequestId: request(), PaymentIds: []string{h.approved(t, 1000)}})
	ok(t, err)
	_, err = h.at(t, lead).ApproveBatch(paying(t, second), approving(b))
	ok(t, err)
	approve := func(unit, officer string, q *reliefv1.ApproveBatchRequest) func() error {
		return func() error {
			_, err := h.at(t, unit).ApproveBatch(paying(t, officer), q)
			return err
		}
	}
	other := approving(b)
	other.Digest = strings.Repeat("0", 64)
	return []refusal{
		{reliefv1.Reason_REASON_OFFICER_REQUIRED, nil, approve(finance, "", approving(b))},
		{reliefv1.Reason_REASON_APPROVER_IS_PREPARER, map[string]string{"officer": "civil_affairs-4"}, approve(lead, "civil_affairs-4", approving(b))},
		{reliefv1.Reason_REASON_APPROVER_REPEATED, map[string]string{"officer": second}, approve(lead, second, approving(b))},
		{reliefv1.Reason_REASON_APPROVER_NOT_ENTITLED, map[string]string{"officer": preparer, "title": "payment_preparer"}, approve(finance, preparer, approving(b))},
		{reliefv1.Reason_REASON_DIGEST_MISMATCH, map[string]string{"digest": b.GetDigest()}, approve(finance, first, other)},
	}
}

func (h *house) returns(t *testing.T) []refusal {
	t.Helper()
	line := h.today(t)
	one, two, back := h.approved(t, 1000), h.approved(t, 2000), h.approved(t, 3000)
	batch := h.exported(t, one, two, back)
	h.record(t, answering(t, batch, line(back, "30.00", "02")))
	record := func(q *reliefv1.RecordBankReturnRequest) func() error {
		return func() error {
			_, err := h.at(t, finance).RecordBankReturn(paying(t, preparer), q)
			return err
		}
	}
	good, corrupted := line(one, "10.00", "00"), answering(t, batch, line(one, "10.00", "00"))
	corrupted.Sha256 = strings.Repeat("0", 64)
	size := int64(len(h.download(t, finance, batch)))
	return []refusal{
		{reliefv1.Reason_REASON_RETURN_DATE_IMPLAUSIBLE, map[string]string{"line": "2", "column": "4"}, record(answering(t, batch, lineOf(one, "10.00", "00", "2099-01-01")))},
		{reliefv1.Reason_REASON_RETURN_FILE_UNREADABLE, map[string]string{"line": "3", "column": "2"}, record(answering(t, batch, good, line(two, "20", "00")))},
		{reliefv1.Reason_REASON_RETURN_FILE_CORRUPTED, map[string]string{"field": "sha256"}, record(corrupted)},
		{reliefv1.Reason_REASON_RETURN_LINE_UNKNOWN, map[string]string{"line": "3"}, record(answering(t, batch, good, line(uuid.NewString(), "20.00", "00")))},
		{reliefv1.Reason_REASON_RETURN_LINE_REPEATED, map[string]string{"line": "4"}, record(answering(t, batch, good, line(two, "20.00", "00"), line(back, "30.00", "00")))},
		{reliefv1.Reason_REASON_RETURN_AMOUNT_DIFFERS, map[string]string{"line": "3"}, record(answering(t, batch, good, line(two, "20.01", "00")))},
		{reliefv1.Reason_REASON_PAYEE_UNCHANGED, map[string]string{"field": "payee"}, func() error {
			_, err := h.at(t, finance).RepayPayment(paying(t, preparer), &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: back, Payee: payee(account)})
			return err
		}},
		{reliefv1.Reason_REASON_FILE_OFFSET_OUTSIDE, map[string]string{"size_bytes": strconv.FormatInt(size, 10)}, func() error {
			_, err := h.at(t, finance).read.GetBatchFile(paying(t, ""), &reliefv1.GetBatchFileRequest{BatchId: batch, Offset: size + 1})
			return err
		}},
	}
}

// unconfirmed decides in production, on an amount that nobody has confirmed.
func (h *house) unconfirmed(t *testing.T) []refusal {
	t.Helper()
	p := newProduction(t)
	id := p.submit(t, 1000)
	return []refusal{{reliefv1.Reason_REASON_PLACEHOLDER_AMOUNT, map[string]string{"entry": "dibao_month"}, func() error {
		return p.unchanged(t, "in production", p.decided(t, confirming(id)))
	}}}
}

// today makes lines of a bank's return of the day it is.
func (h *house) today(t *testing.T) func(payment, yuan, result string) string {
	day := calendar.Today(h.now(t)).String()
	return func(payment, yuan, result string) string { return lineOf(payment, yuan, result, day) }
}
