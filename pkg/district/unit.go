package district

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/idcode"
)

// Kind of a unit.
type Kind string

// The kinds of units. Those from KindSchool on are the mandated reporters of R3.2 that are organisations.
const (
	KindMember           Kind = "member"
	KindOperator         Kind = "operator"
	KindPoliceStation    Kind = "police_station"
	KindTownship         Kind = "township"
	KindVillageCommittee Kind = "village_committee"
	KindService          Kind = "service"
	KindSchool           Kind = "school"
	KindKindergarten     Kind = "kindergarten"
	KindMedical          Kind = "medical"
	KindSocialWork       Kind = "social_work"
	KindShelter          Kind = "shelter"
	KindWelfare          Kind = "welfare"
	KindHotel            Kind = "hotel"
	KindTraining         Kind = "training"
	KindChildcare        Kind = "childcare"
)

var organisationKinds = []Kind{
	KindSchool, KindKindergarten, KindMedical, KindSocialWork, KindShelter, KindWelfare, KindHotel, KindTraining,
	KindChildcare,
}

var unitKinds = append([]Kind{
	KindMember, KindOperator, KindPoliceStation, KindTownship, KindVillageCommittee, KindService,
}, organisationKinds...)

// serviceNames are our own services as callers; they are code, not data of a district.
var serviceNames = []string{"registry", "reporting", "referral", "relief", "gateway", "devclock"}

// How the ids of units begin. A member unit's id is its bare code.
const (
	townshipPrefix     = "township/"
	villagePrefix      = "village/"
	stationPrefix      = "police/"
	organisationPrefix = "org/"
	servicePrefix      = "service/"
	policeUnit         = "police"
	// townshipOfPlace stands in needs for the township of the place concerned.
	townshipOfPlace = "township"
)

// Unit is whoever can hold something or call: a member unit, a township, a village committee, a police station, a
// reporting organisation, the operators, or one of our own services.
type Unit struct {
	// ID is the id used everywhere: civil_affairs, township/<12 digits>, village/<12 digits>, police/<code>,
	// org/<unified social credit code>, service/<name>.
	ID   string
	Kind Kind
	ZH   string
	EN   string
	// Division is where the unit's duty lies: the whole district for member units.
	Division string
	// Parent is the unit it is an organ of, or the township of a village committee; empty for others.
	Parent string
	roles  []string
	// from and to bound the life of units that come and go with their division.
	from, to calendar.Date
}

// Roles of the access table that come with the unit itself; see District.Roles for those of a system or an officer.
func (u Unit) Roles() []string { return slices.Clone(u.roles) }

// Has reports whether the unit itself has a role.
func (u Unit) Has(role string) bool { return slices.Contains(u.roles, role) }

// OpenOn reports whether the unit exists on a day. Townships and committees open and close with their division.
func (u Unit) OpenOn(on calendar.Date) bool {
	return !on.Before(u.from) && (u.to.IsZero() || !u.to.Before(on))
}

// Life is the first and the last day of the unit; each is "no date" where none is set.
func (u Unit) Life() (from, to calendar.Date) { return u.from, u.to }

type memberEntry struct {
	Code   string `yaml:"code"`
	Prefix string `yaml:"prefix"`
	ZH     string `yaml:"zh"`
	EN     string `yaml:"en"`
}

type operatorEntry struct {
	Code string `yaml:"code"`
	ZH   string `yaml:"zh"`
	EN   string `yaml:"en"`
}

type stationEntry struct {
	Code   string   `yaml:"code"`
	Parent string   `yaml:"parent"`
	Serves []string `yaml:"serves"`
	ZH     string   `yaml:"zh"`
	EN     string   `yaml:"en"`
}

type organisationEntry struct {
	USCC     string `yaml:"uscc"`
	Kind     Kind   `yaml:"kind"`
	Division string `yaml:"division"`
	ZH       string `yaml:"zh"`
	EN       string `yaml:"en"`
}

type unitsEntry struct {
	Members       []memberEntry       `yaml:"members"`
	Operators     []operatorEntry     `yaml:"operators"`
	Stations      []stationEntry      `yaml:"stations"`
	Organisations []organisationEntry `yaml:"organisations"`
}

