package storm

// Twin is a build of the suite that is broken on purpose, in one place, to prove that the checkers see it.
type Twin struct {
	// Tag of the build; with Schema the name of a twin whose code is the release's, broken by Break alone.
	Tag    string
	Schema bool
	// Plan of faults under which it shows.
	Plan Plan
	// Break is done to databases before the load, by name of the database: what the schema does, or would hold up by itself.
	Break map[string]string
	// Rounds of a soak in which it shows; 0 is a storm of one round.
	Rounds int
	// Caught lists the checkers of which one must find it.
	Caught []string
}

// twins that the storm must catch.
func twins() []Twin {
	kills := Plan{{KillDatabase(), KillDatabase(), KillDatabase()}}
	races := Plan{{stopBackend(), stopBackend(), stopBackend()}, {link("delay", "database-"), link("delay", "database-")}}
	cuts := Plan{{Kill("reporting"), Kill("referral")}, {link("cut", "service-"), link("cut", "gateway-"), link("reset", "gateway-"), link("cut", "service-")}}
	everywhere := func(sql string) map[string]string {
		broken := map[string]string{}
		for _, area := range areas {
			broken["lianhu_"+area] = sql
		}
		return broken
	}
	// before has a row changed on its way into a table, or lost.
	before := func(table, do string) string {
		return "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + do + " RETURN NEW; END $$; CREATE TRIGGER spoil BEFORE INSERT ON " + table + " FOR EACH ROW EXECUTE FUNCTION spoil()"
	}
	return []Twin{
		{Tag: "twin_naive_cursor", Plan: races, Caught: []string{"feed.complete"}},
		{Tag: "twin_early_ack", Plan: kills, Caught: []string{"acknowledged.kept"}},
		{Tag: "twin_unhung_idempotency", Plan: races, Caught: []string{"acknowledged.kept"}},
		{Tag: "twin_lazy_commit", Plan: kills, Caught: []string{"acknowledged.kept"}},
		{Tag: "twin_lawless_sweeper", Plan: Plan{{jump(), jump(), jump()}}, Caught: []string{"promise 1: report.history", "promise 1: incident.history", "promise 1: quarantined_update.history"}},
		{Tag: "twin_two_branches", Plan: races, Caught: []string{"promise 5: budget.ledger_agrees"}},
		{Tag: "twin_lost_update", Plan: races, Break: everywhere("ALTER TABLE custody DROP CONSTRAINT custody_key"), Caught: []string{"reports.whole"}},
		{Tag: "twin_last_arrival", Plan: races, Caught: []string{"incidents.folded"}},
		{Tag: "twin_forgetful", Plan: races, Caught: []string{"repetition.same_answer"}},
		{ // most effects meet a conflict, and are to be had again
			Tag: "twin_hasty_follower", Plan: races,
			Break:  map[string]string{"lianhu_referral": before("support_case", "IF random() < 0.9 THEN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END IF;")},
			Caught: []string{"handover.target"},
		},
		{Tag: "twin_skipping_reader", Plan: cuts, Caught: []string{"subscribers.complete"}},
		{Tag: "twin_cached_sequence", Schema: true, Plan: races, Break: everywhere("ALTER SEQUENCE outbox_id_seq CACHE 32"), Caught: []string{"feed.causal"}},
		{
			Tag: "twin_double_child", Schema: true, Plan: races, Break: map[string]string{"lianhu_registry": "ALTER TABLE child DROP CONSTRAINT child_id_number"},
			Caught: []string{"children.linearizable"},
		},
		{Tag: "twin_lost_point", Schema: true, Plan: races, Break: everywhere(before("custody", "IF NEW.version % 3 = 2 THEN RETURN NULL; END IF;")), Caught: []string{"custody.complete"}},
		{Tag: "twin_wrong_step", Schema: true, Plan: races, Break: everywhere(before("custody", "IF NEW.version = 2 THEN NEW.state := 'CONFIRMED'; END IF;")), Caught: []string{"states.legal"}},
		{
			Tag: "twin_restless_sweeper", Schema: true, Plan: Plan{{jump(), jump(), jump()}},
			Break:  everywhere(before("audit", "IF NEW.method LIKE 'sweep/%' THEN NEW.request_id := gen_random_uuid(); END IF;")),
			Caught: []string{"deadlines.once"},
		},
		{Tag: "twin_noted_refusal", Plan: races, Caught: []string{"refused.without_effect"}},
		{Tag: "twin_text_file", Plan: races, Caught: []string{"files.identical"}},
		{Tag: "twin_deaf", Plan: Plan{{roll("registry", "relief")}}, Caught: []string{"restart.graceful"}},
		{Tag: "twin_hoarder", Plan: races, Rounds: 3, Caught: []string{"soak.flat"}},
		{ // what fails behind the calls is told to nobody but the log
			Tag: "twin_lame_sweeper", Schema: true, Plan: Plan{{jump(), jump(), jump()}},
			Break:  everywhere(before("audit", "IF NEW.method LIKE 'sweep/%' THEN RAISE EXCEPTION 'spoilt'; END IF;")),
			Caught: []string{"logs.clean"},
		},
		{Tag: "twin_mute_feed", Schema: true, Plan: races, Break: map[string]string{"lianhu_referral": before("feed", "RAISE EXCEPTION 'spoilt';")}, Caught: []string{"suite.rests"}},
		{Tag: "twin_defect", Schema: true, Plan: races, Break: map[string]string{"lianhu_relief": "REVOKE INSERT ON ledger_entry FROM lianhu_app"}, Caught: []string{"clients.answered"}},
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
