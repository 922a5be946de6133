package district

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/idcode"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

func shanghai(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", s, calendar.Zone())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// changed is the real package with one edit, loaded.
func changed(t testing.TB, file, old, new string) *District {
	t.Helper()
	files := copied(t)
	text := string(files[file].Data)
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q does not stand once in %s", old, file)
	}
	files[file] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, new, 1))}
	d, err := LoadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	d := load(t)
	for name, tc := range map[string]struct{ clock, from, want string }{
		"an hour over midnight":               {ClockReportAccept, "2026-03-05 23:30", "2026-03-06 00:30"},
		"hours run through Spring Festival":   {"protection.order", "2026-02-16 09:00", "2026-02-19 09:00"},
		"days end at midnight":                {ClockReliefFast, "2026-03-02 09:15", "2026-03-06 00:00"},
		"days run through Spring Festival":    {ClockReliefFast, "2026-02-14 10:00", "2026-02-18 00:00"},
		"working days jump Spring Festival":   {ClockLeadResolve, "2026-02-14 10:00", "2026-03-01 00:00"},
		"working days jump National Day":      {ClockPaymentApprove, "2026-09-30 10:00", "2026-10-11 00:00"},
		"a month from the 31st":               {ClockVisitBlue, "2026-01-31 10:00", "2026-03-01 00:00"},
		"the month it starts in":              {"twosubsidy.pay", "2026-02-03 10:00", "2026-03-01 00:00"},
		"the month after":                     {"defacto.pay", "2026-01-31 23:59", "2026-03-01 00:00"},
		"the month after, over the year":      {"defacto.pay", "2026-12-01 00:00", "2027-02-01 00:00"},
		"the next check of criminal records":  {ClockStaffVetting, "2026-01-12 00:00", "2027-01-13 00:00"},
		"a red child is visited every 7 days": {ClockVisitRed, "2026-03-02 15:00", "2026-03-10 00:00"},
	} {
		if got := d.Deadline(tc.clock, shanghai(t, tc.from)); !got.Equal(shanghai(t, tc.want)) {
			t.Errorf("%s: %s from %s ends %s, want %s", name, tc.clock, tc.from, got.In(calendar.Zone()), tc.want)
		}
	}
	if got := d.Deadline("report.feedback2", shanghai(t, "2026-03-02 09:00")); !got.IsZero() {
		t.Errorf("a clock that ends with an event ends at %s", got)
	}
}

func TestDeadlineOfAClockNobodyWroteDownIsADefect(t *testing.T) {
	t.Parallel()
	d := load(t)
	defer func() {
		if recover() == nil {
			t.Error("an item would have got no deadline")
		}
	}()
	d.Deadline("report.forget", shanghai(t, "2026-03-02 09:00"))
}

func TestTheClocksOfTheCodeAlwaysEndLater(t *testing.T) {
	t.Parallel()
	d := load(t)
	rapid.Check(t, func(rt *rapid.T) {
		from := time.Unix(rapid.Int64Range(1735689600, 1830297600).Draw(rt, "from"), 0)
		clock := rapid.SampledFrom(ownClocks).Draw(rt, "clock")
		if end := d.Deadline(clock, from); !end.After(from) {
			rt.Fatalf("%s from %s is over at %s", clock, from, end)
		}
	})
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	d := load(t)
	const village = "320411101201"
	for _, tc := range []struct{ code, unit, fallback string }{
		{"psychological_support", "youth_league", "womens_federation"},
		{"family_education", "womens_federation", "justice"},
		{"temporary_relief", "township/320411101000", "civil_affairs"},
		{"return_to_school", "education", "township/320411101000"},
	} {
		if u, f := d.NeedUnit(tc.code, village), d.NeedFallback(tc.code, village); u != tc.unit || f != tc.fallback {
			t.Errorf("%s goes to %s and %s, want %s and %s", tc.code, u, f, tc.unit, tc.fallback)
		}
	}
	if d.NeedUnit("a_pony", village) != "" || d.NeedUnit("temporary_relief", "110101001001") != "" {
		t.Error("an unknown need or a foreign place has a unit")
	}
	from := shanghai(t, "2026-02-13 10:00")
	for name, tc := range map[string]struct {
		code   string
		phase  Phase
		urgent bool
		want   string
	}{
		"offered, over the make-up Saturday":   {"psychological_support", PhaseAccept, false, "2026-02-25 00:00"},
		"a day":                                {"protection_order", PhaseAccept, true, "2026-02-15 00:00"},
		"72 hours":                             {"protection_order", PhaseDeliver, false, "2026-02-16 10:00"},
		"urgent":                               {"protection_order", PhaseDeliver, true, "2026-02-14 10:00"},
		"urgent, but the need knows no haste":  {"legal_aid", PhaseDeliver, true, "2026-02-17 00:00"},
		"twenty working days to deliver":       {"family_education", PhaseDeliver, false, "2026-03-20 00:00"},
		"an emergency is accepted by the hour": {"medical_treatment", PhaseAccept, false, "2026-02-13 12:00"},
	} {
		got, ok := d.NeedDeadline(tc.code, tc.phase, tc.urgent, from)
		if !ok || !got.Equal(shanghai(t, tc.want)) {
			t.Errorf("%s: %s, want %s", name, got.In(calendar.Zone()), tc.want)
		}
	}
	if _, ok := d.NeedDeadline("a_pony", PhaseAccept, false, from); ok {
		t.Error("an unknown need has a deadline")
	}
	if n, _ := d.Need("temporary_relief"); n.Place != PlaceWhereItHappened {
		t.Errorf("relief goes by %s", n.Place)
	}
	if l := d.Lead(); d.LeadOffice() != "civil_affairs" || l.Clock != ClockLeadResolve {
		t.Errorf("the lead office is %+v", l)
	}
}

