package rules

import (
	"strconv"
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// Review records a look at the case and starts the next interval. A case that went to the lead office goes back to its
// township with the lead office's review.
func Review(d *district.District, c *referralv1.Case, act Act, note string) (string, error) {
	if err := holding(c, act, "review"); err != nil {
		return "", err
	}
	c.Reviews = append(c.Reviews, &referralv1.Review{ReviewTime: act.time(), Unit: act.Unit, Officer: act.Officer, Note: note})
	custody.Meet(c.GetStanding(), d.Lead().Clock)
	custody.Set(c.GetStanding(), c.GetTownship(), d.Deadline(district.ClockCaseReview, act.Now), district.ClockCaseReview)
	return Reviewed, nil
}

// Close ends a case. open is the number of its referrals that are not closed; none may be left.
func Close(c *referralv1.Case, act Act, open int, note string) (string, error) {
	if err := byOfficer(act); err != nil {
		return "", err
	}
	if err := holding(c, act, "close"); err != nil {
		return "", err
	}
	if open > 0 {
		return "", fault.New(referralv1.Reason_REASON_CASE_HAS_OPEN_REFERRALS, "referrals of the case are still open", "open", strconv.Itoa(open))
	}
	c.State = referralv1.Case_STATE_CLOSED
	c.Closing = &referralv1.Closing{CloseTime: act.time(), Unit: act.Unit, Officer: act.Officer, Note: note}
	custody.Close(c.GetStanding())
	return Closed, nil
}

func holding(c *referralv1.Case, act Act, verb string) error {
	switch {
	case c.GetState() != referralv1.Case_STATE_OPEN:
		return fault.StateForbids(row.StateName(c.ProtoReflect()), verb)
	case act.Unit != c.GetStanding().GetHolder():
		return notHolder(c.GetStanding(), verb)
	}
	return nil
}

// ExpireCase does what a missed review demands: the township gets one more term, then the lead office holds the case, and
// keeps it until it has reviewed.
func ExpireCase(d *district.District, c *referralv1.Case, now time.Time) string {
	s := c.GetStanding()
	missed := custody.Miss(s, now)
	if missed.Has(district.ClockOverdueReview) && s.GetHolder() != d.LeadOffice() {
		toLead(d, s, now)
		return Escalated
	}
	custody.Extend(s, d.Deadline(district.ClockOverdueReview, now), district.ClockOverdueReview)
	return Overdue
}
