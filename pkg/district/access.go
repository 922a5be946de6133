package district

import (
	"regexp"
	"slices"
	"strings"

	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Relation of the caller's unit to the matter.
type Relation string

// The relations a permission can ask for.
const (
	// RelationReporter means the unit's own organisation reported.
	RelationReporter Relation = "reporter"
	// RelationHolder means the unit holds the item.
	RelationHolder Relation = "holder"
	// RelationOffered means the item is offered to the unit.
	RelationOffered Relation = "offered"
	// RelationInvolved means the unit holds or held an item of the matter.
	RelationInvolved Relation = "involved"
	// RelationTerritorial means the child's division lies in the unit's.
	RelationTerritorial Relation = "territorial"
	// RelationSupervising means the unit supervises the matter.
	RelationSupervising Relation = "supervising"
	// RelationAudience means the unit is in the audience of a feed event.
	RelationAudience Relation = "audience"
)

var relations = []Relation{
	RelationReporter, RelationHolder, RelationOffered, RelationInvolved, RelationTerritorial, RelationSupervising,
	RelationAudience,
}

// any stands in the table for "no relation asked" and "every purpose".
const anyWord = "any"

// Role is how a caller comes by a part of the access table. Whoever meets every criterion that is given has the role.
type Role struct {
	Code     string   `yaml:"code"`
	ZH       string   `yaml:"zh"`
	Kinds    []Kind   `yaml:"kinds"`
	Units    []string `yaml:"units"`
	Systems  []string `yaml:"systems"`
	Titles   []string `yaml:"titles"`
	Services []string `yaml:"services"`
	// NamedInNeeds gives the role to the member units that stand in needs.yaml.
	NamedInNeeds bool `yaml:"named_in_needs"`
}

// Permission is one line of the access table.
type Permission struct {
	// Action is one action, or a subject and .* for all of its actions.
	Action string
	Roles  []string
	// Relations of which one must hold; empty when none is asked for.
	Relations []Relation
	// Purposes of which the call must name one; empty when every purpose will do.
	Purposes []accessv1.Purpose
	// Write is true where the permission changes things too.
	Write bool
	// Class is the highest class of data an answer may show. REPORTER_IDENTITY stands outside the order.
	Class accessv1.DataClass
	// Approval is the role that has to approve each use, Minutes how long an approval holds; empty and 0 where none
	// is needed.
	Approval string
	Minutes  int
}

// Covers reports whether the permission speaks of an action.
func (p Permission) Covers(action string) bool {
	subject, all := strings.CutSuffix(p.Action, ".*")
	return p.Action == action || all && strings.HasPrefix(action, subject+".")
}

// Serves reports whether the permission may be used for a purpose.
func (p Permission) Serves(purpose accessv1.Purpose) bool {
	return len(p.Purposes) == 0 || slices.Contains(p.Purposes, purpose)
}

// Related reports whether the permission needs no relation or one of those that hold.
func (p Permission) Related(held ...Relation) bool {
	return len(p.Relations) == 0 || slices.ContainsFunc(p.Relations, func(r Relation) bool {
		return slices.Contains(held, r)
	})
}

type purposeEntry struct {
	Code   string `yaml:"code"`
	Source string `yaml:"source"`
}

type ruleEntry struct {
	Action    string     `yaml:"action"`
	Roles     []string   `yaml:"roles"`
	Relations []Relation `yaml:"relations"`
	Purposes  []string   `yaml:"purposes"`
	Write     bool       `yaml:"write"`
	Class     string     `yaml:"class"`
	Approval  string     `yaml:"approval"`
	Minutes   int        `yaml:"minutes"`
}

type accessEntry struct {
	Purposes []purposeEntry `yaml:"purposes"`
	Roles    []Role         `yaml:"roles"`
	Rules    []ruleEntry    `yaml:"rules"`
}

var actionForm = regexp.MustCompile(`^[a-z_]+(\.([a-z_]+|\*))?$`)

func (l *loader) readAccess() func() {
	entry, doc := parse[accessEntry](l, accessFile)
	l.d.roles = entry.Roles
	return func() {
		l.checkPurposes(doc, entry.Purposes)
		indexed(doc, "roles", entry.Roles, "code", func(r Role) string { return r.Code })
		for i, r := range entry.Roles {
			l.checkRole(doc, at{"roles", i}, r)
		}
		for i, r := range entry.Rules {
			l.addRule(doc, at{"rules", i}, entry, r)
		}
		for i := range l.d.units {
			l.d.units[i].roles = l.d.unitRoles(l.d.units[i])
		}
		l.checkOwners()
	}
}

func (l *loader) checkPurposes(doc *document, purposes []purposeEntry) {
	found := indexed(doc, "purposes", purposes, "code", func(p purposeEntry) string { return p.Code })
	for i, p := range purposes {
		doc.cites(at{"purposes", i}, "purpose "+p.Code, p.Source)
		if purposeOf(p.Code) == 0 {
			doc.fail(at{"purposes", i}, "purpose %s is not one of the contract", p.Code)
		}
	}
	for number, name := range accessv1.Purpose_name {
		code := strings.TrimPrefix(name, "PURPOSE_")
		if _, ok := found[code]; !ok && number != 0 {
			doc.fail(at{"purposes"}, "purpose %s of the contract is missing", code)
		}
	}
}

func purposeOf(code string) accessv1.Purpose {
	return accessv1.Purpose(accessv1.Purpose_value["PURPOSE_"+code])
}

func (l *loader) checkRole(doc *document, way at, r Role) {
	what := "role " + r.Code
	doc.text(way, what, "zh", r.ZH)
	if len(r.Kinds)+len(r.Units)+len(r.Systems)+len(r.Titles)+len(r.Services) == 0 && !r.NamedInNeeds {
		doc.fail(way, "%s names nobody", what)
	}
	for _, kind := range r.Kinds {
		if !slices.Contains(unitKinds, kind) {
			doc.fail(append(way, "kinds"), "%s: kind %q is not known", what, kind)
		}
	}
	for _, unit := range r.Units {
		if _, ok := l.d.Unit(unit); !ok {
			doc.fail(append(way, "units"), "%s: unit %q is not in %s", what, unit, unitsFile)
		}
	}
	for _, title := range r.Titles {
		if !slices.ContainsFunc(l.d.titleList, func(t Title) bool { return t.Code == title }) {
			doc.fail(append(way, "titles"), "%s: title %q is not in %s", what, title, officersFile)
		}
	}
	for _, service := range r.Services {
		if !slices.Contains(serviceNames, service) {
			doc.fail(append(way, "services"), "%s: service %q is not one of ours", what, service)
		}
	}
}

func (l *loader) addRule(doc *document, way at, table accessEntry, r ruleEntry) {
	what := "rule for " + r.Action
	p := Permission{
		Action: r.Action, Roles: r.Roles, Write: r.Write, Approval: r.Approval, Minutes: r.Minutes,
		Class: accessv1.DataClass(accessv1.DataClass_value["DATA_CLASS_"+r.Class]),
	}
	if !actionForm.MatchString(r.Action) {
		doc.fail(append(way, "action"), "%s: want subject.verb or subject.*", what)
	}
	if p.Class == 0 {
		doc.fail(append(way, "class"), "%s: class %q is not known", what, r.Class)
	}
	if len(r.Roles) == 0 || len(r.Relations) == 0 || len(r.Purposes) == 0 {
		doc.fail(way, "%s needs roles, relations and purposes", what)
	}
	for _, role := range r.Roles {
		if !l.d.isRole(role) {
			doc.fail(append(way, "roles"), "%s: role %q is not in the list of roles", what, role)
		}
	}
	if r.Approval != "" && !l.d.isRole(r.Approval) {
		doc.fail(append(way, "approval"), "%s: role %q is not in the list of roles", what, r.Approval)
	}
	if (r.Approval == "") != (r.Minutes == 0) || r.Minutes < 0 {
		doc.fail(way, "%s: an approval holds for some minutes, and minutes need an approval", what)
	}
	if !slices.Equal(r.Relations, []Relation{anyWord}) {
		p.Relations = r.Relations
	}
	for _, relation := range p.Relations {
		if !slices.Contains(relations, relation) {
			doc.fail(append(way, "relations"), "%s: relation %q is not known", what, relation)
		}
	}
	if !slices.Equal(r.Purposes, []string{anyWord}) {
		for _, code := range r.Purposes {
			if !slices.ContainsFunc(table.Purposes, func(e purposeEntry) bool { return e.Code == code }) {
				doc.fail(append(way, "purposes"), "%s: purpose %q is not in the list of purposes", what, code)
			}
			p.Purposes = append(p.Purposes, purposeOf(code))
		}
	}
	l.d.rules = append(l.d.rules, p)
}

func (d *District) isRole(code string) bool {
	return slices.ContainsFunc(d.roles, func(r Role) bool { return r.Code == code })
}

// unitRoles are the roles that need neither a system nor an officer.
func (d *District) unitRoles(u Unit) []string {
	var codes []string
	for _, r := range d.roles {
		if len(r.Systems) == 0 && len(r.Titles) == 0 && d.fits(r, u) {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

func (d *District) fits(r Role, u Unit) bool {
	service, ours := strings.CutPrefix(u.ID, servicePrefix)
	switch {
	case len(r.Kinds) > 0 && !slices.Contains(r.Kinds, u.Kind),
		len(r.Units) > 0 && !slices.Contains(r.Units, u.ID),
		len(r.Services) > 0 && !(ours && slices.Contains(r.Services, service)),
		r.NamedInNeeds && !d.namedInNeeds(u.ID):
		return false
	}
	return true
}

func (d *District) namedInNeeds(unit string) bool {
	return slices.ContainsFunc(d.needs, func(n Need) bool { return n.Unit == unit || n.Fallback == unit })
}

// Roles of a caller: those of its unit, and those that its system or the title of its acting officer adds. system is
// the one its certificate names; officer is the zero Officer where no person acts. An unknown unit has no role.
func (d *District) Roles(unit, system string, officer Officer) []string {
	u, ok := d.Unit(unit)
	if !ok {
		return nil
	}
	codes := u.Roles()
	for _, r := range d.roles {
		if len(r.Systems) == 0 && len(r.Titles) == 0 || !d.fits(r, u) {
			continue
		}
		if len(r.Systems) > 0 && !slices.Contains(r.Systems, system) {
			continue
		}
		if len(r.Titles) > 0 && !(officer.Unit == unit && slices.Contains(r.Titles, officer.Title)) {
			continue
		}
		codes = append(codes, r.Code)
	}
	return codes
}

// Allowed is every permission that one of the roles has for an action. None means the action is refused.
func (d *District) Allowed(roles []string, action string) []Permission {
	var allowed []Permission
	for _, p := range d.rules {
		if p.Covers(action) && slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(roles, r) }) {
			allowed = append(allowed, p)
		}
	}
	return allowed
}

// AccessRoles lists the roles of the access table.
func (d *District) AccessRoles() []Role { return slices.Clone(d.roles) }

// Permissions lists the whole access table.
func (d *District) Permissions() []Permission { return slices.Clone(d.rules) }
