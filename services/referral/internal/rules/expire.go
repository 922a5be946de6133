package rules

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// Expire marks what is due of an open referral as missed, and does what that demands. A clock that lasts and passes while a unit is asked, or while
// the lead office still has its own, is marked and moves nothing.
func Expire(d *district.District, r *referralv1.Referral, now time.Time) string {
	missed := custody.Miss(r.GetStanding(), now)
	if !missed.Step() && custody.Running(r.GetStanding()) {
		return Overdue
	}
	switch r.GetState() {
	case referralv1.Referral_STATE_OFFERED:
		return unanswered(d, r, now)
	case referralv1.Referral_STATE_ACCEPTED, referralv1.Referral_STATE_IN_PROGRESS:
		return undelivered(d, r, now)
	case referralv1.Referral_STATE_DELIVERED:
		return unconfirmed(d, r, missed.Has(district.ClockReferralConfirm), now)
	default:
		return stayOverdue(d, r.GetStanding(), now)
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
// is not asked. asked says that it was a question that nobody answered.
func unconfirmed(d *district.District, r *referralv1.Referral, asked bool, now time.Time) string {
	s := r.GetStanding()
	if !asked {
		return stayOverdue(d, s, now)
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
func stayOverdue(d *district.District, s *custodyv1.Standing, now time.Time) string {
	custody.Extend(s, d.Deadline(district.ClockOverdueReview, now), district.ClockOverdueReview)
	return Overdue
}
