package district

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// Level of a division.
type Level string

// The levels of the statistical division codes. The quasi levels are zones and parks that the statistics count like
// a committee (类似居委会, 类似村委会).
const (
	LevelDistrict       Level = "district"
	LevelStreet         Level = "street"
	LevelTown           Level = "town"
	LevelCommunity      Level = "community"
	LevelVillage        Level = "village"
	LevelQuasiCommunity Level = "quasi_community"
	LevelQuasiVillage   Level = "quasi_village"
)

// levels is how deep divisions lie: district, township, committee. It bounds every climb, so that parents in a circle
// are reported by the checks instead of hanging them.
const levels = 3

// Township reports whether the level is that of a town or street (镇、街道).
func (v Level) Township() bool { return v == LevelTown || v == LevelStreet }

// Committee reports whether the level is that of a village or residents' committee (村、居).
func (v Level) Committee() bool {
	return v == LevelCommunity || v == LevelVillage || v == LevelQuasiCommunity || v == LevelQuasiVillage
}

// Division is one row of the register of divisions (R8.3). A code is never deleted and never used again.
type Division struct {
	// Code has always 12 digits.
	Code string
	Name string
	Level
	// Parent is the code of the division above; empty for the district.
	Parent string
	// ValidFrom and ValidTo are the first and the last day in force; ValidTo is "no date" while it is in force.
	ValidFrom, ValidTo calendar.Date
	// Successor is the code that took a closed division over; empty when its parent answers for it.
	Successor string
	line      int
}

// ActiveOn reports whether the division is in force on a day.
func (v Division) ActiveOn(on calendar.Date) bool {
	return !on.Before(v.ValidFrom) && (v.ValidTo.IsZero() || !v.ValidTo.Before(on))
}

// divisionHeader are the columns of the register; the last one may be left out.
var divisionHeader = []string{"code", "name", "level", "parent", "valid_from", "valid_to", "successor"}

func (l *loader) readDivisions() func() {
	content, ok := l.contents[divisionsFile]
	if !ok {
		return nil
	}
	l.d.divisionAt = map[string]int{}
	rows := csv.NewReader(bytes.NewReader(content))
	rows.Comment, rows.FieldsPerRecord = '#', -1 // the last column may be left out on any line
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var bad *csv.ParseError
			if errors.As(err, &bad) {
				l.fail(divisionsFile, bad.Line, "%v", bad.Err)
			}
			break
		}
		line, _ := rows.FieldPos(0)
		if len(row) != len(divisionHeader) && len(row) != len(divisionHeader)-1 {
			l.fail(divisionsFile, line, "wrong number of fields")
			break
		}
		if !first {
			l.addDivision(row, line)
		} else if !slices.Equal(row, divisionHeader) && !slices.Equal(row, divisionHeader[:len(divisionHeader)-1]) {
			l.fail(divisionsFile, line, "the header must be %v", divisionHeader)
			break
		}
	}
	return l.checkDivisions
}

func (l *loader) addDivision(row []string, line int) {
	v := Division{Code: row[0], Name: row[1], Level: Level(row[2]), Parent: row[3], line: line}
	if err := v.ValidFrom.UnmarshalText([]byte(row[4])); err != nil || v.ValidFrom.IsZero() {
		l.fail(divisionsFile, line, "division %s: valid_from is not a date of the form YYYY-MM-DD", v.Code)
	}
	if err := v.ValidTo.UnmarshalText([]byte(row[5])); err != nil {
		l.fail(divisionsFile, line, "division %s: valid_to is not a date of the form YYYY-MM-DD", v.Code)
	}
	if len(row) == len(divisionHeader) {
		v.Successor = row[6]
	}
	if _, twice := l.d.divisionAt[v.Code]; twice {
		l.fail(divisionsFile, line, "division %s stands twice", v.Code)
		return
	}
	l.d.divisionAt[v.Code] = len(l.d.divisions)
	l.d.divisions = append(l.d.divisions, v)
}

