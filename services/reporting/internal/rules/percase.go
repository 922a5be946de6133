package rules

import (
	"slices"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// concerned are the children a measure is for: those named; else none for a measure about the family, or where nobody can name a child; else the only
// child there is. One escort does not take two children by being silent about which.
func concerned(r *reportingv1.Report, m district.Measure, named []string) ([]string, error) {
	if len(named) > 0 {
		return named, checkNamed(r, named)
	}
	children := Children(r)
	switch {
	case m.Per != district.PerChild || len(children) == 0:
		return nil, nil
	case len(children) == 1:
		return []string{children[0].GetProvisionalChildId()}, nil
	default:
		return nil, fault.New(reportingv1.Reason_REASON_CHILD_NOT_NAMED, "provisional_child_ids: the report is about several children", "field", "provisional_child_ids", "measure", m.Code).
			Field("provisional_child_ids", "the report is about several children")
	}
}

// checkNamed refuses children the report is not about.
func checkNamed(r *reportingv1.Report, named []string) error {
	for _, id := range named {
		if !slices.ContainsFunc(Children(r), func(c *reportingv1.ReportedChild) bool { return c.GetProvisionalChildId() == id }) {
			return fault.New(reportingv1.Reason_REASON_CHILD_UNKNOWN, "provisional_child_ids: not a child of the report", "field", "provisional_child_ids").
				Field("provisional_child_ids", "not a child of the report")
		}
	}
	return nil
}

// each are the children that groups are met for: those of the report, or one that nobody can name.
func each(r *reportingv1.Report) []string {
	children := Children(r)
	if len(children) == 0 {
		return []string{""}
	}
	ids := make([]string, len(children))
	for i, c := range children {
		ids[i] = c.GetProvisionalChildId()
	}
	return ids
}

// isFor reports whether something recorded for some children, or for none in particular, counts for one.
func isFor(recorded []string, child string) bool {
	return len(recorded) == 0 || child == "" || slices.Contains(recorded, child)
}

// codesFor lists the codes of the measures that stand, count for a child and are wanted.
func codesFor(r *reportingv1.Report, child string, wanted func(*reportingv1.Measure) bool) []string {
	return codes(r, func(m *reportingv1.Measure) bool { return isFor(m.GetProvisionalChildIds(), child) && wanted(m) })
}

// doneFor lists what is done for a child and waits for nobody.
func doneFor(r *reportingv1.Report, child string) []string {
	return codesFor(r, child, func(m *reportingv1.Measure) bool { return !m.GetPending() })
}

// waivedFor lists the groups nobody need meet for a child.
func waivedFor(r *reportingv1.Report, child string) []string {
	var groups []string
	for _, w := range r.GetWaivers() {
		if isFor(w.GetProvisionalChildIds(), child) {
			groups = append(groups, w.GetGroup())
		}
	}
	return groups
}

// missingGroups are the ids of the groups that are neither met nor waived for some child, in the order of the table.
func missingGroups(d *district.District, r *reportingv1.Report) []string {
	var missing []string
	for _, child := range each(r) {
		for _, g := range d.MissingMeasures(r.GetSituations(), doneFor(r, child), waivedFor(r, child)) {
			if !slices.Contains(missing, g.ID) {
				missing = append(missing, g.ID)
			}
		}
	}
	slices.SortFunc(missing, func(a, b string) int { return placeOf(d, r, a) - placeOf(d, r, b) })
	return missing
}

func placeOf(d *district.District, r *reportingv1.Report, group string) int {
	return slices.IndexFunc(d.Measures(r.GetSituations()...), func(g district.Group) bool { return g.ID == group })
}

// notExcluded refuses a second measure of a choice of one for the same child, also where the first one still waits for another unit.
func notExcluded(d *district.District, r *reportingv1.Report, code string, children []string) error {
	if len(children) == 0 {
		children = each(r)
	}
	for _, child := range children {
		recorded := codesFor(r, child, func(*reportingv1.Measure) bool { return true })
		group, excluded := d.Excludes(r.GetSituations(), recorded, code)
		if !excluded {
			continue
		}
		other := group.Measures[slices.IndexFunc(group.Measures, func(m string) bool { return m != code && slices.Contains(recorded, m) })]
		return fault.New(reportingv1.Reason_REASON_MEASURE_EXCLUDED, "another measure of an exactly-one group is recorded", "group", group.ID, "recorded", other)
	}
	return nil
}

// Groups shows what the report calls for and how far each group is met, and for whom it is not.
func Groups(d *district.District, r *reportingv1.Report) []*reportingv1.MeasureGroup {
	recorded := done(r)
	var groups []*reportingv1.MeasureGroup
	for _, g := range d.Measures(r.GetSituations()...) {
		group := &reportingv1.MeasureGroup{
			Group: g.ID, Rule: reportingv1.MeasureGroup_RULE_ALL_OF, Measures: g.Measures, Met: true, Source: sourceOf(d, g.ID),
		}
		if g.Choice {
			group.Rule = reportingv1.MeasureGroup_RULE_EXACTLY_ONE_OF
		}
		for _, code := range g.Measures {
			if slices.Contains(recorded, code) {
				group.Recorded = append(group.Recorded, code)
			}
		}
		waivedAll, unmet := true, false
		for _, child := range each(r) {
			free := slices.Contains(waivedFor(r, child), g.ID)
			if g.Met(doneFor(r, child)) {
				continue
			}
			group.Met, unmet, waivedAll = false, true, waivedAll && free
			if !free && child != "" {
				group.MissingChildIds = append(group.MissingChildIds, child)
			}
		}
		group.Waived = unmet && waivedAll || !unmet && slices.Contains(waivedFor(r, ""), g.ID)
		groups = append(groups, group)
	}
	return groups
}

// done lists the codes of the measures that stand and wait for nobody. One that was asked for two children counts when both are answered.
func done(r *reportingv1.Report) []string {
	waiting := codes(r, (*reportingv1.Measure).GetPending)
	return codes(r, func(m *reportingv1.Measure) bool { return !slices.Contains(waiting, m.GetCode()) })
}

// codes lists the codes of the measures that stand and that are wanted.
func codes(r *reportingv1.Report, wanted func(*reportingv1.Measure) bool) []string {
	var codes []string
	for _, m := range r.GetMeasures() {
		if m.GetStrikeTime() == nil && wanted(m) && !slices.Contains(codes, m.GetCode()) {
			codes = append(codes, m.GetCode())
		}
	}
	return codes
}
