package district

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// Standard is an amount other rules refer to, such as the monthly standard of 最低生活保障, dated.
type Standard struct {
	Code          string        `yaml:"code"`
	ZH            string        `yaml:"zh"`
	EffectiveFrom calendar.Date `yaml:"-"`
	Fen           int64         `yaml:"fen"`
	Source        string        `yaml:"source"`
	Status        Status        `yaml:"status"`
}

// Programme is one version of a relief programme.
type Programme struct {
	Code          string        `yaml:"code"`
	Version       int           `yaml:"version"`
	ZH            string        `yaml:"zh"`
	EN            string        `yaml:"en"`
	EffectiveFrom calendar.Date `yaml:"-"`
	// Need it serves; empty when people apply without a referral only.
	Need string `yaml:"need"`
	// Clock an application runs under.
	Clock  string `yaml:"clock"`
	Place  Place  `yaml:"place"`
	Source string `yaml:"source"`
	Status Status `yaml:"status"`
	Limit  Limit  `yaml:"limit"`
	// MeansCheck and PublicNotice say whether the household's means are checked and the grant is made public.
	MeansCheck   bool `yaml:"means_check"`
	PublicNotice bool `yaml:"public_notice"`
	// Facts are the only names the conditions may use.
	Facts []Fact `yaml:"facts"`
	// Eligibility holds only when every condition does; the first that fails explains a refusal.
	Eligibility []Condition `yaml:"eligibility"`
}

// Limit is the most one grant may be: Months times a standard.
type Limit struct {
	Standard string `yaml:"standard"`
	Months   int64  `yaml:"months"`
}

// Fact is a named input of a decision.
type Fact struct {
	Name string `yaml:"name"`
	// Type is string, bool or int.
	Type string `yaml:"type"`
	ZH   string `yaml:"zh"`
	// Values a string fact may take; empty for free ones.
	Values []string `yaml:"values"`
}

// Condition is one rule of eligibility, in CEL over the facts.
type Condition struct {
	ID     string `yaml:"id"`
	CEL    string `yaml:"cel"`
	ZH     string `yaml:"zh"`
	Source string `yaml:"source"`
	Status Status `yaml:"status"`
}

// factLimit is the fact nobody is asked for: the limit in force on the day.
const factLimit = "limit_fen"

// Environment is the CEL environment of the facts. The package's own check and the service that decides compile in
// the same one, so that what was accepted at start can be evaluated later.
func (p Programme) Environment() (*cel.Env, error) {
	var options []cel.EnvOption
	for _, f := range p.Facts {
		kind, ok := map[string]*cel.Type{"string": cel.StringType, "bool": cel.BoolType, "int": cel.IntType}[f.Type]
		if !ok {
			return nil, fmt.Errorf("fact %s: type %q is none of string, bool, int", f.Name, f.Type)
		}
		options = append(options, cel.Variable(f.Name, kind))
	}
	return cel.NewEnv(options...)
}

type standardEntry struct {
	Standard      `yaml:",inline"`
	EffectiveFrom day `yaml:"effective_from"`
}

type programmeEntry struct {
	Programme     `yaml:",inline"`
	EffectiveFrom day `yaml:"effective_from"`
}

func (l *loader) readProgrammes() func() {
	type file struct {
		Standards  []standardEntry  `yaml:"standards"`
		Programmes []programmeEntry `yaml:"programmes"`
	}
	entry, doc := parse[file](l, programmesFile)
	for _, s := range entry.Standards {
		s.Standard.EffectiveFrom = s.EffectiveFrom.Date
		l.d.standards = append(l.d.standards, s.Standard)
	}
	for _, p := range entry.Programmes {
		p.Programme.EffectiveFrom = p.EffectiveFrom.Date
		l.d.programmes = append(l.d.programmes, p.Programme)
	}
	return func() {
		indexed(doc, "standards", l.d.standards, "effective_from", func(s Standard) string {
			return s.Code + " of " + s.EffectiveFrom.String()
		})
		for i, s := range l.d.standards {
			l.checkStandard(doc, at{"standards", i}, s)
		}
		indexed(doc, "programmes", l.d.programmes, "version", func(p Programme) string {
			return fmt.Sprintf("%d of %s", p.Version, p.Code)
		})
		indexed(doc, "programmes", l.d.programmes, "effective_from", func(p Programme) string {
			return p.Code + " of " + p.EffectiveFrom.String()
		})
		for i, p := range l.d.programmes {
			l.checkProgramme(doc, at{"programmes", i}, p)
		}
	}
}

func (l *loader) checkStandard(doc *document, way at, s Standard) {
	what := "standard " + s.Code
	doc.text(way, what, "code", s.Code, "zh", s.ZH, "effective_from", s.EffectiveFrom.String())
	doc.claims(way, what, s.Source, s.Status)
	if s.Fen <= 0 {
		doc.fail(append(way, "fen"), "%s: fen must be above 0", what)
	}
	if s.Status == StatusPlaceholder {
		doc.placeholder(what+" from "+s.EffectiveFrom.String(), "the amount has to come from the yearly notice of civil affairs and finance")
	}
}

