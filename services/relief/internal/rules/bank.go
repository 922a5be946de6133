package rules

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"

	"github.com/lianhu/lianhu/pkg/district"
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
