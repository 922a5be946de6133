package rules_test

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
)

// layouts are what a bank may want of its files, by a number that fuzzing chooses.
func layouts(layout district.Bank, n uint8) district.Bank {
	if n&1 != 0 {
		layout.Encoding = "UTF-8"
	}
	if n&2 != 0 {
		layout.Delimiter = "|"
	}
	if n&4 != 0 {
		layout.LineEnd = "LF"
	}
	if n&8 != 0 { // the day a bank has paid on may be missing
		layout.Return = slices.DeleteFunc(slices.Clone(layout.Return), func(c district.Column) bool { return c.From == "value_date" })
	}
	return layout
}

// encoded writes records as the bank does.
func encoded(t testing.TB, layout district.Bank, records [][]string) []byte {
	t.Helper()
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	w.Comma, w.UseCRLF = rune(layout.Delimiter[0]), layout.LineEnd == "CRLF"
	if err := w.WriteAll(records); err != nil {
		t.Fatal(err)
	}
	if layout.Encoding == "UTF-8" {
		return file.Bytes()
	}
	content, err := simplifiedchinese.GB18030.NewEncoder().Bytes(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// inLayout writes answers as the bank does whose layout it is.
func inLayout(t testing.TB, layout district.Bank, answers ...rules.Answer) []byte {
	t.Helper()
	records := make([][]string, 1+len(answers))
	for _, c := range layout.Return {
		records[0] = append(records[0], c.Header)
		for i, a := range answers {
			values := map[string]string{"payment_id": a.PaymentID, "amount_yuan": yuan(a.AmountFen), "result": a.Code, "value_date": a.ValueDate}
			records[i+1] = append(records[i+1], values[c.From])
		}
	}
	return encoded(t, layout, records)
}

// A district may give any of these layouts, and what its bank answers is read in each.
func TestAReturnIsReadInEveryLayout(t *testing.T) {
	t.Parallel()
	bank := load(t).Bank()
	for n := range uint8(16) {
		layout, want := layouts(bank, n), rules.Answer{Line: 2, PaymentID: "钱|,\"", AmountFen: 110050, Code: "00", ValueDate: "2026-03-02", DateColumn: 4}
		if n&8 != 0 {
			want.ValueDate, want.DateColumn = "", 0
		}
		got, err := rules.ReadReturn(layout, inLayout(t, layout, want))
		if diff := cmp.Diff([]rules.Answer{want}, got); err != nil || diff != "" {
			t.Errorf("layout %d: %v %s", n, err, diff)
		}
	}
}

// A bank's return is read, or refused as unreadable; what was read, written in the bank's layout again, is read as the same answers.
func FuzzReadReturn(f *testing.F) {
	bank := load(f).Bank()
	f.Add(uint8(0), inLayout(f, bank, rules.Answer{PaymentID: "1", AmountFen: 100, Code: "00", ValueDate: "2026-03-02"}))
	f.Add(uint8(15), []byte("业务编号|金额|处理结果\n\"a|\"\"b\"|0.00|99\n"))
	f.Add(uint8(1), []byte("业务编号,金额,处理结果,处理日期\r\n1,1.0,00,2026-03-02\r\n"))
	f.Add(uint8(0), []byte{0x81})
	f.Fuzz(func(t *testing.T, n uint8, content []byte) {
		layout := layouts(bank, n)
		answers, err := rules.ReadReturn(layout, content)
		if err != nil {
			if !fault.Is(err, reliefv1.Reason_REASON_RETURN_FILE_UNREADABLE) {
				t.Fatalf("not a fault: %v", err)
			}
			return
		}
		again, err := rules.ReadReturn(layout, inLayout(t, layout, answers...))
		for i := range answers {
			answers[i].Line = i + 2 // blank lines between them are not written again
		}
		if diff := cmp.Diff(answers, again); err != nil || diff != "" {
			t.Errorf("read otherwise: %v %s", err, diff)
		}
	})
}

// Whatever the payee is called, a bank that reads the file finds one line for each payment with exactly what was to be paid to whom.
func FuzzBankFile(f *testing.F) {
	bank := load(f).Bank()
	f.Add(uint8(0), "钱雨欣", "6228480000000001", int64(110000))
	f.Add(uint8(7), `阿依古丽·买买提, "甲"`, "|", int64(1))
	f.Add(uint8(2), " 𠮷 ", "'=1+1", int64(99))
	f.Add(uint8(0), "\xcd", "\x9b", int64(1)) // valid only if joined
	f.Fuzz(func(t *testing.T, n uint8, name, account string, fen int64) {
		if fen <= 0 || !utf8.ValidString(name) || !utf8.ValidString(account) || strings.ContainsFunc(name+account, unicode.IsControl) {
			return // refused before it comes to a file
		}
		layout := layouts(bank, n)
		payments := []*reliefv1.Payment{
			{Standing: &custodyv1.Standing{Id: "one"}, Payee: &reliefv1.Payee{Name: name, AccountNumber: account}, AmountFen: fen},
			{Standing: &custodyv1.Standing{Id: "two"}, Payee: &reliefv1.Payee{Name: name, AccountNumber: account}, AmountFen: 1},
		}
		content, err := rules.BankFile(layout, payments)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := rules.BankFile(layout, payments); err != nil || !bytes.Equal(content, again) {
			t.Fatalf("other bytes for the same payments: %v", err)
		}
		if layout.Encoding != "UTF-8" {
			if content, err = simplifiedchinese.GB18030.NewDecoder().Bytes(content); err != nil {
				t.Fatal(err)
			}
		}
		r := csv.NewReader(bytes.NewReader(content))
		r.Comma = rune(layout.Delimiter[0])
		records, err := r.ReadAll()
		want := [][]string{{"1", "one", name, account, "", yuan(fen), "救助金"}, {"2", "two", name, account, "", "0.01", "救助金"}}
		if err != nil || len(records) != 3 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		if diff := cmp.Diff(want, records[1:]); diff != "" {
			t.Error(diff)
		}
	})
}

// yuan writes an amount as the bank does, by another way than the rules.
func yuan(fen int64) string {
	whole := strconv.FormatInt(fen, 10)
	whole = strings.Repeat("0", max(0, 3-len(whole))) + whole
	return whole[:len(whole)-2] + "." + whole[len(whole)-2:]
}
