package storm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/idcode"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/suite/journey"
)

const programme = "templief_fast"

// causes of one-off relief: with the beneficiary and the year one of them is what is paid once.
var causes = [...]string{"sudden_change", "accidental_injury", "major_illness"}

// beneficiary is one of the few children of a place, so that applications for one cause meet: found in the ledger, or registered by its village.
func beneficiary(a *actor, p place, place, n int) (child string, ok bool) {
	born := calendar.Date{Year: 2012 + n/336%4, Month: time.Month(1 + n%12), Day: 1 + n/12%28}
	number := idcode.MakeIDNumber("320402", born, place%499*2)
	village := who{p.hamlet, p.director, "LEDGER_KEEPING"}
	found, ok := read(a, village, registryv1.RegistryReadService_FindChild_FullMethodName, &registryv1.FindChildRequest{IdNumber: number}, &registryv1.FindChildResponse{})
	if ok {
		return found.GetChildId(), true
	}
	made, ok := mutate(a, village, registryv1.RegistryService_RegisterChild_FullMethodName, &registryv1.RegisterChildRequest{Child: &registryv1.Child{
		Division: p.village, Person: &personv1.Person{Name: "测试儿童", IdNumber: number}, Registration: registryv1.Registration_REGISTRATION_RURAL,
	}}, &registryv1.RegisterChildResponse{})
	return made.GetChildId(), ok
}

// applications asks for relief and decides. The accounts of the first two places are asked for more than they hold.
func applications(s *Storm, a *actor) {
	for !a.over() {
		n := a.n(len(s.world.places))
		p := s.world.places[n]
		amount := int64(500 + a.n(2000))
		if n < 2 {
			amount = int64(80_000 + a.n(30_000))
		}
		if child, ok := beneficiary(a, p, n, a.n(400)); ok {
			s.decide(a, p, "", child, amount)
		}
		if a.n(4) == 0 {
			s.balance(a)
		}
	}
}

// decide submits an application, a new one or the one that a referral has opened for its child, and has another officer grant it.
func (s *Storm) decide(a *actor, p place, application, child string, amount int64) bool {
	submitted, ok := mutate(a, who{p.township, p.supervisor, "RELIEF_DECISION"}, reliefv1.ReliefService_SubmitApplication_FullMethodName,
		&reliefv1.SubmitApplicationRequest{
			ApplicationId: application, Programme: programme, Division: p.village, BeneficiaryKind: reliefv1.BeneficiaryKind_BENEFICIARY_KIND_CHILD,
			BeneficiaryId: child, AmountFen: amount, Narrative: "祖母住院。",
			Applicant: &reliefv1.Applicant{Name: "测试申请人", Relation: reliefv1.ApplicantRelation_APPLICANT_RELATION_ENTRUSTED_CARER},
			Payee:     &reliefv1.Payee{Name: "测试申请人", AccountNumber: "6228480000000000007", BankCode: "103304000018"},
			Facts: []*reliefv1.Fact{
				{Name: "emergency_kind", Value: &reliefv1.Fact_TextValue{TextValue: causes[a.n(len(causes))]}},
				{Name: "happened_in_district", Value: &reliefv1.Fact_BoolValue{BoolValue: true}},
			},
		}, &reliefv1.SubmitApplicationResponse{})
	if !ok || a.n(12) == 0 { // or it is left to its deadline
		return false
	}
	_, ok = mutate(a, who{p.township, p.leader, "RELIEF_DECISION"}, reliefv1.ReliefService_DecideApplication_FullMethodName,
		&reliefv1.DecideApplicationRequest{
			ApplicationId: submitted.GetStanding().GetId(),
			Facts:         []*reliefv1.Fact{{Name: "emergency_confirmed", Value: &reliefv1.Fact_BoolValue{BoolValue: true}}},
		}, &reliefv1.DecideApplicationResponse{})
	return ok
}

