// Package calendar counts time the way an office in China counts it.
//
// A clock in hours runs exactly. A clock in days, working days or months does not count the day it starts; it ends
// at 24:00 of its last day in Asia/Shanghai, so the whole of the last day may be used. Deadlines are therefore the
// first instant that is too late. A period in calendar days or months is not stretched when its last day is a
// holiday: these clocks guard children in danger, and danger keeps no holidays.
//
// Which days are worked comes from the yearly notice of the State Council, loaded as data. A year without data is
// counted by weekends alone, and every deadline that passed through it says so.
package calendar

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
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
	years  map[int]bool
}

// New makes a calendar. A year counts as known when at least one holiday lies in it. The later of two entries for
// one day wins; ParseHolidays refuses such a pair within one file.
func New(holidays []Holiday) *Calendar {
	c := &Calendar{worked: map[Date]bool{}, years: map[int]bool{}}
	for _, h := range holidays {
		c.worked[h.Date] = h.Work
		c.years[h.Date.Year] = true
	}
	return c
}

// Known reports whether the year's holidays have been loaded.
func (c *Calendar) Known(year int) bool { return c.years[year] }

// IsWorkingDay reports whether offices work on the day.
func (c *Calendar) IsWorkingDay(d Date) bool {
	if work, ok := c.worked[d]; ok {
		return work
	}
	w := d.Weekday()
	return w != time.Saturday && w != time.Sunday
}

// AddWorkingDays is the n-th working day after day, which itself never counts; n below 1 answers day unchanged.
// known is false when the count passed through a year whose holidays are not loaded.
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
	// HolidaysKnown is false when working days were counted through a year without holiday data, by weekends
	// alone. Such a deadline may be too early by the holidays that were not known.
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
