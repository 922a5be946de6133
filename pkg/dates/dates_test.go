package dates_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/dates"
	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
)

var today = calendar.Date{Year: 2028, Month: time.February, Day: 29}

func TestADayIsOneOfTheCalendarAndOfOurTime(t *testing.T) {
	t.Parallel()
	for day, good := range map[string]bool{
		"1900-01-01": true, "1899-12-31": false, "0000-01-01": false, "0001-01-01": false, "9999-12-31": false,
		"2128-02-29": true, "2128-03-01": false, "2127-02-29": false, "2026-02-30": false, "2026-13-01": false, "2026-00-00": false,
		"": true, "yesterday": true, // absent, or for the pattern of the field to refuse
	} {
		err := dates.Check(&personv1.Person{BirthDate: day}, today)
		if good != (err == nil) || err != nil && !fault.Is(err, faultv1.Reason_REASON_FIELD_INVALID) {
			t.Errorf("%q: %v", day, err)
		}
	}
}

func TestTheBounds(t *testing.T) {
	t.Parallel()
	got := []string{dates.First().String(), dates.Last(today).String()}
	if !slices.Equal(got, []string{"1900-01-01", "2128-02-29"}) {
		t.Error(got)
	}
}

// Whatever is let through is a day that comes back as it was written.
func FuzzDay(f *testing.F) {
	for _, s := range []string{"2026-02-28", "0000-00-00", "２０２６-01-01", "2026-01-0\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := dates.Check(&personv1.Person{BirthDate: s}, today)
		if len(s) != len(time.DateOnly) || err != nil {
			return
		}
		day, err := calendar.ParseDate(s)
		if err != nil || day.String() != s || day.Before(dates.First()) || dates.Last(today).Before(day) {
			t.Errorf("%q was let through", s)
		}
	})
}
