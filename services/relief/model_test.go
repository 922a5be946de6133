package relief_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/identity"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Whatever officers do at the same moment through two replicas, each request sent over one connection or two, while deadlines pass:
// one order of all commands and looks explains what each was told of the account, the ledger holds at every prefix, what was acknowledged
// has its one effect and nothing else has any, and a period is paid once. How the commands interleave is the machine's: a failure prints the
// history that was seen.
func TestRacingCommandsOnOneAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	replicas, other := map[string][]*desk{}, h.replica(t)
	for _, unit := range []string{township, finance, lead} {
		replicas[unit] = []*desk{h.at(t, unit), h.desk(t, other, identity.OfUnit(domain, unit, "main"))}
	}
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		b := h.openBook(t, rt, replicas, reached)
		for range rapid.IntRange(6, 9).Draw(rt, "rounds") {
			deeds := make([]func(*testing.T) func(), rapid.IntRange(2, 5).Draw(rt, "at once"))
			for i := range deeds {
				deeds[i] = b.draw(rt)
			}
			learnt := make([]func(), len(deeds))
			together(len(deeds), func(i int) { learnt[i] = deeds[i](t) })
			for _, learn := range learnt {
				learn()
			}
			b.check(t, rt)
		}
		if seen := h.violated(t); seen != " " {
			rt.Fatalf("broken:%s\n%v", seen, b.steps)
		}
	})
	for _, event := range []string{"approved", "settled", "returned", "replaced", "BUDGET_EXHAUSTED", "APPLICATION_EXISTS", "PAYMENT_NOT_FREE"} {
		if reached[event] == 0 {
			t.Errorf("no history came to %s: %v", event, reached)
		}
	}
}

// book is one account, with what the answers alone tell of it.
type book struct {
	*house
	replicas map[string][]*desk
	reached  map[string]int
	clock    atomic.Int64 // orders beginnings and ends

	account      string
	amount       int64
	children     []string
	applications []asked
	payments     []owed
	batches      []batched
	granted      map[string]int64 // ledger entries of each application that there must be, by their amount
	settled      map[string]int64 // of each payment
	steps        []porcupine.Operation
	wrong        []string
}

type asked struct {
	id  string
	fen int64
}

type owed struct {
	id, application string
	fen             int64
}

type batched struct {
	id    string
	lines []owed
}

// openBook empties the books of the house and sets an amount aside.
func (h *house) openBook(t *testing.T, rt *rapid.T, replicas map[string][]*desk, reached map[string]int) *book {
	t.Helper()
	h.plant(t, "DELETE FROM ledger_entry; DELETE FROM payment; DELETE FROM decision; DELETE FROM application; DELETE FROM batch_file; DELETE FROM batch; DELETE FROM budget_account")
	b := &book{
		house: h, replicas: replicas, reached: reached, amount: rapid.SampledFrom([]int64{150000, 50000, 300000}).Draw(rt, "set aside"),
		children: []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}, granted: map[string]int64{}, settled: map[string]int64{},
	}
	opened, err := h.at(t, finance).OpenBudget(paying(t, preparer), &reliefv1.OpenBudgetRequest{
		RequestId: request(), Programme: programme, Division: town, Year: int32(h.now(t).Year()), AmountFen: b.amount,
	})
	ok(t, err)
	b.account = opened.GetBudgetAccountId()
	return b
}

// balance of an account.
type balance struct{ reserved, paid int64 }

// movement is one step of the account: a reservation, payments, a refusal for want of money with what was said to be left, or a look.
type movement struct {
	reserve, pay, lacks, left int64
	look                      *balance
}

func (m movement) String() string {
	switch {
	case m.look != nil:
		return fmt.Sprintf("reserved %d and paid %d seen", m.look.reserved, m.look.paid)
	case m.lacks > 0:
		return fmt.Sprintf("%d refused with %d left", m.lacks, m.left)
	case m.pay > 0:
		return fmt.Sprintf("%d paid", m.pay)
	}
	return fmt.Sprintf("%d reserved", m.reserve)
}

