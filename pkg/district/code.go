package district

import (
	"slices"
	"unicode/utf8"
)

// codeMost is how many characters a code may have, as the contract says.
const codeMost = 60

// Code is one code of a dispatch system's own tables, and what it means here.
type Code struct {
	Code string `yaml:"code"`
	ZH   string `yaml:"zh"`
	// Situations it tells of; empty when it says nothing about a child.
	Situations []string `yaml:"situations"`
	// Measures of the emergency response it tells of.
	Measures []string `yaml:"measures"`
}

// CodeTable is what the codes of one source mean.
type CodeTable struct {
	// Source is unit, colon, system.
	Source string `yaml:"source"`
	ZH     string `yaml:"zh"`
	Codes  []Code `yaml:"codes"`
}

func (l *loader) readCodes() func() {
	type file struct {
		Incidents IncidentRules `yaml:"incidents"`
		Sources   []CodeTable   `yaml:"sources"`
	}
	entry, doc := parse[file](l, codesFile)
	l.d.codeTables, l.d.incidents = entry.Sources, entry.Incidents
	return func() {
		l.checkIncidents(doc, entry.Incidents)
		indexed(doc, "sources", entry.Sources, "source", func(t CodeTable) string { return t.Source })
		l.d.codes = map[string]map[string]Code{}
		for i, t := range entry.Sources {
			way := at{"sources", i}
			doc.dispatchSource(append(way, "source"), t.Source)
			doc.text(way, "source "+t.Source, "zh", t.ZH)
			l.d.codes[t.Source] = l.checkCodes(doc, i, t)
		}
	}
}

func (l *loader) checkCodes(doc *document, i int, t CodeTable) map[string]Code {
	found := make(map[string]Code, len(t.Codes))
	for j, c := range t.Codes {
		way, what := at{"sources", i, "codes", j}, "code "+c.Code+" of "+t.Source
		if n := utf8.RuneCountInString(c.Code); n < 1 || n > codeMost {
			doc.fail(way, "%s: a code has 1 to %d characters", what, codeMost)
		}
		if _, twice := found[c.Code]; twice {
			doc.fail(way, "%s stands twice", what)
		}
		doc.text(way, what, "zh", c.ZH)
		for _, s := range c.Situations {
			if _, ok := l.d.Situation(s); !ok {
				doc.fail(way, "%s: situation %q is not in %s", what, s, situationsFile)
			}
		}
		for _, m := range c.Measures {
			if _, ok := l.d.Measure(m); !ok {
				doc.fail(way, "%s: measure %q is not in %s", what, m, measuresFile)
			}
		}
		found[c.Code] = c
	}
	return found
}

// SourceCode finds what a code of a source means.
func (d *District) SourceCode(source, code string) (Code, bool) {
	c, ok := d.codes[source][code]
	return c, ok
}

// CodeTables lists the tables of all sources.
func (d *District) CodeTables() []CodeTable { return slices.Clone(d.codeTables) }
