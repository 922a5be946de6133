package relief_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// until moves business time to a moment and fires what is due by then.
func (h *house) until(t *testing.T, at time.Time) {
	t.Helper()
	_, err := h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_To{To: timestamppb.New(at)}})
	ok(t, err)
}

// by is a call of an officer's for a decision on relief.
func by(t *testing.T, officer string) context.Context {
	return client.By(client.For(t.Context(), accessv1.Purpose_PURPOSE_RELIEF_DECISION), officer)
}

func withdrawing(id string, grounds reliefv1.EndGrounds) *reliefv1.WithdrawApplicationRequest {
	return &reliefv1.WithdrawApplicationRequest{RequestId: request(), ApplicationId: id, Grounds: grounds}
}

// Nobody is paid who is nobody, and nobody twice under two ids.
func TestMoneyGoesToAChildOfTheRegistryOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nobody, twin, child := uuid.NewString(), uuid.NewString(), uuid.NewString()
	h.stands(nobody, "")
	refused(t, h.unchanged(t, "for nobody", h.submitting(t, asking(nobody, 1000))), "BENEFICIARY_UNKNOWN")
	household := asking(child, 1000)
	household.BeneficiaryKind = reliefv1.BeneficiaryKind_BENEFICIARY_KIND_HOUSEHOLD
	refused(t, h.unchanged(t, "for a household nobody keeps", h.submitting(t, household)), "BENEFICIARY_UNKNOWN")

	// Two applications under two ids, before the registry knows that they are one child.
	one, err := h.at(t, township).SubmitApplication(deciding(t), asking(twin, 1000))
	ok(t, err)
	two, err := h.at(t, township).SubmitApplication(deciding(t), asking(child, 1000))
	ok(t, err)
	third, err := h.at(t, township).SubmitApplication(deciding(t), asking(uuid.NewString(), 1000))
	ok(t, err)
	paid, err := h.at(t, township).DecideApplication(deciding(t), confirming(one.GetStanding().GetId()))
	ok(t, err)
	h.stands(twin, child)
	again, err := h.at(t, township).DecideApplication(deciding(t), confirming(two.GetStanding().GetId()))
	ok(t, err)
	if again.GetOutcome() != reliefv1.Outcome_OUTCOME_REFUSED || paid.GetOutcome() != reliefv1.Outcome_OUTCOME_APPROVED {
		t.Errorf("decided %v, then %v", paid.GetOutcome(), again.GetOutcome())
	}
	_, metadata := reasonOf(h.unchanged(t, "under the old id", h.submitting(t, asking(twin, 1000))))
	if metadata["child_id"] != child {
		t.Errorf("told %v", metadata)
	}

	// A child that turned out to be another one while the application waited: it is given back and handed in for that one.
	waiting, id := h.application(t, third.GetStanding().GetId()), uuid.NewString()
	h.stands(waiting.GetBeneficiaryId(), id)
	refused(t, h.unchanged(t, "superseded", h.decided(t, confirming(third.GetStanding().GetId()))), "BENEFICIARY_SUPERSEDED")
	_, err = h.at(t, township).ReturnApplication(deciding(t), &reliefv1.ReturnApplicationRequest{RequestId: request(), ApplicationId: third.GetStanding().GetId(), Note: "对象已归并"})
	ok(t, err)
	q := asking("", 1000)
	q.ApplicationId = third.GetStanding().GetId()
	_, err = h.at(t, village).SubmitApplication(deciding(t), q)
	ok(t, err)
	if got := h.application(t, third.GetStanding().GetId()).GetBeneficiaryId(); got != id {
		t.Errorf("handed in for %s", got)
	}

	h.away(true)
	refused(t, h.unchanged(t, "the registry is away", h.decided(t, confirming(third.GetStanding().GetId()))), "UNAVAILABLE")
	refused(t, h.unchanged(t, "the registry is away", h.submitting(t, asking(uuid.NewString(), 1000))), "UNAVAILABLE")
	h.away(false)
	h.promises(t)
}

