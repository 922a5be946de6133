package rules_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/idcode"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry/internal/rules"
)

var (
	noon  = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	today = calendar.Today(noon)
)

func load(t *testing.T) *district.District {
	t.Helper()
	d, err := district.Load("../../../../districts/xinbei")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAPersonIsCheckedAgainstTheIdentityNumber(t *testing.T) {
	t.Parallel()
	born := calendar.Date{Year: 2016, Month: 3, Day: 4}
	number := idcode.MakeIDNumber("320411", born, 10)
	wrong := number[:17] + string("0123456789X"[(int(number[16]-'0')+3)%11])
	if wrong == number {
		wrong = number[:17] + "0"
	}
	cases := map[string]struct {
		p      *personv1.Person
		reason fault.Reason
	}{
		"fits":          {&personv1.Person{IdNumber: number, BirthDate: "2016-03-04", Sex: personv1.Sex_SEX_FEMALE}, nil},
		"check digit":   {&personv1.Person{IdNumber: wrong}, registryv1.Reason_REASON_ID_NUMBER_INVALID},
		"other birth":   {&personv1.Person{IdNumber: number, BirthDate: "2016-03-05"}, registryv1.Reason_REASON_ID_NUMBER_CONTRADICTED},
		"other sex":     {&personv1.Person{IdNumber: number, Sex: personv1.Sex_SEX_MALE}, registryv1.Reason_REASON_ID_NUMBER_CONTRADICTED},
		"in the future": {&personv1.Person{BirthDate: "2026-03-03"}, registryv1.Reason_REASON_BIRTH_DATE_INVALID},
	}
	for name, c := range cases {
		err := rules.CheckPerson(c.p, "child.person", today)
		if c.reason == nil && err != nil || c.reason != nil && !fault.Is(err, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	filled := &personv1.Person{IdNumber: number}
	if err := rules.CheckPerson(filled, "p", today); err != nil || filled.GetBirthDate() != "2016-03-04" || filled.GetSex() != personv1.Sex_SEX_FEMALE {
		t.Errorf("%v, %v", filled.GetBirthDate(), err)
	}
}

func child(birth string, registration registryv1.Registration, father, mother registryv1.ParentState) *registryv1.Child {
	return &registryv1.Child{
		Person: &personv1.Person{BirthDate: birth}, Registration: registration, Division: "320411101201",
		Parents: []*registryv1.Parent{
			{Relation: registryv1.Parent_RELATION_FATHER, State: father}, {Relation: registryv1.Parent_RELATION_MOTHER, State: mother},
		},
	}
}

func TestLeftBehindIsDerivedWithItsReason(t *testing.T) {
	t.Parallel()
	away, home, ill, unknown := registryv1.ParentState_PARENT_STATE_WORKING_AWAY, registryv1.ParentState_PARENT_STATE_AT_HOME,
		registryv1.ParentState_PARENT_STATE_SEVERELY_ILL, registryv1.ParentState_PARENT_STATE_UNSPECIFIED
	rural, urban := registryv1.Registration_REGISTRATION_RURAL, registryv1.Registration_REGISTRATION_URBAN
	applies, not, undecided := registryv1.DerivedStatus_OUTCOME_APPLIES, registryv1.DerivedStatus_OUTCOME_DOES_NOT_APPLY, registryv1.DerivedStatus_OUTCOME_UNDECIDED
	for name, c := range map[string]struct {
		child *registryv1.Child
		want  registryv1.DerivedStatus_Outcome
	}{
		"both away":                {child("2016-03-04", rural, away, away), applies},
		"one away, one unable":     {child("2016-03-04", rural, away, ill), applies},
		"one at home":              {child("2016-03-04", rural, away, home), not},
		"urban":                    {child("2016-03-04", urban, away, away), not},
		"sixteen":                  {child("2010-03-01", rural, away, away), not},
		"mother unknown":           {child("2016-03-04", rural, away, unknown), undecided},
		"the day before sixteen":   {child("2010-03-03", rural, away, away), applies},
		"birth unknown, both away": {child("", rural, away, away), undecided},
	} {
		rules.Derive(c.child, today)
		got := c.child.GetStatuses()[0]
		if got.GetOutcome() != c.want || got.GetSource() != "R1.1" || len(got.GetFacts()) != 4 {
			t.Errorf("%s: %v", name, got)
		}
	}
	c := child("2016-03-04", rural, away, away)
	rules.Derive(c, today)
	rules.Derive(c, today.AddDays(1))
	c.Parents[1].State = home
	rules.Derive(c, today.AddDays(2))
	if s := c.GetStatuses(); len(s) != 2 || s[0].GetTo() == "" || s[1].GetOutcome() != not {
		t.Errorf("history %v", s)
	}
}

func TestAVisitThatDoesNotHappenGoesUpAndComesBackWithTheVisit(t *testing.T) {
	t.Parallel()
	d := load(t)
	c := child("2016-03-04", registryv1.Registration_REGISTRATION_RURAL, 0, 0)
	c.Id, c.Colour = "c", personv1.RiskColour_RISK_COLOUR_YELLOW
	p := rules.OpenPlan(d, "p", c, noon)
	var holders []string
	for range 4 {
		holders = append(holders, p.GetStanding().GetHolder())
		due := p.GetStanding().GetDeadline().AsTime()
		rules.Expire(d, p, due)
		clocks.Stamp(p.GetStanding(), int64(len(holders)), due)
	}
	want := []string{"village/320411101201", "township/320411101000", "civil_affairs", "civil_affairs"}
	for i, holder := range holders {
		if holder != want[i] {
			t.Errorf("step %d: %s", i, holder)
		}
	}
	visit := func(way registryv1.Visit_Way, at time.Time) error {
		return rules.Visit(d, p, &registryv1.Visit{Way: way, VisitTime: timestamppb.New(at)}, noon)
	}
	if err := visit(registryv1.Visit_WAY_HOME, noon.Add(time.Second)); !fault.Is(err, registryv1.Reason_REASON_TIME_IN_FUTURE) {
		t.Errorf("a visit in the future: %v", err)
	}
	if err := visit(registryv1.Visit_WAY_REMOTE, noon); err != nil || p.GetVisitCount() != 0 || !custody.Overdue(p.GetStanding()) {
		t.Errorf("a call counted as a visit: %v", err)
	}
	if err := visit(registryv1.Visit_WAY_HOME, noon); err != nil || p.GetStanding().GetHolder() != want[0] || custody.Overdue(p.GetStanding()) ||
		p.GetStanding().GetClock() != district.ClockVisitYellow {
		t.Errorf("after the visit: %v, %v", p.GetStanding(), err)
	}
}

func TestEntrustedCareIsBarredUnheardOrUntold(t *testing.T) {
	t.Parallel()
	d := load(t)
	c := child("2016-03-04", registryv1.Registration_REGISTRATION_RURAL, 0, 0)
	c.Schooling = &registryv1.Schooling{SchoolUnit: "org/12320411710018221B"}
	agreement := func(heard bool, units ...string) *registryv1.CareAgreement {
		return &registryv1.CareAgreement{Carer: &personv1.Person{}, From: "2026-03-02", To: "2027-03-01", ChildHeard: heard, NoticeUnits: units}
	}
	village, school := "village/320411101201", "org/12320411710018221B"
	for name, k := range map[string]struct {
		a      *registryv1.CareAgreement
		bars   []registryv1.CarerBar
		reason fault.Reason
	}{
		"fine":         {agreement(true, village, school), nil, nil},
		"barred":       {agreement(true, village, school), []registryv1.CarerBar{registryv1.CarerBar_CARER_BAR_ADDICTION}, registryv1.Reason_REASON_CARER_BARRED},
		"unheard":      {agreement(false, village, school), nil, registryv1.Reason_REASON_CHILD_NOT_HEARD},
		"school":       {agreement(true, village), nil, registryv1.Reason_REASON_NOTICE_INCOMPLETE},
		"unknown unit": {agreement(true, village, school, "org/1"), nil, registryv1.Reason_REASON_UNIT_INVALID},
	} {
		err := rules.CheckCare(d, c, k.a, k.bars, today)
		if k.reason == nil && err != nil || k.reason != nil && !fault.Is(err, k.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Left behind is who is under sixteen (policy R1.1): a record that was written before the sixteenth birthday is read without the status on that day
// and after it, and with it the day before.
func TestNobodyIsLeftBehindFromTheSixteenthBirthdayOn(t *testing.T) {
	t.Parallel()
	birthday := calendar.Date{Year: 2026, Month: 3, Day: 4}
	for days, want := range map[int]registryv1.DerivedStatus_Outcome{
		-1: registryv1.DerivedStatus_OUTCOME_APPLIES, 0: registryv1.DerivedStatus_OUTCOME_DOES_NOT_APPLY, 400: registryv1.DerivedStatus_OUTCOME_DOES_NOT_APPLY,
	} {
		c := child("2010-03-04", registryv1.Registration_REGISTRATION_RURAL, registryv1.ParentState_PARENT_STATE_WORKING_AWAY, registryv1.ParentState_PARENT_STATE_WORKING_AWAY)
		rules.Derive(c, birthday.AddDays(-100))
		rules.Grow(c, birthday.AddDays(days))
		last := c.GetStatuses()[len(c.GetStatuses())-1]
		if last.GetOutcome() != want || last.GetTo() != "" {
			t.Errorf("%d days from the birthday: %v", days, c.GetStatuses())
		}
		if days >= 0 && (len(c.GetStatuses()) != 2 || last.GetFrom() != birthday.String() || c.GetStatuses()[0].GetTo() != birthday.String()) {
			t.Errorf("history %v", c.GetStatuses())
		}
		if since := rules.LeftBehindSince(birthday.AddDays(days)); (since.String() <= "2010-03-04") != (days < 0) {
			t.Errorf("%d days from the birthday, who was born since %s is listed", days, since)
		}
	}
}

// Being graded is no visit: a visit that is due sooner stays due, a worse colour brings it forward, and one that was missed stays missed until somebody
// goes there.
func TestBeingGradedIsNoVisit(t *testing.T) {
	t.Parallel()
	d := load(t)
	c := child("2016-03-04", registryv1.Registration_REGISTRATION_RURAL, 0, 0)
	c.Id, c.Colour = "c", personv1.RiskColour_RISK_COLOUR_YELLOW
	p := rules.OpenPlan(d, "p", c, noon)
	s := p.GetStanding()
	clocks.Stamp(s, 1, noon)
	due := s.GetDeadline().AsTime()
	grade := func(colour personv1.RiskColour, days int) {
		c.Colour = colour
		rules.Grade(d, p, c, noon.AddDate(0, 0, days))
		s.Version++
		clocks.Stamp(s, 2+s.GetVersion(), noon.AddDate(0, 0, days))
		clocks.Forget(s)
	}
	if grade(personv1.RiskColour_RISK_COLOUR_GREEN, 3); !s.GetDeadline().AsTime().Equal(due) {
		t.Errorf("a better colour put the visit off: %v", s)
	}
	if grade(personv1.RiskColour_RISK_COLOUR_RED, 4); !s.GetDeadline().AsTime().Before(due) || s.GetClock() != district.ClockVisitRed {
		t.Errorf("a worse colour did not bring the visit forward: %v", s)
	}
	late := s.GetDeadline().AsTime()
	rules.Expire(d, p, late)
	clocks.Stamp(s, 9, late)
	if grade(personv1.RiskColour_RISK_COLOUR_GREEN, 20); !custody.Overdue(s) || s.GetHolder() != "village/320411101201" {
		t.Errorf("being graded made a missed visit good: %v", s)
	}
	if err := rules.Visit(d, p, &registryv1.Visit{Way: registryv1.Visit_WAY_HOME, VisitTime: timestamppb.New(noon.AddDate(0, 0, 21))}, noon.AddDate(0, 0, 21)); err != nil {
		t.Fatal(err)
	}
	if custody.Overdue(s) || s.GetClock() != district.ClockVisitGreen {
		t.Errorf("visited: %v", s)
	}
}
