package relief_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/text/encoding/simplifiedchinese"

	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief"
)

func text(name, value string) *reliefv1.Fact {
	return &reliefv1.Fact{Name: name, Value: &reliefv1.Fact_TextValue{TextValue: value}}
}

func yes(name string) *reliefv1.Fact {
	return &reliefv1.Fact{Name: name, Value: &reliefv1.Fact_BoolValue{BoolValue: true}}
}

func payee(account string) *reliefv1.Payee {
	return &reliefv1.Payee{Name: "钱雨欣", AccountNumber: account, BankCode: "103304000018"}
}

const account, otherAccount = "6228480000000001", "6228480000000002"

// asking is an application for a child, complete but for the confirmation.
func asking(child string, fen int64) *reliefv1.SubmitApplicationRequest {
	return &reliefv1.SubmitApplicationRequest{
		RequestId: request(), Programme: programme, Division: "320411101201", BeneficiaryId: child,
		BeneficiaryKind: reliefv1.BeneficiaryKind_BENEFICIARY_KIND_CHILD,
		Applicant:       &reliefv1.Applicant{Name: "钱雨欣", Relation: reliefv1.ApplicantRelation_APPLICANT_RELATION_ENTRUSTED_CARER},
		Payee:           payee(account), AmountFen: fen, Narrative: "祖母住院",
		Facts: []*reliefv1.Fact{text("emergency_kind", "sudden_change"), yes("happened_in_district")},
	}
}

// submit hands in an application of an unknown child and gives its id.
func (h *house) submit(t *testing.T, fen int64) string {
	t.Helper()
	answer, err := h.at(t, township).SubmitApplication(deciding(t), asking(uuid.NewString(), fen))
	ok(t, err)
	return answer.GetStanding().GetId()
}

func confirming(application string) *reliefv1.DecideApplicationRequest {
	return &reliefv1.DecideApplicationRequest{RequestId: request(), ApplicationId: application, Facts: []*reliefv1.Fact{yes("emergency_confirmed")}}
}

// approved is a payment that waits for a batch.
func (h *house) approved(t *testing.T, fen int64) (payment string) {
	t.Helper()
	answer, err := h.at(t, township).DecideApplication(deciding(t), confirming(h.submit(t, fen)))
	ok(t, err)
	return answer.GetPaymentId()
}

func (h *house) freeze(t *testing.T, payments ...string) *reliefv1.FreezeBatchResponse {
	t.Helper()
	answer, err := h.at(t, finance).FreezeBatch(paying(t, preparer), &reliefv1.FreezeBatchRequest{RequestId: request(), PaymentIds: payments})
	ok(t, err)
	return answer
}

func approving(b *reliefv1.FreezeBatchResponse) *reliefv1.ApproveBatchRequest {
	return &reliefv1.ApproveBatchRequest{RequestId: request(), BatchId: b.GetStanding().GetId(), Digest: b.GetDigest()}
}

// approve lets two officers of two units approve a batch.
func (h *house) approve(t *testing.T, b *reliefv1.FreezeBatchResponse) {
	t.Helper()
	_, err := h.at(t, finance).ApproveBatch(paying(t, first), approving(b))
	ok(t, err)
	answer, err := h.at(t, lead).ApproveBatch(paying(t, second), approving(b))
	ok(t, err)
	if answer.GetState() != reliefv1.Batch_STATE_APPROVED {
		t.Fatalf("approved by two, and %v", answer.GetState())
	}
}

func exporting(batch string) *reliefv1.ExportBatchRequest {
	return &reliefv1.ExportBatchRequest{RequestId: request(), BatchId: batch}
}

// exported is a batch that is with the bank.
func (h *house) exported(t *testing.T, payments ...string) (batch string) {
	t.Helper()
	b := h.freeze(t, payments...)
	h.approve(t, b)
	_, err := h.at(t, finance).ExportBatch(paying(t, preparer), exporting(b.GetStanding().GetId()))
	ok(t, err)
	return b.GetStanding().GetId()
}