// balance reads an account, for the checker of its history.
func (s *Storm) balance(a *actor) {
	listed, ok := read(a, who{"finance", "finance-2", "PAYMENT"}, reliefv1.ReliefReadService_ListBudgets_FullMethodName,
		&reliefv1.ListBudgetsRequest{}, &reliefv1.ListBudgetsResponse{})
	if budgets := listed.GetBudgetAccounts(); ok && len(budgets) > 0 {
		read(a, who{"finance", "finance-2", "PAYMENT"}, reliefv1.ReliefReadService_GetBudget_FullMethodName,
			&reliefv1.GetBudgetRequest{BudgetAccountId: budgets[a.n(len(budgets))].GetId()}, &reliefv1.GetBudgetResponse{})
	}
}

// batches pays: several payers freeze what is approved, some of the same payments at once; the bank returns one line in five.
func batches(s *Storm, a *actor) {
	preparer, approver := who{"finance", "finance-2", "PAYMENT"}, who{"finance", "finance-3", "PAYMENT"}
	for !a.over() {
		a.rest(time.Duration(200+a.n(800)) * time.Millisecond)
		listed, ok := read(a, preparer, reliefv1.ReliefReadService_ListPayments_FullMethodName,
			&reliefv1.ListPaymentsRequest{State: reliefv1.Payment_STATE_APPROVED, PageSize: int32(1 + a.n(20))}, &reliefv1.ListPaymentsResponse{})
		if !ok || len(listed.GetPayments()) == 0 {
			continue
		}
		var ids []string
		for _, p := range listed.GetPayments() {
			ids = append(ids, p.GetStanding().GetId())
		}
		frozen, ok := mutate(a, preparer, reliefv1.ReliefService_FreezeBatch_FullMethodName,
			&reliefv1.FreezeBatchRequest{PaymentIds: ids}, &reliefv1.FreezeBatchResponse{})
		if !ok {
			continue
		}
		approve := func(w who) bool {
			_, ok := mutate(a, w, reliefv1.ReliefService_ApproveBatch_FullMethodName,
				&reliefv1.ApproveBatchRequest{BatchId: frozen.GetStanding().GetId(), Digest: frozen.GetDigest()}, &reliefv1.ApproveBatchResponse{})
			return ok
		}
		if approve(approver) && approve(who{"civil_affairs", "civil_affairs-5", "PAYMENT"}) {
			s.export(a, preparer, frozen.GetStanding().GetId())
		}
	}
}

// export hands the file to the bank and records what it returns.
func (s *Storm) export(a *actor, preparer who, batch string) {
	if _, ok := mutate(a, preparer, reliefv1.ReliefService_ExportBatch_FullMethodName,
		&reliefv1.ExportBatchRequest{BatchId: batch}, &reliefv1.ExportBatchResponse{}); !ok {
		return
	}
	file, ok := read(a, preparer, reliefv1.ReliefReadService_GetBatchFile_FullMethodName, &reliefv1.GetBatchFileRequest{BatchId: batch}, &reliefv1.GetBatchFileResponse{})
	now, err := s.world.now(a.ctx)
	if !ok || err != nil || a.n(8) == 0 { // or the bank is silent
		return
	}
	var failed, paid []string
	returned, err := journey.BankReturn(s.world.district.Bank(), file.GetContent(), now, func(payment string) string {
		if a.n(5) > 0 {
			paid = append(paid, payment)
			return "00"
		}
		failed = append(failed, payment)
		return "01"
	})
	if err != nil {
		s.report("files.identical", fmt.Sprintf("the bank cannot read the file of batch %s: %v", batch, err))
		return
	}
	digest := sha256.Sum256(returned)
	s.mu.Lock()
	s.settled[hex.EncodeToString(digest[:])] = paid
	s.mu.Unlock()
	if _, ok := mutate(a, preparer, reliefv1.ReliefService_RecordBankReturn_FullMethodName, &reliefv1.RecordBankReturnRequest{
		BatchId: batch, Content: returned, Sha256: hex.EncodeToString(digest[:]),
	}, &reliefv1.RecordBankReturnResponse{}); !ok {
		return
	}
	for _, payment := range failed {
		mutate(a, preparer, reliefv1.ReliefService_RepayPayment_FullMethodName, &reliefv1.RepayPaymentRequest{
			PaymentId: payment, Payee: &reliefv1.Payee{Name: "测试更正", AccountNumber: "6228480000000000015", BankCode: "103304000018"},
		}, &reliefv1.RepayPaymentResponse{})
	}
}