func (l *loader) readUnits() func() {
	entry, doc := parse[unitsEntry](l, unitsFile)
	return func() {
		l.d.unitAt = map[string]int{}
		l.addMembers(doc, entry)
		l.addDivisionUnits()
		l.addStations(doc, entry)
		l.addOrganisations(doc, entry)
		for _, name := range serviceNames {
			l.addUnit(Unit{ID: servicePrefix + name, Kind: KindService, ZH: name, EN: name, Division: l.d.Code()})
		}
		if u, ok := l.d.Unit(policeUnit); !ok || u.Kind != KindMember {
			doc.fail(at{"members"}, "member unit police is missing: it stands in for a station nobody named")
		}
	}
}

func (l *loader) addUnit(u Unit) {
	if _, twice := l.d.unitAt[u.ID]; twice {
		return // reported where the entry stands
	}
	l.d.unitAt[u.ID] = len(l.d.units)
	l.d.units = append(l.d.units, u)
}

func (l *loader) addMembers(doc *document, entry unitsEntry) {
	indexed(doc, "members", entry.Members, "code", func(m memberEntry) string { return m.Code })
	indexed(doc, "members", entry.Members, "prefix", func(m memberEntry) string { return m.Prefix })
	for i, m := range entry.Members {
		doc.text(at{"members", i}, "member "+m.Code, "zh", m.ZH, "en", m.EN)
		if m.Code == townshipOfPlace || strings.Contains(m.Code, "/") {
			doc.fail(at{"members", i, "code"}, "member %s: the code is reserved for another kind of unit", m.Code)
		}
		l.addUnit(Unit{ID: m.Code, Kind: KindMember, ZH: m.ZH, EN: m.EN, Division: l.d.Code()})
	}
	indexed(doc, "operators", entry.Operators, "code", func(o operatorEntry) string { return o.Code })
	if len(entry.Operators) == 0 {
		doc.fail(at{"operators"}, "operators: nobody would hold what the machines put aside")
	} else {
		l.d.operator = entry.Operators[0].Code
	}
	for i, o := range entry.Operators {
		doc.text(at{"operators", i}, "operator "+o.Code, "zh", o.ZH, "en", o.EN)
		if _, twice := l.d.unitAt[o.Code]; twice {
			doc.fail(at{"operators", i, "code"}, "operator %s: a member unit has that code", o.Code)
		}
		l.addUnit(Unit{ID: o.Code, Kind: KindOperator, ZH: o.ZH, EN: o.EN, Division: l.d.Code()})
	}
}

func (l *loader) addDivisionUnits() {
	for _, v := range l.d.divisions {
		u := Unit{Division: v.Code, ZH: v.Name, from: v.ValidFrom, to: v.ValidTo}
		switch {
		case v.Township():
			u.ID, u.Kind, u.EN = townshipPrefix+v.Code, KindTownship, "Township "+v.Code
		case v.Committee():
			u.ID, u.Kind, u.EN = villagePrefix+v.Code, KindVillageCommittee, "Village or residents' committee "+v.Code
			u.Parent = townshipPrefix + v.Parent
		default:
			continue
		}
		l.addUnit(u)
	}
}

func (l *loader) addStations(doc *document, entry unitsEntry) {
	l.d.stationOf = map[string]string{}
	indexed(doc, "stations", entry.Stations, "code", func(s stationEntry) string { return s.Code })
	for i, s := range entry.Stations {
		way := at{"stations", i}
		doc.text(way, "station "+s.Code, "zh", s.ZH, "en", s.EN)
		if parent, ok := l.d.Unit(s.Parent); !ok || parent.Kind != KindMember {
			doc.fail(append(way, "parent"), "station %s: parent %q is not a member unit", s.Code, s.Parent)
		}
		u := Unit{ID: stationPrefix + s.Code, Kind: KindPoliceStation, ZH: s.ZH, EN: s.EN, Parent: s.Parent}
		if len(s.Serves) == 0 {
			doc.fail(way, "station %s serves no township", s.Code)
		} else {
			// One station may serve several townships; its own place is the first it names.
			u.Division = s.Serves[0]
		}
		for j, township := range s.Serves {
			l.serve(doc, append(slices.Clone(way), "serves", j), u.ID, township)
		}
		l.addUnit(u)
	}
	for _, v := range l.d.divisions {
		if _, ok := l.d.stationOf[v.Code]; v.Township() && !ok {
			doc.fail(at{"stations"}, "township %s is served by no station", v.Code)
		}
	}
}

func (l *loader) serve(doc *document, way at, station, township string) {
	if v, ok := l.d.Division(township); !ok || !v.Township() {
		doc.fail(way, "station %s: serves %q, which is not a town or street", station, township)
		return
	}
	if other, twice := l.d.stationOf[township]; twice {
		doc.fail(way, "township %s is served by %s and by %s", township, other, station)
		return
	}
	l.d.stationOf[township] = station
}

