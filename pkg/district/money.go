package district

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lianhu/lianhu/pkg/name"
)

// Budget is the money set aside for one programme in one township and year.
type Budget struct {
	Programme string `yaml:"programme"`
	// Township is a 12-digit division code.
	Township string `yaml:"township"`
	Year     int    `yaml:"year"`
	Fen      int64  `yaml:"fen"`
	Status   Status `yaml:"status"`
}

func (l *loader) readBudgets() func() {
	type file struct {
		Budgets []Budget `yaml:"budgets"`
	}
	entry, doc := parse[file](l, budgetsFile)
	l.d.budgets = entry.Budgets
	return func() {
		seen := map[string]bool{}
		for i, b := range entry.Budgets {
			way, what := at{"budgets", i}, fmt.Sprintf("budget %s %s %d", b.Programme, b.Township, b.Year)
			if seen[what] {
				doc.fail(way, "%s stands twice", what)
			}
			seen[what] = true
			if !slices.ContainsFunc(l.d.programmes, func(p Programme) bool { return p.Code == b.Programme }) {
				doc.fail(append(way, "programme"), "%s: programme %q is not in %s", what, b.Programme, programmesFile)
			}
			if v, ok := l.d.Division(b.Township); !ok || !v.Township() {
				doc.fail(append(way, "township"), "%s: %q is not a town or street", what, b.Township)
			}
			if b.Year < 2000 || b.Year > 2999 {
				doc.fail(append(way, "year"), "%s: year %d is no year of a budget", what, b.Year)
			}
			if b.Fen < 0 {
				doc.fail(append(way, "fen"), "%s: fen must not be below 0", what)
			}
			doc.settled(append(way, "status"), what, b.Status, "the amount has to come from the finance bureau")
		}
	}
}

// settled checks the status of what comes from another office: nothing once it was given, placeholder before.
func (f *document) settled(way at, what string, status Status, why string) {
	switch status {
	case "":
	case StatusPlaceholder:
		f.placeholder(what, why)
	default:
		f.fail(way, "%s: status %q is neither placeholder nor absent", what, status)
	}
}

// Budgets lists the money set aside.
func (d *District) Budgets() []Budget { return slices.Clone(d.budgets) }

// Bank is how files travel to and from the paying bank.
type Bank struct {
	Status Status `yaml:"status"`
	// Encoding is GB18030, GBK or UTF-8.
	Encoding  string `yaml:"encoding"`
	Delimiter string `yaml:"delimiter"`
	// LineEnd is CRLF or LF.
	LineEnd string       `yaml:"line_end"`
	Export  []Column     `yaml:"export"`
	Return  []Column     `yaml:"return"`
	Results []BankResult `yaml:"results"`
}

// Column of a bank file.
type Column struct {
	Header string `yaml:"header"`
	// From names what stands in the column; amount_yuan is yuan with two decimals.
	From string `yaml:"from"`
}

// BankResult is what the bank writes about one payment.
type BankResult struct {
	Code string `yaml:"code"`
	// Meaning paid settles the payment; every other one returns the money to its reservation.
	Meaning string `yaml:"meaning"`
	ZH      string `yaml:"zh"`
}

// MeaningPaid is the meaning that settles a payment.
const MeaningPaid = "paid"

// Paid reports whether the result settles the payment.
func (r BankResult) Paid() bool { return r.Meaning == MeaningPaid }

// Result finds what a code in the bank's answer means.
func (b Bank) Result(code string) (BankResult, bool) {
	i := slices.IndexFunc(b.Results, func(r BankResult) bool { return r.Code == code })
	if i < 0 {
		return BankResult{}, false
	}
	return b.Results[i], true
}

// What the columns may hold, and which of them a file cannot do without.
var (
	exportColumns = []string{
		"line_number", "payment_id", "payee_name", "account_number", "bank_code", "amount_yuan", "purpose",
	}
	exportNeeds   = []string{"payment_id", "payee_name", "account_number", "amount_yuan"}
	returnColumns = []string{"payment_id", "amount_yuan", "result", "value_date"}
	returnNeeds   = []string{"payment_id", "amount_yuan", "result"}
)

func (l *loader) readBank() func() {
	bank, doc := parse[Bank](l, bankFile)
	l.d.bank = bank
	return func() {
		doc.settled(at{"status"}, "bank file layout", bank.Status, "the layout has to come from the paying bank")
		if !slices.Contains(name.Encodings(), bank.Encoding) {
			doc.fail(at{"encoding"}, "encoding %q is none of %s", bank.Encoding, strings.Join(name.Encodings(), ", "))
		}
		if len(bank.Delimiter) != 1 || bank.Delimiter == `"` || bank.Delimiter == "\n" || bank.Delimiter == "\r" {
			doc.fail(at{"delimiter"}, "delimiter %q is not one ASCII character that may part fields", bank.Delimiter)
		}
		if bank.LineEnd != "CRLF" && bank.LineEnd != "LF" {
			doc.fail(at{"line_end"}, "line_end %q is neither CRLF nor LF", bank.LineEnd)
		}
		checkColumns(doc, "export", bank.Export, exportColumns, exportNeeds)
		checkColumns(doc, "return", bank.Return, returnColumns, returnNeeds)
		checkResults(doc, bank.Results)
	}
}

func checkColumns(doc *document, list string, columns []Column, known, needed []string) {
	found := indexed(doc, list, columns, "from", func(c Column) string { return c.From })
	for i, c := range columns {
		doc.text(at{list, i}, list+" column "+c.From, "header", c.Header)
		if c.From != "" && !slices.Contains(known, c.From) {
			doc.fail(at{list, i, "from"}, "%s: column %q is not one of %v", list, c.From, known)
		}
	}
	for _, name := range needed {
		if _, ok := found[name]; !ok {
			doc.fail(at{list}, "%s: column %s is missing", list, name)
		}
	}
}

func checkResults(doc *document, results []BankResult) {
	indexed(doc, "results", results, "code", func(r BankResult) string { return r.Code })
	paid := 0
	for i, r := range results {
		doc.text(at{"results", i}, "result "+r.Code, "meaning", r.Meaning, "zh", r.ZH)
		if r.Paid() {
			paid++
		}
	}
	if paid != 1 {
		doc.fail(at{"results"}, "results: one code must mean paid, not %d", paid)
	}
}

// Bank is the layout of the files exchanged with the paying bank.
func (d *District) Bank() Bank { return d.bank }
