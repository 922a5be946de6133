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
)

// bank plays the paying bank: it reads an exported file as the district's layout says and writes the return file.
func (p *play) bank(b Bank) error {
	encoded, err := p.expand(b.Export)
	if err != nil {
		return err
	}
	file, err := base64.StdEncoding.DecodeString(fmt.Sprint(encoded))
	if err != nil {
		return fmt.Errorf("the exported file is not base64: %w", err)
	}
	layout := p.District.Bank()
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(file)
	if err != nil {
		return fmt.Errorf("the exported file is not GB18030: %w", err)
	}
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return fmt.Errorf("the exported file does not parse: %w", err)
	}
	if len(records) < 2 {
		return errors.New("the exported file has no lines")
	}
	results := map[string]string{}
	for id, code := range b.Results {
		expanded, err := p.expand(id)
		if err != nil {
			return err
		}
		results[fmt.Sprint(expanded)] = code
	}
	var out strings.Builder
	writer := csv.NewWriter(&out)
	writer.UseCRLF = layout.LineEnd == "CRLF"
	var header []string
	for _, column := range layout.Return {
		header = append(header, column.Header)
	}
	if err := writer.Write(header); err != nil {
		return err
	}
	for _, record := range records[1:] {
		sent := map[string]string{}
		for i, column := range layout.Export {
			sent[column.From] = record[i]
		}
		code, ok := results[sent["payment_id"]]
		if !ok {
			code = results["*"]
		}
		sent["result"], sent["value_date"] = code, p.now.In(calendar.Zone()).Format(time.DateOnly)
		var line []string
		for _, column := range layout.Return {
			line = append(line, sent[column.From])
		}
		if err := writer.Write(line); err != nil {
			return err
		}
	}
	writer.Flush()
	answer, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(out.String()))
	if err != nil {
		return err
	}
	digest := sha256.Sum256(answer)
	p.vars[b.Save], p.vars[b.Save+"_sha256"] = base64.StdEncoding.EncodeToString(answer), hex.EncodeToString(digest[:])
	return writer.Error()
}
