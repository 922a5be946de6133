package idcode

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/calendar"
)

func day(y int, m time.Month, d int) calendar.Date { return calendar.Date{Year: y, Month: m, Day: d} }

func TestCheckIDNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Identity{
		"11010519491231002X": {"110105", day(1949, 12, 31), Female},
		"440524188001010014": {"440524", day(1880, 1, 1), Male},
		"320411201506010019": {"320411", day(2015, 6, 1), Male},
		"320411201609120026": {"320411", day(2016, 9, 12), Female},
	} {
		got, err := CheckIDNumber(in)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]error{
		"":                    ErrForm,
		"32041120150601001":   ErrForm,
		"3204112015060100190": ErrForm,
		"11010519491231002x":  ErrForm,
		"32041120150601O019":  ErrForm,
		"32041120150601001Y":  ErrForm,
		"320411201502290010":  ErrBirthDate,
		"320411201513010010":  ErrBirthDate,
		"320411201506010018":  ErrCheckDigit,
		"110105194912310021":  ErrCheckDigit,
	} {
		_, err := CheckIDNumber(in)
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
		if in != "" && strings.Contains(err.Error(), in) {
			t.Errorf("the error repeats the number it refuses")
		}
	}
}

// The number of a foreign permanent resident's card begins with 9; those of Hong Kong, Macao and Taiwan are citizens'.
func TestAForeignersNumberIsKnownAsOne(t *testing.T) {
	t.Parallel()
	for area, foreign := range map[string]bool{"932840": true, "911156": true, "810000": false, "820000": false, "830000": false, "320411": false} {
		number := MakeIDNumber(area, day(2016, 9, 12), 2)
		got, err := CheckIDNumber(number)
		if err != nil || got.Foreigner() != foreign || got.Birth != day(2016, 9, 12) || got.Sex != Female {
			t.Errorf("area %s: %v, foreign %t, %v", area, got, got.Foreigner(), err)
		}
	}
}

// drawID makes a valid number for an invented person.
func drawID(rt *rapid.T) (string, Identity) {
	birth := calendar.Today(time.Unix(rapid.Int64Range(-2208988800, 1893456000).Draw(rt, "birth"), 0))
	seq := rapid.IntRange(0, 999).Draw(rt, "seq")
	want := Identity{Area: rapid.StringMatching(`[1-8][0-9]{5}`).Draw(rt, "area"), Birth: birth, Sex: Female}
	if seq%2 == 1 {
		want.Sex = Male
	}
	return MakeIDNumber(want.Area, birth, seq), want
}

func TestEverySingleErrorAndSwapInAnIDNumberIsCaught(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		number, want := drawID(rt)
		got, err := CheckIDNumber(number)
		if err != nil || got != want {
			rt.Fatalf("a made number reads as %v, %v", got, err)
		}
		wrong := []byte(number)
		i := rapid.IntRange(0, 17).Draw(rt, "position")
		wrong[i] = "0123456789X"[rapid.IntRange(0, 10).Draw(rt, "digit")]
		if string(wrong) != number {
			if _, err := CheckIDNumber(string(wrong)); err == nil {
				rt.Fatalf("one wrong character at %d was not noticed", i)
			}
		}
		swapped := []byte(number)
		j := rapid.IntRange(0, 16).Draw(rt, "swap")
		swapped[j], swapped[j+1] = swapped[j+1], swapped[j]
		if string(swapped) != number {
			if _, err := CheckIDNumber(string(swapped)); err == nil {
				rt.Fatalf("two swapped characters at %d were not noticed", j)
			}
		}
	})
}

func TestCheckUSCC(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"91350100M000100Y43", "11320000MB151840XJ"} {
		if err := CheckUSCC(in); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
	for in, want := range map[string]error{
		"":                   ErrForm,
		"91350100M000100Y4Z": ErrForm,
		"91350100M000100Y4":  ErrForm,
		"91350100I000100Y43": ErrForm,
		"91350100m000100y43": ErrForm,
		"91350100M000100Y44": ErrCheckDigit,
		"91350100M000100Z43": ErrForm,
	} {
		if err := CheckUSCC(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func TestEverySingleErrorInAUSCCIsCaught(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"12", "52", "91", "N2"}).Draw(rt, "kind")
		code := MakeUSCC(kind, "320411", rapid.IntRange(0, 99999999).Draw(rt, "seq"))
		if err := CheckUSCC(code); err != nil {
			rt.Fatalf("a made code fails: %v", err)
		}
		wrong := []byte(code)
		i := rapid.IntRange(0, 17).Draw(rt, "position")
		wrong[i] = creditAlphabet[rapid.IntRange(0, len(creditAlphabet)-1).Draw(rt, "char")]
		if string(wrong) != code && CheckUSCC(string(wrong)) == nil {
			rt.Fatalf("one wrong character at %d was not noticed", i)
		}
	})
}

