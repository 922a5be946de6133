package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/name"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// approvals is how many officers must approve a batch.
const approvals = 2

// approverTitle is the title of officers who approve payments.
const approverTitle = "payment_approver"

// Freeze fixes payments as the lines of a batch, in their order.
//
// Errors: OFFICER_REQUIRED, PAYMENT_NOT_FREE, PROGRAMMES_MIXED.
func Freeze(d *district.District, id string, payments []*reliefv1.Payment, act Act) (*reliefv1.Batch, error) {
	if err := byOfficer(act); err != nil {
		return nil, err
	}
	b := &reliefv1.Batch{
		Standing: &custodyv1.Standing{Id: id}, State: reliefv1.Batch_STATE_FROZEN, Division: d.Code(), Programme: payments[0].GetProgramme(),
		LineCount: int32(len(payments)), PrepareUnit: act.Unit, PrepareOfficer: act.Officer,
	}
	toApprove(d, b.GetStanding(), act.Now)
	for i, p := range payments {
		if p.GetState() != reliefv1.Payment_STATE_APPROVED {
			return nil, fault.New(reliefv1.Reason_REASON_PAYMENT_NOT_FREE, "the payment does not wait for a batch",
				"payment_id", p.GetStanding().GetId(), "state", strings.TrimPrefix(p.GetState().String(), "STATE_"))
		}
		if p.GetProgramme() != b.GetProgramme() {
			return nil, fieldFault(reliefv1.Reason_REASON_PROGRAMMES_MIXED, "payment_ids["+strconv.Itoa(i)+"]", "is of another programme")
		}
		if name.ForBank(p.GetPayee().GetName(), d.Bank().Encoding) != nil {
			return nil, fault.Invalid("payment_ids["+strconv.Itoa(i)+"]", "the payee's name cannot be written for the bank")
		}
		p.State, p.BatchId, p.LineNumber = reliefv1.Payment_STATE_FROZEN, id, int32(i+1)
		toApprove(d, p.GetStanding(), act.Now)
		b.TotalFen += p.GetAmountFen()
	}
	b.Digest = digest(payments)
	return b, nil
}

