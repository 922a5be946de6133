package district

import (
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// Phase of a referral that has a length of its own.
type Phase string

const (
	// PhaseAccept runs while a referral is offered.
	PhaseAccept Phase = "accept"
	// PhaseDeliver runs from acceptance.
	PhaseDeliver Phase = "deliver"
)

// Place says which division decides the township that answers for a need.
type Place string

const (
	// PlaceResidence is where the child lives; the rule unless a need says otherwise.
	PlaceResidence Place = "residence"
	// PlaceHouseholdRegistration is where the household is registered (户籍地).
	PlaceHouseholdRegistration Place = "household_registration"
	// PlaceWhereItHappened is where the emergency happened (急难发生地).
	PlaceWhereItHappened Place = "where_it_happened"
)

// Term is how long one phase of a need may take.
type Term struct {
	Length calendar.Length
	// Status is district_default unless the rule Source sets this very length.
	Status Status
	Source string
}

// Need is something an assessment can find a child needs, and who answers for it.
type Need struct {
	Code string `yaml:"code"`
	ZH   string `yaml:"zh"`
	EN   string `yaml:"en"`
	// Unit is offered the referral first, Fallback when it declines or stays silent: a member unit or "township".
	// Use NeedUnit and NeedFallback, which know the township.
	Unit     string `yaml:"unit"`
	Fallback string `yaml:"fallback"`
	// Duty of the catalogue that makes it the unit's; empty where a law outside the catalogue founds it.
	Duty string `yaml:"duty"`
	// Basis is the rule that founds the need; empty where the duty alone does.
	Basis   string `yaml:"basis"`
	Place   Place  `yaml:"place"`
	Accept  Term   `yaml:"-"`
	Deliver Term   `yaml:"-"`
	// Urgent replaces Deliver when the matter is urgent; its length is zero where the need knows no such haste.
	Urgent Term `yaml:"-"`
}

// Lead is the conference office, which becomes holder where everybody asked declined or stayed silent.
type Lead struct {
	Unit  string `yaml:"unit"`
	Desk  string `yaml:"desk"`
	Duty  string `yaml:"duty"`
	Clock string `yaml:"clock"`
}

type termEntry struct {
	Length length `yaml:"length"`
	Status Status `yaml:"status"`
	Source string `yaml:"source"`
}

type needEntry struct {
	Need    `yaml:",inline"`
	Accept  termEntry `yaml:"accept"`
	Deliver termEntry `yaml:"deliver"`
	Urgent  termEntry `yaml:"urgent"`
}

func (t termEntry) term() Term {
	if t.Status == "" && !t.Length.IsZero() {
		t.Status = StatusDistrictDefault
	}
	return Term{Length: t.Length.Length, Status: t.Status, Source: t.Source}
}

func (l *loader) readNeeds() func() {
	type file struct {
		Lead  Lead        `yaml:"lead_office"`
		Needs []needEntry `yaml:"needs"`
	}
	entry, doc := parse[file](l, needsFile)
	l.d.lead = entry.Lead
	for _, n := range entry.Needs {
		need := n.Need
		need.Accept, need.Deliver, need.Urgent = n.Accept.term(), n.Deliver.term(), n.Urgent.term()
		if need.Place == "" {
			need.Place = PlaceResidence
		}
		l.d.needs = append(l.d.needs, need)
	}
	return func() {
		l.checkLead(doc)
		l.d.needAt = positions(l.d.needs, func(n Need) string { return n.Code })
		indexed(doc, "needs", l.d.needs, "code", func(n Need) string { return n.Code })
		for i, n := range l.d.needs {
			l.checkNeed(doc, at{"needs", i}, n)
		}
	}
}

func (l *loader) checkLead(doc *document) {
	way, lead := at{"lead_office"}, l.d.lead
	doc.member(append(way, "unit"), "lead_office: unit", lead.Unit)
	if duty, ok := l.d.Duty(lead.Duty); !ok || duty.Unit != lead.Unit {
		doc.fail(append(way, "duty"), "lead_office: duty %q is not a duty of %s", lead.Duty, lead.Unit)
	}
	if _, ok := l.d.Clock(lead.Clock); !ok {
		doc.fail(append(way, "clock"), "lead_office: clock %q is not in %s", lead.Clock, clocksFile)
	}
}

func (l *loader) checkNeed(doc *document, way at, n Need) {
	what := "need " + n.Code
	doc.text(way, what, "zh", n.ZH, "en", n.EN)
	for field, unit := range map[string]string{"unit": n.Unit, "fallback": n.Fallback} {
		if u, ok := l.d.Unit(unit); unit != townshipOfPlace && (!ok || u.Kind != KindMember) {
			doc.fail(append(way, field), "%s: %s %q is not a unit", what, field, unit)
		}
	}
	if n.Unit == n.Fallback {
		doc.fail(append(way, "fallback"), "%s: fallback %q is the unit that was asked before", what, n.Fallback)
	}
	l.checkFoundation(doc, way, n)
	switch n.Place {
	case PlaceResidence, PlaceHouseholdRegistration, PlaceWhereItHappened:
	default:
		doc.fail(append(way, "place"), "%s: place %q is not known", what, n.Place)
	}
	checkTerm(doc, append(way, "accept"), what+": accept", n, n.Accept, true)
	checkTerm(doc, append(way, "deliver"), what+": deliver", n, n.Deliver, true)
	checkTerm(doc, append(way, "urgent"), what+": urgent", n, n.Urgent, false)
}

// checkFoundation demands that a need rests on a duty or on a rule. A need of the townships, which are no members and
// have no duties in the catalogue, rests on the duty of the unit that guides them.
func (l *loader) checkFoundation(doc *document, way at, n Need) {
	what := "need " + n.Code
	if n.Duty == "" && n.Basis == "" {
		doc.fail(way, "%s rests neither on a duty nor on a rule", what)
	}
	if n.Duty != "" {
		if duty, ok := l.d.Duty(n.Duty); !ok {
			doc.fail(append(way, "duty"), "%s: duty %q is not in %s", what, n.Duty, dutiesFile)
		} else if n.Unit != townshipOfPlace && duty.Unit != n.Unit {
			doc.fail(append(way, "duty"), "%s: duty %s is a duty of %s, not of %s", what, n.Duty, duty.Unit, n.Unit)
		}
	}
	if _, ok := l.d.sources[n.Basis]; n.Basis != "" && !ok {
		doc.fail(append(way, "basis"), "%s: source %q is not in %s", what, n.Basis, sourcesFile)
	}
}

func checkTerm(doc *document, way at, what string, n Need, t Term, required bool) {
	switch {
	case t.Length.IsZero():
		if required || t.Status != "" || t.Source != "" {
			doc.fail(way, "%s has no length", what)
		}
	case t.Status == StatusDistrictDefault:
		// The rule that founds a need never sets its length, so a default names no source of its own.
		if t.Source != "" {
			doc.fail(append(way, "source"), "%s: a district_default names no source", what)
		}
		doc.l.d.defaults = append(doc.l.d.defaults, Default{File: doc.file, What: what, Source: n.Basis})
	default:
		doc.claims(way, what, t.Source, t.Status)
	}
}

// Needs lists all needs.
func (d *District) Needs() []Need { return slices.Clone(d.needs) }

// Need finds a need by its code.
func (d *District) Need(code string) (Need, bool) { return find(d.needs, d.needAt, code) }

// Lead is the conference office with its desk, duty and clock.
func (d *District) Lead() Lead { return d.lead }

// LeadOffice is the unit that holds what nobody else would take.
func (d *District) LeadOffice() string { return d.lead.Unit }

// Operator is the unit that holds what the machines put aside: the first of the operators.
func (d *District) Operator() string { return d.operator }

// NeedDeadline is the first instant that is too late for a phase of a referral that starts at from. urgent shortens
// the delivery where the need has an urgent length. It answers false for a need that is not in the package.
func (d *District) NeedDeadline(code string, phase Phase, urgent bool, from time.Time) (time.Time, bool) {
	n, ok := d.Need(code)
	if !ok {
		return time.Time{}, false
	}
	term := n.Deliver
	switch {
	case phase == PhaseAccept:
		term = n.Accept
	case urgent && !n.Urgent.Length.IsZero():
		term = n.Urgent
	}
	return d.calendar.Deadline(from, term.Length).At, true
}

// NeedUnit is the unit that is offered a need first. division is the one Need.Place names, nearly always that of the
// child's residence. Empty for an unknown need or division.
func (d *District) NeedUnit(code, division string) string {
	n, _ := d.Need(code)
	return d.resolve(n.Unit, division)
}

// NeedFallback is the unit that is offered a need when the first one declined or stayed silent; see NeedUnit.
func (d *District) NeedFallback(code, division string) string {
	n, _ := d.Need(code)
	return d.resolve(n.Fallback, division)
}

func (d *District) resolve(unit, division string) string {
	if unit == townshipOfPlace {
		return d.TownshipUnit(division)
	}
	return unit
}
