package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// hearFrom is the age from which a child can be asked for its own view; eight years is the age of limited capacity (民法典 第十九条).
const hearFrom = 8

// CheckDay refuses a day that does not exist; the contract knows its form only.
func CheckDay(field, day string) error {
	if _, err := calendar.ParseDate(day); err != nil {
		return fault.Invalid(field, "is not a day of the calendar")
	}
	return nil
}

// CheckInterval refuses days that do not exist, and a last day before the first. An empty last day is still to come.
//
// Errors: FIELD_INVALID, INTERVAL_INVALID.
func CheckInterval(from, to string) error {
	if err := CheckDay("from", from); err != nil {
		return err
	}
	if to == "" {
		return nil
	}
	if err := CheckDay("to", to); err != nil {
		return err
	}
	if to < from { // both are YYYY-MM-DD
		return fieldFault(registryv1.Reason_REASON_INTERVAL_INVALID, "to", "lies before the first day")
	}
	return nil
}

// CheckGuardianship checks an interval of responsibility (policy R6.3): a person or a unit, never both.
//
// Errors: GUARDIAN_INVALID, UNIT_INVALID, INTERVAL_INVALID, those of CheckPerson.
func CheckGuardianship(d *district.District, g *registryv1.Guardianship, today calendar.Date) error {
	if (g.GetGuardian() != nil) == (g.GetGuardianUnit() != "") {
		return fieldFault(registryv1.Reason_REASON_GUARDIAN_INVALID, "guardian", "give either a person or a unit")
	}
	if unit := g.GetGuardianUnit(); unit != "" {
		if _, ok := d.Unit(unit); !ok {
			return fieldFault(registryv1.Reason_REASON_UNIT_INVALID, "guardian_unit", "is not a unit of the district")
		}
	} else if err := CheckPerson(g.GetGuardian(), "guardian", today); err != nil {
		return err
	}
	return CheckInterval(g.GetFrom(), g.GetTo())
}

// EndGuardianship sets the last day of an interval that is still open.
func EndGuardianship(g *registryv1.Guardianship, to string, today calendar.Date) error {
	if g.GetTo() != "" && g.GetTo() < today.String() {
		return fault.New(registryv1.Reason_REASON_INTERVAL_ENDED, "the interval has ended")
	}
	g.To = to
	return CheckInterval(g.GetFrom(), to)
}

// CheckCare checks an agreement of entrusted care (policy R6.9): who harmed a child, is addicted or neglected a duty may not be
// entrusted; a child who can say what it wants is asked; village committee of residence and school are told in writing.
//
// Errors: CARER_BARRED, CHILD_NOT_HEARD, NOTICE_INCOMPLETE, UNIT_INVALID, INTERVAL_INVALID, those of CheckPerson.
func CheckCare(d *district.District, child *registryv1.Child, a *registryv1.CareAgreement, bars []registryv1.CarerBar, today calendar.Date) error {
	if len(bars) > 0 {
		return fieldFault(registryv1.Reason_REASON_CARER_BARRED, "carer_bars", "the person is barred by law",
			"bar", strings.TrimPrefix(bars[0].String(), "CARER_BAR_"))
	}
	if err := CheckPerson(a.GetCarer(), "carer", today); err != nil {
		return err
	}
	if years, known := age(child, today); !a.GetChildHeard() && (!known || years >= hearFrom) {
		return fieldFault(registryv1.Reason_REASON_CHILD_NOT_HEARD, "child_heard", "the child can say what it wants and was not asked")
	}
	for i, unit := range a.GetNoticeUnits() {
		if _, ok := d.Unit(unit); !ok {
			return fieldFault(registryv1.Reason_REASON_UNIT_INVALID, "notice_units["+strconv.Itoa(i)+"]", "is not a unit of the district")
		}
	}
	for _, needed := range []string{d.VillageUnit(child.GetDivision()), child.GetSchooling().GetSchoolUnit()} {
		if needed != "" && !slices.Contains(a.GetNoticeUnits(), needed) {
			return fieldFault(registryv1.Reason_REASON_NOTICE_INCOMPLETE, "notice_units", "a unit that must be told is missing", "missing", needed)
		}
	}
	return CheckInterval(a.GetFrom(), a.GetTo())
}

// EndCare ends an agreement before its last day.
func EndCare(a *registryv1.CareAgreement, ground string, now time.Time) error {
	if a.GetEndTime() != nil || a.GetTo() < calendar.Today(now).String() {
		return fault.New(registryv1.Reason_REASON_INTERVAL_ENDED, "the agreement has ended")
	}
	a.EndTime, a.EndGround = timestamppb.New(now), ground
	return nil
}
