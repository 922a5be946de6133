package journey

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/idcode"
)

// Person says what sort of person is invented. Nobody of that name and number is meant.
type Person struct {
	// Age in completed years on the day of the run.
	Age int `yaml:"age"`
	// Sex is F or M.
	Sex string `yaml:"sex"`
	// Area is the six-digit code in the identity number.
	Area string `yaml:"area"`
	// SurnameOf names another person whose family name this one has.
	SurnameOf string `yaml:"surname_of"`
}

const (
	surnames = "钱孙周吴郑冯陈蒋沈韩杨朱秦许何吕施张孔曹严华金魏陶姜"
	female   = "雨欣梓涵思琪佳怡晓燕静文雅婷诗梦月玲"
	male     = "浩宇子轩俊杰志强明辉建国文博天佑伟东"
)

// Invent makes the people of a run from its seed. The same seed makes the same people.
func Invent(people map[string]Person, seed uint64, today time.Time) map[string]any {
	random := rand.New(rand.NewPCG(seed, 0x6c69616e6875)) //nolint:gosec // invented people need no secrecy
	family := map[string]string{}
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(people)) {
		p := people[name]
		surname := pick(random, surnames)
		if p.SurnameOf != "" {
			surname = family[p.SurnameOf]
		}
		family[name] = surname
		letters := female
		if p.Sex == "M" {
			letters = male
		}
		// Born between half a year and a year before the age was completed: no birthday falls into a run.
		born := calendar.Today(today.AddDate(-p.Age, 0, -180-random.IntN(150)))
		sequence := random.IntN(500) * 2
		if p.Sex == "M" {
			sequence++
		}
		out[name] = map[string]any{
			"name": surname + pick(random, letters) + pick(random, letters), "sex": p.Sex, "birth_date": born.String(),
			"id_number": idcode.MakeIDNumber(p.Area, born, sequence),
			"phone":     fmt.Sprintf("199%08d", random.IntN(1e8)), "account": card(random),
		}
	}
	return out
}

func pick(random *rand.Rand, letters string) string {
	all := []rune(letters)
	return string(all[random.IntN(len(all))])
}

// card makes an account number with a valid Luhn digit.
func card(random *rand.Rand) string {
	digits := "622848" + fmt.Sprintf("%012d", random.Int64N(1e12))
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return digits + fmt.Sprint((10-sum%10)%10)
}
