package rules_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
)

// legalApplication and legalPayment say which states can follow which.
var (
	legalApplication = map[reliefv1.Application_State][]reliefv1.Application_State{
		reliefv1.Application_STATE_OPEN: {reliefv1.Application_STATE_WITHDRAWN},
		reliefv1.Application_STATE_SUBMITTED: {
			reliefv1.Application_STATE_APPROVED, reliefv1.Application_STATE_REFUSED, reliefv1.Application_STATE_OPEN, reliefv1.Application_STATE_WITHDRAWN,
		},
		reliefv1.Application_STATE_APPROVED: {reliefv1.Application_STATE_PAID, reliefv1.Application_STATE_WITHDRAWN},
	}
	legalPayment = map[reliefv1.Payment_State][]reliefv1.Payment_State{
		reliefv1.Payment_STATE_APPROVED: {reliefv1.Payment_STATE_FROZEN, reliefv1.Payment_STATE_CANCELLED},
		reliefv1.Payment_STATE_FROZEN:   {reliefv1.Payment_STATE_EXPORTED, reliefv1.Payment_STATE_APPROVED},
		reliefv1.Payment_STATE_EXPORTED: {reliefv1.Payment_STATE_SETTLED, reliefv1.Payment_STATE_RETURNED},
		reliefv1.Payment_STATE_RETURNED: {reliefv1.Payment_STATE_REPLACED, reliefv1.Payment_STATE_CANCELLED},
	}
)

// office is the money of one account as the rules move it, beside a model that knows only amounts.
type office struct {
	d            *district.District
	p            district.Programme
	account      *reliefv1.BudgetAccount
	applications []*reliefv1.Application
	payments     []*reliefv1.Payment
	batches      []*reliefv1.Batch
	lines        map[*reliefv1.Batch][]*reliefv1.Payment
	now          time.Time
	made         int

	granted int64 // the model: what was granted and so is reserved or paid
}

func (o *office) id(kind string) string { o.made++; return fmt.Sprintf("%s-%d", kind, o.made) }

// Whatever officers do with applications, payments and batches, and however the bank answers: no more is granted than there is, what is
// reserved is what was granted, each application has one payment that still counts, and every step is a legal one.
func TestMoneyGoesOneWay(t *testing.T) {
	t.Parallel()
	d := load(t)
	p := programme(t, d)
	limit, _, _ := d.LimitFen(p, calendar.Today(noon))
	rapid.Check(t, func(rt *rapid.T) {
		o := &office{d: d, p: p, now: noon, account: &reliefv1.BudgetAccount{AmountFen: limit * int64(rapid.IntRange(0, 4).Draw(rt, "budget"))}, lines: map[*reliefv1.Batch][]*reliefv1.Payment{}}
		for range 6 {
			a := application(rapid.Int64Range(1, limit+1).Draw(rt, "fen"))
			a.BeneficiaryId = o.id("child")
			custody.Set(a.GetStanding(), township, d.Deadline(p.Clock, noon), p.Clock)
			o.applications = append(o.applications, a)
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			o.now = o.now.Add(time.Duration(rapid.IntRange(0, 48).Draw(rt, "hours")) * time.Hour)
			before := o.copied()
			err := o.step(rt)
			o.check(rt, before, err)
		}
	})
}

// step does one thing; it answers the refusal, if there was one.
func (o *office) step(rt *rapid.T) error {
	officer := rapid.SampledFrom([]string{"finance-2", "finance-3", "finance-4", "civil_affairs-5", ""}).Draw(rt, "officer")
	switch rapid.IntRange(0, 10).Draw(rt, "verb") {
	case 0, 1:
		a := rapid.SampledFrom(o.applications).Draw(rt, "application")
		unit := rapid.SampledFrom([]string{township, a.GetStanding().GetHolder(), "court"}).Draw(rt, "unit")
		decision, err := rules.Decide(o.d, o.p, a, o.id("decision"), []*reliefv1.Fact{yes("emergency_confirmed")}, "", rules.Known{Account: o.account, Child: rules.Child{ID: a.GetBeneficiaryId()}}, rules.Act{Unit: unit, Officer: officer, Now: o.now})
		if err == nil && decision.GetOutcome() == reliefv1.Outcome_OUTCOME_APPROVED {
			o.payments = append(o.payments, rules.Pay(o.d, a, o.account, o.id("payment"), o.now))
			o.granted += a.GetAmountFen()
		}
		return err
	case 2:
		return o.freeze(rt, officer)
	case 3:
		return o.onBatch(rt, func(b *reliefv1.Batch) error {
			return rules.Approve(o.d, b, b.GetDigest(), rules.Act{Unit: "finance", Officer: officer, Now: o.now})
		})
	case 4:
		return o.onBatch(rt, func(b *reliefv1.Batch) error {
			_, err := rules.Export(o.d, b, o.lines[b], false, rules.Act{Unit: "finance", Officer: officer, Now: o.now})
			return err
		})
	case 5:
		return o.answer(rt)
	case 6:
		return o.repay(rt)
	case 7:
		return o.withdraw(rt, officer)
	case 8:
		return o.giveBack(rt, officer)
	case 9:
		return o.onBatch(rt, func(b *reliefv1.Batch) error {
			return rules.CancelBatch(o.d, b, o.lines[b], rules.Why{Grounds: reliefv1.EndGrounds_END_GROUNDS_MISTAKE}, rules.Act{Unit: "finance", Officer: officer, Now: o.now})
		})
	default:
		return o.cancel(rt, officer)
	}
}