// alone is the account as one officer would keep it who does one thing after the other.
func (b *book) alone() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return balance{} },
		Step: func(state, input, _ any) (bool, any) {
			s, m := state.(balance), input.(movement)
			left := b.amount - s.reserved - s.paid
			switch {
			case m.look != nil:
				return *m.look == s, s
			case m.lacks > 0:
				return left == m.left && left < m.lacks, s
			}
			return m.reserve <= left && m.pay <= s.reserved, balance{s.reserved + m.reserve - m.pay, s.paid + m.pay}
		},
	}
}

func (b *book) step(m movement, begin, end int64) {
	b.steps = append(b.steps, porcupine.Operation{ClientId: len(b.steps), Input: m, Call: begin, Return: end})
}

// sent is what one connection was told of a request.
type sent[A proto.Message] struct {
	answer     A
	err        error
	begin, end int64
}

// send sends the same request over several connections at once, the replicas in turn.
func send[Q, A proto.Message](ctx context.Context, b *book, copies int, unit string, q Q, call func(*desk, context.Context, Q, ...grpc.CallOption) (A, error)) []sent[A] {
	all := make([]sent[A], copies)
	together(copies, func(i int) {
		s := &all[i]
		s.begin = b.clock.Add(1)
		s.answer, s.err = call(b.replicas[unit][i%len(b.replicas[unit])], ctx, proto.CloneOf(q))
		s.end = b.clock.Add(1)
	})
	return all
}

// races are the refusals that rivals may meet; any other is a finding.
var races = []string{
	"CONTENTION", "STATE_FORBIDS", "APPLICATION_EXISTS", "PAYMENT_EXISTS", "BUDGET_EXHAUSTED", "PAYMENT_NOT_FREE", "APPROVER_REPEATED", "RETURN_LINE_REPEATED",
}

// learn takes in what the connections were told, and gives the one acknowledgement that there may be: it took effect after the first copy
// had been sent and before the first was acknowledged.
func learn[A proto.Message](b *book, all []sent[A]) (one sent[A], done bool) {
	begin := all[0].begin
	for _, s := range all {
		begin = min(begin, s.begin)
		if s.err != nil {
			reason, _ := reasonOf(s.err)
			b.reached[reason]++
			if !slices.Contains(races, reason) {
				b.wrong = append(b.wrong, fmt.Sprintf("instead of %T: %v", s.answer, s.err))
			}
			continue
		}
		if done {
			if diff := cmp.Diff(one.answer, s.answer, protocmp.Transform()); diff != "" {
				b.wrong = append(b.wrong, "one request is answered in two ways: "+diff)
			}
		}
		if !done || s.end < one.end {
			one, done = s, true
		}
	}
	one.begin = begin
	return one, done
}

// draw says what somebody does next, beside others; what it then was told is learnt when all have been answered.
func (b *book) draw(rt *rapid.T) func(*testing.T) func() {
	copies := rapid.IntRange(1, 2).Draw(rt, "copies")
	deeds := []string{"submit"}
	if len(b.applications) > 0 {
		deeds = append(deeds, "decide", "decide", "look", "pass")
	}
	if len(b.payments) > 0 {
		deeds = append(deeds, "bring", "bring", "repay")
	}
	if len(b.batches) > 0 {
		deeds = append(deeds, "bank", "bank")
	}
	switch rapid.SampledFrom(deeds).Draw(rt, "deed") {
	case "decide":
		return b.decide(rt, copies)
	case "look":
		return b.look()
	case "pass":
		return b.pass(rt)
	case "bring":
		return b.bring(rt, copies)
	case "repay":
		return b.repay(rt, copies)
	case "bank":
		return b.bank(rt, copies)
	}
	return b.submit(rt, copies)
}

