package rules

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/name"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Answer is one line of a bank's return.
type Answer struct {
	// Line of the file as an editor counts them, blank ones included.
	Line      int
	PaymentID string
	AmountFen int64
	Code      string
	ValueDate string
	// DateColumn is where the date stands, from 1; 0 in a layout without one.
	DateColumn int
}

// ReadReturn reads a bank's return file, strictly: one wrong line refuses the whole.
//
// Errors: RETURN_FILE_UNREADABLE with the line, and the column where there is one.
func ReadReturn(layout district.Bank, content []byte) ([]Answer, error) {
	text, err := name.Encoding(layout.Encoding).NewDecoder().Bytes(content)
	if at := bytes.IndexRune(text, '\uFFFD'); err != nil || at >= 0 {
		return nil, unreadable(1+bytes.Count(text[:max(at, 0)], []byte("\n")), 0)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = rune(layout.Delimiter[0])
	r.FieldsPerRecord = -1 // counted below, where the column is known
	if err := readHeader(layout, r); err != nil {
		return nil, err
	}
	var answers []Answer
	for {
		record, line, err := readLine(layout, r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		answer, err := readAnswer(layout, record, line)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	if len(answers) == 0 {
		return nil, unreadable(1, 0)
	}
	return answers, nil
}

func readHeader(layout district.Bank, r *csv.Reader) error {
	header, line, err := readLine(layout, r)
	if errors.Is(err, io.EOF) {
		return unreadable(1, 0)
	}
	if err != nil {
		return err
	}
	for i, c := range layout.Return {
		if header[i] != c.Header {
			return unreadable(line, i+1)
		}
	}
	return nil
}

// readLine reads the next line that is not blank; io.EOF after the last one.
func readLine(layout district.Bank, r *csv.Reader) (record []string, line int, err error) {
	record, err = r.Read()
	var at *csv.ParseError
	switch {
	case errors.As(err, &at):
		return nil, 0, unreadable(at.Line, 0)
	case err != nil:
		return nil, 0, err
	}
	line, _ = r.FieldPos(0)
	if len(record) != len(layout.Return) {
		return nil, 0, unreadable(line, min(len(record), len(layout.Return))+1)
	}
	return record, line, nil
}

func readAnswer(layout district.Bank, record []string, line int) (Answer, error) {
	answer := Answer{Line: line}
	for i, c := range layout.Return {
		ok := true
		switch c.From {
		case "payment_id":
			answer.PaymentID = record[i]
		case "amount_yuan":
			answer.AmountFen, ok = fenOf(record[i])
		case "result":
			answer.Code = record[i]
			_, ok = layout.Result(record[i])
		case "value_date":
			answer.ValueDate, answer.DateColumn = record[i], i+1
			_, err := calendar.ParseDate(record[i])
			ok = err == nil
		}
		if !ok {
			return answer, unreadable(line, i+1)
		}
	}
	return answer, nil
}

// fenOf reads yuan with exactly two decimals.
func fenOf(s string) (int64, bool) {
	whole, cents, ok := strings.Cut(s, ".")
	if !ok || len(cents) != 2 || len(whole) == 0 || len(whole) > 12 {
		return 0, false
	}
	fen, err := strconv.ParseInt(whole+cents, 10, 64)
	return fen, err == nil && fen >= 0 && !strings.ContainsAny(s, "+-")
}

func unreadable(line, column int) error {
	metadata := []string{"line", strconv.Itoa(line)}
	if column > 0 {
		metadata = append(metadata, "column", strconv.Itoa(column))
	}
	return fault.New(reliefv1.Reason_REASON_RETURN_FILE_UNREADABLE, "the file is not in the bank's layout", metadata...)
}

// Matched are the answers of a file with the payments they are for; answers that say what is recorded already are only counted.
type Matched struct {
	Answers  []Answer
	Payments []*reliefv1.Payment
	Repeated int32
}

// Match finds the payment that each answer is for. What the bank dates lies between the day of export and today.
//
// Errors: RETURN_LINE_UNKNOWN, RETURN_LINE_REPEATED, RETURN_AMOUNT_DIFFERS, RETURN_DATE_IMPLAUSIBLE, each with the line.
func Match(answers []Answer, payments []*reliefv1.Payment, exported, today calendar.Date) (m Matched, err error) {
	byID := map[string]*reliefv1.Payment{}
	for _, p := range payments {
		byID[p.GetStanding().GetId()] = p
	}
	seen := map[string]bool{}
	for _, a := range answers {
		refuse := func(reason reliefv1.Reason, text string, more ...string) error {
			return fault.New(reason, text, append([]string{"line", strconv.Itoa(a.Line)}, more...)...)
		}
		p, ok := byID[a.PaymentID]
		switch {
		case !ok:
			return m, refuse(reliefv1.Reason_REASON_RETURN_LINE_UNKNOWN, "the line names no payment of the batch")
		case seen[a.PaymentID]:
			return m, refuse(reliefv1.Reason_REASON_RETURN_LINE_REPEATED, "the file answers the payment twice")
		case p.GetAmountFen() != a.AmountFen:
			return m, refuse(reliefv1.Reason_REASON_RETURN_AMOUNT_DIFFERS, "the amount is not the payment's")
		case p.GetState() != reliefv1.Payment_STATE_EXPORTED && (p.GetBankResult() != a.Code || p.GetValueDate() != a.ValueDate):
			return m, refuse(reliefv1.Reason_REASON_RETURN_LINE_REPEATED, "the payment is answered already, and otherwise")
		case !plausible(a, exported, today):
			return m, refuse(reliefv1.Reason_REASON_RETURN_DATE_IMPLAUSIBLE, "the date lies before the export or after today", "column", strconv.Itoa(a.DateColumn))
		}
		seen[a.PaymentID] = true
		if p.GetState() != reliefv1.Payment_STATE_EXPORTED {
			m.Repeated++
			continue
		}
		m.Answers, m.Payments = append(m.Answers, a), append(m.Payments, p)
	}
	return m, nil
}

func plausible(a Answer, exported, today calendar.Date) bool {
	if a.DateColumn == 0 {
		return true
	}
	day, err := calendar.ParseDate(a.ValueDate)
	return err == nil && !day.Before(exported) && !today.Before(day)
}
