// Package calendar counts time the way an office in China counts it.
//
// A clock in hours runs exactly. A clock in days, working days or months does not count the day it starts; it ends
// at 24:00 of its last day in Asia/Shanghai, so the whole of the last day may be used. Deadlines are therefore the
// first instant that is too late. A period in calendar days or months is not stretched when its last day is a
// holiday: these clocks guard children in danger, and danger keeps no holidays.
//
// Which days are worked comes from the yearly notice of the State Council, loaded as data. The fixed days of the law need no notice: 1 January,
// 1 and 2 May, 1 to 3 October are never worked. A year whose notice is missing, or loaded in part, counts as not known: it is counted by weekends,
// the fixed days and what there is, and every deadline that passed through it says so.
package calendar

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container without zone files would otherwise count every day from the wrong midnight
)

var zone = func() *time.Location {
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic("the embedded zone data lacks Asia/Shanghai: " + err.Error())
	}
	return loc
}()

// Zone is Asia/Shanghai, with the summer time of 1986 to 1991.
func Zone() *time.Location { return zone }

// Holiday is one exception to the rule "Monday to Friday are worked".
type Holiday struct {
	Date Date
	// Work is true for a weekend day that is worked to make up for a holiday (调休上班).
	Work bool
	// Name of the holiday the exception belongs to, in Chinese.
	Name string
}

// ParseHolidays reads a CSV with the header `date,kind,name`; kind is `off` or `work`, lines that begin with # are
// comments. Errors begin with the line number, so that a caller can put the file's name in front.
func ParseHolidays(r io.Reader) ([]Holiday, error) {
	rows := csv.NewReader(r)
	rows.Comment = '#'
	rows.FieldsPerRecord = 3
	var out []Holiday
	seen := map[Date]bool{}
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			line := 1
			var bad *csv.ParseError
			if errors.As(err, &bad) {
				line, err = bad.Line, bad.Err
			}
			return nil, fmt.Errorf("%d: %w", line, err)
		}
		line, _ := rows.FieldPos(0)
		if first {
			if !slices.Equal(row, []string{"date", "kind", "name"}) {
				return nil, fmt.Errorf("%d: the header must be date,kind,name", line)
			}
			continue
		}
		day, err := ParseDate(row[0])
		switch {
		case err != nil:
			return nil, fmt.Errorf("%d: %w", line, err)
		case row[1] != "off" && row[1] != "work":
			return nil, fmt.Errorf("%d: kind %q must be off or work", line, row[1])
		case seen[day]:
			return nil, fmt.Errorf("%d: %s stands here twice", line, day)
		}
		seen[day] = true
		out = append(out, Holiday{Date: day, Work: row[1] == "work", Name: row[2]})
	}
}

// Calendar knows which days are worked. It never changes after New and may be shared.
type Calendar struct {
	worked map[Date]bool
	off    map[int][]string // by year, the holiday of each day off
}

// New makes a calendar. The later of two entries for one day wins; ParseHolidays refuses such a pair within one file.
func New(holidays []Holiday) *Calendar {
	c := &Calendar{worked: map[Date]bool{}, off: map[int][]string{}}
	for _, h := range holidays {
		c.worked[h.Date] = h.Work
		if !h.Work {
			c.off[h.Date.Year] = append(c.off[h.Date.Year], h.Name)
		}
	}
	return c
}

// Known reports whether the year's notice has been loaded whole.
func (c *Calendar) Known(year int) bool { return len(c.Lacks(year)) == 0 }

// Loaded reports whether there is any data of the year.
func (c *Calendar) Loaded(year int) bool { return len(c.off[year]) > 0 }

// statutory are the holidays that each year's notice sets (全国年节及纪念日放假办法), and how many days off each has at least.
var statutory = []struct {
	name string
	days int
}{{"元旦", 1}, {"春节", 3}, {"清明", 1}, {"劳动节", 1}, {"端午", 1}, {"国庆", 3}, {"中秋", 1}}

// Lacks lists the holidays that the year's data says nothing of, or too little; all of them for a year without data. A day that two holidays share
// names both.
func (c *Calendar) Lacks(year int) []string {
	var lacks []string
	for _, s := range statutory {
		days := 0
		for _, name := range c.off[year] {
			if strings.Contains(name, s.name) {
				days++
			}
		}
		if days < s.days {
			lacks = append(lacks, s.name)
		}
	}
	return lacks
}

// fixed reports whether the law itself makes a day a holiday, whatever a year's notice says of the days around it.
func fixed(d Date) bool {
	return d.Month == time.January && d.Day == 1 || d.Month == time.May && d.Day <= 2 || d.Month == time.October && d.Day <= 3
}

// IsWorkingDay reports whether offices work on the day.
func (c *Calendar) IsWorkingDay(d Date) bool {
	if fixed(d) {
		return false
	}
	if work, ok := c.worked[d]; ok {
		return work
	}
	w := d.Weekday()
	return w != time.Saturday && w != time.Sunday
}

// AddWorkingDays is the n-th working day after day, which itself never counts; n below 1 answers day unchanged.
// known is false when the count passed through a year whose holidays are not known.
func (c *Calendar) AddWorkingDays(day Date, n int) (end Date, known bool) {
	known = true
	for n > 0 {
		day = day.AddDays(1)
		known = known && c.Known(day.Year)
		if c.IsWorkingDay(day) {
			n--
		}
	}
	return day, known
}

// Deadline is the end of a running clock.
type Deadline struct {
	// At is the first instant that is too late.
	At time.Time
	// HolidaysKnown is false when working days were counted through a year whose notice is missing or partial. Such a deadline may be too early by the holidays that were not known.
	HolidaysKnown bool
}

// Deadline is when a clock of length l that starts at from runs out. A zero length runs out at once.
func (c *Calendar) Deadline(from time.Time, l Length) Deadline {
	start := Today(from)
	switch l.Unit {
	case Hours:
		return Deadline{At: from.Add(time.Duration(l.N) * time.Hour), HolidaysKnown: true}
	case Days:
		return Deadline{At: start.AddDays(l.N).End(), HolidaysKnown: true}
	case Months:
		return Deadline{At: start.AddMonths(l.N).End(), HolidaysKnown: true}
	case WorkingDays:
		last, known := c.AddWorkingDays(start, l.N)
		return Deadline{At: last.End(), HolidaysKnown: known}
	default:
		return Deadline{At: from, HolidaysKnown: true}
	}
}
