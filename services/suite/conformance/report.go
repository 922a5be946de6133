// Package conformance checks both sides of the dispatch protocol: a server, by playing a dispatch system against it, and a vendor's client,
// by playing the server to it. The server it plays keeps numbers in memory and stores nothing: it is an instrument, not a way for data.
package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/service"
)

// Outcome of a check.
type Outcome string

// Outcomes. What was not reached was neither kept nor broken, and the run has to be repeated for it; what was left out nobody asked for.
const (
	Passed     Outcome = "passed"
	Failed     Outcome = "failed"
	NotReached Outcome = "not reached"
	LeftOut    Outcome = "left out"
)

// Sections of docs/dispatch.md that a check may send its reader to.
const (
	hello   = "Hello"
	numbers = "Numbers and epochs"
	acked   = "Acknowledgements"
	gaps    = "Gaps and voids"
	drain   = "Draining"
	cut     = "After a cut"
)

// Check is one rule and how it went.
type Check struct {
	// ID of the check, and the rule in words.
	ID   string `json:"id"`
	Rule string `json:"rule"`
	// Outcome, what it takes to pass, and what was seen.
	Outcome  Outcome `json:"outcome"`
	Expected string  `json:"expected"`
	Seen     string  `json:"seen"`
	// Read is the section of docs/dispatch.md that has the rule.
	Read string `json:"read"`
}

// Report is what a vendor files.
type Report struct {
	// Of says which side was checked, `client` or `server`, and Peer who it was by its certificate, a server with its address.
	Of   string `json:"of"`
	Peer string `json:"peer"`
	// Product is what the vendor calls what was checked, with its version; By is whose certificate the instrument showed.
	Product string `json:"product,omitempty"`
	By      string `json:"by"`
	// Instrument is the version of the program that checked.
	Instrument string `json:"instrument"`
	// Date is when the run ended, Seconds how long it took of machine time.
	Date    time.Time `json:"date"`
	Seconds int64     `json:"seconds"`
	// Epoch in which the source's numbers ended, of a server: its real system begins a higher one.
	Epoch int64 `json:"epoch,omitempty"`
	// Contract and Digest name the edition of the contract that the run knows.
	Contract string `json:"contract"`
	Digest   string `json:"contract_digest"`
	// Verdict is passed when every check is that was not left out.
	Verdict Outcome `json:"verdict"`
	Checks  []Check `json:"checks"`
}

// newReport sums checks up that began then.
func newReport(of, peer, by string, began time.Time, checks []Check) Report {
	r := Report{
		Of: of, Peer: peer, By: by, Instrument: "lianhu " + service.BuildVersion(), Date: time.Now().Truncate(time.Second), Seconds: int64(time.Since(began).Seconds()),
		Contract: "lianhu.reporting.v1.DispatchService", Digest: service.ContractDigest("reporting"), Verdict: Passed, Checks: checks,
	}
	for _, c := range checks {
		if c.Outcome == Failed {
			r.Verdict = Failed
		} else if c.Outcome == NotReached && r.Verdict == Passed {
			r.Verdict = NotReached
		}
	}
	return r
}

// Failures are the checks that failed.
func (r Report) Failures() (failed []Check) {
	for _, c := range r.Checks {
		if c.Outcome == Failed {
			failed = append(failed, c)
		}
	}
	return failed
}

// anchor of a heading, as a reader of Markdown makes it.
func anchor(heading string) string {
	return "docs/dispatch.md#" + strings.ReplaceAll(strings.ToLower(heading), " ", "-")
}

// JSON writes the report for a machine.
func (r Report) JSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// Markdown writes the report for a person.
func (r Report) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Conformance of a dispatch %s: %s\n\n", r.Of, r.Verdict)
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	if r.Product != "" {
		fmt.Fprintf(&b, "- product: %s\n", cell.Replace(r.Product))
	}
	fmt.Fprintf(&b, "- checked: %s\n- by: %s, %s\n- date: %s, after %d s\n- contract: %s\n- contract digest: %s\n",
		r.Peer, r.By, r.Instrument, r.Date.Format(time.RFC3339), r.Seconds, r.Contract, r.Digest)
	if r.Epoch > 0 {
		fmt.Fprintf(&b, "- the source's numbers ended in epoch %d: its real system begins a higher one\n", r.Epoch)
	}
	b.WriteString("\n| check | rule | outcome | expected | seen |\n|---|---|---|---|---|\n")
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.ID, cell.Replace(c.Rule), c.Outcome, cell.Replace(c.Expected), cell.Replace(c.Seen))
	}
	for _, c := range r.Failures() {
		fmt.Fprintf(&b, "\n## Failed: %s\n\n%s\n\n- expected: %s\n- seen: %s\n- read: %s (%s)\n", c.ID, c.Rule, c.Expected, c.Seen, anchor(c.Read), c.Read)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
