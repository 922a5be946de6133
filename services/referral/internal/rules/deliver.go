package rules

import (
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// Progress notes what the holder did. Holder, deadline and clock stay, and so does an offer to the lead office: work
// begun late is still late.
func Progress(r *referralv1.Referral, act Act, date, note string) (string, error) {
	if err := serving(r, act, "record progress"); err != nil {
		return "", err
	}
	happened, err := day("happen_date", date, act.Now)
	if err != nil {
		return "", err
	}
	r.Progress = append(r.Progress, &referralv1.Progress{
		RecordTime: act.time(), Unit: act.Unit, Officer: act.Officer, HappenDate: happened, Note: note,
	})
	if in(r, referralv1.Referral_STATE_ACCEPTED) {
		r.State = referralv1.Referral_STATE_IN_PROGRESS
	}
	return Progressed, nil
}

// Result is what a delivery says.
type Result struct {
	Outcome referralv1.DeliveryOutcome
	// Date of delivery, YYYY-MM-DD; empty means today.
	Date string
	Note string
	// ApplicationID of relief where a payment settled it.
	ApplicationID string
}

// Deliver says that the service is done and asks the child's side to confirm.
func Deliver(d *district.District, r *referralv1.Referral, act Act, result Result) (string, error) {
	if err := serving(r, act, "deliver"); err != nil {
		return "", err
	}
	date, err := day("deliver_date", result.Date, act.Now)
	if err != nil {
		return "", err
	}
	r.Deliveries = append(r.Deliveries, &referralv1.Delivery{
		RecordTime: act.time(), Unit: act.Unit, Officer: act.Officer, DeliverDate: date,
		Outcome: result.Outcome, Note: result.Note, ApplicationId: result.ApplicationID,
	})
	r.State = referralv1.Referral_STATE_DELIVERED
	to := r.GetVillage()
	if to == "" {
		to = r.GetTownship()
	}
	custody.Meet(r.GetStanding(), clockDeliver, clockUrgent, d.Lead().Clock)
	custody.Offer(r.GetStanding(), to, d.Deadline(district.ClockReferralConfirm, act.Now), district.ClockReferralConfirm)
	return Delivered, nil
}

// Serving reports whether the holder can deliver the referral now.
func Serving(r *referralv1.Referral) bool {
	return in(r, referralv1.Referral_STATE_ACCEPTED, referralv1.Referral_STATE_IN_PROGRESS, referralv1.Referral_STATE_ESCALATED)
}

func serving(r *referralv1.Referral, act Act, verb string) error {
	switch {
	case !Serving(r):
		return fault.StateForbids(state(r), verb)
	case act.Unit != r.GetStanding().GetHolder():
		return notHolder(r.GetStanding(), verb)
	}
	return nil
}

// Confirm closes a delivered referral: the child's side says that the service arrived.
func Confirm(r *referralv1.Referral, act Act, note string) (string, error) {
	if err := childSide(r, act, "confirm"); err != nil {
		return "", err
	}
	r.State = referralv1.Referral_STATE_CONFIRMED
	r.Confirmation = &referralv1.Confirmation{RecordTime: act.time(), Unit: act.Unit, Officer: act.Officer, Note: note}
	custody.Close(r.GetStanding())
	return Confirmed, nil
}

// Reject sends a delivery back to whoever holds the referral.
func Reject(d *district.District, r *referralv1.Referral, act Act, note string) (string, error) {
	if err := childSide(r, act, "reject"); err != nil {
		return "", err
	}
	r.Rejections = append(r.Rejections, &referralv1.Rejection{RecordTime: act.time(), Unit: act.Unit, Officer: act.Officer, Note: note})
	if offer := lastAccepted(r); offer.GetUnit() == r.GetStanding().GetHolder() {
		toDeliver(d, r, offer.GetUnit(), act.Now)
		return Rejected, nil
	}
	escalate(d, r, act.Now) // the lead office holds it in somebody's stead
	return Rejected, nil
}

// childSide demands a delivered referral and a unit that can answer for the child: the village committee or the township of
// its residence. Who delivered cannot, unless there is nobody else.
func childSide(r *referralv1.Referral, act Act, verb string) error {
	if err := byOfficer(act); err != nil {
		return err
	}
	switch {
	case !in(r, referralv1.Referral_STATE_DELIVERED):
		return fault.StateForbids(state(r), verb)
	case r.GetVillage() != "" && act.Unit == r.GetDeliveries()[len(r.GetDeliveries())-1].GetUnit():
		return fault.New(referralv1.Reason_REASON_OWN_DELIVERY, "who delivered cannot "+verb, "unit", act.Unit)
	case act.Unit != r.GetVillage() && act.Unit != r.GetTownship():
		return notOffered(r)
	}
	return nil
}
