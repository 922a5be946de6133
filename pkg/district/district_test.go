package district

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/calendar"
)

const xinbei = "../../districts/xinbei"

func load(t testing.TB) *District {
	t.Helper()
	d, err := Load(xinbei)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// copied is the real package in memory, for a test to break.
func copied(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	root := os.DirFS(xinbei)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		files[name] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func on(t testing.TB, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestXinbeiIsWhole(t *testing.T) {
	t.Parallel()
	d := load(t)
	kinds := map[Kind]int{}
	for _, u := range d.Units() {
		kinds[u.Kind]++
	}
	got := map[string]int{
		"divisions": len(d.Divisions()), "members": kinds[KindMember], "townships": kinds[KindTownship],
		"committees": kinds[KindVillageCommittee], "duties": len(d.Duties()), "needs": len(d.Needs()),
	}
	want := map[string]int{
		"divisions": 158, "members": 23, "townships": 10, "committees": 147, "duties": 111, "needs": 30,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if d.Code() != "320411000000" || d.ZH() != "常州市新北区" || d.EN() == "" || d.Version() == "" {
		t.Errorf("the district is %q %q %q %q", d.Code(), d.ZH(), d.EN(), d.Version())
	}
	for _, u := range d.Units() {
		if u.Kind == KindMember && !slices.ContainsFunc(d.Duties(), func(y Duty) bool { return y.Unit == u.ID }) {
			t.Errorf("%s has no duty", u)
		}
	}
}

// The clocks of R9 with their lengths; what is unconfirmed there must be a default of the district here.
func TestXinbeiHasTheClocksOfTheRules(t *testing.T) {
	t.Parallel()
	d := load(t)
	law, secondary, ours := StatusLaw, StatusSecondary, StatusDistrictDefault
	for _, want := range []struct {
		id, length string
		status     Status
	}{
		{"report.immediate", "1h", ours},
		{"report.accept", "1h", ours},
		{"police.review.admin", "24h", secondary},
		{"police.review.admin.complex", "3d", secondary},
		{"police.review.criminal", "3d", secondary},
		{"police.review.criminal.clues", "7d", secondary},
		{"police.review.criminal.approved", "30d", secondary},
		{"report.feedback", "3d", ours},
		{"report.feedback2", "before_event", ours},
		{"township.notice", "24h", ours},
		{"assessment.start", "3d", ours},
		{"assessment.done", "15d", ours},
		{"protection.order", "72h", law},
		{"protection.order.urgent", "24h", law},
		{"protection.order.expiry", "6mo", law},
		{"revocation.trial", "1mo", secondary},
		{"legalaid.decide", "7d", law},
		{"legalaid.assign", "3d", law},
		{"tempguardian.review", "12mo", ours},
		{"shelter.case.statement", "5wd", ours},
		{"defacto.township", "15wd", secondary},
		{"defacto.county", "15wd", secondary},
		{"defacto.pay", "next_month", secondary},
		{"defacto.end", "next_month", secondary},
		{"crossprov.enter", "3wd", secondary},
		{"crossprov.reply", "3wd", secondary},
		{"dibao.total", "30wd", secondary},
		{"dibao.total.special", "45wd", secondary},
		{"dibao.notice", "7d", secondary},
		{"tekun.township", "15wd", secondary},
		{"refuse.letter", "3wd", secondary},
		{"twosubsidy.pay", "same_month", secondary},
		{"templief.fast", "3d", secondary},
		{"templief.urgent", "24h", ours},
		{"missingparent.proof", "6mo", secondary},
		{"school.dropout.month", "1mo", secondary},
		{"school.dropout.quarter", "3mo", secondary},
		{"visit.month", "1mo", secondary},
		{"screening", "6mo", secondary},
		{"entrusted.contact", "7d", law},
		{"staff.vetting", "12mo", law},
		{"pi.audit", "12mo", law},
		{"log.retain", "6mo", law},
		{"share.retain", "36mo", law},
		{"pia.retain", "36mo", law},
	} {
		c, ok := d.Clock(want.id)
		if !ok || c.Length.String()+string(c.Bound) != want.length || c.Status != want.status {
			t.Errorf("clock %s is %s%s %s, want %s %s", want.id, c.Length, c.Bound, c.Status, want.length, want.status)
		}
	}
}

func TestDigestTellsEveryByteApartAndForgetsTheOrder(t *testing.T) {
	t.Parallel()
	whole, err := LoadFS(copied(t))
	if err != nil {
		t.Fatal(err)
	}
	if whole.Digest() != load(t).Digest() || len(whole.Digest()) != 64 {
		t.Error("the digest depends on where the files lie")
	}
	for name := range copied(t) {
		files := copied(t)
		files[name].Data = append(slices.Clone(files[name].Data), "# one more line\n"...)
		other, err := LoadFS(files)
		if err != nil {
			t.Fatalf("a comment breaks %s: %v", name, err)
		}
		if other.Digest() == whole.Digest() {
			t.Errorf("a change of %s does not show", name)
		}
	}
	a := map[string][]byte{"a": []byte("xy"), "b": []byte("z")}
	b := map[string][]byte{"b": []byte("yz"), "a": []byte("x")}
	if digest(a) == digest(b) {
		t.Error("a byte that moves from one file to the next does not show")
	}
}

func TestDigestNoticesAnySingleByte(t *testing.T) {
	t.Parallel()
	contents := map[string][]byte{}
	for name, file := range copied(t) {
		contents[name] = file.Data
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range contents {
			if !yield(name) {
				return
			}
		}
	})
	before := digest(contents)
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "file")
		changed := map[string][]byte{}
		for n, c := range contents {
			changed[n] = c
		}
		changed[name] = slices.Clone(contents[name])
		i := rapid.IntRange(0, len(changed[name])-1).Draw(rt, "at")
		changed[name][i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "flip"))
		if digest(changed) == before {
			rt.Fatalf("byte %d of %s does not show", i, name)
		}
		if digest(contents) != before {
			rt.Fatal("the digest is not stable")
		}
	})
}

