package district

import (
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/name"
)

// Title of an officer.
type Title struct {
	Code string `yaml:"code"`
	ZH   string `yaml:"zh"`
	// Superior may waive a measure that a response demands.
	Superior bool `yaml:"superior"`
}

// Officer is a person who acts for a unit. The name is personal data and never reaches logs.
type Officer struct {
	ID    string `yaml:"id"`
	Unit  string `yaml:"unit"`
	Name  string `yaml:"name"`
	Title string `yaml:"title"`
	// From and To are the first and the last day in the post; To is "no date" while the person is in it.
	From calendar.Date `yaml:"-"`
	To   calendar.Date `yaml:"-"`
	// Vetted is the day of the last check of criminal records (R7.8).
	Vetted calendar.Date `yaml:"-"`
	// VettingDue is the first instant at which the next check is late, by the clock staff.vetting.
	VettingDue time.Time `yaml:"-"`
	// Superior is true for whoever may waive a measure.
	Superior bool `yaml:"-"`
}

// ActiveOn reports whether the officer is in the post on a day.
func (o Officer) ActiveOn(on calendar.Date) bool {
	return !on.Before(o.From) && (o.To.IsZero() || !o.To.Before(on))
}

type officerEntry struct {
	Officer `yaml:",inline"`
	From    day `yaml:"from"`
	To      day `yaml:"to"`
	Vetted  day `yaml:"vetted"`
}

func (l *loader) readOfficers() func() {
	type file struct {
		Titles   []Title        `yaml:"titles"`
		Officers []officerEntry `yaml:"officers"`
	}
	entry, doc := parse[file](l, officersFile)
	l.d.titleList = entry.Titles
	for _, o := range entry.Officers {
		officer := o.Officer
		officer.From, officer.To, officer.Vetted = o.From.Date, o.To.Date, o.Vetted.Date
		l.d.officers = append(l.d.officers, officer)
	}
	return func() {
		titles := indexed(doc, "titles", entry.Titles, "code", func(t Title) string { return t.Code })
		for i, t := range entry.Titles {
			doc.text(at{"titles", i}, "title "+t.Code, "zh", t.ZH)
		}
		l.d.officerAt = positions(l.d.officers, func(o Officer) string { return o.ID })
		indexed(doc, "officers", l.d.officers, "id", func(o Officer) string { return o.ID })
		for i, o := range l.d.officers {
			l.checkOfficer(doc, at{"officers", i}, o, titles)
			l.d.officers[i].Superior = titles[o.Title].Superior
			if _, ok := l.d.Clock(ClockStaffVetting); ok && !o.Vetted.IsZero() {
				l.d.officers[i].VettingDue = l.d.Deadline(ClockStaffVetting, o.Vetted.Start())
			}
		}
	}
}

func (l *loader) checkOfficer(doc *document, way at, o Officer, titles map[string]Title) {
	what := "officer " + o.ID
	doc.text(way, what, "name", o.Name)
	if err := name.Check(o.Name); err != nil {
		doc.fail(append(way, "name"), "%s: name %v", what, err)
	}
	if _, ok := titles[o.Title]; !ok {
		doc.fail(append(way, "title"), "%s: title %q is not in the list of titles", what, o.Title)
	}
	unit, ok := l.d.Unit(o.Unit)
	switch {
	case !ok || unit.Kind == KindService:
		doc.fail(append(way, "unit"), "%s: unit %q is not a unit people act for", what, o.Unit)
	case o.From.IsZero():
		doc.fail(way, "%s: from is missing", what)
	case !unit.OpenOn(o.From):
		doc.fail(append(way, "from"), "%s: unit %s was not open on %s", what, o.Unit, o.From)
	}
	if !o.To.IsZero() && o.To.Before(o.From) {
		doc.fail(append(way, "to"), "%s: to lies before from", what)
	}
	if o.Vetted.IsZero() {
		doc.fail(way, "%s: vetted is missing", what)
	}
}

// Titles lists the titles officers can have.
func (d *District) Titles() []Title { return slices.Clone(d.titleList) }

// Officers lists the whole roster, former officers too.
func (d *District) Officers() []Officer { return slices.Clone(d.officers) }

// Officer finds an officer by the id of the roster.
func (d *District) Officer(id string) (Officer, bool) { return find(d.officers, d.officerAt, id) }

// OfficersOf lists the officers of a unit, former ones too, in the order of the roster.
func (d *District) OfficersOf(unit string) []Officer {
	return slices.DeleteFunc(d.Officers(), func(o Officer) bool { return o.Unit != unit })
}