// download reads a batch's file by the stream, and demands that its description comes once and its chunks join up.
func (h *house) download(t *testing.T, unit, batch string) []byte {
	t.Helper()
	stream, err := h.at(t, unit).read.DownloadBatchFile(paying(t, preparer), &reliefv1.DownloadBatchFileRequest{BatchId: batch})
	ok(t, err)
	var content []byte
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return content
		}
		ok(t, err)
		if part.GetOffset() != int64(len(content)) || (part.GetFile() != nil) != (part.GetOffset() == 0) {
			t.Errorf("chunk at %d of %d describes the file: %t", part.GetOffset(), len(content), part.GetFile() != nil)
		}
		content = append(content, part.GetContent()...)
	}
}

// line is one line of a bank's return.
func line(payment, yuan, result string) string { return lineOf(payment, yuan, result, "2026-03-02") }

// lineOf is one of a day.
func lineOf(payment, yuan, result, day string) string {
	return strings.Join([]string{payment, yuan, result, day}, ",")
}

// answering is the bank's return of some lines, in the bank's encoding.
func answering(t *testing.T, batch string, lines ...string) *reliefv1.RecordBankReturnRequest {
	t.Helper()
	return returning(batch, encode(t, "业务编号,金额,处理结果,处理日期\r\n"+strings.Join(lines, "\r\n")+"\r\n"))
}

func encode(t *testing.T, content string) []byte {
	t.Helper()
	encoded, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(content))
	ok(t, err)
	return encoded
}

func returning(batch string, content []byte) *reliefv1.RecordBankReturnRequest {
	sum := sha256.Sum256(content)
	return &reliefv1.RecordBankReturnRequest{RequestId: request(), BatchId: batch, Content: content, Sha256: hex.EncodeToString(sum[:])}
}

func (h *house) record(t *testing.T, q *reliefv1.RecordBankReturnRequest) *reliefv1.RecordBankReturnResponse {
	t.Helper()
	answer, err := h.at(t, finance).RecordBankReturn(paying(t, preparer), q)
	ok(t, err)
	return answer
}

func (h *house) payment(t *testing.T, id string) *reliefv1.Payment {
	t.Helper()
	got, err := h.at(t, finance).read.GetPayment(paying(t, ""), &reliefv1.GetPaymentRequest{PaymentId: id})
	ok(t, err)
	return got.GetPayment()
}

func (h *house) application(t *testing.T, id string) *reliefv1.Application {
	t.Helper()
	got, err := h.at(t, township).read.GetApplication(deciding(t), &reliefv1.GetApplicationRequest{ApplicationId: id})
	ok(t, err)
	return got.GetApplication()
}

// account is the money of the tests' township and programme this year.
func (h *house) account(t *testing.T) *reliefv1.BudgetAccount {
	t.Helper()
	listed, err := h.at(t, finance).read.ListBudgets(paying(t, ""), &reliefv1.ListBudgetsRequest{Division: town, Programme: programme, Year: 2026})
	ok(t, err)
	if len(listed.GetBudgetAccounts()) != 1 {
		t.Fatalf("%d accounts", len(listed.GetBudgetAccounts()))
	}
	return listed.GetBudgetAccounts()[0]
}

// holds demands what is reserved and paid.
func (h *house) holds(t *testing.T, after string, reserved, paid int64) {
	t.Helper()
	if a := h.account(t); a.GetReservedFen() != reserved || a.GetPaidFen() != paid {
		t.Errorf("after %s: reserved %d, paid %d; want %d, %d", after, a.GetReservedFen(), a.GetPaidFen(), reserved, paid)
	}
}

// promises demands that nothing in the database breaks one of the five.
func (h *house) promises(t *testing.T) {
	t.Helper()
	h.settle(t)
	counts, err := relief.Promises(t.Context(), h.db, h.now(t))
	ok(t, err)
	for _, c := range counts {
		if c.Violations != 0 {
			t.Errorf("promise %d, %s: %d of %d", c.Promise, c.Name, c.Violations, c.Checked)
		}
	}
}

func same(t *testing.T, what string, a, b []byte) {
	t.Helper()
	if !bytes.Equal(a, b) {
		t.Errorf("%s: %d and %d bytes differ", what, len(a), len(b))
	}
}
