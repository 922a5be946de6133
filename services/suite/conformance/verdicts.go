package conformance

import "slices"

// verdicts are the checks of a client, each decided once: a failure stands whatever follows, and so does the first pass.
type verdicts struct{ checks []Check }

func newVerdicts() verdicts {
	return verdicts{[]Check{
		{ID: "connect", Read: hello, Rule: "The client opens PushIncidentUpdates with its certificate and sends updates.",
			Expected: "a stream over mutual TLS, and a first frame after the Hello"},
		{ID: "frames", Read: numbers, Rule: "Frames keep the bounds of the contract.",
			Expected: "an epoch from 1, at most 200 updates, numbers from 1 to 9007199254740991, voids of at most 10000 numbers together"},
		{ID: "reuse", Read: numbers, Rule: "A number belongs to one content for ever.",
			Expected: "whenever a number comes again, the content it came with first"},
		{ID: "restart", Read: numbers, Rule: "Numbers begin again at 1 only in a higher epoch, and a higher epoch begins only with them.",
			Expected: "after a new connection, the numbers above what the Hello names as durable, in the same epoch"},
		{ID: "acks", Read: acked, Rule: "The client reads every acknowledgement.",
			Expected: "a reader of its own, whether or not something is being sent, so that the server can always say what is durable"},
		{ID: "slow", Read: acked, Rule: "A server that takes its time is waited for.",
			Expected: "the client holds its updates while the server does not receive, and goes on when it does"},
		{ID: "resend", Read: cut, Rule: "What was sent and not acknowledged is sent again after a cut.",
			Expected: "a new connection, and on it every number above what is durable; a cut is never taken for success"},
		{ID: "asked", Read: gaps, Rule: "Numbers that a Hello names as missing are sent again or voided.",
			Expected: "each number of the gaps, before the end of the run"},
		{ID: "silent", Read: gaps, Rule: "No number is left out: what will never be sent is voided.",
			Expected: "numbers without gaps, or a Void for each gap"},
		{ID: "draining", Read: drain, Rule: "After DRAINING the client connects again at once.",
			Expected: "a new stream right after the one that ended with UNAVAILABLE, reason DRAINING"},
		{ID: "skew", Read: hello, Rule: "Fields and messages that a newer server says are overlooked.",
			Expected: "the client goes on although answers hold fields it does not know"},
		{ID: "epoch", Read: numbers, Rule: "An epoch that is over is not pushed.",
			Expected: "when the Hello names a higher epoch: nothing in the old one; either stop and alarm, or begin a new one at 1"},
	}}
}

func (v *verdicts) of(id string) *Check {
	i := slices.IndexFunc(v.checks, func(c Check) bool { return c.ID == id })
	return &v.checks[i]
}

func (v *verdicts) pass(id, seen string) {
	if c := v.of(id); c.Outcome == "" {
		c.Outcome, c.Seen = Passed, seen
	}
}

func (v *verdicts) fail(id, seen string) {
	if c := v.of(id); c.Outcome != Failed {
		c.Outcome, c.Seen = Failed, seen
	}
}

// list gives the checks; those that nothing decided were not reached, because of why.
func (v *verdicts) list(why string) []Check {
	out := slices.Clone(v.checks)
	for i := range out {
		if out[i].Outcome == "" {
			out[i].Outcome, out[i].Seen = NotReached, why
		}
	}
	return out
}
