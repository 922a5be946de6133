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
		reliefv1.Application_STATE_SUBMITTED: {reliefv1.Application_STATE_APPROVED, reliefv1.Application_STATE_REFUSED},
		reliefv1.Application_STATE_APPROVED:  {reliefv1.Application_STATE_PAID},
	}
	legalPayment = map[reliefv1.Payment_State][]reliefv1.Payment_State{
		reliefv1.Payment_STATE_APPROVED: {reliefv1.Payment_STATE_FROZEN},
		reliefv1.Payment_STATE_FROZEN:   {reliefv1.Payment_STATE_EXPORTED},
		reliefv1.Payment_STATE_EXPORTED: {reliefv1.Payment_STATE_SETTLED, reliefv1.Payment_STATE_RETURNED},
		reliefv1.Payment_STATE_RETURNED: {reliefv1.Payment_STATE_REPLACED},
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
	switch rapid.IntRange(0, 6).Draw(rt, "verb") {
	case 0, 1:
		a := rapid.SampledFrom(o.applications).Draw(rt, "application")
		unit := rapid.SampledFrom([]string{township, a.GetStanding().GetHolder(), "court"}).Draw(rt, "unit")
		decision, err := rules.Decide(o.d, o.p, a, o.id("decision"), []*reliefv1.Fact{yes("emergency_confirmed")}, "", rules.Known{Account: o.account}, rules.Act{Unit: unit, Now: o.now})
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
			_, err := rules.Export(o.d, b, o.lines[b], false, o.now)
			return err
		})
	case 5:
		return o.answer(rt)
	default:
		return o.repay(rt)
	}
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
		matched, err := rules.Match([]rules.Answer{said}, o.lines[b])
		if err != nil {
			return err
		}
		if rules.Settle(o.d, b, matched[0], said, o.now) {
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
	corrected, err := rules.Repay(o.d, old, o.id("payment"), &reliefv1.Payee{Name: o.id("payee")}, o.now)
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
		if p.GetState() != reliefv1.Payment_STATE_REPLACED {
			counting[p.GetApplicationId()]++
		}
		closed := p.GetState() == reliefv1.Payment_STATE_SETTLED || p.GetState() == reliefv1.Payment_STATE_REPLACED
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
		was, closed := before.applications[i], a.GetState() == reliefv1.Application_STATE_PAID || a.GetState() == reliefv1.Application_STATE_REFUSED
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
