package district

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// longestCount is more days than any working-day clock in use runs through (45 working days over a long holiday): from
// that many days before a year without data, deadlines may already reach into it.
const longestCount = 90

var (
	calendarName = regexp.MustCompile(`^` + calendarFolder + `/([0-9]{4})\.csv$`)
	calendarLine = regexp.MustCompile(`^(\d+): (.*)$`)
)

func (l *loader) readCalendar() func() {
	var holidays []calendar.Holiday
	for _, file := range slices.Sorted(maps.Keys(l.contents)) {
		if path.Dir(file) != calendarFolder {
			continue
		}
		name := calendarName.FindStringSubmatch(file)
		if name == nil {
			l.fail(file, 1, "a calendar is named after its year, such as 2026.csv")
			continue
		}
		year, _ := strconv.Atoi(name[1])
		found, err := calendar.ParseHolidays(bytes.NewReader(l.contents[file]))
		if err != nil {
			line, rule := 1, err.Error()
			if m := calendarLine.FindStringSubmatch(rule); m != nil {
				line, _ = strconv.Atoi(m[1])
				rule = m[2]
			}
			l.fail(file, line, "%s", rule)
			continue
		}
		l.checkYear(file, year, found)
		holidays = append(holidays, found...)
	}
	l.d.calendar = calendar.New(holidays)
	return func() {}
}

// checkYear refuses a day of another year, because one such day would make that whole year count as known.
func (l *loader) checkYear(file string, year int, holidays []calendar.Holiday) {
	if len(holidays) == 0 {
		l.fail(file, 1, "the calendar of %d holds no day", year)
	}
	for _, h := range holidays {
		if h.Date.Year != year {
			line := bytes.Count(bytes.SplitN(l.contents[file], []byte(h.Date.String()), 2)[0], []byte("\n")) + 1
			l.fail(file, line, "%s does not lie in %d", h.Date, year)
		}
	}
}

// Calendar of working days.
func (d *District) Calendar() *calendar.Calendar { return d.calendar }

// CountedBlind reports whether a clock that runs from one instant to another was counted in working days through a year whose holidays are not
// known, wholly or in part. Of a clock that is not the district's own, such as a need's, every length in days is taken to be of that kind.
func (d *District) CountedBlind(clockID string, from, due time.Time) bool {
	c, own := d.Clock(clockID)
	last := calendar.Today(due.Add(-time.Nanosecond))
	if own && c.Length.Unit != calendar.WorkingDays || !last.End().Equal(due) {
		return false
	}
	for year := calendar.Today(from).AddDays(1).Year; year <= last.Year; year++ {
		if !d.calendar.Known(year) {
			return true
		}
	}
	return false
}

// Warnings says what works, but worse than it should, on a day: a year whose holidays are not known, or only in part, is counted by
// weekends and the fixed days alone, so that working-day deadlines in it may come too early.
func (d *District) Warnings(on calendar.Date) []string {
	var warnings []string
	for year := on.Year; year <= on.AddDays(longestCount).Year; year++ {
		lacks := d.calendar.Lacks(year)
		if len(lacks) == 0 {
			continue
		}
		file := fmt.Sprintf("%s/%d.csv", calendarFolder, year)
		what := "is missing"
		if d.calendar.Loaded(year) {
			what = "lacks " + strings.Join(lacks, "、")
		}
		warnings = append(warnings, fmt.Sprintf("%s %s: working days of %d are counted by weekends and fixed days alone", file, what, year))
	}
	return warnings
}