func (l *loader) checkDivisions() {
	for _, v := range l.d.divisions {
		for _, rule := range l.divisionRules(v) {
			l.fail(divisionsFile, v.line, "division %s: %s", v.Code, rule)
		}
	}
}

func (l *loader) divisionRules(v Division) (broken []string) {
	if len(v.Code) != 12 || !digits(v.Code) {
		broken = append(broken, "a code has 12 digits")
	}
	if v.Name == "" {
		broken = append(broken, "name is missing")
	}
	if !v.ValidTo.IsZero() && v.ValidTo.Before(v.ValidFrom) {
		broken = append(broken, "valid_to lies before valid_from")
	}
	parent, ok := l.d.Division(v.Parent)
	switch {
	case v.Level == LevelDistrict:
		if v.Parent != "" {
			broken = append(broken, "a district has no parent")
		}
		if v.Code != l.d.info.Code {
			broken = append(broken, "a package holds one district, "+l.d.info.Code)
		}
	case !v.Township() && !v.Committee():
		broken = append(broken, fmt.Sprintf("level %q is not known", v.Level))
	case !ok:
		broken = append(broken, fmt.Sprintf("parent %q is not a division", v.Parent))
	case v.Township() && parent.Level != LevelDistrict, v.Committee() && !parent.Township():
		broken = append(broken, fmt.Sprintf("a %s cannot lie in a %s", v.Level, parent.Level))
	}
	return append(broken, l.successorRules(v)...)
}

// successorRules check who took a division over; a circle would leave nobody.
func (l *loader) successorRules(v Division) (broken []string) {
	if v.Successor == "" {
		return nil
	}
	if v.ValidTo.IsZero() {
		broken = append(broken, "has a successor and is not closed")
	}
	next, ok := l.d.Division(v.Successor)
	if !ok {
		return append(broken, fmt.Sprintf("successor %q is not a division", v.Successor))
	}
	for range len(l.d.divisions) {
		if next.Code == v.Code {
			return append(broken, "succeeds itself")
		}
		if next.Successor == "" {
			break
		}
		next, _ = l.d.Division(next.Successor)
	}
	return broken
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Divisions lists all divisions, closed ones too, in the order of the register.
func (d *District) Divisions() []Division { return slices.Clone(d.divisions) }

// Division finds a division by its 12-digit code.
func (d *District) Division(code string) (Division, bool) {
	i, ok := d.divisionAt[code]
	if !ok {
		return Division{}, false
	}
	return d.divisions[i], true
}

// Within reports whether a division is, or lies in, another one.
func (d *District) Within(code, area string) bool {
	for range levels {
		v, ok := d.Division(code)
		if !ok {
			return false
		}
		if code == area {
			return true
		}
		code = v.Parent
	}
	return false
}

// TownshipOf is the 12-digit code of the town or street a division is or lies in; empty for the district itself and
// for an unknown code.
func (d *District) TownshipOf(code string) string {
	for range levels {
		v, ok := d.Division(code)
		if !ok || v.Township() {
			return v.Code
		}
		code = v.Parent
	}
	return ""
}

// TownshipUnit is the unit of the town or street a division lies in. Where only the district is known the lead office
// stands in, so that a matter has a holder all the same; empty for an unknown code.
func (d *District) TownshipUnit(code string) string {
	if township := d.TownshipOf(code); township != "" {
		return townshipPrefix + township
	}
	if _, ok := d.Division(code); ok {
		return d.LeadOffice()
	}
	return ""
}

// VillageUnit is the committee of a village or community; empty for any other division and for an unknown code.
func (d *District) VillageUnit(code string) string {
	if v, ok := d.Division(code); ok && v.Committee() {
		return villagePrefix + code
	}
	return ""
}

// StationFor is the police station that serves a division. Where only the district is known the bureau itself stands
// in; empty for an unknown code.
func (d *District) StationFor(code string) string {
	if station, ok := d.stationOf[d.TownshipOf(code)]; ok {
		return station
	}
	if _, ok := d.Division(code); ok {
		return policeUnit
	}
	return ""
}