func TestEveryDivisionHasATownshipAStationAndNeedsAnswered(t *testing.T) {
	t.Parallel()
	d := load(t)
	rapid.Check(t, func(rt *rapid.T) {
		v := rapid.SampledFrom(d.Divisions()).Draw(rt, "division")
		n := rapid.SampledFrom(d.Needs()).Draw(rt, "need")
		for _, id := range []string{
			d.TownshipUnit(v.Code), d.StationFor(v.Code), d.NeedUnit(n.Code, v.Code), d.NeedFallback(n.Code, v.Code),
		} {
			if _, ok := d.Unit(id); !ok {
				rt.Fatalf("%s, need %s: %q is not a unit", v.Code, n.Code, id)
			}
		}
		if v.Level == LevelDistrict {
			return
		}
		station, _ := d.Unit(d.StationFor(v.Code))
		township, _ := d.Unit(d.TownshipUnit(v.Code))
		if station.Kind != KindPoliceStation || township.Kind != KindTownship || !d.Within(v.Code, township.Division) {
			rt.Fatalf("%s is served by %s and %s", v.Code, station, township)
		}
		if village, ok := d.Unit(d.VillageUnit(v.Code)); ok != v.Committee() || ok && village.Parent != township.ID {
			rt.Fatalf("%s has the committee %s", v.Code, village)
		}
	})
}