// paying is the payment of an application that still counts.
func (o *office) paying(a *reliefv1.Application) *reliefv1.Payment {
	for _, p := range o.payments {
		if p.GetApplicationId() == a.GetStanding().GetId() && p.GetState() != reliefv1.Payment_STATE_REPLACED && p.GetState() != reliefv1.Payment_STATE_CANCELLED {
			return p
		}
	}
	return nil
}

func (o *office) released(p *reliefv1.Payment) {
	if p != nil {
		o.account.ReservedFen -= p.GetAmountFen()
		o.granted -= p.GetAmountFen()
	}
}

func (o *office) withdraw(rt *rapid.T, officer string) error {
	a := rapid.SampledFrom(o.applications).Draw(rt, "withdrawn")
	unit := rapid.SampledFrom([]string{township, a.GetStanding().GetHolder(), "court"}).Draw(rt, "unit")
	why := rules.Why{Grounds: rapid.SampledFrom([]reliefv1.EndGrounds{reliefv1.EndGrounds_END_GROUNDS_DIED, reliefv1.EndGrounds_END_GROUNDS_OTHER}).Draw(rt, "why")}
	paying := o.paying(a)
	if a.GetState() != reliefv1.Application_STATE_APPROVED {
		paying = nil
	}
	err := rules.Withdraw(a, paying, why, rules.Act{Unit: unit, Officer: officer, Now: o.now})
	if err == nil {
		o.released(paying)
	}
	return err
}

func (o *office) giveBack(rt *rapid.T, officer string) error {
	a := rapid.SampledFrom(o.applications).Draw(rt, "given back")
	return rules.Return(o.d, o.p, a, "x", rules.Act{Unit: rapid.SampledFrom([]string{township, "civil_affairs"}).Draw(rt, "unit"), Officer: officer, Now: o.now})
}

func (o *office) cancel(rt *rapid.T, officer string) error {
	if len(o.payments) == 0 {
		return nil
	}
	p := rapid.SampledFrom(o.payments).Draw(rt, "cancelled")
	n := slices.IndexFunc(o.applications, func(a *reliefv1.Application) bool { return a.GetStanding().GetId() == p.GetApplicationId() })
	err := rules.CancelFor(o.applications[n], p, rules.Why{Grounds: reliefv1.EndGrounds_END_GROUNDS_DIED}, rules.Act{Unit: "finance", Officer: officer, Now: o.now})
	if err == nil {
		o.released(p)
	}
	return err
}

// freeze makes a batch; as in a command, a refusal leaves what was read untouched.
func (o *office) freeze(rt *rapid.T, officer string) error {
	if len(o.payments) == 0 {
		return nil
	}
	chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(o.payments)-1), 1, len(o.payments), rapid.ID[int]).Draw(rt, "chosen")
	var lines []*reliefv1.Payment
	for _, i := range chosen {
		lines = append(lines, proto.CloneOf(o.payments[i]))
	}
	b, err := rules.Freeze(o.d, o.id("batch"), lines, rules.Act{Unit: "finance", Officer: officer, Now: o.now})
	if err != nil {
		return err
	}
	for n, i := range chosen {
		o.payments[i] = lines[n]
	}
	o.batches, o.lines[b] = append(o.batches, b), lines
	return nil
}

func (o *office) onBatch(rt *rapid.T, do func(*reliefv1.Batch) error) error {
	if len(o.batches) == 0 {
		return nil
	}
	return do(rapid.SampledFrom(o.batches).Draw(rt, "batch"))
}

