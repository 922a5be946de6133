package district

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

// Each case breaks one thing in a copy of the real package: old is text that stands once in the file, new replaces
// it. The problem must name the line of the edit, or the line where the text `line` stands.
var breakages = map[string]struct {
	file, old, new string
	line           string
	rule           string
}{
	"broken YAML": {needsFile, "needs:\n", "needs: [\n", "", "did not find"},
	"unknown key": {clocksFile, "id: report.accept, zh:", "id: report.accept, name:", "id: report.accept",
		`key "name" is not known here`},
	"key twice":       {districtFile, `en: "Xinbei`, "zh: 新北\nen: \"Xinbei", `zh: 新北`, "already defined"},
	"two documents":   {bankFile, "return:\n", "---\nreturn:\n", "# The files", "more than one document"},
	"wrong type":      {budgetsFile, `"320411002000", year: 2026`, `"320411002000", year: soon`, "", "cannot unmarshal"},
	"version":         {districtFile, "version: 2026.1", "version: next", "", `version "next"`},
	"district code":   {districtFile, `code: "320411000000"`, `code: "320411002000"`, "", "is not the district of divisions.csv"},
	"source read":     {sourcesFile, "法律援助法 第三十二条、第四十二条至第四十四条\", read: primary", "法律援助法\", read: heard", "", `read "heard" is none of`},
	"source twice":    {sourcesFile, "{id: R1.2,", "{id: R1.1,", "", "id R1.1 stands twice"},
	"division parent": {divisionsFile, "320411122213,九里村村委会,village,320411122000", "320411122213,九里村村委会,village,320411999000", "", `division 320411122213: parent "320411999000" is not a division`},
	"division circle": {divisionsFile, "320411122213,九里村村委会,village,320411122000", "320411122213,九里村村委会,village,320411122213", "", "a village cannot lie in a village"},
	"division twice":  {divisionsFile, "320411122213,", "320411122212,", "", "division 320411122212 stands twice"},
	"division digits": {divisionsFile, "320411122213,", "320411122,", "", "a code has 12 digits"},
	"division level":  {divisionsFile, "九里村村委会,village", "九里村村委会,hamlet", "", `level "hamlet" is not known`},
	"division date":   {divisionsFile, "九里村村委会,village,320411122000,2023-06-30", "九里村村委会,village,320411122000,2023-06-31", "", "valid_from is not a date"},
	"division end": {divisionsFile, "九里村村委会,village,320411122000,2023-06-30,", "九里村村委会,village,320411122000,2023-06-30,2023-06-01", "",
		"valid_to lies before valid_from"},
	"division columns": {divisionsFile, "九里村村委会,village,", "九里村村委会,", "", "wrong number of fields"},
	"credit code": {unitsFile, `uscc: "12320411710018221B"`, `uscc: "12320411710018221C"`, "",
		"organisation 12320411710018221C: the check digit does not fit"},
	"credit code form":  {unitsFile, `uscc: "12320411710018221B"`, `uscc: "12320411"`, "", "not a unified social credit code"},
	"organisation kind": {unitsFile, "kind: hotel", "kind: inn", "", `kind "inn" is not one of`},
	"organisation division": {unitsFile, `kind: hotel, division: "320411104000"`, `kind: hotel, division: "320411199000"`, "",
		`division "320411199000" is not in divisions.csv`},
	"station parent":      {unitsFile, `{code: "320411101000", parent: police`, `{code: "320411101000", parent: polices`, "", `parent "polices" is not a member unit`},
	"township unserved":   {unitsFile, `serves: ["320411101000"]`, `serves: ["320411103000"]`, "stations:", "township 320411101000 is served by no station"},
	"no operator":         {unitsFile, "operators:\n  - {code: operations, zh: 运行维护组, en: \"Operations team\"}\n", "operators: []\n", "", "nobody would hold"},
	"member twice":        {unitsFile, "{code: taxation,", "{code: statistics,", "", "code statistics stands twice"},
	"duty unit":           {dutiesFile, "id: CNG-4, unit: next_generation_committee", "id: CNG-4, unit: next_generation", "", `unit "next_generation" is not a member unit`},
	"duty level":          {dutiesFile, "id: CNG-4, unit: next_generation_committee, level: institutional", "id: CNG-4, unit: next_generation_committee, level: big", "", `level "big"`},
	"duty source":         {dutiesFile, "id: CNG-3, unit: next_generation_committee, level: institutional, service: referral, refs: [R7.6]", "id: CNG-3, unit: next_generation_committee, level: institutional, service: referral, refs: [R99]", "", `source "R99" is not in sources.yaml`},
	"clock length":        {clocksFile, "length: 72h", "length: 72 hours", "", `length "72 hours"`},
	"clock without end":   {clocksFile, "bound: same_month, ", "", "", "clock twosubsidy.pay needs a length or a bound"},
	"clock law":           {clocksFile, "owner: village, source: R7.5, status: secondary}\n  - {id: visit.red", "owner: village, source: R7.5, status: law}\n  - {id: visit.red", "", "status law, but source R7.5 was read as secondary"},
	"clock unconfirmed":   {clocksFile, "length: 15d, owner: township, source: R1.5, status: district_default", "length: 15d, owner: township, source: R1.5, status: secondary", "", "source R1.5 is unconfirmed, so status must be district_default"},
	"clock source":        {clocksFile, "length: 72h, owner: court, source: R6.6", "length: 72h, owner: court, source: R6.66", "", `source "R6.66" is not in sources.yaml`},
	"clock owner":         {clocksFile, "owner: parents", "owner: aunts", "", `owner "aunts" is neither a role nor a unit`},
	"clock of the code":   {clocksFile, "{id: lead.resolve,", "{id: lead.solve,", "clocks:", "clock lead.resolve is missing"},
	"measure per":         {measuresFile, "opens: search, per: child", "opens: search, per: village", "", `measure START_MISSING_SEARCH is per "village", which is neither`},
	"measure opens":       {measuresFile, "opens: search", "opens: door", "", `measure START_MISSING_SEARCH opens "door", which is neither`},
	"need fallback":       {needsFile, "fallback: court,", "fallback: justic,", "", `need legal_aid: fallback "justic" is not a unit`},
	"need asks itself":    {needsFile, "basis: R6.11, fallback: court", "basis: R6.11, fallback: justice", "", "is the unit that was asked before"},
	"need duty":           {needsFile, "duty: HRSS-4", "duty: HRSS-44", "", `duty "HRSS-44" is not in duties.yaml`},
	"need other's duty":   {needsFile, "duty: HRSS-4", "duty: DPF-2", "", "duty DPF-2 is a duty of disabled_federation, not of human_resources"},
	"need basis":          {needsFile, "duty: WOMEN-2, basis: R7.9", "duty: WOMEN-2, basis: R7.99", "", `source "R7.99"`},
	"need place":          {needsFile, "place: household_registration", "place: somewhere", "", `place "somewhere" is not known`},
	"need term law":       {needsFile, "length: 30wd, status: secondary, source: R5.4", "length: 30wd, status: law, source: R5.4", "", "need social_assistance: deliver: status law"},
	"need without accept": {needsFile, "duty: HRSS-4, basis: R7.10, fallback: trade_union, accept: {length: 5wd}, ", "duty: HRSS-4, basis: R7.10, fallback: trade_union, ", "", "need job_placement: accept has no length"},
	"lead clock":          {needsFile, "clock: lead.resolve", "clock: lead.dissolve", "", `clock "lead.dissolve" is not in clocks.yaml`},
	"group measure":       {measuresFile, "all_of: [START_MISSING_SEARCH]", "all_of: [START_SEARCH]", "", `group MISSING.1: measure "START_SEARCH" is not in the list`},
	"group both":          {measuresFile, "{all_of: [ADMONISH_PARENTS]}", "{all_of: [ADMONISH_PARENTS], exactly_one_of: [STOP_HARM, PROTECT_CHILD]}", "", "group LIVING_ALONE.2 needs all_of or exactly_one_of, and not both"},
	"measure unused":      {measuresFile, "responses:\n", "  - {code: WAIT, zh: 等待}\nresponses:\n", "{code: WAIT", "measure WAIT stands in no response"},
	"situation response":  {situationsFile, "source: R1.3, response: [MISSING]", "source: R1.3, response: [LOST]", "", `situation MISSING: response "LOST" is not in measures.yaml`},
	"response uncalled":   {situationsFile, "source: R1.4, response: [PARENT_UNREACHABLE]", "source: R1.4, response: [MISSING]", "@measures.yaml@- code: PARENT_UNREACHABLE", "response PARENT_UNREACHABLE is called for by no situation"},
	"situation ages":      {situationsFile, "age_from: 14, age_below: 18", "age_from: 18, age_below: 14", "", "no minor has an age from 18 and below 14"},
	"situation sex":       {situationsFile, "{sex: F, age_below: 14}", "{sex: W, age_below: 14}", "", `sex "W" is neither F nor M`},
	"code source":         {codesFile, "source: police/320411103000:dispatch", "source: police/320411199000:dispatch", "", "is no unit, colon, system"},
	"code system":         {codesFile, "source: police/320411103000:dispatch", "source: police/320411103000", "", "is no unit, colon, system"},
	"code source twice":   {codesFile, "source: police/320411103000:dispatch", "source: police:dispatch", "", "source police:dispatch stands twice"},
	"code twice":          {codesFile, "code: ZS-01", "code: JB-02", "code: JB-02, zh: 家暴", "code JB-02 of police/320411101000:dispatch stands twice"},
	"code situation":      {codesFile, "situations: [OTHER_HARM]", "situations: [HARM]", "", `situation "HARM" is not in situations.yaml`},
	"code measure":        {codesFile, "measures: [ESCORT_TO_RELATIVE]", "measures: [ESCORT]", "", `measure "ESCORT" is not in measures.yaml`},
	"code empty":          {codesFile, "code: CZ-SY", "code: ''", "", "a code has 1 to 60 characters"},
	"rule role":           {accessFile, "{action: follow, roles: [service]", "{action: follow, roles: [services]", "", `role "services" is not in the list of roles`},
	"rule class":          {accessFile, "purposes: [FOLLOW_UP], class: ABUSE_DETAIL", "purposes: [FOLLOW_UP], class: SECRET", "", `class "SECRET" is not known`},
	"rule purpose":        {accessFile, "action: follow, roles: [service], relations: [any], purposes: [FOLLOW_UP], class", "action: follow, roles: [service], relations: [any], purposes: [CURIOSITY], class", "", `purpose "CURIOSITY" is not in the list`},
	"rule relation":       {accessFile, "relations: [audience]", "relations: [cousin]", "", `relation "cousin" is not known`},
	"rule action":         {accessFile, `action: "operate.*"`, `action: "operate*"`, "", "want subject.verb or subject.*"},
	"rule approval":       {accessFile, "roles: [station, police, civil_affairs, health], relations: [any], purposes: [EMERGENCY_RESPONSE], approval: data_protection, minutes: 30", "roles: [station, police, civil_affairs, health], relations: [any], purposes: [EMERGENCY_RESPONSE], approval: data_protection", "", "an approval holds for some minutes"},
	"purpose contract":    {accessFile, "{code: SCHOOLING, source: R7.2}", "{code: SCHOOL, source: R7.2}", "", "purpose SCHOOL is not one of the contract"},
	"role unit":           {accessFile, "code: court, zh: 区法院, units: [court]", "code: court, zh: 区法院, units: [courts]", "", `unit "courts" is not in units.yaml`},
	"role kind":           {accessFile, "zh: 派出所, kinds: [police_station]", "zh: 派出所, kinds: [station]", "", `kind "station" is not known`},
	"role title":          {accessFile, "titles: [data_protection_lead]", "titles: [boss]", "", `title "boss" is not in officers.yaml`},
	"officer unit":        {officersFile, "id: court-1, unit: court,", "id: court-1, unit: tribunal,", "", `officer court-1: unit "tribunal" is not a unit people act for`},
	"officer title":       {officersFile, "{id: court-1, unit: court, name: 王国霞, title: liaison", "{id: court-1, unit: court, name: 王国霞, title: king", "", `officer court-1: title "king"`},
	"officer dates":       {officersFile, "name: 王国霞, title: liaison, from: 2025-09-01", "name: 王国霞, title: liaison, from: 2025-09-01, to: 2025-08-01", "", "to lies before from"},
	"officer early":       {officersFile, "id: village-320411122213-1, unit: village/320411122213, name: 俞永涛, title: child_director, from: 2025-09-01", "id: village-320411122213-1, unit: village/320411122213, name: 俞永涛, title: child_director, from: 2022-09-01", "", "unit village/320411122213 was not open on 2022-09-01"},
	"officer vetting":     {officersFile, "name: 王国霞, title: liaison, from: 2025-09-01, vetted: 2026-01-12", "name: 王国霞, title: liaison, from: 2025-09-01", "", "vetted is missing"},
	"officer day":         {officersFile, "name: 王国霞, title: liaison, from: 2025-09-01", "name: 王国霞, title: liaison, from: 2025-09-31", "", "not a date of the form"},
	"condition syntax":    {programmesFile, "cel: 'emergency_confirmed'", "cel: 'emergency_confirmed &&'", "", "condition confirmed does not compile: Syntax error"},
	"condition fact":      {programmesFile, "cel: 'emergency_confirmed'", "cel: 'emergency_is_confirmed'", "", "undeclared reference"},
	"condition answer":    {programmesFile, "cel: 'emergency_confirmed'", "cel: 'amount_fen'", "", "condition confirmed answers int, not bool"},
	"condition law":       {programmesFile, "zh: 情形已经核实, source: R5.6, status: secondary", "zh: 情形已经核实, source: R5.6, status: law", "", "condition confirmed: status law"},
	"fact type":           {programmesFile, "{name: emergency_confirmed, type: bool", "{name: emergency_confirmed, type: maybe", "facts:", `type "maybe" is none of`},
	"programme clock":     {programmesFile, "clock: templief.fast", "clock: templief.slow", "", `clock "templief.slow" is not in clocks.yaml`},
	"programme need":      {programmesFile, "need: temporary_relief", "need: relief", "", `need "relief" is not in needs.yaml`},
	"programme standard":  {programmesFile, "limit: {standard: dibao_month", "limit: {standard: dibao_year", "", `standard "dibao_year" is not in force`},
	"standard amount":     {programmesFile, "fen: 110000", "fen: 0", "", "fen must be above 0"},
	"budget township":     {budgetsFile, `township: "320411101000", year: 2026`, `township: "320411101001", year: 2026`, "", `"320411101001" is not a town or street`},
	"budget programme":    {budgetsFile, `{programme: templief_fast, township: "320411101000", year: 2026`, `{programme: templief, township: "320411101000", year: 2026`, "", `programme "templief" is not in programmes.yaml`},
	"budget status":       {budgetsFile, `"320411101000", year: 2026, fen: 2000000, status: placeholder`, `"320411101000", year: 2026, fen: 2000000, status: law`, "", `status "law" is neither placeholder nor absent`},
	"bank encoding":       {bankFile, "encoding: GB18030", "encoding: GB2312", "", `encoding "GB2312"`},
	"bank column":         {bankFile, "from: payee_name", "from: payee", "", `column "payee" is not one of`},
	"bank result column":  {bankFile, "  - {header: 处理结果, from: result}\n", "", "return:", "return: column result is missing"},
	"bank paid":           {bankFile, "meaning: paid", "meaning: done", "results:", "one code must mean paid"},
	"calendar kind":       {"calendar/2026.csv", "2026-02-14,work", "2026-02-14,rest", "", `kind "rest" must be off or work`},
	"calendar year":       {"calendar/2026.csv", "2026-02-14,work", "2025-02-14,work", "", "2025-02-14 does not lie in 2026"},
}

