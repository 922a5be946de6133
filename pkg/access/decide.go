package access

import (
	"slices"
	"strconv"
	"strings"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Facts are what a store knows of a subject and of the caller's part in it.
type Facts struct {
	// Holder and OfferedTo of the item; empty for plain records and closed items.
	Holder, OfferedTo string
	// Division of the child concerned, 12 digits.
	Division string
	// Involved is true when the caller's unit holds or held an item of the matter: a row of access_grant.
	Involved bool
	// Reporter is true when the caller's organisation handed in the report.
	Reporter bool
	// Supervising is true when the matter is under the caller's supervision.
	Supervising bool
	// Audience is true when the caller's unit is in the audience of the event.
	Audience bool
	// Approved is true while an approval of this use is in force; permissions that need one count only then.
	Approved bool
}

// See decides whether the caller may know of a subject. The refusal reads like absence, always.
//
// Errors: NOT_FOUND.
func (c *Caller) See(action string, f Facts) error {
	if len(c.related(action, f)) == 0 {
		return fault.NotFound()
	}
	return nil
}

// Class is the highest class the caller may read of a subject, PUBLIC when it may not know of it at all.
// REPORTER_IDENTITY is answered only when a permission is of just that class; it then includes nothing above INTERNAL
// of the other classes.
func (c *Caller) Class(action string, f Facts) accessv1.DataClass {
	class := accessv1.DataClass_DATA_CLASS_PUBLIC
	for _, p := range c.related(action, f) {
		class = max(class, p.Class)
	}
	return class
}

func (c *Caller) related(action string, f Facts) []district.Permission {
	held := c.relations(f)
	var usable []district.Permission
	for _, p := range c.Permissions(action) {
		if p.Related(held...) && (p.Approval == "" || f.Approved) {
			usable = append(usable, p)
		}
	}
	return usable
}

func (c *Caller) relations(f Facts) []district.Relation {
	held := make([]district.Relation, 0, 7)
	add := func(relation district.Relation, holds bool) {
		if holds {
			held = append(held, relation)
		}
	}
	add(district.RelationHolder, f.Holder != "" && f.Holder == c.Unit)
	add(district.RelationOffered, f.OfferedTo != "" && f.OfferedTo == c.Unit)
	add(district.RelationTerritorial, c.covers(f.Division))
	add(district.RelationInvolved, f.Involved)
	add(district.RelationReporter, f.Reporter)
	add(district.RelationSupervising, f.Supervising)
	add(district.RelationAudience, f.Audience)
	return held
}

// covers reports whether a division lies in the caller's. It follows the prefixes of Scope, so that a list and a look at
// one subject never disagree.
func (c *Caller) covers(division string) bool {
	unit, ok := c.unit()
	if !ok || division == "" {
		return false
	}
	if unit.Kind == district.KindPoliceStation {
		return slices.ContainsFunc([]string{division, c.district.Responsible(division, c.today)}, func(code string) bool {
			return c.district.StationFor(code) == unit.ID
		})
	}
	return strings.HasPrefix(division, prefix(unit.Division)) || slices.Contains(c.inherited(unit.Division), division)
}

// inherited lists the closed divisions outside an area that a division in it answers for now.
func (c *Caller) inherited(area string) []string {
	return slices.DeleteFunc(c.district.DivisionsIn(area, c.today), func(code string) bool { return strings.HasPrefix(code, prefix(area)) })
}

// Above tells whether the caller's unit answers for another one: the bureau for its stations, a township for its village committees.
func (c *Caller) Above(unit string) bool {
	if c.district == nil {
		return false
	}
	for met := 0; met < 8; met++ { // a district's tree is never so deep; a ring in the data must not hang a call
		below, ok := c.district.Unit(unit)
		if !ok || below.Parent == "" {
			return false
		}
		if unit = below.Parent; unit == c.Unit {
			return true
		}
	}
	return false
}

func (c *Caller) unit() (district.Unit, bool) {
	if c.district == nil {
		return district.Unit{}, false
	}
	return c.district.Unit(c.Unit)
}

// territory lists the prefixes of the division codes the caller's unit is responsible for.
func (c *Caller) territory() []string {
	unit, ok := c.unit()
	if !ok {
		return nil
	}
	if unit.Kind != district.KindPoliceStation {
		return append([]string{prefix(unit.Division)}, c.inherited(unit.Division)...)
	}
	// A station serves one or several townships; no field of the unit lists them.
	var prefixes []string
	for _, d := range c.district.Divisions() {
		if d.Township() && c.district.StationFor(d.Code) == unit.ID {
			prefixes = append(prefixes, prefix(d.Code))
			prefixes = append(prefixes, c.inherited(d.Code)...)
		}
	}
	return prefixes
}

// prefix cuts a 12-digit code to what all divisions inside it share: 6 digits for the district, 9 for a town or street,
// 12 for a village or community.
func prefix(division string) string {
	switch {
	case len(division) == 12 && division[6:] == "000000":
		return division[:6]
	case len(division) == 12 && division[9:] == "000":
		return division[:9]
	}
	return division
}

// Scope says which rows of a list the caller may see, by what SQL can filter. Relations SQL cannot filter by (reporter,
// supervising, audience) open no list; such subjects are read one by one.
type Scope struct {
	// All rows.
	All bool
	// Unit of the caller, for Holder, Offered and Matters.
	Unit string
	// Holder, Offered and Matters: rows the unit holds, rows offered to it, rows of matters it has a grant for.
	Holder, Offered, Matters bool
	// Divisions are prefixes of the divisions whose rows the unit sees; empty when territory opens nothing.
	Divisions []string
}

// Scope is the union of what the caller's permissions for an action open.
func (c *Caller) Scope(action string) Scope {
	s := Scope{Unit: c.Unit}
	for _, p := range c.Permissions(action) {
		if p.Approval != "" {
			continue // an approval is for one subject
		}
		s.All = s.All || len(p.Relations) == 0
		s.Holder = s.Holder || len(p.Relations) > 0 && p.Related(district.RelationHolder)
		s.Offered = s.Offered || len(p.Relations) > 0 && p.Related(district.RelationOffered)
		s.Matters = s.Matters || len(p.Relations) > 0 && p.Related(district.RelationInvolved)
		if len(p.Relations) > 0 && p.Related(district.RelationTerritorial) {
			s.Divisions = c.territory()
		}
	}
	return s
}

// Where is the scope as a condition on a table with the standard columns, and its arguments, the first of them $first.
// plain tables have no holder and no offered_to.
func (s Scope) Where(table string, plain bool, first int) (string, []any) {
	if s.All {
		return "true", nil
	}
	var either []string
	args := []any{s.Unit}
	unit := "$" + strconv.Itoa(first)
	if s.Holder && !plain {
		either = append(either, table+".holder = "+unit)
	}
	if s.Offered && !plain {
		either = append(either, table+".offered_to = "+unit)
	}
	if s.Matters {
		either = append(either, "EXISTS (SELECT FROM access_grant g WHERE g.unit = "+unit+" AND g.matter_id = "+table+".matter_id)")
	}
	if len(either) == 0 {
		args = nil // PostgreSQL refuses an argument that nothing uses
	}
	for _, d := range s.Divisions {
		args = append(args, d+"%")
		either = append(either, table+".division LIKE $"+strconv.Itoa(first+len(args)-1))
	}
	if len(either) == 0 {
		return "false", nil
	}
	return "(" + strings.Join(either, " OR ") + ")", args
}