func TestHiddenFilesOfTheMachineDoNotCount(t *testing.T) {
	t.Parallel()
	files := copied(t)
	files["..data/needs.yaml"] = &fstest.MapFile{Data: []byte("x")}
	files[".DS_Store"] = &fstest.MapFile{Data: []byte("x")}
	d, err := LoadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	if d.Digest() != load(t).Digest() {
		t.Error("a file that is not of the package changes its digest")
	}
}

func TestAMissingCalendarYearIsSaid(t *testing.T) {
	t.Parallel()
	d := load(t)
	if got := d.Warnings(on(t, "2026-03-01")); len(got) != 0 {
		t.Errorf("all is well in March, but: %v", got)
	}
	want := []string{"calendar/2027.csv is missing: working days of 2027 are counted by weekends and fixed days alone"}
	if diff := cmp.Diff(want, d.Warnings(on(t, "2026-11-24"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	files := copied(t)
	for name := range files {
		if path.Dir(name) == calendarFolder {
			delete(files, name)
		}
	}
	bare, err := LoadFS(files)
	if err != nil {
		t.Fatal("a package without any calendar is refused:", err)
	}
	if got := bare.Warnings(on(t, "2026-03-01")); len(got) != 1 || !strings.Contains(got[0], "2026") {
		t.Errorf("got %v", got)
	}
	// 17 February 2026 is Spring Festival; without the calendar it counts as worked.
	from := on(t, "2026-02-16").Start()
	if got := calendar.Today(bare.Calendar().Deadline(from, calendar.Length{N: 1, Unit: calendar.WorkingDays}).At); got != on(t, "2026-02-18") {
		t.Errorf("weekends alone end it on %s", got)
	}
}

func TestWhatIsNotKnownIsListed(t *testing.T) {
	t.Parallel()
	d := load(t)
	var files []string
	for _, p := range d.Placeholders() {
		if p.What == "" || p.Why == "" {
			t.Errorf("%+v does not say what or why", p)
		}
		files = append(files, p.File)
	}
	slices.Sort(files)
	if got := slices.Compact(files); !cmp.Equal(got, []string{bankFile, budgetsFile, programmesFile}) {
		t.Errorf("placeholders lie in %v", got)
	}
	has := func(what string) bool {
		return slices.ContainsFunc(d.Defaults(), func(x Default) bool { return x.What == what })
	}
	for _, what := range []string{"clock report.accept", "need legal_aid: accept", "response OTHER_HARM"} {
		if want := what != "need legal_aid: accept"; has(what) != want {
			t.Errorf("%s among the district's own choices: %v", what, has(what))
		}
	}
	if !has("need companionship: deliver") {
		t.Error("a length without a status is the district's own choice")
	}
}