func (b *book) submit(rt *rapid.T, copies int) func(*testing.T) func() {
	q := asking(rapid.SampledFrom(b.children).Draw(rt, "child"), rapid.SampledFrom([]int64{30000, 70000, 100000}).Draw(rt, "fen"))
	q.Facts[0] = text("emergency_kind", rapid.SampledFrom([]string{"sudden_change", "major_illness"}).Draw(rt, "cause"))
	return func(t *testing.T) func() {
		all := send(deciding(t), b, copies, township, q, (*desk).SubmitApplication)
		return func() {
			if one, done := learn(b, all); done {
				b.applications = append(b.applications, asked{one.answer.GetStanding().GetId(), q.GetAmountFen()})
			}
		}
	}
}

func (b *book) decide(rt *rapid.T, copies int) func(*testing.T) func() {
	a := rapid.SampledFrom(b.applications).Draw(rt, "application")
	q := confirming(a.id)
	return func(t *testing.T) func() {
		all := send(deciding(t), b, copies, township, q, (*desk).DecideApplication)
		return func() {
			for _, s := range all {
				if reason, metadata := reasonOf(s.err); reason == "BUDGET_EXHAUSTED" {
					left, err := strconv.ParseInt(metadata["available_fen"], 10, 64)
					ok(t, err)
					b.step(movement{lacks: a.fen, left: left}, s.begin, s.end)
				}
			}
			one, done := learn(b, all)
			if !done || one.answer.GetPaymentId() == "" {
				return
			}
			b.reached["approved"]++
			b.granted[a.id] += a.fen
			b.payments = append(b.payments, owed{one.answer.GetPaymentId(), a.id, a.fen})
			b.step(movement{reserve: a.fen}, one.begin, one.end)
		}
	}
}

// bring freezes payments and carries the batch to the bank, as far as rivals let it.
func (b *book) bring(rt *rapid.T, copies int) func(*testing.T) func() {
	lines := rapid.SliceOfNDistinct(rapid.SampledFrom(b.payments), 1, min(3, len(b.payments)), rapid.ID[owed]).Draw(rt, "payments")
	q := &reliefv1.FreezeBatchRequest{RequestId: request()}
	for _, p := range lines {
		q.PaymentIds = append(q.PaymentIds, p.id)
	}
	return func(t *testing.T) func() {
		frozen := send(paying(t, preparer), b, copies, finance, q, (*desk).FreezeBatch)
		n := slices.IndexFunc(frozen, func(s sent[*reliefv1.FreezeBatchResponse]) bool { return s.err == nil })
		if n < 0 {
			return func() { learn(b, frozen) }
		}
		batch := frozen[n].answer
		approved := make([][]sent[*reliefv1.ApproveBatchResponse], 2)
		together(len(approved), func(i int) {
			who := []struct{ unit, officer string }{{finance, first}, {lead, second}}[i]
			approved[i] = send(paying(t, who.officer), b, copies, who.unit, approving(batch), (*desk).ApproveBatch)
		})
		exported := send(paying(t, preparer), b, copies, finance, exporting(batch.GetStanding().GetId()), (*desk).ExportBatch)
		return func() {
			learn(b, frozen)
			learn(b, approved[0])
			learn(b, approved[1])
			learn(b, exported)
			b.batches = append(b.batches, batched{batch.GetStanding().GetId(), lines})
		}
	}
}

// bank answers all lines of a batch: a file is new as a whole, or repeats one as a whole.
func (b *book) bank(rt *rapid.T, copies int) func(*testing.T) func() {
	batch := rapid.SampledFrom(b.batches).Draw(rt, "batch")
	said, paid := batch.lines, rapid.Bool().Draw(rt, "paid")
	code := map[bool]string{true: "00", false: "03"}[paid]
	return func(t *testing.T) func() {
		var lines []string
		for _, p := range said {
			lines = append(lines, lineOf(p.id, fmt.Sprintf("%d.%02d", p.fen/100, p.fen%100), code, calendar.Today(b.now(t)).String()))
		}
		all := send(paying(t, preparer), b, copies, finance, answering(t, batch.id, lines...), (*desk).RecordBankReturn)
		return func() {
			one, done := learn(b, all)
			switch {
			case !done:
				return
			case one.answer.GetRepeatedCount() > 0:
				b.reached["repeated"]++
				return
			case !paid:
				b.reached["returned"]++
				return
			}
			b.reached["settled"]++
			var sum int64
			for _, p := range said {
				b.settled[p.id] += p.fen
				sum += p.fen
			}
			b.step(movement{pay: sum}, one.begin, one.end)
		}
	}
}

