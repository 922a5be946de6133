package rules

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Why is the reason for ending something before it came to its own end.
type Why struct {
	Grounds reliefv1.EndGrounds
	Note    string
}

// ending makes the record of an end that somebody decided.
//
// Errors: OFFICER_REQUIRED, NOTE_REQUIRED.
func ending(why Why, act Act) (*reliefv1.Ending, error) {
	if err := byOfficer(act); err != nil {
		return nil, err
	}
	if why.Grounds == reliefv1.EndGrounds_END_GROUNDS_OTHER && strings.TrimSpace(why.Note) == "" {
		return nil, fieldFault(reliefv1.Reason_REASON_NOTE_REQUIRED, "note", "must say why when the grounds are OTHER")
	}
	return &reliefv1.Ending{Unit: act.Unit, Officer: act.Officer, EndTime: timestamppb.New(act.Now), Grounds: why.Grounds, Note: why.Note}, nil
}

// byOfficer refuses a call that names no officer: whatever moves money or decides on relief is a person's act.
//
// Errors: OFFICER_REQUIRED.
func byOfficer(act Act) error {
	if act.Officer == "" {
		return fault.New(reliefv1.Reason_REASON_OFFICER_REQUIRED, "name the officer")
	}
	return nil
}

// Return gives an application back: the lead office gives it to the township whose it is, the township gives it back to be filled in anew.
//
// Errors: OFFICER_REQUIRED, STATE_FORBIDS, NOT_HOLDER.
func Return(d *district.District, p district.Programme, a *reliefv1.Application, note string, act Act) error {
	if err := byOfficer(act); err != nil {
		return err
	}
	township := d.TownshipUnit(a.GetDivision())
	handedIn := a.GetState() == reliefv1.Application_STATE_SUBMITTED || a.GetState() == reliefv1.Application_STATE_CHECKED
	switch {
	case !handedIn && (a.GetState() != reliefv1.Application_STATE_OPEN || act.Unit == township):
		return fault.StateForbids(strings.TrimPrefix(a.GetState().String(), "STATE_"), "return")
	case a.GetStanding().GetHolder() != act.Unit:
		return notHolder(a, "return")
	}
	if act.Unit == township {
		a.State, a.Period = reliefv1.Application_STATE_OPEN, ""
	}
	a.HandBacks = append(a.HandBacks, &reliefv1.HandBack{Unit: act.Unit, Officer: act.Officer, ReturnTime: timestamppb.New(act.Now), Note: note})
	custody.Hold(a.GetStanding(), township)
	custody.Start(a.GetStanding(), p.Clock, act.Now, d.Deadline(p.Clock, act.Now)) // goes on where it runs: giving back wins nobody time
	if !custody.Running(a.GetStanding()) {
		custody.Extend(a.GetStanding(), d.Deadline(district.ClockOverdueReview, act.Now), district.ClockOverdueReview)
	}
	return nil
}

// Withdraw closes an application before money has reached the payee. paying is its payment that still counts, nil before the approval; it
// is cancelled with it.
//
// Errors: OFFICER_REQUIRED, NOTE_REQUIRED, STATE_FORBIDS, NOT_HOLDER, PAYMENT_IN_BATCH.
func Withdraw(a *reliefv1.Application, paying *reliefv1.Payment, why Why, act Act) error {
	end, err := ending(why, act)
	if err != nil {
		return err
	}
	decided := a.GetState() == reliefv1.Application_STATE_APPROVED
	before := a.GetState() == reliefv1.Application_STATE_OPEN || a.GetState() == reliefv1.Application_STATE_SUBMITTED || a.GetState() == reliefv1.Application_STATE_CHECKED
	switch {
	case !decided && !before:
		return fault.StateForbids(strings.TrimPrefix(a.GetState().String(), "STATE_"), "withdraw")
	case act.Unit != a.GetStanding().GetHolder() && (decided || act.Unit != a.GetSubmitUnit()):
		return notHolder(a, "withdraw")
	}
	if paying != nil {
		if err := Cancel(paying, why, act); err != nil {
			return err
		}
	}
	withdrawn(a, end)
	return nil
}

func withdrawn(a *reliefv1.Application, end *reliefv1.Ending) {
	a.State, a.Ending = reliefv1.Application_STATE_WITHDRAWN, end
	custody.Close(a.GetStanding())
}

// Cancel closes a payment that is in no batch; its money is to be released.
//
// Errors: OFFICER_REQUIRED, NOTE_REQUIRED, PAYMENT_IN_BATCH, STATE_FORBIDS.
func Cancel(p *reliefv1.Payment, why Why, act Act) error {
	end, err := ending(why, act)
	if err != nil {
		return err
	}
	state := strings.TrimPrefix(p.GetState().String(), "STATE_")
	switch p.GetState() {
	case reliefv1.Payment_STATE_APPROVED, reliefv1.Payment_STATE_RETURNED:
	case reliefv1.Payment_STATE_FROZEN, reliefv1.Payment_STATE_EXPORTED:
		return fault.New(reliefv1.Reason_REASON_PAYMENT_IN_BATCH, "the payment is in a batch or with the bank", "payment_id", p.GetStanding().GetId(), "state", state)
	default:
		return fault.StateForbids(state, "cancel")
	}
	p.State, p.Ending = reliefv1.Payment_STATE_CANCELLED, end
	custody.Close(p.GetStanding())
	return nil
}

// CancelFor closes a payment by who pays, and with it the application that it was to pay.
//
// Errors: those of Cancel.
func CancelFor(a *reliefv1.Application, p *reliefv1.Payment, why Why, act Act) error {
	if err := Cancel(p, why, act); err != nil {
		return err
	}
	withdrawn(a, p.GetEnding())
	return nil
}

// CancelBatch takes a batch back before it is with the bank; its payments wait for another one.
//
// Errors: OFFICER_REQUIRED, NOTE_REQUIRED, STATE_FORBIDS.
func CancelBatch(d *district.District, b *reliefv1.Batch, payments []*reliefv1.Payment, why Why, act Act) error {
	end, err := ending(why, act)
	if err != nil {
		return err
	}
	if b.GetState() != reliefv1.Batch_STATE_FROZEN && b.GetState() != reliefv1.Batch_STATE_APPROVED {
		return fault.StateForbids(strings.TrimPrefix(b.GetState().String(), "STATE_"), "cancel")
	}
	b.State, b.Ending = reliefv1.Batch_STATE_CANCELLED, end
	custody.Close(b.GetStanding())
	for _, p := range payments {
		p.State, p.BatchId, p.LineNumber = reliefv1.Payment_STATE_APPROVED, "", 0
		toApprove(d, p.GetStanding(), act.Now)
	}
	return nil
}

func notHolder(a *reliefv1.Application, verb string) error {
	return fault.New(reliefv1.Reason_REASON_NOT_HOLDER, "only the holder may "+verb, "holder", a.GetStanding().GetHolder())
}