// digest stands for the content of a batch: id, payee and amount of each line.
func digest(payments []*reliefv1.Payment) string {
	h := sha256.New()
	for _, p := range payments {
		for _, part := range []string{
			p.GetStanding().GetId(), p.GetPayee().GetName(), p.GetPayee().GetAccountNumber(), p.GetPayee().GetBankCode(), strconv.FormatInt(p.GetAmountFen(), 10),
		} {
			_, _ = fmt.Fprintf(h, "%d:%s;", len(part), part)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Approve adds an officer's approval; the second one makes the batch ready for the bank.
//
// Errors: STATE_FORBIDS, OFFICER_REQUIRED, APPROVER_IS_PREPARER, APPROVER_REPEATED, APPROVER_NOT_ENTITLED, DIGEST_MISMATCH.
func Approve(d *district.District, b *reliefv1.Batch, seen string, act Act) error {
	officer, known := d.Officer(act.Officer)
	switch {
	case act.Officer == "":
		return fault.New(reliefv1.Reason_REASON_OFFICER_REQUIRED, "name the officer")
	case b.GetState() != reliefv1.Batch_STATE_FROZEN:
		return fault.StateForbids(strings.TrimPrefix(b.GetState().String(), "STATE_"), "approve")
	case act.Officer == b.GetPrepareOfficer():
		return fault.New(reliefv1.Reason_REASON_APPROVER_IS_PREPARER, "who froze the batch cannot approve it", "officer", act.Officer)
	case slices.ContainsFunc(b.GetApprovals(), func(a *reliefv1.Approval) bool { return a.GetOfficer() == act.Officer }):
		return fault.New(reliefv1.Reason_REASON_APPROVER_REPEATED, "the officer has approved already", "officer", act.Officer)
	case !known || officer.Title != approverTitle:
		return fault.New(reliefv1.Reason_REASON_APPROVER_NOT_ENTITLED, "the officer's title does not approve payments", "officer", act.Officer, "title", officer.Title)
	case seen != b.GetDigest():
		return fault.New(reliefv1.Reason_REASON_DIGEST_MISMATCH, "the batch is not the one that was seen", "digest", b.GetDigest())
	}
	b.Approvals = append(b.Approvals, &reliefv1.Approval{Unit: act.Unit, Officer: act.Officer, ApproveTime: timestamppb.New(act.Now), Digest: seen})
	if len(b.GetApprovals()) == approvals {
		b.State = reliefv1.Batch_STATE_APPROVED
	}
	return nil
}

// Export hands an approved batch and its payments to the bank.
//
// Errors: OFFICER_REQUIRED, STATE_FORBIDS, PLACEHOLDER_AMOUNT.
func Export(d *district.District, b *reliefv1.Batch, payments []*reliefv1.Payment, production bool, act Act) (content []byte, err error) {
	now := act.Now
	if err := byOfficer(act); err != nil {
		return nil, err
	}
	if b.GetState() != reliefv1.Batch_STATE_APPROVED {
		return nil, fault.StateForbids(strings.TrimPrefix(b.GetState().String(), "STATE_"), "export")
	}
	placeholder := d.Bank().Status == district.StatusPlaceholder
	if placeholder && production {
		return nil, fault.New(reliefv1.Reason_REASON_PLACEHOLDER_AMOUNT, "the bank's layout is not confirmed", "entry", "bank")
	}
	if content, err = BankFile(d.Bank(), payments); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	b.State = reliefv1.Batch_STATE_EXPORTED
	b.File = &reliefv1.BatchFile{
		FileName: b.GetProgramme() + "-" + b.GetStanding().GetId() + ".csv", SizeBytes: int64(len(content)), Sha256: hex.EncodeToString(sum[:]),
		Encoding: d.Bank().Encoding, ExportTime: timestamppb.New(now), PlaceholderLayout: placeholder,
	}
	deadline := d.Deadline(district.ClockBankReturn, now)
	custody.Meet(b.GetStanding(), district.ClockPaymentApprove)
	custody.Extend(b.GetStanding(), deadline, district.ClockBankReturn)
	for _, p := range payments {
		p.State = reliefv1.Payment_STATE_EXPORTED
		custody.Meet(p.GetStanding(), district.ClockPaymentApprove)
		custody.Extend(p.GetStanding(), deadline, district.ClockBankReturn)
	}
	return content, nil
}

// Settle takes the bank's answer to one payment of a batch: paid closes it, anything else gives it back to be corrected.
func Settle(d *district.District, b *reliefv1.Batch, p *reliefv1.Payment, answer Answer, now time.Time) (paid bool) {
	result, _ := d.Bank().Result(answer.Code)
	p.BankResult, p.ValueDate = answer.Code, answer.ValueDate
	if result.Paid() {
		p.State = reliefv1.Payment_STATE_SETTLED
		custody.Close(p.GetStanding())
		b.SettledCount++
		return true
	}
	p.State = reliefv1.Payment_STATE_RETURNED
	toApprove(d, p.GetStanding(), now)
	b.ReturnedCount++
	return false
}

// Returning refuses a bank's answer to a batch that is not with the bank, or that nobody hands in. A batch whose lines are all answered is
// still asked: the bank may send its file again.
//
// Errors: OFFICER_REQUIRED, STATE_FORBIDS.
func Returning(b *reliefv1.Batch, act Act) error {
	if err := byOfficer(act); err != nil {
		return err
	}
	if b.GetState() != reliefv1.Batch_STATE_EXPORTED && b.GetState() != reliefv1.Batch_STATE_SETTLED {
		return fault.StateForbids(strings.TrimPrefix(b.GetState().String(), "STATE_"), "record a return")
	}
	return nil
}

// OpenAccount refuses to set money aside in nobody's name.
//
// Errors: OFFICER_REQUIRED.
func OpenAccount(act Act) error { return byOfficer(act) }

// Answered closes a batch whose lines have all been answered and reports whether it did.
func Answered(b *reliefv1.Batch) bool {
	if b.GetState() != reliefv1.Batch_STATE_EXPORTED || b.GetSettledCount()+b.GetReturnedCount() < b.GetLineCount() {
		return false
	}
	b.State = reliefv1.Batch_STATE_SETTLED
	custody.Close(b.GetStanding())
	return true
}

// Paid closes an application whose payment has reached the payee.
func Paid(a *reliefv1.Application) {
	a.State = reliefv1.Application_STATE_PAID
	custody.Close(a.GetStanding())
}

// Repay replaces a returned payment by one to a corrected account. The money stays reserved, now for the new one.
//
// Errors: OFFICER_REQUIRED, STATE_FORBIDS, FIELD_INVALID, PAYEE_UNCHANGED.
func Repay(d *district.District, old *reliefv1.Payment, id string, payee *reliefv1.Payee, act Act) (*reliefv1.Payment, error) {
	now := act.Now
	if err := byOfficer(act); err != nil {
		return nil, err
	}
	if old.GetState() != reliefv1.Payment_STATE_RETURNED {
		return nil, fault.StateForbids(strings.TrimPrefix(old.GetState().String(), "STATE_"), "repay")
	}
	if proto.Equal(old.GetPayee(), payee) {
		return nil, fieldFault(reliefv1.Reason_REASON_PAYEE_UNCHANGED, "payee", "is the one the bank has refused")
	}
	if err := checkPayee(d.Bank(), payee); err != nil {
		return nil, err
	}
	p := &reliefv1.Payment{
		Standing: &custodyv1.Standing{Id: id, MatterId: old.GetStanding().GetMatterId()}, State: reliefv1.Payment_STATE_APPROVED, Division: old.GetDivision(),
		ApplicationId: old.GetApplicationId(), DecisionId: old.GetDecisionId(), Programme: old.GetProgramme(), BeneficiaryId: old.GetBeneficiaryId(),
		Period: old.GetPeriod(), Attempt: old.GetAttempt() + 1, AmountFen: old.GetAmountFen(), Payee: payee, BudgetAccountId: old.GetBudgetAccountId(),
		ReplacesPaymentId: old.GetStanding().GetId(),
	}
	toApprove(d, p.GetStanding(), now)
	old.State, old.ReplacedByPaymentId = reliefv1.Payment_STATE_REPLACED, id
	custody.Close(old.GetStanding())
	return p, nil
}

// toApprove makes the lead office the holder of money that is to be approved and handed to the bank. The clock runs from the first such
// moment until the export: freezing, approving and freezing anew win it no time.
func toApprove(d *district.District, s *custodyv1.Standing, now time.Time) {
	custody.Hold(s, d.LeadOffice())
	custody.Start(s, district.ClockPaymentApprove, now, d.Deadline(district.ClockPaymentApprove, now))
	if !custody.Running(s) {
		custody.Extend(s, d.Deadline(district.ClockOverdueReview, now), district.ClockOverdueReview)
	}
}

// Expire marks what is due of an item as missed. The township's application goes up to the lead office with its second missed
// deadline; what the lead office holds stays its own and goes on the agenda. It answers what happened.
func Expire(d *district.District, s *custodyv1.Standing, now time.Time) string {
	earlier := custody.Overdue(s)
	custody.Miss(s, now)
	switch {
	case earlier && s.GetHolder() != d.LeadOffice():
		custody.Set(s, d.LeadOffice(), d.Deadline(district.ClockLeadResolve, now), district.ClockLeadResolve)
		return "escalated"
	case !custody.Running(s):
		custody.Extend(s, d.Deadline(district.ClockOverdueReview, now), district.ClockOverdueReview)
	}
	return "overdue"
}