func TestABrokenPackageIsRefusedWithFileLineAndRule(t *testing.T) {
	t.Parallel()
	for name, tc := range breakages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := copied(t)
			before := string(files[tc.file].Data)
			if n := strings.Count(before, tc.old); n != 1 {
				t.Fatalf("the text to break stands %d times in %s", n, tc.file)
			}
			after := strings.Replace(before, tc.old, tc.new, 1)
			files[tc.file].Data = []byte(after)
			file, marker := tc.file, tc.line
			if rest, ok := strings.CutPrefix(marker, "@"); ok {
				file, marker, _ = strings.Cut(rest, "@")
				after = string(files[file].Data)
			}
			where := strings.Index(before, tc.old)
			if marker != "" {
				where = strings.Index(after, marker)
			}
			want := Problem{File: file, Line: 1 + strings.Count(after[:where], "\n"), Rule: tc.rule}
			mustRefuse(t, files, want)
		})
	}
}

// mustRefuse loads a package that must be refused for a problem whose rule holds the wanted words.
func mustRefuse(t *testing.T, files fstest.MapFS, want Problem) {
	t.Helper()
	_, err := LoadFS(files)
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("the package was not refused as wrong: %v", err)
	}
	for _, p := range problems {
		if p.File == want.File && p.Line == want.Line && strings.Contains(p.Rule, want.Rule) {
			return
		}
	}
	t.Errorf("want %s, got:\n%v", want, err)
}

