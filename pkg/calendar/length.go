package calendar

import (
	"fmt"
	"strconv"
	"strings"
)

// Unit is what a length counts.
type Unit string

const (
	// Hours run exactly, through nights and holidays.
	Hours Unit = "h"
	// Days are calendar days (日).
	Days Unit = "d"
	// WorkingDays are working days (工作日).
	WorkingDays Unit = "wd"
	// Months are calendar months (个月).
	Months Unit = "mo"
)

// maxCount keeps a mistyped length from pushing a deadline beyond any working life; 1,000 months is 83 years.
const maxCount = 1000

// Length is how long a clock runs, such as 2h, 3d, 5wd or 1mo. The zero Length means "no length".
type Length struct {
	N    int
	Unit Unit
}

// ParseLength reads a count from 1 to 1000 and a unit with nothing between: "2h", "3d", "5wd", "1mo".
// It accepts exactly what String writes, so a leading zero or a sign is an error.
func ParseLength(s string) (Length, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	unit := Unit(s[len(digits):])
	switch unit {
	case Hours, Days, WorkingDays, Months:
	default:
		return Length{}, fmt.Errorf("length %q: want a count and one of h, d, wd, mo", s)
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > maxCount || strconv.Itoa(n) != digits {
		return Length{}, fmt.Errorf("length %q: want a count from 1 to %d", s, maxCount)
	}
	return Length{N: n, Unit: unit}, nil
}

// IsZero reports whether l is "no length".
func (l Length) IsZero() bool { return l == Length{} }

// String is the form ParseLength reads; "no length" is the empty string.
func (l Length) String() string {
	if l.IsZero() {
		return ""
	}
	return strconv.Itoa(l.N) + string(l.Unit)
}

// UnmarshalText reads what ParseLength reads.
func (l *Length) UnmarshalText(text []byte) error {
	parsed, err := ParseLength(string(text))
	*l = parsed
	return err
}

// MarshalText writes what ParseLength reads.
func (l Length) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
