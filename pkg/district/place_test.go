package district

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// An abolished village is not an unknown one: what comes in goes to whoever answers for it, and only a new ledger entry is refused, by a
// refusal that names who that is.
func TestAClosedDivisionIsAnsweredFor(t *testing.T) {
	t.Parallel()
	const merged, into, left, town = "320411122213", "320411122212", "320411101201", "320411101000"
	files := copied(t)
	text := strings.Replace(string(files[divisionsFile].Data), "valid_from,valid_to\n", "valid_from,valid_to,successor\n", 1)
	var rows []string
	for row := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(row, merged):
			row = strings.TrimSuffix(row, "\n") + "2026-12-15," + into + "\n"
		case strings.HasPrefix(row, left):
			row = strings.TrimSuffix(row, "\n") + "2026-12-15\n"
		}
		rows = append(rows, row)
	}
	files[divisionsFile] = &fstest.MapFile{Data: []byte(strings.Join(rows, ""))}
	d, err := LoadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		code, on string
		want     Located
	}{
		"in force":             {left, "2026-12-15", Located{Code: left}},
		"closed, has an heir":  {merged, "2026-12-16", Located{into, merged}},
		"closed, has a parent": {left, "2026-12-16", Located{town, left}},
	} {
		got, err := d.TakeIn("division", tc.code, on(t, tc.on))
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	day := on(t, "2026-12-16")
	if err := d.CheckDivision("division", merged, day); !fault.Is(err, faultv1.Reason_REASON_DIVISION_CLOSED) || err.Metadata()["successor"] != into {
		t.Errorf("refused with %v", err)
	}
	if err := d.CheckFilter("division", merged, day); err != nil {
		t.Errorf("its rows cannot be looked for: %v", err)
	}
	for _, unknown := range []string{"999999999999", "", "32041112221"} {
		if _, err := d.TakeIn("division", unknown, day); !fault.Is(err, faultv1.Reason_REASON_DIVISION_UNKNOWN) {
			t.Errorf("%q was taken: %v", unknown, err)
		}
	}
	if !slices.Contains(d.DivisionsIn(into, day), merged) || slices.Contains(d.DivisionsIn(into, on(t, "2026-12-15")), merged) {
		t.Error("the rows of the closed village are not its heir's")
	}
}

func TestASuccessorThatCannotBe(t *testing.T) {
	t.Parallel()
	row := "320411122213,九里村村委会,village,320411122000,2023-06-30,"
	for closing, want := range map[string]string{
		"2026-12-15,320411199000": `successor "320411199000" is not a division`,
		"2026-12-15,320411122213": "succeeds itself",
		",320411122212":           "has a successor and is not closed",
	} {
		l := &loader{d: &District{}, contents: map[string][]byte{divisionsFile: []byte("code,name,level,parent,valid_from,valid_to,successor\n" +
			"320411000000,新北区,district,,2023-06-30,,\n320411122000,镇,town,320411000000,2023-06-30,,\n" +
			"320411122212,村,village,320411122000,2023-06-30,,\n" + row + closing + "\n")}}
		l.d.info.Code = "320411000000"
		l.readDivisions()()
		if !slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Rule == "division 320411122213: "+want }) {
			t.Errorf("%s: found %v", closing, l.problems)
		}
	}
}
