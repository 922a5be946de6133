package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Known is what a decision rests on beside what was declared and confirmed.
type Known struct {
	// Child is what the registry says of the beneficiary.
	Child Child
	// GrantedSameReason counts grants of the programme for the same cause this year.
	GrantedSameReason int64
	// Account that would pay; nil when none is open.
	Account *reliefv1.BudgetAccount
	// Production refuses to pay on amounts nobody has confirmed.
	Production bool
}

// Decide applies the programme's conditions to an application and makes the decision, with everything that explains it. The
// application moves to APPROVED or is closed as REFUSED.
//
// Errors: OFFICER_REQUIRED, STATE_FORBIDS, NOT_HOLDER, BENEFICIARY_UNKNOWN, BENEFICIARY_SUPERSEDED, FACT_INVALID, FACTS_MISSING, PLACEHOLDER_AMOUNT, BUDGET_MISSING, BUDGET_EXHAUSTED.
func Decide(d *district.District, p district.Programme, a *reliefv1.Application, id string, confirmed []*reliefv1.Fact, note string, known Known, act Act) (*reliefv1.Decision, error) {
	if err := byOfficer(act); err != nil {
		return nil, err
	}
	if a.GetState() != reliefv1.Application_STATE_SUBMITTED {
		return nil, fault.StateForbids(strings.TrimPrefix(a.GetState().String(), "STATE_"), "decide")
	}
	if a.GetStanding().GetHolder() != act.Unit {
		return nil, notHolder(a, "decide")
	}
	if err := CheckChild(a, known.Child); err != nil {
		return nil, err
	}
	if err := checkFacts(p, confirmed); err != nil {
		return nil, err
	}
	limit, standard, ok := d.LimitFen(p, calendar.Today(act.Now))
	placeholder := ok && standard.Status == district.StatusPlaceholder || known.Account.GetPlaceholder()
	if placeholder && known.Production {
		return nil, fault.New(reliefv1.Reason_REASON_PLACEHOLDER_AMOUNT, "an amount nobody has confirmed would decide", "entry", standard.Code)
	}
	facts := merge(a, confirmed, limit, known.GrantedSameReason)
	conditions, failed, err := evaluate(p, facts)
	if err != nil {
		return nil, err
	}
	decision := &reliefv1.Decision{
		Id: id, MatterId: a.GetStanding().GetMatterId(), Division: a.GetDivision(), ApplicationId: a.GetStanding().GetId(),
		Programme: p.Code, RuleId: p.Code, RuleVersion: int32(p.Version), DistrictDigest: d.Digest(), Conditions: conditions, Facts: facts,
		Placeholder: placeholder, Unit: act.Unit, Officer: act.Officer, DecideTime: timestamppb.New(act.Now), Note: note,
	}
	if source, ok := d.Source(p.Source); ok {
		decision.LegalSource = source.ZH
	}
	if failed != nil {
		a.DecisionId = id
		decision.Outcome, decision.RuleId = reliefv1.Outcome_OUTCOME_REFUSED, p.Code+"/"+failed.GetConditionId()
		decision.Explanation = "不予批准：不符合“" + failed.GetZh() + "”（" + decision.GetLegalSource() + "）"
		a.State = reliefv1.Application_STATE_REFUSED
		custody.Close(a.GetStanding())
		return decision, nil
	}
	if err := affordable(p, a, known.Account, act.Now); err != nil {
		return nil, err
	}
	decision.Outcome, decision.AmountFen = reliefv1.Outcome_OUTCOME_APPROVED, a.GetAmountFen()
	decision.Explanation = fmt.Sprintf("批准：符合%s全部%d项条件（%s）", p.ZH, len(conditions), decision.GetLegalSource())
	a.State, a.ApprovedFen, a.DecisionId = reliefv1.Application_STATE_APPROVED, a.GetAmountFen(), id
	custody.Meet(a.GetStanding(), p.Clock)
	custody.Extend(a.GetStanding(), d.Deadline(district.ClockPaymentApprove, act.Now), district.ClockPaymentApprove)
	return decision, nil
}

// affordable refuses what no account or too little money stands behind.
func affordable(p district.Programme, a *reliefv1.Application, account *reliefv1.BudgetAccount, now time.Time) error {
	if account == nil {
		return fault.New(reliefv1.Reason_REASON_BUDGET_MISSING, "no budget is open", "programme", p.Code, "division", a.GetDivision(),
			"year", fmt.Sprint(calendar.Today(now).Year))
	}
	left := account.GetAmountFen() - account.GetReservedFen() - account.GetPaidFen()
	if left < a.GetAmountFen() {
		return fault.New(reliefv1.Reason_REASON_BUDGET_EXHAUSTED, "less is left than is needed", "available_fen", fmt.Sprint(left), "division", a.GetDivision(),
			"year", fmt.Sprint(account.GetYear()))
	}
	return nil
}

