package idcode_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/lianhu/lianhu/pkg/idcode"
)

// A number that is accepted is the one the maker writes for what it says; one that is not is refused by a known error.
func FuzzIDNumber(f *testing.F) {
	f.Add("320411201506010019")
	f.Add("32041120150601001X")
	f.Add("320411201513010019")
	f.Add("３２０４１１")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := idcode.CheckIDNumber(s)
		if err != nil {
			if !errors.Is(err, idcode.ErrForm) && !errors.Is(err, idcode.ErrBirthDate) && !errors.Is(err, idcode.ErrCheckDigit) {
				t.Errorf("refused by %v", err)
			}
			return
		}
		seq, err := strconv.Atoi(s[14:17])
		if err != nil || idcode.MakeIDNumber(got.Area, got.Birth, seq) != s || (got.Sex == idcode.Male) != (seq%2 == 1) {
			t.Error("the number does not come back from what it says")
		}
	})
}

// A code that is accepted has one check digit only: every other last character is refused.
func FuzzCreditCode(f *testing.F) {
	f.Add(idcode.MakeUSCC("12", "320411", 1))
	f.Add("12320411710018221B")
	f.Add("12320411710018221O")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if err := idcode.CheckUSCC(s); err != nil {
			if !errors.Is(err, idcode.ErrForm) && !errors.Is(err, idcode.ErrCheckDigit) {
				t.Errorf("refused by %v", err)
			}
			return
		}
		for _, last := range "0123456789ABCDEFGHJKLMNPQRTUWXY" {
			if other := s[:17] + string(last); other != s && idcode.CheckUSCC(other) == nil {
				t.Error("two check digits for one code")
			}
		}
	})
}