// One notion of a year: period and account are those of the decision, and what the same night's second application counts.
func TestTheYearIsThatOfTheDecision(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.at(t, finance).OpenBudget(paying(t, preparer), &reliefv1.OpenBudgetRequest{RequestId: request(), Programme: programme, Division: town, Year: 2027, AmountFen: 500000})
	if reason, _ := reasonOf(err); reason != "" && reason != "BUDGET_EXISTS" {
		t.Fatal(err)
	}
	h.until(t, time.Date(2026, 12, 31, 15, 30, 0, 0, time.UTC)) // 23:30
	child := uuid.NewString()
	before, err := h.at(t, township).SubmitApplication(deciding(t), asking(child, 1000))
	ok(t, err)
	h.until(t, time.Date(2026, 12, 31, 16, 20, 0, 0, time.UTC)) // 00:20
	after, err := h.at(t, township).SubmitApplication(deciding(t), asking(child, 1000))
	ok(t, err)
	h.until(t, time.Date(2026, 12, 31, 16, 30, 0, 0, time.UTC))
	decided, err := h.at(t, township).DecideApplication(deciding(t), confirming(before.GetStanding().GetId()))
	ok(t, err)
	account, err := h.at(t, finance).read.GetBudget(paying(t, ""), &reliefv1.GetBudgetRequest{BudgetAccountId: h.payment(t, decided.GetPaymentId()).GetBudgetAccountId()})
	ok(t, err)
	if period := h.payment(t, decided.GetPaymentId()).GetPeriod(); period != "2027/sudden_change" || account.GetBudgetAccount().GetYear() != 2027 {
		t.Errorf("period %s on the account of %d", period, account.GetBudgetAccount().GetYear())
	}
	for _, id := range []string{after.GetStanding().GetId(), ""} {
		if id == "" {
			id = h.submitFor(t, child)
		}
		answer, err := h.at(t, township).DecideApplication(deciding(t), confirming(id))
		ok(t, err)
		explained, err := h.at(t, township).read.ExplainDecision(deciding(t), &reliefv1.ExplainDecisionRequest{ApplicationId: id})
		ok(t, err)
		if answer.GetOutcome() != reliefv1.Outcome_OUTCOME_REFUSED || explained.GetDecision().GetRuleId() != programme+"/once" {
			t.Errorf("the second is %v by %s", answer.GetOutcome(), explained.GetDecision().GetRuleId())
		}
	}
	h.promises(t)
}

func (h *house) submitFor(t *testing.T, child string) string {
	t.Helper()
	answer, err := h.at(t, township).SubmitApplication(deciding(t), asking(child, 1000))
	ok(t, err)
	return answer.GetStanding().GetId()
}

// What the lead office has taken over it can decide, give back and end; and the township acts again on what it was given back.
func TestWhoHoldsAnApplicationMovesItOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	escalated := func() string {
		id := h.submit(t, 1000)
		h.pass(t, h.application(t, id).GetStanding())
		h.pass(t, h.application(t, id).GetStanding())
		if holder := h.application(t, id).GetStanding().GetHolder(); holder != lead {
			t.Fatalf("held by %s", holder)
		}
		return id
	}
	decided, back, ended := escalated(), escalated(), escalated()
	_, err := h.at(t, lead).read.GetApplication(by(t, "civil_affairs-4"), &reliefv1.GetApplicationRequest{ApplicationId: decided})
	ok(t, err)
	answer, err := h.at(t, lead).DecideApplication(by(t, "civil_affairs-4"), confirming(decided))
	ok(t, err)
	if answer.GetOutcome() != reliefv1.Outcome_OUTCOME_APPROVED {
		t.Errorf("decided %v", answer.GetOutcome())
	}
	_, err = h.at(t, lead).ReturnApplication(by(t, "civil_affairs-4"), &reliefv1.ReturnApplicationRequest{RequestId: request(), ApplicationId: back, Note: "请尽快办理"})
	ok(t, err)
	_, err = h.at(t, township).DecideApplication(deciding(t), confirming(back))
	ok(t, err)
	_, err = h.at(t, lead).WithdrawApplication(by(t, "civil_affairs-4"), withdrawing(ended, reliefv1.EndGrounds_END_GROUNDS_DIED))
	ok(t, err)
	if a := h.application(t, ended); a.GetState() != reliefv1.Application_STATE_WITHDRAWN || a.GetEnding().GetOfficer() != "civil_affairs-4" || a.GetStanding().GetHolder() != "" {
		t.Errorf("ended as %v", a)
	}
	h.promises(t)
}

