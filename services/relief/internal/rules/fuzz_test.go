package rules_test

import (
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/lianhu/lianhu/pkg/fault"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
)

// A return file is read whole or refused with its line; no amount in it is negative.
func FuzzBankReturn(f *testing.F) {
	layout := load(f).Bank()
	header := ""
	for i, c := range layout.Return {
		if i > 0 {
			header += layout.Delimiter
		}
		header += c.Header
	}
	for _, lines := range []string{"", "\n", "\n1|2|3|4|5\n", "\n1,10.00,00,2026-03-02\n", "\n\"", "\n1,-1.00,00,2026-03-02"} {
		content, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(header + lines))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte{0xff, 0xfe})
	f.Fuzz(func(t *testing.T, content []byte) {
		answers, err := rules.ReadReturn(layout, content)
		if err != nil && !fault.Is(err, reliefv1.Reason_REASON_RETURN_FILE_UNREADABLE) {
			t.Errorf("refused by %v", err)
		}
		if err == nil && len(answers) == 0 {
			t.Error("a file without an answer was read")
		}
		for _, a := range answers {
			if _, known := layout.Result(a.Code); a.AmountFen < 0 || !known {
				t.Errorf("line %d: %d fen, result %q", a.Line, a.AmountFen, a.Code)
			}
		}
	})
}
