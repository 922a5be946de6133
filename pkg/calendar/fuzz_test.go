package calendar_test

import (
	"testing"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// A day that is read is written as it was read, and its neighbours are a day away.
func FuzzDate(f *testing.F) {
	for _, s := range []string{"2026-02-17", "2024-02-29", "2026-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "2026-2-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := calendar.ParseDate(s)
		if err != nil {
			return
		}
		if d.String() != s || d.IsZero() {
			t.Errorf("%q is written as %q", s, d.String())
		}
		if next := d.AddDays(1); !d.Before(next) || next.AddDays(-1) != d || next.Start() != d.End() {
			t.Errorf("the day after %q is %q", s, next.String())
		}
	})
}