// answer takes in what the bank says of one line, as a return file of one line would.
func (o *office) answer(rt *rapid.T) error {
	return o.onBatch(rt, func(b *reliefv1.Batch) error {
		line := rapid.SampledFrom(o.lines[b]).Draw(rt, "line")
		said := rules.Answer{Line: 2, PaymentID: line.GetStanding().GetId(), AmountFen: line.GetAmountFen(), Code: rapid.SampledFrom([]string{"00", "03"}).Draw(rt, "code")}
		if err := rules.Returning(b, rules.Act{Unit: "finance", Officer: "finance-2", Now: o.now}); err != nil {
			return err
		}
		matched, err := rules.Match([]rules.Answer{said}, o.lines[b], calendar.Date{}, calendar.Today(o.now))
		if err != nil || matched.Repeated == 1 {
			return err
		}
		if rules.Settle(o.d, b, matched.Payments[0], said, o.now) {
			o.account.ReservedFen -= line.GetAmountFen()
			o.account.PaidFen += line.GetAmountFen()
			n := slices.IndexFunc(o.applications, func(a *reliefv1.Application) bool { return a.GetStanding().GetId() == line.GetApplicationId() })
			rules.Paid(o.applications[n])
		}
		rules.Answered(b)
		return nil
	})
}

func (o *office) repay(rt *rapid.T) error {
	if len(o.payments) == 0 {
		return nil
	}
	old := rapid.SampledFrom(o.payments).Draw(rt, "returned")
	corrected, err := rules.Repay(o.d, old, o.id("payment"), &reliefv1.Payee{Name: o.id("payee")}, rules.Act{Unit: "finance", Officer: "finance-2", Now: o.now})
	if err == nil {
		o.payments = append(o.payments, corrected)
	}
	return err
}

func (o *office) copied() *office {
	c := &office{account: proto.CloneOf(o.account)}
	for _, a := range o.applications {
		c.applications = append(c.applications, proto.CloneOf(a))
	}
	for _, p := range o.payments {
		c.payments = append(c.payments, proto.CloneOf(p))
	}
	return c
}

func (o *office) check(rt *rapid.T, before *office, refusal error) {
	rt.Helper()
	if o.account.GetReservedFen()+o.account.GetPaidFen() > o.account.GetAmountFen() || o.account.GetReservedFen() < 0 {
		rt.Fatalf("%d reserved and %d paid of %d", o.account.GetReservedFen(), o.account.GetPaidFen(), o.account.GetAmountFen())
	}
	if o.account.GetReservedFen()+o.account.GetPaidFen() != o.granted {
		rt.Fatalf("%d reserved and %d paid of %d granted", o.account.GetReservedFen(), o.account.GetPaidFen(), o.granted)
	}
	counting := map[string]int{}
	for i, p := range o.payments {
		if p.GetState() != reliefv1.Payment_STATE_REPLACED && p.GetState() != reliefv1.Payment_STATE_CANCELLED {
			counting[p.GetApplicationId()]++
		}
		closed := slices.Contains([]reliefv1.Payment_State{reliefv1.Payment_STATE_SETTLED, reliefv1.Payment_STATE_REPLACED, reliefv1.Payment_STATE_CANCELLED}, p.GetState())
		held(rt, p.GetStanding(), closed)
		if i >= len(before.payments) {
			continue
		}
		if was := before.payments[i]; was.GetState() != p.GetState() && !slices.Contains(legalPayment[was.GetState()], p.GetState()) {
			rt.Fatalf("a payment went from %v to %v", was.GetState(), p.GetState())
		} else if refusal != nil && !proto.Equal(was, p) {
			rt.Fatalf("a refusal changed a payment: %v", refusal)
		}
	}
	for i, a := range o.applications {
		was, closed := before.applications[i], slices.Contains([]reliefv1.Application_State{
			reliefv1.Application_STATE_PAID, reliefv1.Application_STATE_REFUSED, reliefv1.Application_STATE_WITHDRAWN,
		}, a.GetState())
		held(rt, a.GetStanding(), closed)
		switch granted := a.GetState() == reliefv1.Application_STATE_APPROVED || a.GetState() == reliefv1.Application_STATE_PAID; {
		case was.GetState() != a.GetState() && !slices.Contains(legalApplication[was.GetState()], a.GetState()):
			rt.Fatalf("an application went from %v to %v", was.GetState(), a.GetState())
		case refusal != nil && !proto.Equal(was, a):
			rt.Fatalf("a refusal changed an application: %v", refusal)
		case granted != (counting[a.GetStanding().GetId()] == 1) || counting[a.GetStanding().GetId()] > 1:
			rt.Fatalf("%v with %d payments that count", a.GetState(), counting[a.GetStanding().GetId()])
		}
	}
}

func held(rt *rapid.T, s *custodyv1.Standing, closed bool) {
	rt.Helper()
	if closed != (s.GetHolder() == "") || closed != (s.GetDeadline() == nil) {
		rt.Fatalf("closed is %v with %v", closed, s)
	}
}
