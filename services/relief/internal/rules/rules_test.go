package rules_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
)

const township = "township/320411101000"

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

func load(t testing.TB) *district.District {
	t.Helper()
	d, err := district.Load("../../../../districts/xinbei")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func programme(t testing.TB, d *district.District) district.Programme {
	t.Helper()
	p, err := rules.Programme(d, "templief_fast", calendar.Today(noon))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// application is one that has been handed in and lacks the confirmation only.
func application(fen int64) *reliefv1.Application {
	return &reliefv1.Application{
		Standing: &custodyv1.Standing{Id: uuid.NewString(), Holder: township}, State: reliefv1.Application_STATE_SUBMITTED,
		Division: "320411101000", Programme: "templief_fast", ProgrammeVersion: 1, BeneficiaryId: "child", Period: "2026/sudden_change", AmountFen: fen,
		Facts: []*reliefv1.Fact{text("emergency_kind", "sudden_change"), yes("happened_in_district")},
	}
}

func text(name, value string) *reliefv1.Fact {
	return &reliefv1.Fact{Name: name, Value: &reliefv1.Fact_TextValue{TextValue: value}}
}

func yes(name string) *reliefv1.Fact {
	return &reliefv1.Fact{Name: name, Value: &reliefv1.Fact_BoolValue{BoolValue: true}}
}

func TestADecisionExplainsItself(t *testing.T) {
	t.Parallel()
	d := load(t)
	account := func() *reliefv1.BudgetAccount { return &reliefv1.BudgetAccount{AmountFen: 200000} }
	limit, _, _ := d.LimitFen(programme(t, d), calendar.Today(noon))
	act := rules.Act{Unit: township, Officer: "township-320411101000-2", Now: noon}
	nobody := act
	nobody.Officer = ""
	confirmed := []*reliefv1.Fact{yes("emergency_confirmed")}
	cases := map[string]struct {
		fen      int64
		facts    []*reliefv1.Fact
		known    rules.Known
		act      rules.Act
		reason   fault.Reason
		ruleID   string
		approved bool
	}{
		"approved":           {limit, confirmed, rules.Known{Account: account()}, act, nil, "templief_fast", true},
		"above the limit":    {limit + 1, confirmed, rules.Known{Account: account()}, act, nil, "templief_fast/amount", false},
		"granted this year":  {limit, confirmed, rules.Known{Account: account(), GrantedSameReason: 1}, act, nil, "templief_fast/once", false},
		"not confirmed":      {limit, nil, rules.Known{Account: account()}, act, reliefv1.Reason_REASON_FACTS_MISSING, "", false},
		"not a fact to give": {limit, []*reliefv1.Fact{{Name: "limit_fen"}}, rules.Known{Account: account()}, act, reliefv1.Reason_REASON_FACT_INVALID, "", false},
		"no budget":          {limit, confirmed, rules.Known{}, act, reliefv1.Reason_REASON_BUDGET_MISSING, "", false},
		"too little left":    {limit, confirmed, rules.Known{Account: &reliefv1.BudgetAccount{AmountFen: limit, PaidFen: 1}}, act, reliefv1.Reason_REASON_BUDGET_EXHAUSTED, "", false},
		"in production":      {limit, confirmed, rules.Known{Account: account(), Production: true}, act, reliefv1.Reason_REASON_PLACEHOLDER_AMOUNT, "", false},
		"not the holder":     {limit, confirmed, rules.Known{Account: account()}, rules.Act{Unit: "court", Officer: "court-1", Now: noon}, reliefv1.Reason_REASON_NOT_HOLDER, "", false},
		"no officer":         {limit, confirmed, rules.Known{Account: account()}, nobody, reliefv1.Reason_REASON_OFFICER_REQUIRED, "", false},
		"nobody's child":     {limit, confirmed, rules.Known{Account: account(), Child: rules.Child{Earlier: []string{"child"}}}, act, reliefv1.Reason_REASON_BENEFICIARY_UNKNOWN, "", false},
		"another id by now":  {limit, confirmed, rules.Known{Account: account(), Child: rules.Child{ID: "other"}}, act, reliefv1.Reason_REASON_BENEFICIARY_SUPERSEDED, "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := application(c.fen)
			if c.known.Child.ID == "" && c.known.Child.Earlier == nil {
				c.known.Child.ID = a.GetBeneficiaryId()
			}
			decision, err := rules.Decide(d, programme(t, d), a, "decision", c.facts, "", c.known, c.act)
			if c.reason != nil {
				if !fault.Is(err, c.reason) || a.GetState() != reliefv1.Application_STATE_SUBMITTED {
					t.Fatalf("state %v, error %v", a.GetState(), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := decision.GetOutcome() == reliefv1.Outcome_OUTCOME_APPROVED; got != c.approved || decision.GetRuleId() != c.ruleID {
				t.Errorf("outcome %v by %s", decision.GetOutcome(), decision.GetRuleId())
			}
			if decision.GetRuleVersion() != 1 || len(decision.GetConditions()) != 5 || len(decision.GetFacts()) != 6 ||
				decision.GetLegalSource() == "" || decision.GetExplanation() == "" || decision.GetDistrictDigest() != d.Digest() {
				t.Errorf("not explained: %v", decision)
			}
			if held := a.GetStanding().GetHolder() != ""; held != c.approved {
				t.Errorf("held %v", held)
			}
		})
	}
}

func payments(n int) []*reliefv1.Payment {
	out := make([]*reliefv1.Payment, n)
	for i := range out {
		out[i] = &reliefv1.Payment{
			Standing: &custodyv1.Standing{Id: uuid.NewString()}, State: reliefv1.Payment_STATE_APPROVED, Programme: "templief_fast",
			AmountFen: int64(100*i + 1), Payee: &reliefv1.Payee{Name: "钱雨欣", AccountNumber: "6228480000000000", BankCode: "103304000018"},
		}
	}
	return out
}

func TestTwoOfficersWhoDidNotPrepareItApproveABatch(t *testing.T) {
	t.Parallel()
	d := load(t)
	act := func(officer string) rules.Act { return rules.Act{Unit: "finance", Officer: officer, Now: noon} }
	if _, err := rules.Freeze(d, "b", payments(1), act("")); !fault.Is(err, reliefv1.Reason_REASON_OFFICER_REQUIRED) {
		t.Errorf("nobody froze it: %v", err)
	}
	b, err := rules.Freeze(d, "b", payments(2), act("finance-2"))
	if err != nil || b.GetTotalFen() != 102 || b.GetLineCount() != 2 {
		t.Fatalf("%v, %v", b, err)
	}
	steps := []struct {
		officer, digest string
		reason          fault.Reason
	}{
		{"finance-2", b.GetDigest(), reliefv1.Reason_REASON_APPROVER_IS_PREPARER},
		{"finance-1", b.GetDigest(), reliefv1.Reason_REASON_APPROVER_NOT_ENTITLED},
		{"finance-3", "other", reliefv1.Reason_REASON_DIGEST_MISMATCH},
		{"finance-3", b.GetDigest(), nil},
		{"finance-3", b.GetDigest(), reliefv1.Reason_REASON_APPROVER_REPEATED},
		{"civil_affairs-5", b.GetDigest(), nil},
	}
	for i, s := range steps {
		err := rules.Approve(d, b, s.digest, act(s.officer))
		if s.reason == nil && err != nil || s.reason != nil && !fault.Is(err, s.reason) {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if b.GetState() != reliefv1.Batch_STATE_APPROVED {
		t.Errorf("state %v", b.GetState())
	}
}

// What the bank is sent can be answered line by line, and only so; the file is the same each time.
func TestTheBanksFileIsSteadyAndItsReturnIsReadStrictly(t *testing.T) {
	t.Parallel()
	d := load(t)
	rapid.Check(t, func(r *rapid.T) {
		lines := payments(rapid.IntRange(1, 5).Draw(r, "lines"))
		first, err := rules.BankFile(d.Bank(), lines)
		if err != nil {
			r.Fatal(err)
		}
		again, err := rules.BankFile(d.Bank(), lines)
		if err != nil || string(first) != string(again) {
			r.Fatalf("another file: %v", err)
		}
	})
	for name, file := range map[string]string{
		"empty": "", "a header only": "a,b,c,d\r\n", "not the bank's": "业务编号,金额\r\n1,2\r\n", "not a text": "\xff\xff\xff",
	} {
		if _, err := rules.ReadReturn(d.Bank(), []byte(file)); !fault.Is(err, reliefv1.Reason_REASON_RETURN_FILE_UNREADABLE) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAnswerMustBeForALineOfTheBatch(t *testing.T) {
	t.Parallel()
	lines := payments(3)
	for _, p := range lines {
		p.State = reliefv1.Payment_STATE_EXPORTED
	}
	lines[2].State, lines[2].BankResult = reliefv1.Payment_STATE_SETTLED, "00"
	answer := func(p *reliefv1.Payment, fen int64) rules.Answer {
		return rules.Answer{Line: 2, PaymentID: p.GetStanding().GetId(), AmountFen: fen, Code: "00"}
	}
	good, again := answer(lines[0], lines[0].GetAmountFen()), answer(lines[2], lines[2].GetAmountFen())
	dated := func(day string) rules.Answer {
		a := good
		a.ValueDate, a.DateColumn = day, 4
		return a
	}
	for name, c := range map[string]struct {
		answers []rules.Answer
		reason  fault.Reason
	}{
		"fits":                  {[]rules.Answer{good}, nil},
		"twice":                 {[]rules.Answer{good, good}, reliefv1.Reason_REASON_RETURN_LINE_REPEATED},
		"other amount":          {[]rules.Answer{answer(lines[1], 1)}, reliefv1.Reason_REASON_RETURN_AMOUNT_DIFFERS},
		"unknown":               {[]rules.Answer{{Line: 2, PaymentID: uuid.NewString()}}, reliefv1.Reason_REASON_RETURN_LINE_UNKNOWN},
		"one by one, ok":        {[]rules.Answer{good, answer(lines[1], lines[1].GetAmountFen())}, nil},
		"of the day of export":  {[]rules.Answer{dated("2026-03-01")}, nil},
		"of today":              {[]rules.Answer{dated("2026-03-02")}, nil},
		"before the export":     {[]rules.Answer{dated("2026-02-28")}, reliefv1.Reason_REASON_RETURN_DATE_IMPLAUSIBLE},
		"tomorrow":              {[]rules.Answer{dated("2026-03-03")}, reliefv1.Reason_REASON_RETURN_DATE_IMPLAUSIBLE},
		"of the year 1":         {[]rules.Answer{dated("0001-01-01")}, reliefv1.Reason_REASON_RETURN_DATE_IMPLAUSIBLE},
		"of the next century":   {[]rules.Answer{dated("2099-01-01")}, reliefv1.Reason_REASON_RETURN_DATE_IMPLAUSIBLE},
		"as recorded":           {[]rules.Answer{again}, nil},
		"not as recorded":       {[]rules.Answer{{Line: 2, PaymentID: again.PaymentID, AmountFen: again.AmountFen, Code: "01"}}, reliefv1.Reason_REASON_RETURN_LINE_REPEATED},
		"recorded, other money": {[]rules.Answer{{Line: 2, PaymentID: again.PaymentID, AmountFen: 7, Code: "00"}}, reliefv1.Reason_REASON_RETURN_AMOUNT_DIFFERS},
	} {
		_, err := rules.Match(c.answers, lines, calendar.Date{Year: 2026, Month: 3, Day: 1}, calendar.Today(noon))
		if c.reason == nil && err != nil || c.reason != nil && !fault.Is(err, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