// The inner organisation code has its own check digit; 12345678 and 13583214 close with 8 and 8 by hand.
func TestOrganisationCheckDigit(t *testing.T) {
	t.Parallel()
	if got := organisationCheckDigit("12345678"); got != '8' {
		t.Errorf("got %c", got)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	at := func(y int, m time.Month, d, h int) time.Time { return time.Date(y, m, d, h, 0, 0, 0, calendar.Zone()) }
	for name, tc := range map[string]struct {
		birth calendar.Date
		at    time.Time
		rule  AgeRule
		want  int
	}{
		"day before":                    {day(2012, 3, 5), at(2026, 3, 4, 23), OnBirthday, 13},
		"birthday":                      {day(2012, 3, 5), at(2026, 3, 5, 0), OnBirthday, 14},
		"birthday, criminal":            {day(2012, 3, 5), at(2026, 3, 5, 23), AfterBirthday, 13},
		"day after, criminal":           {day(2012, 3, 5), at(2026, 3, 6, 0), AfterBirthday, 14},
		"leap day in a common year":     {day(2012, 2, 29), at(2026, 2, 28, 12), OnBirthday, 13},
		"leap day on 1 March":           {day(2012, 2, 29), at(2026, 3, 1, 0), OnBirthday, 14},
		"leap day, criminal":            {day(2012, 2, 29), at(2026, 3, 1, 0), AfterBirthday, 14},
		"leap day in a leap year":       {day(2012, 2, 29), at(2028, 2, 29, 0), AfterBirthday, 15},
		"the day it is born":            {day(2026, 3, 5), at(2026, 3, 5, 9), AfterBirthday, 0},
		"before birth":                  {day(2026, 3, 5), at(2026, 3, 4, 9), OnBirthday, -1},
		"UTC evening is Shanghai's 5th": {day(2012, 3, 5), time.Date(2026, 3, 4, 16, 0, 0, 0, time.UTC), OnBirthday, 14},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Age(tc.birth, tc.at, tc.rule); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestAgeProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		birth := calendar.Today(time.Unix(rapid.Int64Range(0, 1767225600).Draw(rt, "birth"), 0))
		at := time.Unix(rapid.Int64Range(0, 2524608000).Draw(rt, "at"), 0)
		on, after := Age(birth, at, OnBirthday), Age(birth, at, AfterBirthday)
		if after > on || on-after > 1 {
			rt.Fatalf("rules differ by more than a day: %d and %d", on, after)
		}
		if later := Age(birth, at.Add(24*time.Hour), OnBirthday); later < on || later > on+1 {
			rt.Fatalf("age goes from %d to %d in a day", on, later)
		}
	})
}

func FuzzCheckIDNumber(f *testing.F) {
	for _, seed := range []string{"11010519491231002X", "320411201506010019", "", "١١٠١٠٥١٩٤"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := CheckIDNumber(s)
		if err != nil {
			if id != (Identity{}) {
				t.Error("a refused number still answered an identity")
			}
			return
		}
		seq := int(s[14]-'0')*100 + int(s[15]-'0')*10 + int(s[16]-'0')
		if MakeIDNumber(id.Area, id.Birth, seq) != s {
			t.Error("an accepted number cannot be rebuilt from its parts")
		}
	})
}

func FuzzCheckUSCC(f *testing.F) {
	for _, seed := range []string{"91350100M000100Y43", "11320000MB151840XJ", "91350100M000100Y4Z", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckUSCC(s) == nil && (len(s) != 18 || s[17] != creditCheckDigit(s[:17])) {
			t.Error("accepted a code that does not close")
		}
	})
}