// merge joins declared, confirmed and derived facts; later ones replace earlier ones of the same name.
func merge(a *reliefv1.Application, confirmed []*reliefv1.Fact, limit, granted int64) []*reliefv1.Fact {
	var out []*reliefv1.Fact
	put := func(f *reliefv1.Fact, origin reliefv1.Fact_Origin) {
		f = proto.Clone(f).(*reliefv1.Fact)
		f.Origin = origin
		out = append(slices.DeleteFunc(out, func(o *reliefv1.Fact) bool { return o.GetName() == f.GetName() }), f)
	}
	for _, f := range a.GetFacts() {
		put(f, reliefv1.Fact_ORIGIN_DECLARED)
	}
	for _, f := range confirmed {
		put(f, reliefv1.Fact_ORIGIN_CONFIRMED)
	}
	for i, value := range []int64{a.GetAmountFen(), limit, granted} {
		put(&reliefv1.Fact{Name: derived[i], Value: &reliefv1.Fact_IntValue{IntValue: value}}, reliefv1.Fact_ORIGIN_DERIVED)
	}
	return out
}

// evaluate applies every condition in the programme's order; failed is the first that does not hold.
func evaluate(p district.Programme, facts []*reliefv1.Fact) (conditions []*reliefv1.Condition, failed *reliefv1.Condition, err error) {
	values := map[string]any{}
	for _, f := range facts {
		switch v := f.GetValue().(type) {
		case *reliefv1.Fact_TextValue:
			values[f.GetName()] = v.TextValue
		case *reliefv1.Fact_BoolValue:
			values[f.GetName()] = v.BoolValue
		case *reliefv1.Fact_IntValue:
			values[f.GetName()] = v.IntValue
		}
	}
	var missing []string
	for _, f := range p.Facts {
		if _, ok := values[f.Name]; !ok {
			missing = append(missing, f.Name)
		}
	}
	if len(missing) > 0 {
		return nil, nil, fault.New(reliefv1.Reason_REASON_FACTS_MISSING, "facts are missing", "missing", strings.Join(missing, ","))
	}
	env, err := p.Environment()
	if err != nil {
		return nil, nil, err
	}
	for _, c := range p.Eligibility {
		holds, err := holds(env, c.CEL, values)
		if err != nil {
			return nil, nil, err
		}
		condition := &reliefv1.Condition{ConditionId: c.ID, Expression: c.CEL, Zh: c.ZH, Source: c.Source, Status: string(c.Status), Holds: holds}
		conditions = append(conditions, condition)
		if !holds && failed == nil {
			failed = condition
		}
	}
	return conditions, failed, nil
}

func holds(env *cel.Env, expression string, values map[string]any) (bool, error) {
	ast, issues := env.Compile(expression)
	if err := issues.Err(); err != nil {
		return false, err // the district's loader has compiled it already
	}
	program, err := env.Program(ast)
	if err != nil {
		return false, err
	}
	value, _, err := program.Eval(values)
	if err != nil {
		return false, err
	}
	result, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("rules: condition %q is not a yes or no", expression)
	}
	return result, nil
}

// Pay makes the payment of an approved application and reserves its money on the account.
func Pay(d *district.District, a *reliefv1.Application, account *reliefv1.BudgetAccount, id string, now time.Time) *reliefv1.Payment {
	account.ReservedFen += a.GetApprovedFen()
	p := &reliefv1.Payment{
		Standing: &custodyv1.Standing{Id: id, MatterId: a.GetStanding().GetMatterId()}, State: reliefv1.Payment_STATE_APPROVED, Division: a.GetDivision(),
		ApplicationId: a.GetStanding().GetId(), DecisionId: a.GetDecisionId(), Programme: a.GetProgramme(), BeneficiaryId: a.GetBeneficiaryId(),
		Period: a.GetPeriod(), Attempt: 1, AmountFen: a.GetApprovedFen(), Payee: a.GetPayee(), BudgetAccountId: account.GetId(),
	}
	toApprove(d, p.GetStanding(), now)
	return p
}

// Entry is the movement that a change of an account leaves behind; the account is as it is after the change.
func Entry(id string, kind reliefv1.LedgerEntry_Kind, account *reliefv1.BudgetAccount, amount int64, payment *reliefv1.Payment, now time.Time) *reliefv1.LedgerEntry {
	return &reliefv1.LedgerEntry{
		Id: id, BudgetAccountId: account.GetId(), Kind: kind, AmountFen: amount, PaymentId: payment.GetStanding().GetId(), ApplicationId: payment.GetApplicationId(),
		EntryTime: timestamppb.New(now), AmountAfterFen: account.GetAmountFen(), ReservedAfterFen: account.GetReservedFen(), PaidAfterFen: account.GetPaidFen(),
	}
}
