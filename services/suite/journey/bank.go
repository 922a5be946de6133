package journey

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
)

// bank plays the paying bank and keeps its file.
func (p *play) bank(b Bank) error {
	encoded, err := p.expand(b.Export)
	if err != nil {
		return err
	}
	file, err := base64.StdEncoding.DecodeString(fmt.Sprint(encoded))
	if err != nil {
		return fmt.Errorf("the exported file is not base64: %w", err)
	}
	results := map[string]string{}
	for id, code := range b.Results {
		expanded, err := p.expand(id)
		if err != nil {
			return err
		}
		results[fmt.Sprint(expanded)] = code
	}
	answer, err := BankReturn(p.District.Bank(), file, p.now, func(payment string) string {
		if code, ok := results[payment]; ok {
			return code
		}
		return results["*"]
	})
	if err != nil {
		return err
	}
	digest := sha256.Sum256(answer)
	p.vars[b.Save], p.vars[b.Save+"_sha256"] = base64.StdEncoding.EncodeToString(answer), hex.EncodeToString(digest[:])
	return nil
}

// BankReturn plays the paying bank: it reads an exported file as the district's layout says and writes the return file of that day.
// result gives the layout's code for a payment.
func BankReturn(layout district.Bank, file []byte, now time.Time, result func(payment string) string) ([]byte, error) {
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(file)
	if err != nil {
		return nil, fmt.Errorf("the exported file is not GB18030: %w", err)
	}
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("the exported file does not parse: %w", err)
	}
	if len(records) < 2 {
		return nil, errors.New("the exported file has no lines")
	}
	var header []string
	for _, column := range layout.Return {
		header = append(header, column.Header)
	}
	lines := [][]string{header}
	for _, record := range records[1:] {
		sent := map[string]string{}
		for i, column := range layout.Export {
			sent[column.From] = record[i]
		}
		sent["result"], sent["value_date"] = result(sent["payment_id"]), now.In(calendar.Zone()).Format(time.DateOnly)
		var line []string
		for _, column := range layout.Return {
			line = append(line, sent[column.From])
		}
		lines = append(lines, line)
	}
	var out strings.Builder
	writer := csv.NewWriter(&out)
	writer.UseCRLF = layout.LineEnd == "CRLF"
	if err := writer.WriteAll(lines); err != nil {
		return nil, err
	}
	return simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(out.String()))
}
