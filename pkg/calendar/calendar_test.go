package calendar

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func year2026(t testing.TB) *Calendar {
	t.Helper()
	f, err := os.Open("../../districts/xinbei/calendar/2026.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	holidays, err := ParseHolidays(f)
	if err != nil {
		t.Fatal(err)
	}
	return New(holidays)
}

func shanghai(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", s, Zone())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	c := year2026(t)
	for name, tc := range map[string]struct {
		from, length, want string
		unknown            bool
	}{
		"hours run through the night":             {from: "2026-03-05 23:30", length: "2h", want: "2026-03-06 01:30"},
		"hours run through a holiday":             {from: "2026-02-16 09:00", length: "24h", want: "2026-02-17 09:00"},
		"the day it starts does not count":        {from: "2026-03-02 00:00", length: "1d", want: "2026-03-04 00:00"},
		"a minute before midnight is that day":    {from: "2026-03-02 23:59", length: "1d", want: "2026-03-04 00:00"},
		"three days to the end of the third":      {from: "2026-03-02 09:15", length: "3d", want: "2026-03-06 00:00"},
		"days are not stretched over a holiday":   {from: "2026-02-14 10:00", length: "3d", want: "2026-02-18 00:00"},
		"five working days over a weekend":        {from: "2026-03-04 10:00", length: "5wd", want: "2026-03-12 00:00"},
		"from a Saturday the first is Monday":     {from: "2026-03-07 10:00", length: "1wd", want: "2026-03-10 00:00"},
		"Saturday before Spring Festival works":   {from: "2026-02-13 10:00", length: "1wd", want: "2026-02-15 00:00"},
		"Spring Festival is jumped":               {from: "2026-02-14 10:00", length: "1wd", want: "2026-02-25 00:00"},
		"and its second make-up day counts":       {from: "2026-02-14 10:00", length: "5wd", want: "2026-03-01 00:00"},
		"then Sunday rests again":                 {from: "2026-02-14 10:00", length: "6wd", want: "2026-03-03 00:00"},
		"make-up Sunday before National Day":      {from: "2026-09-18 10:00", length: "1wd", want: "2026-09-21 00:00"},
		"Mid-Autumn Friday is off":                {from: "2026-09-24 10:00", length: "1wd", want: "2026-09-29 00:00"},
		"National Day week":                       {from: "2026-09-30 10:00", length: "3wd", want: "2026-10-11 00:00"},
		"New Year make-up Sunday":                 {from: "2026-01-03 10:00", length: "1wd", want: "2026-01-05 00:00"},
		"a month":                                 {from: "2026-03-05 10:00", length: "1mo", want: "2026-04-06 00:00"},
		"a month from the 31st":                   {from: "2026-01-31 10:00", length: "1mo", want: "2026-03-01 00:00"},
		"into a year without data":                {from: "2026-12-30 10:00", length: "3wd", want: "2027-01-06 00:00", unknown: true}, // New Year's Day needs no notice
		"up to the last day of the year is known": {from: "2026-12-30 10:00", length: "1wd", want: "2027-01-01 00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length, err := ParseLength(tc.length)
			if err != nil {
				t.Fatal(err)
			}
			got := c.Deadline(shanghai(t, tc.from), length)
			if want := shanghai(t, tc.want); !got.At.Equal(want) {
				t.Errorf("%s from %s ends %s, want %s", tc.length, tc.from, got.At.In(Zone()), want)
			}
			if got.HolidaysKnown == tc.unknown {
				t.Errorf("HolidaysKnown = %v", got.HolidaysKnown)
			}
		})
	}
}

