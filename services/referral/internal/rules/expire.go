package rules

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// Expire does what a passed deadline demands of an open referral. Overdue stays set from then on: it says that a deadline
// was missed, not that one is being missed now.
func Expire(d *district.District, r *referralv1.Referral, now time.Time) string {
	r.Overdue = true
	switch r.GetState() {
	case referralv1.Referral_STATE_OFFERED:
		return unanswered(d, r, now)
	case referralv1.Referral_STATE_ACCEPTED, referralv1.Referral_STATE_IN_PROGRESS:
		return undelivered(d, r, now)
	case referralv1.Referral_STATE_DELIVERED:
		return unconfirmed(d, r, now)
	default:
		return stayOverdue(d, r, now)
	}
}

func unanswered(d *district.District, r *referralv1.Referral, now time.Time) string {
	offer := lastOffer(r)
	offer.Answer, offer.AnswerTime = referralv1.Offer_ANSWER_SILENT, timestamppb.New(now)
	if next(d, r, offer, now) {
		return Unanswered
	}
	return Escalated
}

// undelivered offers what was not delivered in time to the lead office, which becomes holder when it, too, stays silent. Until
// then the unit can still deliver.
func undelivered(d *district.District, r *referralv1.Referral, now time.Time) string {
	lead := d.LeadOffice()
	if r.GetStanding().GetHolder() == lead || r.GetStanding().GetOfferedTo() == lead {
		escalate(d, r, now)
		return Escalated
	}
	custody.Offer(r.GetStanding(), lead, d.Deadline(d.Lead().Clock, now), d.Lead().Clock)
	return Overdue
}

// unconfirmed asks the township after the village, then leaves the matter to the lead office. A township that delivered itself
// is not asked.
func unconfirmed(d *district.District, r *referralv1.Referral, now time.Time) string {
	s := r.GetStanding()
	if s.GetClock() != district.ClockReferralConfirm {
		return stayOverdue(d, r, now)
	}
	township := r.GetTownship()
	if s.GetOfferedTo() == r.GetVillage() && r.GetVillage() != "" && township != r.GetDeliveries()[len(r.GetDeliveries())-1].GetUnit() {
		custody.Offer(s, township, d.Deadline(district.ClockReferralConfirm, now), district.ClockReferralConfirm)
		return Unconfirmed
	}
	toLead(d, s, now)
	return Escalated
}

// stayOverdue is the end of the line: the lead office keeps what it did not resolve, overdue and counted, until its next
// review.
func stayOverdue(d *district.District, r *referralv1.Referral, now time.Time) string {
	custody.Extend(r.GetStanding(), d.Deadline(district.ClockOverdueReview, now), district.ClockOverdueReview)
	return Overdue
}