// A village hands in what its referral has opened, and takes back what it handed in; not what another one did.
func TestAVillageHandsInAndTakesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	opened := h.opened(t, uuid.NewString())
	q := asking("", 1000)
	q.ApplicationId = opened.GetStanding().GetId()
	_, err := h.at(t, village).SubmitApplication(deciding(t), q)
	ok(t, err)
	foreign := h.submit(t, 1000)
	refused(t, h.unchanged(t, "the township's", func() error {
		_, err := h.at(t, village).WithdrawApplication(deciding(t), withdrawing(foreign, reliefv1.EndGrounds_END_GROUNDS_MISTAKE))
		return err
	}), "NOT_HOLDER")
	refused(t, h.unchanged(t, "another village", func() error {
		_, err := h.at(t, "village/320411101204").WithdrawApplication(deciding(t), withdrawing(opened.GetStanding().GetId(), reliefv1.EndGrounds_END_GROUNDS_MISTAKE))
		return err
	}), "NOT_FOUND")
	_, err = h.at(t, village).WithdrawApplication(deciding(t), withdrawing(opened.GetStanding().GetId(), reliefv1.EndGrounds_END_GROUNDS_APPLICANT_WITHDREW))
	ok(t, err)
	h.promises(t)
}

// Every step of the money has a way back, and the money is free again for the next.
func TestMoneyComesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	why := reliefv1.EndGrounds_END_GROUNDS_MISTAKE
	child := uuid.NewString()
	id := h.submitFor(t, child)
	decided, err := h.at(t, township).DecideApplication(deciding(t), confirming(id))
	ok(t, err)
	b := h.freeze(t, decided.GetPaymentId())
	refused(t, h.unchanged(t, "in a batch", func() error {
		_, err := h.at(t, township).WithdrawApplication(deciding(t), withdrawing(id, why))
		return err
	}), "PAYMENT_IN_BATCH")
	cancel := &reliefv1.CancelBatchRequest{RequestId: request(), BatchId: b.GetStanding().GetId(), Grounds: reliefv1.EndGrounds_END_GROUNDS_NOT_APPROVED}
	_, err = h.at(t, lead).CancelBatch(paying(t, second), cancel)
	ok(t, err)
	if p := h.payment(t, decided.GetPaymentId()); p.GetState() != reliefv1.Payment_STATE_APPROVED || p.GetBatchId() != "" {
		t.Errorf("after the batch: %v in %q", p.GetState(), p.GetBatchId())
	}
	h.holds(t, "the batch was cancelled", 1000, 0)
	_, err = h.at(t, township).WithdrawApplication(deciding(t), withdrawing(id, why))
	ok(t, err)
	h.holds(t, "the application was withdrawn", 0, 0)
	next, err := h.at(t, township).DecideApplication(deciding(t), confirming(h.submitFor(t, child)))
	ok(t, err)
	if next.GetOutcome() != reliefv1.Outcome_OUTCOME_APPROVED {
		t.Fatalf("the next one is %v", next.GetOutcome())
	}
	h.record(t, answering(t, h.exported(t, next.GetPaymentId()), line(next.GetPaymentId(), "10.00", "03")))
	_, err = h.at(t, finance).CancelPayment(paying(t, preparer), &reliefv1.CancelPaymentRequest{RequestId: request(), PaymentId: next.GetPaymentId(), Grounds: reliefv1.EndGrounds_END_GROUNDS_DIED})
	ok(t, err)
	h.holds(t, "the returned payment was cancelled", 0, 0)
	h.promises(t)
}

