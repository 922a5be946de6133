package district

import (
	"fmt"
	"slices"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/idcode"
)

// Situation is what can be reported, or found by the responding police (R1.3, R3.3).
type Situation struct {
	Code string `yaml:"code"`
	ZH   string `yaml:"zh"`
	// No is the number among the nine situations of the mandatory-reporting opinion; 0 for the others.
	No     int    `yaml:"no"`
	Source string `yaml:"source"`
	// Response names the rows of the decision table it calls for.
	Response []string `yaml:"response"`
	// Reportable is false for what only the responding police find.
	Reportable bool  `yaml:"-"`
	Check      Check `yaml:"check"`
}

// Check is what the words of a situation say about the child.
type Check struct {
	// Sex the child must have; empty for either.
	Sex string `yaml:"sex"`
	// AgeFrom is included, AgeBelow is not; 0 means no bound. Completed years at the event.
	AgeFrom  int `yaml:"age_from"`
	AgeBelow int `yaml:"age_below"`
}

type situationEntry struct {
	Situation  `yaml:",inline"`
	Reportable *bool `yaml:"reportable"`
}

// Flag marks a report whose child does not fit its situation. It never refuses one.
type Flag string

const (
	// FlagAgeUnknown means the situation depends on the age and no birth date is known.
	FlagAgeUnknown Flag = "AGE_UNKNOWN"
	// FlagSexUnknown means the situation depends on the sex and it is not known.
	FlagSexUnknown Flag = "SEX_UNKNOWN"
	// FlagAgeContradicts means the child's age at the event lies outside the words of the situation.
	FlagAgeContradicts Flag = "AGE_CONTRADICTS"
	// FlagSexContradicts means the child's sex is not that of the situation.
	FlagSexContradicts Flag = "SEX_CONTRADICTS"
	// FlagNotMinor means the person had completed eighteen years at the event (R10).
	FlagNotMinor Flag = "NOT_A_MINOR"
)

const adultAge = 18

func (l *loader) readSituations() func() {
	type file struct {
		Situations []situationEntry `yaml:"situations"`
	}
	entry, doc := parse[file](l, situationsFile)
	for _, s := range entry.Situations {
		s.Situation.Reportable = s.Reportable == nil || *s.Reportable
		l.d.situations = append(l.d.situations, s.Situation)
	}
	return func() {
		l.d.situation = positions(l.d.situations, func(s Situation) string { return s.Code })
		indexed(doc, "situations", l.d.situations, "code", func(s Situation) string { return s.Code })
		called := map[string]bool{}
		for i, s := range l.d.situations {
			way, what := at{"situations", i}, "situation "+s.Code
			doc.text(way, what, "zh", s.ZH)
			doc.cites(way, what, s.Source)
			if len(s.Response) == 0 {
				doc.fail(way, "%s calls for no response", what)
			}
			for j, code := range s.Response {
				called[code] = true
				if _, ok := l.d.responseAt[code]; !ok {
					doc.fail(at{"situations", i, "response", j}, "%s: response %q is not in %s", what, code, measuresFile)
				}
			}
			l.checkFit(doc, way, what, s.Check)
		}
		l.checkCalled(called)
	}
}

func (l *loader) checkFit(doc *document, way at, what string, c Check) {
	way = append(way, "check")
	if c.Sex != "" && c.Sex != "F" && c.Sex != "M" {
		doc.fail(way, "%s: sex %q is neither F nor M", what, c.Sex)
	}
	if c.AgeFrom < 0 || c.AgeBelow < 0 || c.AgeBelow > adultAge || c.AgeBelow != 0 && c.AgeFrom >= c.AgeBelow {
		doc.fail(way, "%s: no minor has an age from %d and below %d", what, c.AgeFrom, c.AgeBelow)
	}
}

// Situations lists all situations.
func (d *District) Situations() []Situation { return slices.Clone(d.situations) }

// Situation finds a situation by its code.
func (d *District) Situation(code string) (Situation, bool) {
	return find(d.situations, d.situation, code)
}