func TestDayIsShanghaisWhateverTheZoneOfTheInput(t *testing.T) {
	t.Parallel()
	c := year2026(t)
	// 17:00 UTC on 2 March is already 3 March in Shanghai.
	from := time.Date(2026, 3, 2, 17, 0, 0, 0, time.UTC)
	got := c.Deadline(from, Length{N: 1, Unit: Days}).At
	if want := shanghai(t, "2026-03-05 00:00"); !got.Equal(want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	c := year2026(t)
	if !c.Known(2026) || c.Known(2025) || c.Known(2027) {
		t.Error("only 2026 has data")
	}
}

var anyUnit = rapid.SampledFrom([]Unit{Hours, Days, WorkingDays, Months})

func anyInstant(rt *rapid.T, label string) time.Time {
	return time.Unix(rapid.Int64Range(1735689600, 1830297600).Draw(rt, label), 0) // 2025 to 2027
}

func TestDeadlineProperties(t *testing.T) {
	t.Parallel()
	c := year2026(t)
	rapid.Check(t, func(rt *rapid.T) {
		l := Length{N: rapid.IntRange(1, 120).Draw(rt, "n"), Unit: anyUnit.Draw(rt, "unit")}
		a, b := anyInstant(rt, "a"), anyInstant(rt, "b")
		if b.Before(a) {
			a, b = b, a
		}
		da, db := c.Deadline(a, l), c.Deadline(b, l)
		if db.At.Before(da.At) {
			rt.Fatalf("%s started later ends earlier: %s→%s, %s→%s", l, a, da.At, b, db.At)
		}
		if !da.At.After(a) {
			rt.Fatalf("%s from %s is over at %s", l, a, da.At)
		}
		longer := c.Deadline(a, Length{N: l.N + 1, Unit: l.Unit})
		if !longer.At.After(da.At) {
			rt.Fatalf("one %s more than %s does not end later", l.Unit, l)
		}
		if l.Unit == WorkingDays && !c.IsWorkingDay(Today(da.At.Add(-time.Nanosecond))) {
			rt.Fatalf("%s from %s ends on a day nobody works", l, a)
		}
	})
}

func TestAddWorkingDaysIsAdditive(t *testing.T) {
	t.Parallel()
	c := year2026(t)
	rapid.Check(t, func(rt *rapid.T) {
		start := Today(anyInstant(rt, "start"))
		m, n := rapid.IntRange(0, 60).Draw(rt, "m"), rapid.IntRange(0, 60).Draw(rt, "n")
		mid, _ := c.AddWorkingDays(start, m)
		two, _ := c.AddWorkingDays(mid, n)
		one, _ := c.AddWorkingDays(start, m+n)
		if one != two {
			rt.Fatalf("%s + %d + %d = %s, in one go %s", start, m, n, two, one)
		}
	})
}

func TestParseHolidaysNamesTheLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"header":     {"day,kind,name\n", "1: the header"},
		"kind":       {"# source\ndate,kind,name\n2026-01-01,rest,元旦\n", "3: kind"},
		"date":       {"date,kind,name\n2026-02-29,off,春节\n", "2: not a date"},
		"twice":      {"date,kind,name\n2026-01-01,off,元旦\n2026-01-01,work,元旦\n", "3: 2026-01-01 stands"},
		"few fields": {"date,kind,name\n2026-01-01,off\n", "2: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := ParseHolidays(strings.NewReader(tc.in)); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestParseLength(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Length{
		"2h": {2, Hours}, "3d": {3, Days}, "5wd": {5, WorkingDays}, "1mo": {1, Months}, "1000h": {1000, Hours},
	} {
		if got, err := ParseLength(in); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "3", "d", "0d", "-1d", "+1d", "01d", "1.5h", "1001d", "3 d", "3D", "3w", "3days", "3dd", "3d "} {
		if got, err := ParseLength(in); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func FuzzParseLength(f *testing.F) {
	for _, seed := range []string{"2h", "5wd", "1mo", "", "99999999999999999999d", "١d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLength(s)
		if err == nil && l.String() != s {
			t.Errorf("%q reads as %q", s, l)
		}
		if err != nil && !l.IsZero() {
			t.Errorf("%q failed but answered %v", s, l)
		}
	})
}

// The fixed days of the law are free in every year, whether its notice is loaded or not, and whatever stands in a file.
func TestTheFixedDaysNeedNoNotice(t *testing.T) {
	t.Parallel()
	for _, c := range []*Calendar{New(nil), year2026(t), New([]Holiday{{Date: Date{2027, 5, 2}, Work: true, Name: "劳动节"}})} {
		for year := 2025; year < 2040; year++ {
			for _, d := range []Date{{year, 1, 1}, {year, 5, 1}, {year, 5, 2}, {year, 10, 1}, {year, 10, 2}, {year, 10, 3}} {
				if c.IsWorkingDay(d) {
					t.Errorf("%s is worked", d)
				}
			}
		}
	}
	// Spring Festival is known from data only: Tuesday, 17 February 2026.
	if d := (Date{2026, 2, 17}); !New(nil).IsWorkingDay(d) || year2026(t).IsWorkingDay(d) {
		t.Error("Spring Festival moves with the moon")
	}
}

// A year of which only some holidays are loaded is not known, and says what it lacks.
func TestAPartialYearIsNotKnown(t *testing.T) {
	t.Parallel()
	whole := year2026(t)
	var half []Holiday
	for d := (Date{2026, 1, 1}); d.Before(Date{2026, 6, 1}); d = d.AddDays(1) {
		if worked, ok := whole.worked[d]; ok {
			half = append(half, Holiday{Date: d, Work: worked, Name: map[time.Month]string{1: "元旦", 2: "春节", 4: "清明节", 5: "劳动节"}[d.Month]})
		}
	}
	c := New(half)
	if got := c.Lacks(2026); c.Known(2026) || !slices.Equal(got, []string{"端午", "国庆", "中秋"}) || !c.Loaded(2026) || c.Loaded(2027) {
		t.Errorf("half a year lacks %v", got)
	}
	if got := c.Deadline(shanghai(t, "2026-03-04 10:00"), Length{N: 5, Unit: WorkingDays}); got.HolidaysKnown {
		t.Error("a clock through a partial year counts as sure")
	}
	if New([]Holiday{{Date: Date{2027, 1, 1}, Name: "元旦"}}).Known(2027) {
		t.Error("one day makes a year known")
	}
}
