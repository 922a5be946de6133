package relief_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/lianhu/lianhu/pkg/seal"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// A broken return changes nothing, not even the lines before the broken one.
func TestABrokenReturnIsRefusedWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.approved(t, 1000), h.approved(t, 2000)
	batch, other := h.exported(t, one, two), h.approved(t, 1000)
	h.exported(t, other)
	const header = "业务编号,金额,处理结果,处理日期\r\n"
	good := line(one, "10.00", "00")
	file := func(lines ...string) []byte { return encode(t, header+strings.Join(lines, "\r\n")+"\r\n") }
	for name, c := range map[string]struct {
		content []byte
		reason  string
		line    string
	}{
		"empty":                   {nil, "FIELD_INVALID", ""},
		"larger than a file is":   {bytes.Repeat([]byte("1"), 900<<10+1), "FIELD_INVALID", ""},
		"a header only":           {file()[:len(encode(t, header))], "RETURN_FILE_UNREADABLE", "1"},
		"no header":               {encode(t, good+"\r\n"+good+"\r\n"), "RETURN_FILE_UNREADABLE", "1"},
		"another header":          {encode(t, "业务编号,金额,处理日期,处理结果\r\n"+good+"\r\n"), "RETURN_FILE_UNREADABLE", "1"},
		"a column short":          {file(good, two+",20.00,00"), "RETURN_FILE_UNREADABLE", "3"},
		"a column too many":       {file(good, line(two, "20.00", "00")+",x"), "RETURN_FILE_UNREADABLE", "3"},
		"an open quote":           {file(good, "\""+line(two, "20.00", "00")), "RETURN_FILE_UNREADABLE", "3"},
		"cut short":               {file(good, line(two, "20.00", "00"))[:len(file(good))+40], "RETURN_FILE_UNREADABLE", "3"},
		"another encoding":        {[]byte(header + good + "\r\n"), "RETURN_FILE_UNREADABLE", ""},
		"binary":                  {bytes.Repeat([]byte{0xff, 0x00, 0x80, 0xfe}, 4096), "RETURN_FILE_UNREADABLE", ""},
		"zeros":                   {make([]byte, 4096), "RETURN_FILE_UNREADABLE", "1"},
		"as large as can be":      {file(strings.TrimSuffix(strings.Repeat(line(uuid.NewString(), "1.00", "00")+"\r\n", 15000), "\r\n")), "RETURN_LINE_UNKNOWN", "2"},
		"an unknown result":       {file(good, line(two, "20.00", "77")), "RETURN_FILE_UNREADABLE", "3"},
		"no such date":            {file(good, two+",20.00,00,2026-02-30"), "RETURN_FILE_UNREADABLE", "3"},
		"an amount below zero":    {file(good, line(two, "-20.00", "00")), "RETURN_FILE_UNREADABLE", "3"},
		"an amount without cents": {file(good, line(two, "20", "00")), "RETURN_FILE_UNREADABLE", "3"},
		"an amount beyond all":    {file(good, line(two, "99999999999999999999.00", "00")), "RETURN_FILE_UNREADABLE", "3"},
		"another amount":          {file(good, line(two, "20.01", "00")), "RETURN_AMOUNT_DIFFERS", "3"},
		"the same line twice":     {file(good, good), "RETURN_LINE_REPEATED", "3"},
		"another batch's line":    {file(good, line(other, "10.00", "00")), "RETURN_LINE_UNKNOWN", "3"},
		"no payment's id":         {file(good, line("'; DROP TABLE payment; --", "20.00", "00")), "RETURN_LINE_UNKNOWN", "3"},
	} {
		err := h.unchanged(t, name, func() error {
			_, err := h.at(t, finance).RecordBankReturn(paying(t, preparer), returning(batch, c.content))
			return err
		})
		reason, metadata := reasonOf(err)
		if reason != c.reason || c.line != "" && metadata["line"] != c.line {
			t.Errorf("%s: refused with %s at line %q, want %s at %q", name, reason, metadata["line"], c.reason, c.line)
		}
	}
	h.holds(t, "all of them", 4000, 0)
	h.record(t, returning(batch, file(good, line(two, "20.00", "99"))))
	h.holds(t, "the good one", 3000, 1000)
	h.promises(t)
}

// What a payee is called reaches the bank as it was given, whatever the characters mean to a file.
func TestANameReachesTheBankAsItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	names := []string{"钱雨欣", "买买提·艾力", "𠮷田", `甲"乙`, "甲,乙", "甲;乙 丙"}
	var payments []string
	for _, name := range names {
		q := asking(uuid.NewString(), 100)
		q.Payee.Name = name
		answer, err := h.at(t, township).SubmitApplication(deciding(t), q)
		ok(t, err)
		decided, err := h.at(t, township).DecideApplication(deciding(t), confirming(answer.GetStanding().GetId()))
		ok(t, err)
		payments = append(payments, decided.GetPaymentId())
	}
	content, err := simplifiedchinese.GB18030.NewDecoder().Bytes(h.download(t, finance, h.exported(t, payments...)))
	ok(t, err)
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	ok(t, err)
	var got []string
	for i, record := range records[1:] {
		got = append(got, record[2])
		if record[1] != payments[i] || record[5] != "1.00" {
			t.Errorf("line %d is for %s of %s yuan", i+1, record[1], record[5])
		}
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Error(diff)
	}
}

// A name that would write lines of its own into the bank's file, or that the bank would read as another one, is refused, at first and at the
// correction.
func TestANameTheBankWouldReadOtherwiseIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	payment := h.approved(t, 100)
	h.record(t, answering(t, h.exported(t, payment), line(payment, "1.00", "02")))
	for _, name := range []string{
		"甲\r\n2,乙", "甲\n", "甲\t乙", "\u0085甲", // lines of their own
		"甲\ue000", "甲\ue78d", "甲\ue5e5", "甲\ufe10", "甲\u9fb4", "\u1e3f", "甲\U00020087", // other characters to the bank
		" 甲", "甲 ", "甲\u200b乙", "\u202e甲", "甲\ufeff", "   ", "Jose\u0301", "阿依古丽•买买提", "阿依古丽・买买提", // not the name's written form
	} {
		q := asking(uuid.NewString(), 100)
		q.Payee.Name = name
		refused(t, h.unchanged(t, "the application", h.submitting(t, q)), "FIELD_INVALID")
		refused(t, h.unchanged(t, "the correction", func() error {
			_, err := h.at(t, finance).RepayPayment(paying(t, preparer), &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: payment, Payee: q.GetPayee()})
			return err
		}), "FIELD_INVALID")
	}
}

// A file of many chunks comes whole, by the stream and by its parts.
func TestALargeFileComesWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	batch := h.exported(t, h.approved(t, 100))
	keys, err := seal.Load(relief.Name, h.rootKey)
	ok(t, err)
	large := bytes.Repeat([]byte("0123456789abcdef"), 10000)
	args, err := store.FileArgs(keys, batch, large)
	ok(t, err)
	_, err = h.owner.Exec(t.Context(), "UPDATE batch_file SET sealed_personal = $2 WHERE batch_id = $1::uuid", args...)
	ok(t, err)
	same(t, "the stream", large, h.download(t, finance, batch))
	var parts []byte
	for {
		got, err := h.at(t, finance).read.GetBatchFile(paying(t, ""), &reliefv1.GetBatchFileRequest{BatchId: batch, Offset: int64(len(parts))})
		ok(t, err)
		if len(got.GetContent()) == 0 {
			break
		}
		parts = append(parts, got.GetContent()...)
	}
	same(t, "the parts", large, parts)
}
