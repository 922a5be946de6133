// Package rules decides on applications, budgets, payments and batches. Pure functions over the contract's messages and the
// district's data: no database, no clock of their own.
package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/name"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Act is who acts and when.
type Act struct {
	Unit, Officer string
	Now           time.Time
}

// derived are the facts that the service works out itself; nobody may declare them.
var derived = [...]string{"amount_fen", "limit_fen", "granted_same_reason_this_year"}

// causeFact is the fact that names the cause of one-off relief; relief is granted once a year for the same cause (policy R5.6).
const causeFact = "emergency_kind"

// OpenFor makes the application that an accepted referral asks for: held by the township that accepted, which is that of the place
// and not of the child's residence, to be filled in.
func OpenFor(d *district.District, p district.Programme, id string, r *referralv1.Referral, now time.Time) *reliefv1.Application {
	place := d.Responsible(r.GetPlaceDivision(), calendar.Today(now))
	a := &reliefv1.Application{
		Standing: &custodyv1.Standing{Id: id, MatterId: r.GetStanding().GetMatterId()}, State: reliefv1.Application_STATE_OPEN,
		Division: d.TownshipOf(place), PlaceDivision: place, Programme: p.Code, ReferralId: r.GetStanding().GetId(),
		BeneficiaryKind: reliefv1.BeneficiaryKind_BENEFICIARY_KIND_CHILD, BeneficiaryId: r.GetChildId(), ProvisionalChildId: r.GetProvisionalChildId(),
	}
	custody.Hold(a.GetStanding(), d.TownshipUnit(place))
	custody.Start(a.GetStanding(), p.Clock, now, d.Deadline(p.Clock, now))
	return a
}

// Bind says who the child of a referral is, and whether that is news to the application: only one that is not handed in yet takes it.
func Bind(a *reliefv1.Application, child string) bool {
	if a.GetState() != reliefv1.Application_STATE_OPEN || a.GetBeneficiaryId() == child {
		return false
	}
	a.BeneficiaryId = child
	return true
}

// Programme gives the programme in force, or fault PROGRAMME_UNKNOWN.
func Programme(d *district.District, code string, today calendar.Date) (district.Programme, error) {
	p, ok := d.Programme(code, today)
	if !ok {
		return p, fault.New(reliefv1.Reason_REASON_PROGRAMME_UNKNOWN, "no such programme in force", "field", "programme", "programme", code).
			Field("programme", "no such programme in force")
	}
	return p, nil
}

// Child is what the registry says of a beneficiary.
type Child struct {
	// ID of the record that stands for it now; empty when the registry knows none.
	ID string
	// Earlier ids under which it was known.
	Earlier []string
}

// IDs are all ids of the child: what was paid under any of them was paid to it.
func (c Child) IDs() []string { return append([]string{c.ID}, c.Earlier...) }

// CheckChild refuses a beneficiary whom nobody keeps, or who is kept under another id by now.
//
// Errors: BENEFICIARY_UNKNOWN, BENEFICIARY_SUPERSEDED.
func CheckChild(a *reliefv1.Application, known Child) error {
	switch {
	case a.GetBeneficiaryKind() == reliefv1.BeneficiaryKind_BENEFICIARY_KIND_HOUSEHOLD:
		return fieldFault(reliefv1.Reason_REASON_BENEFICIARY_UNKNOWN, "beneficiary_id", "there is no register of households")
	case known.ID == "":
		return fieldFault(reliefv1.Reason_REASON_BENEFICIARY_UNKNOWN, "beneficiary_id", "is no child of the registry")
	case known.ID != a.GetBeneficiaryId():
		return fieldFault(reliefv1.Reason_REASON_BENEFICIARY_SUPERSEDED, "beneficiary_id", "is known under another id", "child_id", known.ID)
	}
	return nil
}

