package storm

// Twin is a build of the suite that is broken on purpose, in one place, to prove that the checkers see it.
type Twin struct {
	// Tag of the build.
	Tag string
	// Plan of faults under which it shows.
	Plan Plan
	// Break is done to databases before the load, by name of the database: what the schema would hold up by itself.
	Break map[string]string
	// Caught lists the checkers of which one must find it.
	Caught []string
}

// twins that the storm must catch.
func twins() []Twin {
	kills := Plan{{KillDatabase(), KillDatabase(), KillDatabase()}}
	races := Plan{{stopBackend(), stopBackend(), stopBackend()}, {link("delay", "database-"), link("delay", "database-")}}
	return []Twin{
		{Tag: "twin_naive_cursor", Plan: races, Caught: []string{"feed.complete"}},
		{Tag: "twin_early_ack", Plan: kills, Caught: []string{"acknowledged.kept"}},
		{Tag: "twin_unhung_idempotency", Plan: races, Caught: []string{"acknowledged.kept"}},
		{Tag: "twin_lazy_commit", Plan: kills, Caught: []string{"acknowledged.kept"}},
		{Tag: "twin_lawless_sweeper", Plan: Plan{{jump(), jump(), jump()}}, Caught: []string{"promise 1: report.history", "promise 1: incident.history", "promise 1: quarantined_update.history"}},
		{Tag: "twin_two_branches", Plan: races, Caught: []string{"promise 5: budget.ledger_agrees"}},
		{
			Tag: "twin_budget_check_then_insert", Plan: races, Break: map[string]string{"lianhu_relief": "ALTER TABLE budget_account DROP CONSTRAINT budget_account_within"},
			Caught: []string{"promise 5: budget.within", "budget.linearizable", "promise 5: budget.ledger_agrees"},
		},
	}
}

// FindTwin gives the twin of a build tag.
func FindTwin(tag string) (Twin, bool) {
	for _, t := range twins() {
		if t.Tag == tag {
			return t, true
		}
	}
	return Twin{}, false
}

// TwinTags lists the tags.
func TwinTags() (tags []string) {
	for _, t := range twins() {
		tags = append(tags, t.Tag)
	}
	return tags
}
