// Package idcode checks the two national codes this product meets: the citizen identity number (公民身份号码,
// GB 11643-1999) and the unified social credit code (统一社会信用代码, GB 32100-2015).
//
// No error repeats the code it refuses: it may be a real child's.
package idcode

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// What can be wrong with a code. A wrong check digit is kept apart because some unified social credit codes in use
// fail their own standard; a caller may warn about those, and must refuse the other two.
var (
	ErrForm       = errors.New("wrong length or a character that does not belong")
	ErrBirthDate  = errors.New("the birth date does not exist")
	ErrCheckDigit = errors.New("the check digit does not fit")
)

// Sex as the identity number carries it.
type Sex byte

const (
	// Female is an even sequence number.
	Female Sex = 'F'
	// Male is an odd sequence number.
	Male Sex = 'M'
)

// Identity is what an identity number says about its holder.
type Identity struct {
	// Area is the six-digit code of the place that issued the number, which may have been abolished since and says
	// nothing about where the child lives.
	Area  string
	Birth calendar.Date
	Sex   Sex
}

// Foreigner tells that the number is that of a foreign permanent resident's card (外国人永久居留身份证): it begins with 9 and is otherwise built as a
// citizen's, so its holder has an identity number and is no citizen.
func (i Identity) Foreigner() bool { return strings.HasPrefix(i.Area, "9") }

// CheckIDNumber reads an 18-character identity number in its one written form (a final X is a capital letter): a citizen's, that of a residence
// permit for people from Hong Kong, Macao or Taiwan (港澳台居民居住证, areas 810000, 820000, 830000) or that of a foreign permanent resident. It
// answers ErrForm, ErrBirthDate or ErrCheckDigit. Whether the birth date lies in the future is for the caller, who
// has a clock.
func CheckIDNumber(s string) (Identity, error) {
	if len(s) != 18 || !allDigits(s[:17]) {
		return Identity{}, fmt.Errorf("identity number: %w", ErrForm)
	}
	last := s[17]
	if last != 'X' && (last < '0' || last > '9') {
		return Identity{}, fmt.Errorf("identity number: %w", ErrForm)
	}
	birth, err := calendar.ParseDate(s[6:10] + "-" + s[10:12] + "-" + s[12:14])
	if err != nil || birth.Year < 1800 {
		return Identity{}, fmt.Errorf("identity number: %w", ErrBirthDate)
	}
	if last != idCheckDigit(s[:17]) {
		return Identity{}, fmt.Errorf("identity number: %w", ErrCheckDigit)
	}
	sex := Female
	if (s[16]-'0')%2 == 1 {
		sex = Male
	}
	return Identity{Area: s[:6], Birth: birth, Sex: sex}, nil
}

// MakeIDNumber builds a valid number for an invented person: area is six digits, seq from 0 to 999 (odd = male).
// It is meant for tests and demonstration data and panics on arguments that cannot make a number.
func MakeIDNumber(area string, birth calendar.Date, seq int) string {
	body := fmt.Sprintf("%s%04d%02d%02d%03d", area, birth.Year, int(birth.Month), birth.Day, seq)
	if len(body) != 17 || !allDigits(body) {
		panic("idcode: arguments do not make an identity number")
	}
	return body + string(idCheckDigit(body))
}

// idCheckDigit is ISO 7064 MOD 11-2 over 17 digits.
func idCheckDigit(body string) byte {
	sum := 0
	for i := range len(body) {
		sum = (sum + int(body[i]-'0')) * 2 % 11
	}
	return "0123456789X"[(12-sum)%11]
}

// creditAlphabet leaves out I, O, S, V and Z, which are read as 1, 0, 5, U and 2.
const creditAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// CheckUSCC checks an 18-character unified social credit code and answers ErrForm or ErrCheckDigit.
func CheckUSCC(s string) error {
	if len(s) != 18 {
		return fmt.Errorf("unified social credit code: %w", ErrForm)
	}
	for i := range len(s) {
		if strings.IndexByte(creditAlphabet, s[i]) < 0 {
			return fmt.Errorf("unified social credit code: %w", ErrForm)
		}
	}
	if s[17] != creditCheckDigit(s[:17]) {
		return fmt.Errorf("unified social credit code: %w", ErrCheckDigit)
	}
	return nil
}

// MakeUSCC builds a valid code for an invented organisation: kind is the two leading characters (12 = public
// institution, 52 = social service body, 91 = company), area six digits, seq from 0 to 99999999. It panics on
// arguments that cannot make a code.
func MakeUSCC(kind, area string, seq int) string {
	body := fmt.Sprintf("%s%s%08d", kind, area, seq)
	if len(body) != 16 || strings.Trim(body, creditAlphabet) != "" {
		panic("idcode: arguments do not make a unified social credit code")
	}
	body += string(organisationCheckDigit(body[8:]))
	return body + string(creditCheckDigit(body))
}

func creditCheckDigit(body string) byte {
	sum, weight := 0, 1
	for i := range len(body) {
		sum += strings.IndexByte(creditAlphabet, body[i]) * weight
		weight = weight * 3 % 31
	}
	return creditAlphabet[(31-sum%31)%31]
}

// organisationCheckDigit closes the nine-character organisation code (GB 11714) inside a credit code; digits only.
func organisationCheckDigit(body string) byte {
	sum := 0
	for i, weight := range [8]int{3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(body[i]-'0') * weight
	}
	return "0123456789X"[(11-sum%11)%11]
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// AgeRule says on which day a year of age (周岁) is completed.
type AgeRule int

const (
	// OnBirthday completes the year on the birthday itself: benefits, schooling, the ledger.
	OnBirthday AgeRule = iota
	// AfterBirthday completes it on the day after: criminal matters (最高人民法院关于审理未成年人刑事案件具体应用法律
	// 若干问题的解释 第二条).
	AfterBirthday
)

// Age in completed years at an instant, by the day in Asia/Shanghai; -1 before birth. Somebody born on 29 February
// completes the year on 1 March of a common year under both rules.
func Age(birth calendar.Date, at time.Time, rule AgeRule) int {
	day := calendar.Today(at)
	if day.Before(birth) {
		return -1
	}
	birthday := birth
	birthday.Year = day.Year
	years := day.Year - birth.Year
	passed := day.Compare(birthday)
	if passed < 0 || passed == 0 && rule == AfterBirthday {
		years--
	}
	return max(years, 0)
}
