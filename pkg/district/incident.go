package district

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// What stands where a district says nothing of its own.
const (
	secondLifeDefault  = 24 // hours
	versionLeapDefault = 100
)

// IncidentRules say how the incidents of dispatch systems are told apart: whose they are, when a number begins a new life, and which versions
// cannot be right. No law fixes any of it.
type IncidentRules struct {
	// Shared are sources that may tell of every incident, whoever told of it first.
	Shared []string `yaml:"shared"`
	// SecondLifeHours is how long after the update that stands a lower version must have been made to be no late news: the number is used
	// again then. Above the 24 hours by which a source's clock may be wrong, at least.
	SecondLifeHours int64 `yaml:"second_life_hours"`
	// VersionLeap is how far two versions of an incident lie apart at most before one of them is taken for a mistake.
	VersionLeap int64 `yaml:"version_leap"`
	// Source is the rule it rests on, Status how binding it is.
	Source string `yaml:"source"`
	Status Status `yaml:"status"`
}

func (l *loader) checkIncidents(doc *document, r IncidentRules) {
	way := at{"incidents"}
	for i, source := range r.Shared {
		doc.dispatchSource(append(way, "shared", i), source)
	}
	if r.SecondLifeHours < 0 || r.SecondLifeHours > 0 && r.SecondLifeHours < secondLifeDefault {
		doc.fail(append(way, "second_life_hours"), "incidents: second_life_hours must be %d or more, as a clock may be wrong by as much", secondLifeDefault)
	}
	if r.VersionLeap < 0 {
		doc.fail(append(way, "version_leap"), "incidents: version_leap must be 1 or more")
	}
	if r.Source != "" || r.Status != "" {
		doc.claims(way, "incidents", r.Source, r.Status)
	}
}

// dispatchSource checks that a name is that of a unit's system.
func (f *document) dispatchSource(way at, source string) {
	unit, system, ok := strings.Cut(source, ":")
	if _, known := f.l.d.Unit(unit); !ok || !known || system == "" {
		f.fail(way, "source %q is no unit, colon, system of the district", source)
	}
}

// MayTell reports whether a source may tell of an incident that belongs to another one, or to itself.
func (d *District) MayTell(source, owner string) bool {
	return source == owner || slices.Contains(d.incidents.Shared, source)
}

// SecondLife is how much later than what stands a lower version must have been made to begin a number's next life.
func (d *District) SecondLife() time.Duration {
	return time.Duration(cmp.Or(d.incidents.SecondLifeHours, secondLifeDefault)) * time.Hour
}

// VersionLeap is how far two versions of an incident may lie apart.
func (d *District) VersionLeap() int64 { return cmp.Or(d.incidents.VersionLeap, versionLeapDefault) }
