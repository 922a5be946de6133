package district

import (
	"slices"
	"testing"
)

func TestProgrammes(t *testing.T) {
	t.Parallel()
	d := changed(t, programmesFile, "programmes:\n", `  - {code: dibao_month, zh: 标准, effective_from: 2026-07-01, fen: 120000, source: R5.4, status: secondary}
programmes:
`)
	if _, ok := d.Programme("templief_fast", on(t, "2026-01-28")); ok {
		t.Error("a programme is in force before it begins")
	}
	p, ok := d.Programme("templief_fast", on(t, "2026-01-29"))
	if !ok || p.Version != 1 || len(p.Facts) == 0 || len(p.Eligibility) != 5 {
		t.Fatalf("got %+v", p)
	}
	for day, want := range map[string]int64{"2026-06-30": 110000, "2026-07-01": 120000} {
		fen, from, ok := d.LimitFen(p, on(t, day))
		if !ok || fen != want || (from.Status == StatusPlaceholder) != (want == 110000) {
			t.Errorf("limit on %s is %d by %+v", day, fen, from)
		}
	}
	if _, _, ok := d.LimitFen(p, on(t, "2025-12-31")); ok {
		t.Error("there is a limit before the standard begins")
	}
	if q, ok := d.ProgrammeForNeed("temporary_relief", on(t, "2026-03-05")); !ok || q.Code != p.Code {
		t.Errorf("relief is served by %q", q.Code)
	}
	if _, ok := d.ProgrammeForNeed("legal_aid", on(t, "2026-03-05")); ok {
		t.Error("legal aid is paid for")
	}
	if q, ok := d.ProgrammeVersion("templief_fast", 1); !ok || q.Code != p.Code {
		t.Error("a stored decision cannot find its version")
	}
	env, err := p.Environment()
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]any{
		"emergency_kind": "major_illness", "emergency_confirmed": true, "happened_in_district": true,
		"amount_fen": int64(110001), "limit_fen": int64(110000), "granted_same_reason_this_year": int64(0),
	}
	var failed []string
	for _, c := range p.Eligibility {
		ast, issues := env.Compile(c.CEL)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := program.Eval(facts)
		if err != nil {
			t.Fatal(err)
		}
		if out.Value() != true {
			failed = append(failed, c.ID)
		}
	}
	if !slices.Equal(failed, []string{"amount"}) {
		t.Errorf("one fen above the limit fails %v", failed)
	}
}

func TestBankAndBudgets(t *testing.T) {
	t.Parallel()
	d := load(t)
	bank := d.Bank()
	if r, ok := bank.Result("00"); !ok || !r.Paid() {
		t.Errorf("00 is %+v", r)
	}
	if r, ok := bank.Result("02"); !ok || r.Paid() {
		t.Errorf("02 is %+v", r)
	}
	if _, ok := bank.Result("77"); ok {
		t.Error("an answer nobody knows has a meaning")
	}
	if len(d.Budgets()) != 20 || d.Budgets()[0].Fen <= 0 || d.Budgets()[0].Status != StatusPlaceholder {
		t.Errorf("budgets: %+v", d.Budgets())
	}
}
