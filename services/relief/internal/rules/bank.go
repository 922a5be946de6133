package rules

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/name"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// BankFile writes payments in the bank's layout. The same payments give the same bytes.
func BankFile(layout district.Bank, payments []*reliefv1.Payment) ([]byte, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	w.Comma = rune(layout.Delimiter[0])
	w.UseCRLF = layout.LineEnd == "CRLF"
	var header []string
	for _, c := range layout.Export {
		header = append(header, c.Header)
	}
	if err := w.Write(header); err != nil {
		return nil, err
	}
	for i, p := range payments {
		values := map[string]string{
			"line_number": strconv.Itoa(i + 1), "payment_id": p.GetStanding().GetId(), "payee_name": p.GetPayee().GetName(),
			"account_number": p.GetPayee().GetAccountNumber(), "bank_code": p.GetPayee().GetBankCode(), "amount_yuan": yuan(p.GetAmountFen()),
			"purpose": "救助金",
		}
		var line []string
		for _, c := range layout.Export {
			line = append(line, values[c.From])
		}
		if err := w.Write(line); err != nil {
			return nil, err
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return nil, err
	}
	content, err := name.Encoding(layout.Encoding).NewEncoder().Bytes(text.Bytes())
	if err != nil {
		return nil, errors.New("rules: a line cannot be written in the bank's encoding")
	}
	return content, nil
}

func yuan(fen int64) string { return fmt.Sprintf("%d.%02d", fen/100, fen%100) }

// fenOf reads yuan with exactly two decimals.
func fenOf(s string) (int64, bool) {
	whole, cents, ok := strings.Cut(s, ".")
	if !ok || len(cents) != 2 || len(whole) == 0 || len(whole) > 12 {
		return 0, false
	}
	fen, err := strconv.ParseInt(whole+cents, 10, 64)
	return fen, err == nil && fen >= 0 && !strings.ContainsAny(s, "+-")
}

// Answer is one line of a bank's return.
type Answer struct {
	Line      int
	PaymentID string
	AmountFen int64
	Code      string
	ValueDate string
}

// ReadReturn reads a bank's return file, strictly: one wrong line refuses the whole.
//
// Errors: RETURN_FILE_UNREADABLE with the line.
func ReadReturn(layout district.Bank, content []byte) ([]Answer, error) {
	text, err := name.Encoding(layout.Encoding).NewDecoder().Bytes(content)
	if err != nil || bytes.ContainsRune(text, '\uFFFD') {
		return nil, unreadable(0)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = rune(layout.Delimiter[0])
	r.FieldsPerRecord = len(layout.Return)
	records, err := r.ReadAll()
	var at *csv.ParseError
	if errors.As(err, &at) {
		return nil, unreadable(at.Line)
	}
	if err != nil || len(records) < 2 {
		return nil, unreadable(1)
	}
	for i, c := range layout.Return {
		if records[0][i] != c.Header {
			return nil, unreadable(1)
		}
	}
	answers := make([]Answer, 0, len(records)-1)
	for n, record := range records[1:] {
		values := map[string]string{}
		for i, c := range layout.Return {
			values[c.From] = record[i]
		}
		fen, ok := fenOf(values["amount_yuan"])
		_, known := layout.Result(values["result"])
		day, dated := values["value_date"]
		_, err := calendar.ParseDate(day)
		if !ok || !known || dated && err != nil {
			return nil, unreadable(n + 2)
		}
		answers = append(answers, Answer{n + 2, values["payment_id"], fen, values["result"], day})
	}
	return answers, nil
}

func unreadable(line int) error {
	return fault.New(reliefv1.Reason_REASON_RETURN_FILE_UNREADABLE, "the file is not in the bank's layout", "line", strconv.Itoa(line))
}

// Match finds the payment that each answer is for.
//
// Errors: RETURN_LINE_UNKNOWN, RETURN_LINE_REPEATED, RETURN_AMOUNT_DIFFERS, each with the line.
func Match(answers []Answer, payments []*reliefv1.Payment) ([]*reliefv1.Payment, error) {
	byID := map[string]*reliefv1.Payment{}
	for _, p := range payments {
		byID[p.GetStanding().GetId()] = p
	}
	seen := map[string]bool{}
	matched := make([]*reliefv1.Payment, len(answers))
	for i, a := range answers {
		refuse := func(reason reliefv1.Reason, text string) error {
			return fault.New(reason, text, "line", strconv.Itoa(a.Line))
		}
		p, ok := byID[a.PaymentID]
		switch {
		case !ok:
			return nil, refuse(reliefv1.Reason_REASON_RETURN_LINE_UNKNOWN, "the line names no payment of the batch")
		case seen[a.PaymentID] || p.GetState() != reliefv1.Payment_STATE_EXPORTED:
			return nil, refuse(reliefv1.Reason_REASON_RETURN_LINE_REPEATED, "the payment is answered already")
		case p.GetAmountFen() != a.AmountFen:
			return nil, refuse(reliefv1.Reason_REASON_RETURN_AMOUNT_DIFFERS, "the amount is not the payment's")
		}
		seen[a.PaymentID], matched[i] = true, p
	}
	return matched, nil
}
