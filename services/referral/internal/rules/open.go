package rules

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// namespace of the ids derived from assessments: an assessment seen twice cannot open two cases.
var namespace = uuid.MustParse("0b8f5b52-7a55-5c0e-9d43-5d1f0f6f2c11")

// CaseID is the id of the case that an assessment opens.
func CaseID(assessmentID string) string {
	return uuid.NewSHA1(namespace, []byte("case/"+assessmentID)).String()
}

// Open makes the case of a concluded assessment, held by the township, and in it a referral for each need, offered to
// the unit whose duty it is. An error means that the assessment was concluded under other district data than ours.
func Open(d *district.District, a *reportingv1.Assessment, now time.Time) (*referralv1.Case, []*referralv1.Referral, error) {
	c := openCase(d, a, now)
	if c.GetTownship() == "" {
		return nil, nil, fmt.Errorf("rules: division %s has no township", a.GetDivision())
	}
	referrals := make([]*referralv1.Referral, 0, len(a.GetNeeds()))
	for n, need := range a.GetNeeds() {
		r, err := openReferral(d, c, need, n, now)
		if err != nil {
			return nil, nil, err
		}
		referrals = append(referrals, r)
	}
	return c, referrals, nil
}

func openCase(d *district.District, a *reportingv1.Assessment, now time.Time) *referralv1.Case {
	c := &referralv1.Case{
		Standing: &custodyv1.Standing{Id: CaseID(a.GetStanding().GetId()), MatterId: a.GetStanding().GetMatterId()},
		State:    referralv1.Case_STATE_OPEN, Division: a.GetDivision(),
		AssessmentId: a.GetStanding().GetId(), ProvisionalChildId: a.GetProvisionalChildId(), ChildId: a.GetChildId(),
		Township: a.GetTownship(), Village: d.VillageUnit(d.Responsible(a.GetDivision(), calendar.Today(now))), Colour: a.GetColour(), Summary: a.GetSummary(),
	}
	if c.GetTownship() == "" {
		c.Township = d.TownshipUnit(d.Responsible(a.GetDivision(), calendar.Today(now)))
	}
	custody.Set(c.GetStanding(), c.GetTownship(), d.Deadline(district.ClockCaseReview, now), district.ClockCaseReview)
	return c
}

func openReferral(d *district.District, c *referralv1.Case, finding *reportingv1.NeedFinding, n int, now time.Time) (*referralv1.Referral, error) {
	need, ok := d.Need(finding.GetCode())
	place := finding.GetPlaceDivision()
	if place == "" {
		place = c.GetDivision()
	}
	unit := d.NeedUnit(finding.GetCode(), d.Responsible(place, calendar.Today(now)))
	if !ok || unit == "" {
		return nil, fmt.Errorf("rules: nobody answers for need %s in division %s", finding.GetCode(), place)
	}
	id := uuid.NewSHA1(namespace, []byte("referral/"+c.GetAssessmentId()+"/"+strconv.Itoa(n))).String()
	r := &referralv1.Referral{
		Standing: &custodyv1.Standing{Id: id, MatterId: c.GetStanding().GetMatterId(), Holder: c.GetStanding().GetHolder()},
		Division: c.GetDivision(), CaseId: c.GetStanding().GetId(), Need: need.Code, Duty: need.Duty, Urgent: finding.GetUrgent(),
		PlaceDivision: place, ProvisionalChildId: c.GetProvisionalChildId(), ChildId: c.GetChildId(),
		Township: c.GetTownship(), Village: c.GetVillage(), RequestNote: finding.GetNote(),
	}
	ask(d, r, unit, now)
	return r, nil
}

// Bind says who the child of a case is, and whether that is news.
func Bind(c *referralv1.Case, child string) bool {
	if c.GetChildId() == child {
		return false
	}
	c.ChildId = child
	return true
}