func TestFilesThatDoNotBelong(t *testing.T) {
	t.Parallel()
	missing := copied(t)
	delete(missing, needsFile)
	mustRefuse(t, missing, Problem{needsFile, 1, "needs.yaml is missing"})
	extra := copied(t)
	extra["need.yaml"] = &fstest.MapFile{Data: []byte("needs: []\n")}
	mustRefuse(t, extra, Problem{"need.yaml", 1, "is no file of a district package"})
	empty := copied(t)
	empty[clocksFile] = &fstest.MapFile{Data: []byte("# nothing\n")}
	mustRefuse(t, empty, Problem{clocksFile, 1, "the file is empty"})
	year := copied(t)
	year["calendar/next.csv"] = &fstest.MapFile{Data: []byte("date,kind,name\n")}
	mustRefuse(t, year, Problem{"calendar/next.csv", 1, "named after its year"})
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	files := copied(t)
	edit := func(file, old, new string) {
		files[file].Data = []byte(strings.Replace(string(files[file].Data), old, new, 1))
	}
	edit(needsFile, "fallback: court,", "fallback: justic,")
	edit(bankFile, "encoding: GB18030", "encoding: GB2312")
	edit(clocksFile, "owner: parents", "owner: aunts")
	_, err := LoadFS(files)
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("want three problems, got:\n%v", err)
	}
	if !strings.Contains(err.Error(), `needs.yaml:16: need legal_aid: fallback "justic" is not a unit`) {
		t.Errorf("a person cannot jump to the problem:\n%v", err)
	}
}
