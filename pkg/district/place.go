package district

import (
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// This file is the one place that decides what a division code means. A code is known or not; a known one is in force on a day or closed
// by then; and for a closed one somebody answers: its successor, or else whatever lies above it. What comes in from outside and what is read
// takes a closed code (TakeIn, CheckFilter), because an abolished village is not an unknown one; what is newly entered into a ledger names a
// division in force (CheckDivision).

// Located is what a division code means on a day.
type Located struct {
	// Code is the division in force that answers for the place: the one named, or who took it over.
	Code string
	// Stale is the code that was named, when it was closed by then; empty otherwise.
	Stale string
}

// known reports whether a code is in the register and was in force on a day or before.
func (d *District) known(code string, on calendar.Date) (Division, bool) {
	v, ok := d.Division(code)
	return v, ok && !on.Before(v.ValidFrom)
}

// Responsible is the division in force that answers for a code on a day: the division itself, else its successor's, else that of the
// nearest division above. Empty for a code that is not in the register.
func (d *District) Responsible(code string, on calendar.Date) string {
	v, ok := d.Division(code)
	if !ok {
		return ""
	}
	for range len(d.divisions) {
		if v.ActiveOn(on) || on.Before(v.ValidFrom) {
			return v.Code
		}
		next := v.Successor
		if next == "" {
			next = v.Parent
		}
		if v, ok = d.Division(next); !ok {
			break
		}
	}
	return d.Code()
}

// TakeIn reads a code that comes in from outside. One that is closed by then is taken all the same and put to whoever answers for it, as
// nothing told of a child there may be lost; only an unknown one is refused (DIVISION_UNKNOWN). It answers nil when the code may be used;
// compare before turning the answer into an error.
func (d *District) TakeIn(field, code string, on calendar.Date) (Located, *fault.Error) {
	if err := d.CheckFilter(field, code, on); err != nil {
		return Located{}, err
	}
	place := Located{Code: d.Responsible(code, on)}
	if place.Code != code {
		place.Stale = code
	}
	return place, nil
}

// CheckFilter refuses a code by which rows are looked for that is not in the register or not yet in force (DIVISION_UNKNOWN). A closed one
// may be asked for: its rows are still there. See TakeIn for the answer.
func (d *District) CheckFilter(field, code string, on calendar.Date) *fault.Error {
	if _, ok := d.known(code, on); ok {
		return nil
	}
	return fault.New(faultv1.Reason_REASON_DIVISION_UNKNOWN, field+": the division is not in the register",
		"field", field, "division", code).Field(field, "is not a division of the district")
}

// CheckDivision refuses a code for a new entry of a ledger that is not in the register or not yet in force (DIVISION_UNKNOWN), or was closed
// before the day concerned (DIVISION_CLOSED, which names the division that answers for it now). field is the path of the code in the request. See
// TakeIn for the answer.
func (d *District) CheckDivision(field, code string, on calendar.Date) *fault.Error {
	place, err := d.TakeIn(field, code, on)
	if err != nil || place.Stale == "" {
		return err
	}
	v, _ := d.Division(code)
	closed := v.ValidTo.String()
	return fault.New(faultv1.Reason_REASON_DIVISION_CLOSED, field+": the division was closed on "+closed+"; "+place.Code+" answers for it",
		"field", field, "division", code, "closed", closed, "successor", place.Code).
		Field(field, "was closed on "+closed+"; use "+place.Code)
}

// DivisionsIn lists the codes that are an area, lie in it, or are closed and answered for by a division in it on a day.
func (d *District) DivisionsIn(area string, on calendar.Date) []string {
	codes := []string{}
	for _, v := range d.divisions {
		if d.Within(v.Code, area) || !v.ActiveOn(on) && d.Within(d.Responsible(v.Code, on), area) {
			codes = append(codes, v.Code)
		}
	}
	return codes
}