// A return that was cut at a line end, and then comes whole, is taken; physical lines and columns are told.
func TestAReturnThatWasCutComesAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.approved(t, 1000), h.approved(t, 2000)
	batch := h.exported(t, one, two)
	h.record(t, answering(t, batch, line(one, "10.00", "00")))
	for name, c := range map[string]struct{ lines, reason, line, column string }{
		"answered otherwise": {line(one, "10.00", "01"), "RETURN_LINE_REPEATED", "2", ""},
		"blank lines count":  {"\r\n\r\n\r\n" + line(two, "20.00", "77"), "RETURN_FILE_UNREADABLE", "5", "3"},
		"the next century":   {two + ",20.00,00,2099-01-01", "RETURN_DATE_IMPLAUSIBLE", "2", "4"},
		"the first year":     {two + ",20.00,00,0001-01-01", "RETURN_DATE_IMPLAUSIBLE", "2", "4"},
		"yesterday":          {two + ",20.00,00,2026-03-01", "RETURN_DATE_IMPLAUSIBLE", "2", "4"},
		"a column short":     {two + ",20.00,00", "RETURN_FILE_UNREADABLE", "2", "4"},
	} {
		reason, metadata := reasonOf(h.unchanged(t, name, func() error {
			_, err := h.at(t, finance).RecordBankReturn(paying(t, preparer), answering(t, batch, c.lines))
			return err
		}))
		if reason != c.reason || metadata["line"] != c.line || metadata["column"] != c.column {
			t.Errorf("%s: %s at %v", name, reason, metadata)
		}
	}
	whole := strings.Join([]string{line(one, "10.00", "00"), line(two, "20.00", "00")}, "\r\n")
	answer := h.record(t, answering(t, batch, whole))
	if answer.GetRepeatedCount() != 1 || answer.GetSettledCount() != 1 || answer.GetOpenCount() != 0 || answer.GetState() != reliefv1.Batch_STATE_SETTLED {
		t.Errorf("answered %v", answer)
	}
	answer = h.record(t, answering(t, batch, whole))
	if answer.GetRepeatedCount() != 2 || answer.GetSettledCount() != 0 || answer.GetState() != reliefv1.Batch_STATE_SETTLED {
		t.Errorf("once more: %v", answer)
	}
	h.holds(t, "all", 0, 3000)
	h.promises(t)
}

// Whatever moves money or decides on relief names an officer.
func TestWhoMovesMoneyIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id, free := h.submit(t, 1000), h.approved(t, 1000)
	frozen := h.freeze(t, h.approved(t, 1000))
	ready := h.freeze(t, h.approved(t, 1000))
	h.approve(t, ready)
	back := h.approved(t, 1000)
	out := h.exported(t, back)
	money, anonymous := h.at(t, finance), paying(t, "")
	decider := newDesk(h.dial(t, h.address, "relief", identity.OfUnit(domain, township, "main")))
	h.record(t, answering(t, out, line(back, "10.00", "01")))
	why := reliefv1.EndGrounds_END_GROUNDS_MISTAKE
	for name, call := range map[string]func() error{
		"decide":   func() error { _, err := decider.DecideApplication(deciding(t), confirming(id)); return err },
		"withdraw": func() error { _, err := decider.WithdrawApplication(deciding(t), withdrawing(id, why)); return err },
		"return": func() error {
			_, err := decider.ReturnApplication(deciding(t), &reliefv1.ReturnApplicationRequest{RequestId: request(), ApplicationId: id, Note: "x"})
			return err
		},
		"open": func() error {
			_, err := money.OpenBudget(anonymous, &reliefv1.OpenBudgetRequest{RequestId: request(), Programme: programme, Division: town, Year: 2031, AmountFen: 1})
			return err
		},
		"freeze": func() error {
			_, err := money.FreezeBatch(anonymous, &reliefv1.FreezeBatchRequest{RequestId: request(), PaymentIds: []string{free}})
			return err
		},
		"approve": func() error { _, err := money.ApproveBatch(anonymous, approving(frozen)); return err },
		"export": func() error {
			_, err := money.ExportBatch(anonymous, exporting(ready.GetStanding().GetId()))
			return err
		},
		"record": func() error {
			_, err := money.RecordBankReturn(anonymous, answering(t, out, line(back, "10.00", "01")))
			return err
		},
		"repay": func() error {
			_, err := money.RepayPayment(anonymous, &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: back, Payee: payee(otherAccount)})
			return err
		},
		"cancel the payment": func() error {
			_, err := money.CancelPayment(anonymous, &reliefv1.CancelPaymentRequest{RequestId: request(), PaymentId: free, Grounds: why})
			return err
		},
		"cancel the batch": func() error {
			_, err := money.CancelBatch(anonymous, &reliefv1.CancelBatchRequest{RequestId: request(), BatchId: frozen.GetStanding().GetId(), Grounds: why})
			return err
		},
	} {
		refused(t, h.unchanged(t, name, call), "OFFICER_REQUIRED")
	}
	h.promises(t)
}