func (l *loader) addOrganisations(doc *document, entry unitsEntry) {
	indexed(doc, "organisations", entry.Organisations, "uscc", func(o organisationEntry) string { return o.USCC })
	for i, o := range entry.Organisations {
		way := at{"organisations", i}
		doc.text(way, "organisation "+o.USCC, "zh", o.ZH, "en", o.EN)
		if err := idcode.CheckUSCC(o.USCC); errors.Is(err, idcode.ErrCheckDigit) {
			doc.fail(append(way, "uscc"), "organisation %s: the check digit does not fit", o.USCC)
		} else if err != nil {
			doc.fail(append(way, "uscc"), "organisation %q: not a unified social credit code", o.USCC)
		}
		if !slices.Contains(organisationKinds, o.Kind) {
			doc.fail(append(way, "kind"), "organisation %s: kind %q is not one of %v", o.USCC, o.Kind, organisationKinds)
		}
		if _, ok := l.d.Division(o.Division); !ok {
			doc.fail(append(way, "division"), "organisation %s: division %q is not in %s", o.USCC, o.Division, divisionsFile)
		}
		l.addUnit(Unit{
			ID: organisationPrefix + o.USCC, Kind: o.Kind, ZH: o.ZH, EN: o.EN, Division: o.Division,
		})
	}
}

// Duty is one thing the joint conference's division of duties demands of a member unit (R0).
type Duty struct {
	ID   string `yaml:"id"`
	Unit string `yaml:"unit"`
	// Level is case for a duty about one child or family, institutional for a plan, campaign or system.
	Level string `yaml:"level"`
	// Service of the suite that carries the duty.
	Service string `yaml:"service"`
	// Refs are the rule ids the duty rests on.
	Refs []string `yaml:"refs"`
	ZH   string   `yaml:"zh"`
	EN   string   `yaml:"en"`
}

func (l *loader) readDuties() func() {
	type file struct {
		Duties []Duty `yaml:"duties"`
	}
	entry, doc := parse[file](l, dutiesFile)
	l.d.duties = entry.Duties
	return func() {
		l.d.dutyAt = positions(entry.Duties, func(d Duty) string { return d.ID })
		indexed(doc, "duties", entry.Duties, "id", func(d Duty) string { return d.ID })
		for i, duty := range entry.Duties {
			way, what := at{"duties", i}, "duty "+duty.ID
			doc.text(way, what, "zh", duty.ZH, "en", duty.EN)
			doc.member(append(way, "unit"), what+": unit", duty.Unit)
			if duty.Level != "case" && duty.Level != "institutional" {
				doc.fail(append(way, "level"), "%s: level %q is neither case nor institutional", what, duty.Level)
			}
			if !slices.Contains(serviceNames, duty.Service) {
				doc.fail(append(way, "service"), "%s: service %q is not one of ours", what, duty.Service)
			}
			for _, ref := range duty.Refs {
				if _, ok := l.d.sources[ref]; !ok {
					doc.fail(append(way, "refs"), "%s: source %q is not in %s", what, ref, sourcesFile)
				}
			}
		}
	}
}

// member checks that a code is a member unit.
func (f *document) member(way at, what, code string) {
	if u, ok := f.l.d.Unit(code); !ok || u.Kind != KindMember {
		f.fail(way, "%s %q is not a member unit", what, code)
	}
}

// positions is where each key stands in a list.
func positions[T any](entries []T, key func(T) string) map[string]int {
	found := make(map[string]int, len(entries))
	for i, entry := range entries {
		found[key(entry)] = i
	}
	return found
}

// find answers an entry by its key.
func find[T any](entries []T, where map[string]int, key string) (T, bool) {
	i, ok := where[key]
	if !ok {
		var none T
		return none, false
	}
	return entries[i], true
}

// Units lists every unit: members, operators, townships and committees, stations, organisations, our services.
func (d *District) Units() []Unit { return slices.Clone(d.units) }

// Unit finds a unit by its id.
func (d *District) Unit(id string) (Unit, bool) { return find(d.units, d.unitAt, id) }

// Duties lists the duty catalogue.
func (d *District) Duties() []Duty { return slices.Clone(d.duties) }

// Duty finds a duty by its id, such as CIVIL-3.
func (d *District) Duty(id string) (Duty, bool) { return find(d.duties, d.dutyAt, id) }

// String is the id with the Chinese name, for operators.
func (u Unit) String() string { return fmt.Sprintf("%s (%s)", u.ID, u.ZH) }