// Flags says how a child contradicts the words of a situation on the day of the event (R3.3). sex zero and birth "no
// date" mean unknown. An age contradicts only when it does under both ways of counting a completed year, so nothing is
// flagged on the birthday itself.
func (d *District) Flags(situation string, sex idcode.Sex, birth, on calendar.Date) []Flag {
	s, _ := d.Situation(situation)
	var flags []Flag
	switch {
	case birth.IsZero():
		if s.Check.AgeFrom > 0 || s.Check.AgeBelow > 0 {
			flags = append(flags, FlagAgeUnknown)
		}
	default:
		low := idcode.Age(birth, on.Start(), idcode.AfterBirthday)
		high := idcode.Age(birth, on.Start(), idcode.OnBirthday)
		if high < s.Check.AgeFrom || s.Check.AgeBelow > 0 && low >= s.Check.AgeBelow {
			flags = append(flags, FlagAgeContradicts)
		}
		if low >= adultAge {
			flags = append(flags, FlagNotMinor)
		}
	}
	switch {
	case s.Check.Sex == "":
	case sex == 0:
		flags = append(flags, FlagSexUnknown)
	case s.Check.Sex != string(rune(sex)):
		flags = append(flags, FlagSexContradicts)
	}
	return flags
}

// Measure is one thing the responding police can do.
type Measure struct {
	Code string `yaml:"code"`
	ZH   string `yaml:"zh"`
	// Opens names what the measure begins: OpensSearch, OpensPlacement or nothing.
	Opens string `yaml:"opens"`
	// Per says whom it is taken for: PerChild, so that each child of a report needs its own, or PerFamily, so that one counts for all.
	Per string `yaml:"per"`
}

// Whom a measure is taken for.
const (
	PerChild  = "child"
	PerFamily = "family"
)

// What a measure can open.
const (
	OpensSearch    = "search"
	OpensPlacement = "placement"
)

// Response is one row of the decision table (R1.4).
type Response struct {
	Code   string  `yaml:"code"`
	Source string  `yaml:"source"`
	Status Status  `yaml:"status"`
	Groups []Group `yaml:"-"`
}

// Group is a part of a response that must be met, or waived by a named superior, before the response may close.
type Group struct {
	// ID is stable: the response's code, a dot, and the position in its row from 1, such as LIVING_ALONE.1.
	ID string
	// Choice is true where exactly one of the measures is wanted and false where each of them is.
	Choice   bool
	Measures []string
}

// Met reports whether the measures done meet the group.
func (g Group) Met(done []string) bool {
	n := 0
	for _, m := range g.Measures {
		if slices.Contains(done, m) {
			n++
		}
	}
	if g.Choice {
		return n == 1
	}
	return n == len(g.Measures)
}

type groupEntry struct {
	AllOf        []string `yaml:"all_of"`
	ExactlyOneOf []string `yaml:"exactly_one_of"`
}

type responseEntry struct {
	Response `yaml:",inline"`
	Groups   []groupEntry `yaml:"groups"`
}

func (l *loader) readMeasures() func() {
	type file struct {
		Measures  []Measure       `yaml:"measures"`
		Responses []responseEntry `yaml:"responses"`
	}
	entry, doc := parse[file](l, measuresFile)
	l.d.measures = entry.Measures
	return func() {
		l.d.measureAt = positions(entry.Measures, func(m Measure) string { return m.Code })
		indexed(doc, "measures", entry.Measures, "code", func(m Measure) string { return m.Code })
		for i, m := range entry.Measures {
			doc.text(at{"measures", i}, "measure "+m.Code, "zh", m.ZH)
			if m.Opens != "" && m.Opens != OpensSearch && m.Opens != OpensPlacement {
				doc.fail(at{"measures", i, "opens"}, "measure %s opens %q, which is neither search nor placement", m.Code, m.Opens)
			}
		}
		for i, m := range entry.Measures {
			if m.Per != PerChild && m.Per != PerFamily {
				doc.fail(at{"measures", i, "per"}, "measure %s is per %q, which is neither child nor family", m.Code, m.Per)
			}
		}
		indexed(doc, "responses", entry.Responses, "code", func(r responseEntry) string { return r.Code })
		used := map[string]bool{}
		for i, r := range entry.Responses {
			way, what := at{"responses", i}, "response "+r.Code
			doc.claims(way, what, r.Source, r.Status)
			if len(r.Groups) == 0 {
				doc.fail(way, "%s has no group: it could close with nothing done", what)
			}
			for j, g := range r.Groups {
				group := Group{ID: fmt.Sprintf("%s.%d", r.Code, j+1), Choice: len(g.ExactlyOneOf) > 0}
				group.Measures = slices.Concat(g.AllOf, g.ExactlyOneOf)
				l.checkGroup(doc, at{"responses", i, "groups", j}, g, group, used)
				r.Response.Groups = append(r.Response.Groups, group)
			}
			l.d.responses = append(l.d.responses, r.Response)
		}
		l.d.responseAt = positions(l.d.responses, func(r Response) string { return r.Code })
		for i, m := range entry.Measures {
			if !used[m.Code] {
				doc.fail(at{"measures", i}, "measure %s stands in no response", m.Code)
			}
		}
	}
}

