package rules

import (
	"errors"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/idcode"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// checkPerson refuses a description that cannot be true. path is that of the person in the request.
func checkPerson(path string, p *personv1.Person, now time.Time) error {
	if p.GetBirthDate() != "" {
		born, err := calendar.ParseDate(p.GetBirthDate())
		if err != nil || calendar.Today(now).Before(born) {
			return birthDateInvalid(path + ".birth_date")
		}
	}
	if p.GetIdNumber() == "" {
		return nil
	}
	identity, err := idcode.CheckIDNumber(p.GetIdNumber())
	if err != nil {
		field := path + ".id_number"
		return fault.New(reportingv1.Reason_REASON_ID_NUMBER_INVALID, field+": not a valid identity number", "field", field, "rule", brokenRule(err)).
			Field(field, "not a valid identity number")
	}
	if calendar.Today(now).Before(identity.Birth) {
		return birthDateInvalid(path + ".id_number")
	}
	if p.GetBirthDate() != "" && p.GetBirthDate() != identity.Birth.String() {
		return contradicted(path + ".birth_date")
	}
	if p.GetSex() != personv1.Sex_SEX_UNSPECIFIED && p.GetSex() != sexOf(identity.Sex) {
		return contradicted(path + ".sex")
	}
	return nil
}

// complete fills in what the identity number says. A number answers why there is none, but not that its holder is a foreign national.
func complete(p *personv1.Person) {
	identity, err := idcode.CheckIDNumber(p.GetIdNumber())
	if err != nil {
		return
	}
	p.BirthDate, p.Sex = identity.Birth.String(), sexOf(identity.Sex)
	if identity.Foreigner() && p.GetNoIdNumberReason() == personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_FOREIGN_NATIONAL {
		return
	}
	p.NoIdNumberReason = personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNSPECIFIED
}

func brokenRule(err error) string {
	switch {
	case errors.Is(err, idcode.ErrCheckDigit):
		return "check_digit"
	case errors.Is(err, idcode.ErrBirthDate):
		return "birth_date"
	default:
		return "form"
	}
}

func sexOf(s idcode.Sex) personv1.Sex {
	if s == idcode.Male {
		return personv1.Sex_SEX_MALE
	}
	return personv1.Sex_SEX_FEMALE
}

// sexCode is the district's spelling; zero when not known.
func sexCode(s personv1.Sex) idcode.Sex {
	switch s {
	case personv1.Sex_SEX_MALE:
		return idcode.Male
	case personv1.Sex_SEX_FEMALE:
		return idcode.Female
	default:
		return 0
	}
}

func birthDateInvalid(field string) error {
	return fault.New(reportingv1.Reason_REASON_BIRTH_DATE_INVALID, field+": no date up to today", "field", field).Field(field, "must be a date up to today")
}

func contradicted(field string) error {
	return fault.New(reportingv1.Reason_REASON_ID_NUMBER_CONTRADICTED, field+": differs from the identity number", "field", field).
		Field(field, "differs from the identity number")
}