func TestDivisions(t *testing.T) {
	t.Parallel()
	const closed = "320411122213"
	d := changed(t, divisionsFile, closed+",九里村村委会,village,320411122000,2023-06-30,",
		closed+",九里村村委会,village,320411122000,2023-06-30,2026-03-01")
	for name, tc := range map[string]struct {
		code, on string
		want     faultv1.Reason
		metadata map[string]string
	}{
		"in force":               {code: "320411101201", on: "2026-03-05"},
		"on its last day":        {code: closed, on: "2026-03-01"},
		"the day after":          {closed, "2026-03-02", faultv1.Reason_REASON_DIVISION_CLOSED, map[string]string{"field": "child.residence_division", "division": closed, "closed": "2026-03-01", "successor": "320411122000"}},
		"nowhere":                {"320411999000", "2026-03-05", faultv1.Reason_REASON_DIVISION_UNKNOWN, map[string]string{"field": "child.residence_division", "division": "320411999000"}},
		"before it was in force": {closed, "2020-01-01", faultv1.Reason_REASON_DIVISION_UNKNOWN, map[string]string{"field": "child.residence_division", "division": closed}},
	} {
		got := d.CheckDivision("child.residence_division", tc.code, on(t, tc.on))
		if tc.want == 0 {
			if got != nil {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		if !fault.Is(got, tc.want) || len(got.Fields()) != 1 {
			t.Errorf("%s: %v", name, got)
			continue
		}
		if diff := cmp.Diff(tc.metadata, got.Metadata()); diff != "" {
			t.Errorf("%s: metadata (-want +got):\n%s", name, diff)
		}
	}
	committee, _ := d.Unit("village/" + closed)
	if !committee.OpenOn(on(t, "2026-03-01")) || committee.OpenOn(on(t, "2026-03-02")) {
		t.Error("a committee does not close with its village")
	}
	if d.TownshipUnit(closed) != "township/320411122000" {
		t.Error("a matter of a closed village has no township any more")
	}
	if d.TownshipOf(d.Code()) != "" || d.TownshipUnit(d.Code()) != "civil_affairs" || d.StationFor(d.Code()) != "police" {
		t.Error("where only the district is known nobody is responsible")
	}
	if d.TownshipUnit("1") != "" || d.StationFor("1") != "" || d.VillageUnit("320411101000") != "" {
		t.Error("an unknown division, or a township as a village, has a unit")
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	d := load(t)
	lead, ok := d.Officer("civil_affairs-3")
	if !ok {
		t.Fatal("no data protection lead")
	}
	for name, tc := range map[string]struct {
		unit, system string
		officer      Officer
		want         []string
	}{
		"school":             {unit: "org/12320411710018221B", want: []string{"reporter"}},
		"committee":          {unit: "village/320411101201", want: []string{"every_unit", "reporter", "village"}},
		"township":           {unit: "township/320411101000", want: []string{"every_unit", "township"}},
		"station":            {unit: "police/320411101000", want: []string{"every_unit", "station"}},
		"dispatch":           {unit: "police", system: "dispatch", want: []string{"dispatch", "every_unit", "member", "police", "service_unit"}},
		"not dispatch":       {unit: "police", system: "archive", want: []string{"every_unit", "member", "police", "service_unit"}},
		"a school's system":  {unit: "org/12320411710018221B", system: "dispatch", want: []string{"reporter"}},
		"lead office":        {unit: "civil_affairs", want: []string{"civil_affairs", "every_unit", "lead", "member", "service_unit"}},
		"its protector":      {unit: "civil_affairs", officer: lead, want: []string{"civil_affairs", "data_protection", "every_unit", "lead", "member", "service_unit"}},
		"protector, not its": {unit: "health", officer: lead, want: []string{"every_unit", "health", "member", "service_unit"}},
		"in no need":         {unit: "statistics", want: []string{"every_unit", "member"}},
		"operators":          {unit: "operations", want: []string{"operator"}},
		"service":            {unit: "service/referral", want: []string{"service"}},
		"gateway":            {unit: "service/gateway"},
		"unknown":            {unit: "bakery"},
	} {
		got := d.Roles(tc.unit, tc.system, tc.officer)
		slices.Sort(got)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	d := load(t)
	if got := d.Allowed([]string{"reporter", "every_unit", "village"}, "report.accept"); len(got) != 0 {
		t.Errorf("a committee may accept a report: %+v", got)
	}
	if got := d.Allowed([]string{"lead"}, "reports"); len(got) != 0 {
		t.Errorf("an action nobody wrote down is allowed: %+v", got)
	}
	got := d.Allowed([]string{"every_unit"}, "task.close")
	if len(got) != 1 || got[0].Action != "task.*" || !got[0].Write || got[0].Class != accessv1.DataClass_DATA_CLASS_INTERNAL {
		t.Fatalf("task.* does not cover task.close: %+v", got)
	}
	if len(d.Allowed([]string{"every_unit"}, "tasks.close"))+len(d.Allowed([]string{"every_unit"}, "task")) != 0 {
		t.Error("task.* covers what only begins like it")
	}
	if got := d.Allowed([]string{"every_unit", "lead"}, "task.assign"); len(got) != 2 {
		t.Errorf("the lead office assigns by its own rule too: %+v", got)
	}
	read := d.Allowed([]string{"station"}, "report.read")[0]
	if read.Write || read.Related() || read.Related(RelationReporter) || !read.Related(RelationReporter, RelationHolder) || !read.Related(RelationOffered) {
		t.Errorf("a station reads what is none of its business: %+v", read)
	}
	if !read.Serves(accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE) || read.Serves(accessv1.Purpose_PURPOSE_STATISTICS) {
		t.Errorf("purposes of %+v", read)
	}
	work := d.Allowed([]string{"every_unit"}, "work.list")[0]
	if !work.Serves(accessv1.Purpose_PURPOSE_STATISTICS) {
		t.Error("every purpose will do for the work list")
	}
	if find := d.Allowed([]string{"station"}, "child.find")[0]; !find.Related() {
		t.Error("child.find asks for a relation")
	}
	reveal := d.Allowed([]string{"station"}, "vault.reveal")[0]
	if reveal.Approval != "data_protection" || reveal.Minutes != 30 || reveal.Class != accessv1.DataClass_DATA_CLASS_REPORTER_IDENTITY {
		t.Errorf("the vault opens by %+v", reveal)
	}
	for _, p := range d.Permissions() {
		if p.Class == accessv1.DataClass_DATA_CLASS_REPORTER_IDENTITY && p.Action != "vault.reveal" {
			t.Errorf("%s shows who reported", p.Action)
		}
	}
}

func TestMeasures(t *testing.T) {
	t.Parallel()
	d := load(t)
	missing := func(done, waived []string, situations ...string) (ids []string) {
		for _, g := range d.MissingMeasures(situations, done, waived) {
			ids = append(ids, g.ID)
		}
		return ids
	}
	for name, tc := range map[string]struct {
		situations, done, waived, want []string
	}{
		"nothing done": {situations: []string{"LIVING_ALONE"}, want: []string{"LIVING_ALONE.1", "LIVING_ALONE.2"}},
		"one of two":   {situations: []string{"LIVING_ALONE"}, done: []string{"ADMONISH_PARENTS"}, want: []string{"LIVING_ALONE.1"}},
		"all":          {situations: []string{"LIVING_ALONE"}, done: []string{"ADMONISH_PARENTS", "DESIGNATE_ENTRUSTED_CARER"}},
		"a choice made twice": {situations: []string{"LIVING_ALONE"},
			done: []string{"ADMONISH_PARENTS", "DESIGNATE_ENTRUSTED_CARER", "ORDER_PARENTS_RETURN"}, want: []string{"LIVING_ALONE.1"}},
		"waived":                {situations: []string{"LIVING_ALONE"}, done: []string{"ORDER_PARENTS_RETURN"}, waived: []string{"LIVING_ALONE.2"}},
		"half of all":           {situations: []string{"OTHER_HARM"}, done: []string{"STOP_HARM", "COLLECT_EVIDENCE"}, want: []string{"OTHER_HARM.1", "OTHER_HARM.2"}},
		"a shared row once":     {situations: []string{"GIRL_U14_SEXUAL", "ORGANISED_BEGGING"}, want: []string{"OTHER_HARM.1", "OTHER_HARM.2"}},
		"two rows together":     {situations: []string{"MISSING", "LIVING_ALONE"}, want: []string{"MISSING.1", "LIVING_ALONE.1", "LIVING_ALONE.2"}},
		"situation unknown":     {situations: []string{"BAD_WEATHER"}},
		"another row's measure": {situations: []string{"MISSING"}, done: []string{"STOP_HARM"}, want: []string{"MISSING.1"}},
	} {
		if got := missing(tc.done, tc.waived, tc.situations...); !slices.Equal(got, tc.want) {
			t.Errorf("%s: missing %v, want %v", name, got, tc.want)
		}
	}
	done := []string{"ORDER_PARENTS_RETURN"}
	if g, ok := d.Excludes([]string{"LIVING_ALONE"}, done, "DESIGNATE_ENTRUSTED_CARER"); !ok || g.ID != "LIVING_ALONE.1" {
		t.Error("the second measure of a choice is let in")
	}
	for _, free := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
		if _, excluded := d.Excludes([]string{"LIVING_ALONE"}, done, free); excluded {
			t.Errorf("%s is kept out", free)
		}
	}
	if s, _ := d.Situation("PARENT_UNREACHABLE"); s.Reportable {
		t.Error("only the responding police find that parents cannot be reached")
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	d := load(t)
	for name, tc := range map[string]struct {
		situation string
		sex       idcode.Sex
		birth, on string
		want      []Flag
	}{
		"fits":                      {"GIRL_U14_SEXUAL", idcode.Female, "2014-05-01", "2026-03-05", nil},
		"a boy":                     {"GIRL_U14_SEXUAL", idcode.Male, "2014-05-01", "2026-03-05", []Flag{FlagSexContradicts}},
		"too old":                   {"GIRL_U14_SEXUAL", idcode.Female, "2011-05-01", "2026-03-05", []Flag{FlagAgeContradicts}},
		"the 14th birthday fits":    {"GIRL_U14_SEXUAL", idcode.Female, "2012-03-05", "2026-03-05", nil},
		"and the other row too":     {"GIRL_14PLUS_SEXUAL", idcode.Female, "2012-03-05", "2026-03-05", nil},
		"too young for it":          {"GIRL_14PLUS_SEXUAL", idcode.Female, "2012-03-06", "2026-03-05", []Flag{FlagAgeContradicts}},
		"grown up":                  {"GIRL_14PLUS_SEXUAL", idcode.Female, "2007-03-05", "2026-03-05", []Flag{FlagAgeContradicts, FlagNotMinor}},
		"nothing known":             {"GIRL_U14_SEXUAL", 0, "", "2026-03-05", []Flag{FlagAgeUnknown, FlagSexUnknown}},
		"nothing known, no matter":  {"LIVING_ALONE", 0, "", "2026-03-05", nil},
		"grown up in any situation": {"LIVING_ALONE", idcode.Male, "2000-01-01", "2026-03-05", []Flag{FlagNotMinor}},
		"both contradict":           {"GIRL_U14_SEXUAL", idcode.Male, "2010-01-01", "2026-03-05", []Flag{FlagAgeContradicts, FlagSexContradicts}},
	} {
		var birth calendar.Date
		if tc.birth != "" {
			birth = on(t, tc.birth)
		}
		if got := d.Flags(tc.situation, tc.sex, birth, on(t, tc.on)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestOfficers(t *testing.T) {
	t.Parallel()
	d := changed(t, officersFile, "name: 王国霞, title: liaison, from: 2025-09-01", "name: 王国霞, title: liaison, from: 2025-09-01, to: 2026-03-01")
	o, ok := d.Officer("court-1")
	if !ok || o.Superior || o.ActiveOn(on(t, "2025-08-31")) || !o.ActiveOn(on(t, "2026-03-01")) || o.ActiveOn(on(t, "2026-03-02")) {
		t.Errorf("the roster gives %+v", o)
	}
	if want := shanghai(t, "2027-01-13 00:00"); !o.VettingDue.Equal(want) {
		t.Errorf("the next check is due %s, want %s", o.VettingDue, want)
	}
	chiefs := slices.DeleteFunc(d.OfficersOf("police/320411101000"), func(o Officer) bool { return !o.Superior })
	if len(chiefs) != 1 || chiefs[0].Title != "station_chief" {
		t.Errorf("superiors of the station: %+v", chiefs)
	}
	approvers := slices.DeleteFunc(d.Officers(), func(o Officer) bool { return o.Title != "payment_approver" })
	if len(approvers) < 2 {
		t.Error("two different officers cannot approve a batch")
	}
	if len(d.OfficersOf("bakery")) != 0 {
		t.Error("an unknown unit has officers")
	}
	for _, u := range d.Units() {
		if u.Kind != KindService && len(d.OfficersOf(u.ID)) == 0 {
			t.Errorf("nobody acts for %s", u.ID)
		}
	}
}

func TestListsCannotBeWrittenThrough(t *testing.T) {
	t.Parallel()
	d := load(t)
	d.Divisions()[0].Code, d.Units()[0].ID, d.Clocks()[0].ID = "x", "x", "x"
	u, _ := d.Unit("court")
	u.Roles()[0] = "operator"
	again, _ := d.Unit("court")
	if d.Divisions()[0].Code == "x" || d.Units()[0].ID == "x" || d.Clocks()[0].ID == "x" || again.Has("operator") {
		t.Error("a caller changed the package for everybody")
	}
}

// A clock in working days that reaches into a year whose calendar is not known says so; one in hours, or that ends before, has nothing to say.
func TestAClockSaysThatItWasCountedWithoutACalendar(t *testing.T) {
	t.Parallel()
	d := load(t)
	for name, tc := range map[string]struct {
		clock, from string
		want        bool
	}{
		"working days into an unknown year":   {ClockLeadResolve, "2026-12-29", true},
		"working days within a known year":    {ClockLeadResolve, "2026-03-02", false},
		"calendar days into an unknown year":  {ClockAssessmentDone, "2026-12-29", false},
		"hours into an unknown year":          {ClockReportResponse, "2026-12-31", false},
		"a need's own days into unknown days": {"need.accept", "2026-12-31", true},
	} {
		from := on(t, tc.from).Start().Add(12 * time.Hour)
		due := from.Add(48 * time.Hour)
		if _, own := d.Clock(tc.clock); own {
			due = d.Deadline(tc.clock, from)
		} else {
			due = calendar.Today(due).End()
		}
		if got := d.CountedBlind(tc.clock, from, due); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