func (l *loader) checkGroup(doc *document, way at, entry groupEntry, group Group, used map[string]bool) {
	if (len(entry.AllOf) == 0) == (len(entry.ExactlyOneOf) == 0) {
		doc.fail(way, "group %s needs all_of or exactly_one_of, and not both", group.ID)
	}
	if len(entry.ExactlyOneOf) == 1 {
		doc.fail(way, "group %s offers a choice of one", group.ID)
	}
	for _, code := range group.Measures {
		used[code] = true
		if _, ok := l.d.Measure(code); !ok {
			doc.fail(way, "group %s: measure %q is not in the list of measures", group.ID, code)
		}
	}
}

// checkCalled finds rows of the decision table no situation calls for: nothing would ever demand them.
func (l *loader) checkCalled(called map[string]bool) {
	for i, r := range l.d.responses {
		if !called[r.Code] {
			l.documents[measuresFile].fail(at{"responses", i}, "response %s is called for by no situation", r.Code)
		}
	}
}

// Measure finds a measure by its code.
func (d *District) Measure(code string) (Measure, bool) { return find(d.measures, d.measureAt, code) }

// MeasureOpening finds the measure that opens something; the second answer is false when none does.
func (d *District) MeasureOpening(what string) (Measure, bool) {
	for _, m := range d.measures {
		if m.Opens == what {
			return m, true
		}
	}
	return Measure{}, false
}

// MeasureCatalogue lists all measures.
func (d *District) MeasureCatalogue() []Measure { return slices.Clone(d.measures) }

// Responses lists the rows of the decision table.
func (d *District) Responses() []Response { return slices.Clone(d.responses) }

// Measures is every group the situations call for together, in the order of the situations; a row two situations
// share stands once.
func (d *District) Measures(situations ...string) []Group {
	var groups []Group
	seen := map[string]bool{}
	for _, code := range situations {
		s, _ := d.Situation(code)
		for _, row := range s.Response {
			if r, ok := find(d.responses, d.responseAt, row); ok && !seen[row] {
				seen[row] = true
				groups = append(groups, r.Groups...)
			}
		}
	}
	return groups
}

// MissingMeasures is what still keeps a response open: the groups that the measures done do not meet and that nobody
// waived. done holds measure codes, waived the ids of groups.
func (d *District) MissingMeasures(situations, done, waived []string) []Group {
	return slices.DeleteFunc(d.Measures(situations...), func(g Group) bool {
		return g.Met(done) || slices.Contains(waived, g.ID)
	})
}

// Excludes is the group of one choice that forbids a further measure, because another measure of it is done already:
// recorded all the same, it would keep the response open for ever.
func (d *District) Excludes(situations, done []string, measure string) (Group, bool) {
	for _, g := range d.Measures(situations...) {
		if !g.Choice || !slices.Contains(g.Measures, measure) {
			continue
		}
		for _, other := range g.Measures {
			if other != measure && slices.Contains(done, other) {
				return g, true
			}
		}
	}
	return Group{}, false
}
