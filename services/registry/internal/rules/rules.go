// Package rules decides what may enter the ledger, what a child's statuses are, and when a child is visited next. Pure functions over
// the contract's messages: no database, no clock of their own.
package rules

import (
	"errors"
	"strconv"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/idcode"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// adult is the age at which somebody is no longer a child of the ledger (policy R2.2).
const adult = 18

// CheckPerson checks a person's identity number, birth date and sex on a day; field is the path of the person in the request. What
// the number says and the caller left out is filled in.
//
// Errors: ID_NUMBER_INVALID, ID_NUMBER_CONTRADICTED, BIRTH_DATE_INVALID.
func CheckPerson(p *personv1.Person, field string, today calendar.Date) error {
	var number idcode.Identity
	if p.GetIdNumber() != "" {
		parsed, err := CheckNumber(p.GetIdNumber(), field+".id_number")
		if err != nil {
			return err
		}
		number = parsed
		if p.GetBirthDate() == "" {
			p.BirthDate = number.Birth.String()
		}
		if p.GetSex() == personv1.Sex_SEX_UNSPECIFIED {
			p.Sex = sexOf(number)
		}
	}
	if p.GetBirthDate() == "" {
		return nil
	}
	birth, err := calendar.ParseDate(p.GetBirthDate())
	if err != nil || today.Before(birth) {
		return fieldFault(registryv1.Reason_REASON_BIRTH_DATE_INVALID, field+".birth_date", "does not exist or lies in the future")
	}
	if p.GetIdNumber() == "" {
		return nil
	}
	if birth != number.Birth {
		return fieldFault(registryv1.Reason_REASON_ID_NUMBER_CONTRADICTED, field+".birth_date", "differs from the identity number")
	}
	if p.GetSex() != sexOf(number) {
		return fieldFault(registryv1.Reason_REASON_ID_NUMBER_CONTRADICTED, field+".sex", "differs from the identity number")
	}
	return nil
}

// CheckNumber reads an identity number; field is its path in the request.
//
// Errors: ID_NUMBER_INVALID.
func CheckNumber(number, field string) (idcode.Identity, error) {
	parsed, err := idcode.CheckIDNumber(number)
	if err != nil {
		return parsed, fieldFault(registryv1.Reason_REASON_ID_NUMBER_INVALID, field, "not valid by GB 11643", "rule", ruleOf(err))
	}
	return parsed, nil
}

// CheckChild checks a ledger record before it is written, and derives its statuses anew.
//
// Errors: those of CheckPerson, NOT_A_MINOR, UNIT_INVALID.
func CheckChild(d *district.District, c *registryv1.Child, today calendar.Date) error {
	if err := CheckPerson(c.GetPerson(), "child.person", today); err != nil {
		return err
	}
	if age, known := age(c, today); known && age >= adult {
		return fieldFault(registryv1.Reason_REASON_NOT_A_MINOR, "child.person.birth_date", "is eighteen or older")
	}
	for i, parent := range c.GetParents() {
		if parent.GetPerson() == nil {
			continue
		}
		if err := CheckPerson(parent.GetPerson(), "child.parents["+strconv.Itoa(i)+"].person", today); err != nil {
			return err
		}
	}
	if school := c.GetSchooling().GetSchoolUnit(); school != "" {
		if _, ok := d.Unit(school); !ok {
			return fieldFault(registryv1.Reason_REASON_UNIT_INVALID, "child.schooling.school_unit", "is not a unit of the district")
		}
	}
	Derive(c, today)
	return nil
}

// age in completed years by the day; known is false without a birth date.
func age(c *registryv1.Child, today calendar.Date) (years int, known bool) {
	birth, err := calendar.ParseDate(c.GetPerson().GetBirthDate())
	if err != nil {
		return 0, false
	}
	return idcode.Age(birth, today.Start(), idcode.OnBirthday), true
}

func sexOf(number idcode.Identity) personv1.Sex {
	if number.Sex == idcode.Male {
		return personv1.Sex_SEX_MALE
	}
	return personv1.Sex_SEX_FEMALE
}

func ruleOf(err error) string {
	switch {
	case errors.Is(err, idcode.ErrCheckDigit):
		return "check_digit"
	case errors.Is(err, idcode.ErrBirthDate):
		return "birth_date"
	}
	return "form"
}

// fieldFault is a refusal that names a field in its metadata and as a violation.
func fieldFault(reason registryv1.Reason, field, description string, more ...string) error {
	return fault.New(reason, field+" "+description, append([]string{"field", field}, more...)...).Field(field, description)
}