// Submit fills in an application and hands it in. who finds out what the registry says of a child.
//
// Errors: STATE_FORBIDS, FIELD_INVALID, BENEFICIARY_REQUIRED, BENEFICIARY_DIFFERS, BENEFICIARY_UNKNOWN, BENEFICIARY_SUPERSEDED, FACT_INVALID.
func Submit(d *district.District, p district.Programme, a *reliefv1.Application, q *reliefv1.SubmitApplicationRequest, who func(id string) (Child, error), act Act) error {
	if a.GetState() != reliefv1.Application_STATE_OPEN {
		return fault.StateForbids(strings.TrimPrefix(a.GetState().String(), "STATE_"), "submit")
	}
	if q.GetProgramme() != a.GetProgramme() {
		return fault.Invalid("programme", "is another one than the application was opened for")
	}
	if err := serve(a, q, who); err != nil {
		return err
	}
	if err := checkPayee(d.Bank(), q.GetPayee()); err != nil {
		return err
	}
	if err := checkFacts(p, q.GetFacts()); err != nil {
		return err
	}
	a.Facts = nil
	for _, f := range q.GetFacts() {
		given := proto.Clone(f).(*reliefv1.Fact)
		given.Origin = reliefv1.Fact_ORIGIN_DECLARED
		a.Facts = append(a.Facts, given)
	}
	a.State, a.ProgrammeVersion, a.AmountFen = reliefv1.Application_STATE_SUBMITTED, int32(p.Version), q.GetAmountFen()
	a.Applicant, a.Payee, a.Narrative = q.GetApplicant(), q.GetPayee(), q.GetNarrative()
	a.SubmitUnit, a.SubmitOfficer, a.SubmitTime = act.Unit, act.Officer, timestamppb.New(act.Now)
	a.Period = period(a, q.GetPeriod(), act.Now)
	if a.GetStanding().GetHolder() == "" {
		custody.Hold(a.GetStanding(), d.TownshipUnit(d.Responsible(a.GetDivision(), calendar.Today(act.Now))))
		custody.Start(a.GetStanding(), p.Clock, act.Now, d.Deadline(p.Clock, act.Now))
	}
	return nil
}

// serve says whom the application serves. One that was opened for a child, or given back, keeps it, or takes the id that stands for it now.
func serve(a *reliefv1.Application, q *reliefv1.SubmitApplicationRequest, who func(id string) (Child, error)) error {
	opened := a.GetBeneficiaryId()
	if opened == "" {
		a.BeneficiaryId, a.BeneficiaryKind = q.GetBeneficiaryId(), q.GetBeneficiaryKind()
	}
	if a.GetBeneficiaryId() == "" {
		return fieldFault(reliefv1.Reason_REASON_BENEFICIARY_REQUIRED, "beneficiary_id", "is missing")
	}
	known, err := who(a.GetBeneficiaryId())
	if err != nil {
		return err
	}
	if opened != "" && known.ID != "" {
		a.BeneficiaryId = known.ID
	}
	if asked := q.GetBeneficiaryId(); asked != "" && asked != opened && asked != a.GetBeneficiaryId() {
		return fieldFault(reliefv1.Reason_REASON_BENEFICIARY_DIFFERS, "beneficiary_id", "is another one than the application was opened for")
	}
	return CheckChild(a, known)
}

// period is what a payment is unique in: the year and cause of one-off relief, the month of an entitlement.
func period(a *reliefv1.Application, asked string, now time.Time) string {
	for _, f := range a.GetFacts() {
		if f.GetName() == causeFact {
			return strconv.Itoa(calendar.Today(now).Year) + "/" + f.GetTextValue()
		}
	}
	if asked != "" {
		return asked
	}
	return calendar.Today(now).String()[:len("2026-01")]
}

// Confirm puts an application under the cause that the deciding unit confirms and the year of the decision: relief is granted once a year
// for the same cause, whatever was declared and whenever it was handed in, and the account that pays is that year's.
func Confirm(a *reliefv1.Application, confirmed []*reliefv1.Fact, now time.Time) {
	for _, f := range slices.Concat(a.GetFacts(), confirmed) {
		if f.GetName() == causeFact {
			a.Period = strconv.Itoa(calendar.Today(now).Year) + "/" + f.GetTextValue()
		}
	}
}

// checkPayee refuses a name that the bank would read otherwise than it was sent.
func checkPayee(bank district.Bank, p *reliefv1.Payee) error {
	if err := name.ForBank(p.GetName(), bank.Encoding); err != nil {
		return fault.Invalid("payee.name", err.Error())
	}
	return nil
}

// checkFacts refuses facts that are not the programme's, not a caller's to give, or of the wrong type.
func checkFacts(p district.Programme, facts []*reliefv1.Fact) error {
	for i, f := range facts {
		known := slices.IndexFunc(p.Facts, func(k district.Fact) bool { return k.Name == f.GetName() })
		if known < 0 || slices.Contains(derived[:], f.GetName()) || !fits(p.Facts[known], f) {
			return fieldFault(reliefv1.Reason_REASON_FACT_INVALID, "facts["+strconv.Itoa(i)+"]", "is not a fact to be given for the programme", "fact", f.GetName())
		}
	}
	return nil
}

func fits(k district.Fact, f *reliefv1.Fact) bool {
	switch f.GetValue().(type) {
	case *reliefv1.Fact_TextValue:
		return k.Type == "string" && (len(k.Values) == 0 || slices.Contains(k.Values, f.GetTextValue()))
	case *reliefv1.Fact_BoolValue:
		return k.Type == "bool"
	case *reliefv1.Fact_IntValue:
		return k.Type == "int"
	}
	return false
}

// fieldFault is a refusal that names a field in its metadata and as a violation.
func fieldFault(reason reliefv1.Reason, field, description string, more ...string) error {
	return fault.New(reason, field+" "+description, append([]string{"field", field}, more...)...).Field(field, description)
}