func (l *loader) checkProgramme(doc *document, way at, p Programme) {
	what := "programme " + p.Code
	doc.text(way, what, "code", p.Code, "zh", p.ZH, "en", p.EN, "effective_from", p.EffectiveFrom.String())
	doc.claims(way, what, p.Source, p.Status)
	if p.Status == StatusPlaceholder {
		doc.placeholder(what, "its rules have to be confirmed by civil affairs")
	}
	if p.Version < 1 {
		doc.fail(append(way, "version"), "%s: versions count from 1", what)
	}
	if _, ok := l.d.Clock(p.Clock); !ok {
		doc.fail(append(way, "clock"), "%s: clock %q is not in %s", what, p.Clock, clocksFile)
	}
	if need, ok := l.d.Need(p.Need); p.Need != "" && !ok {
		doc.fail(append(way, "need"), "%s: need %q is not in %s", what, p.Need, needsFile)
	} else if ok && need.Place != p.Place {
		doc.fail(append(way, "place"), "%s: place %q, but need %s goes by %q", what, p.Place, p.Need, need.Place)
	}
	if !slices.ContainsFunc(l.d.standards, func(s Standard) bool {
		return s.Code == p.Limit.Standard && !p.EffectiveFrom.Before(s.EffectiveFrom)
	}) {
		doc.fail(append(way, "limit"), "%s: standard %q is not in force when the programme begins", what, p.Limit.Standard)
	}
	if p.Limit.Months < 1 {
		doc.fail(append(way, "limit"), "%s: limit must be a month or more", what)
	}
	l.checkEligibility(doc, way, what, p)
}

func (l *loader) checkEligibility(doc *document, way at, what string, p Programme) {
	if !slices.ContainsFunc(p.Facts, func(f Fact) bool { return f.Name == factLimit && f.Type == "int" }) {
		doc.fail(append(way, "facts"), "%s: fact %s of type int is missing", what, factLimit)
	}
	if len(p.Eligibility) == 0 {
		doc.fail(way, "%s has no condition: everybody would be eligible", what)
	}
	facts := map[string]bool{}
	for i, f := range p.Facts {
		doc.text(append(slices.Clone(way), "facts", i), what+": fact "+f.Name, "name", f.Name, "zh", f.ZH)
		if facts[f.Name] {
			doc.fail(append(slices.Clone(way), "facts", i), "%s: fact %s stands twice", what, f.Name)
			return
		}
		facts[f.Name] = true
	}
	env, err := p.Environment()
	if err != nil {
		doc.fail(append(way, "facts"), "%s: %v", what, err)
		return
	}
	ids := map[string]bool{}
	for i, c := range p.Eligibility {
		spot, rule := append(slices.Clone(way), "eligibility", i), what+": condition "+c.ID
		doc.text(spot, rule, "id", c.ID, "zh", c.ZH)
		doc.claims(spot, rule, c.Source, c.Status)
		if ids[c.ID] {
			doc.fail(spot, "%s stands twice", rule)
		}
		ids[c.ID] = true
		ast, issues := env.Compile(c.CEL)
		switch {
		case issues.Err() != nil:
			doc.fail(append(spot, "cel"), "%s does not compile: %s", rule, issues.Errors()[0].Message)
		case ast.OutputType() != cel.BoolType:
			doc.fail(append(spot, "cel"), "%s answers %s, not bool", rule, ast.OutputType())
		}
	}
}

// latest is the entry of a code that came into force last, on or before a day.
func latest[T any](entries []T, on calendar.Date, key func(T) (code string, from calendar.Date), code string) (T, bool) {
	var found T
	var since calendar.Date
	for _, entry := range entries {
		c, from := key(entry)
		if c == code && !on.Before(from) && since.Before(from) {
			found, since = entry, from
		}
	}
	return found, !since.IsZero()
}

// Standard is the version of an amount in force on a day.
func (d *District) Standard(code string, on calendar.Date) (Standard, bool) {
	return latest(d.standards, on, func(s Standard) (string, calendar.Date) { return s.Code, s.EffectiveFrom }, code)
}

// Programme is the version of a programme in force on a day.
func (d *District) Programme(code string, on calendar.Date) (Programme, bool) {
	return latest(d.programmes, on, func(p Programme) (string, calendar.Date) { return p.Code, p.EffectiveFrom }, code)
}

// ProgrammeVersion finds one version of a programme, in force or not: the one a stored decision names.
func (d *District) ProgrammeVersion(code string, version int) (Programme, bool) {
	i := slices.IndexFunc(d.programmes, func(p Programme) bool { return p.Code == code && p.Version == version })
	if i < 0 {
		return Programme{}, false
	}
	return d.programmes[i], true
}

// Programmes lists every version of every programme.
func (d *District) Programmes() []Programme { return slices.Clone(d.programmes) }

// ProgrammeForNeed is the programme in force on a day that serves a need.
func (d *District) ProgrammeForNeed(need string, on calendar.Date) (Programme, bool) {
	return latest(d.programmes, on, func(p Programme) (string, calendar.Date) { return p.Need, p.EffectiveFrom }, need)
}

// LimitFen is the most one grant under a programme may be on a day, in fen, and the standard it is counted from, whose
// status says whether it may be paid on. It answers false when no standard is in force on that day.
func (d *District) LimitFen(p Programme, on calendar.Date) (fen int64, from Standard, ok bool) {
	s, ok := d.Standard(p.Limit.Standard, on)
	return s.Fen * p.Limit.Months, s, ok
}