func (b *book) repay(rt *rapid.T, copies int) func(*testing.T) func() {
	p := rapid.SampledFrom(b.payments).Draw(rt, "payment")
	q := &reliefv1.RepayPaymentRequest{RequestId: request(), PaymentId: p.id, Payee: payee(otherAccount)}
	return func(t *testing.T) func() {
		all := send(paying(t, preparer), b, copies, finance, q, (*desk).RepayPayment)
		return func() {
			if one, done := learn(b, all); done {
				b.reached["replaced"]++
				b.payments = append(b.payments, owed{one.answer.GetStanding().GetId(), p.application, p.fen})
			}
		}
	}
}

// pass lets business time pass, so that the sweepers of both replicas fire what is due.
func (b *book) pass(rt *rapid.T) func(*testing.T) func() {
	seconds := 3600 * rapid.Int64Range(0, 20).Draw(rt, "hours")
	return func(t *testing.T) func() {
		_, err := b.house.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{BySeconds: seconds}})
		return func() { ok(t, err) }
	}
}

func (b *book) look() func(*testing.T) func() {
	return func(t *testing.T) func() {
		begin := b.clock.Add(1)
		got, err := b.replicas[finance][begin%2].read.GetBudget(paying(t, ""), &reliefv1.GetBudgetRequest{BudgetAccountId: b.account})
		end := b.clock.Add(1)
		return func() {
			ok(t, err)
			a := got.GetBudgetAccount()
			b.step(movement{look: &balance{a.GetReservedFen(), a.GetPaidFen()}}, begin, end)
		}
	}
}

// check compares the house with what was told.
func (b *book) check(t *testing.T, rt *rapid.T) {
	b.look()(t)()
	if len(b.wrong) > 0 {
		rt.Fatal(b.wrong)
	}
	if !porcupine.CheckOperations(b.alone(), b.steps) {
		rt.Fatalf("no order of these explains what was told of an account of %d: %v", b.amount, b.steps)
	}
	listed, err := b.at(t, finance).read.ListLedgerEntries(paying(t, ""), &reliefv1.ListLedgerEntriesRequest{BudgetAccountId: b.account, PageSize: 100})
	ok(t, err)
	var s balance
	granted, settled := map[string]int64{}, map[string]int64{}
	for n, e := range listed.GetEntries() {
		switch e.GetKind() {
		case reliefv1.LedgerEntry_KIND_RESERVE:
			s.reserved += e.GetAmountFen()
			granted[e.GetApplicationId()] += e.GetAmountFen()
		case reliefv1.LedgerEntry_KIND_PAY:
			s.reserved -= e.GetAmountFen()
			s.paid += e.GetAmountFen()
			settled[e.GetPaymentId()] += e.GetAmountFen()
		}
		if after := (balance{e.GetReservedAfterFen(), e.GetPaidAfterFen()}); after != s || s.reserved < 0 || s.reserved+s.paid > b.amount {
			rt.Fatalf("entry %d of an account of %d: %v, its own movements make %v", n+1, b.amount, after, s)
		}
	}
	if diff := cmp.Diff(b.granted, granted); diff != "" {
		rt.Fatalf("acknowledged approvals and the ledger's reservations: %s", diff)
	}
	if diff := cmp.Diff(b.settled, settled); diff != "" {
		rt.Fatalf("acknowledged settlements and the ledger's payments: %s", diff)
	}
}
