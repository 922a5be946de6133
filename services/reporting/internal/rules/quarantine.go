package rules

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Quarantine keeps an update apart, held by the operator.
func Quarantine(d *district.District, id string, u Update, cause reportingv1.Quarantined_Cause, now time.Time) *reportingv1.QuarantinedUpdate {
	q := &reportingv1.QuarantinedUpdate{
		Standing: &custodyv1.Standing{Id: id}, State: reportingv1.QuarantinedUpdate_STATE_OPEN,
		Source: u.Source, Epoch: u.Epoch, Sequence: u.Envelope.GetSequence(), Cause: cause, Update: u.Envelope,
	}
	hold(d, q.GetStanding(), d.Operator(), district.ClockUpdateQuarantined, now)
	return q
}

// ExpireQuarantined marks a quarantined update that the operator left lying; it stays the operator's.
func ExpireQuarantined(d *district.District, q *reportingv1.QuarantinedUpdate, now time.Time) error {
	if len(custody.Miss(q.GetStanding(), now)) == 0 {
		return custody.ErrNotDue
	}
	extend(d, q.GetStanding(), district.ClockUpdateQuarantined, now)
	return nil
}

// Replay settles a quarantined update that can be used now, and gives what it says. Content under a spent number is never used: in the fold
// it would stand where another update stands already.
func Replay(d *district.District, validate func(proto.Message) error, q *reportingv1.QuarantinedUpdate, by Actor, now time.Time) (*reportingv1.IncidentContent, error) {
	if q.GetState() != reportingv1.QuarantinedUpdate_STATE_OPEN {
		return nil, fault.StateForbids(row.StateName(q.ProtoReflect()), "ReplayQuarantined")
	}
	switch q.GetCause() {
	case reportingv1.Quarantined_CAUSE_CONFLICT, reportingv1.Quarantined_CAUSE_VOIDED:
		return nil, fault.New(reportingv1.Reason_REASON_QUARANTINE_NOT_REPLAYABLE, "another content or a void stands under this number", "cause", causeName(q.GetCause()))
	}
	content, cause := ReadUpdate(d, validate, q.GetUpdate(), now)
	if cause != 0 {
		return nil, CausePersists(cause)
	}
	settleQuarantined(q, reportingv1.QuarantinedUpdate_STATE_REPLAYED, by, now)
	return content, nil
}

// CausePersists is the refusal to replay what still cannot be used.
func CausePersists(cause reportingv1.Quarantined_Cause) error {
	return fault.New(reportingv1.Reason_REASON_QUARANTINE_CAUSE_PERSISTS, "the update still cannot be used", "cause", causeName(cause))
}

// Reject settles a quarantined update that will never be used.
func Reject(q *reportingv1.QuarantinedUpdate, by Actor, reason string, now time.Time) error {
	if q.GetState() != reportingv1.QuarantinedUpdate_STATE_OPEN {
		return fault.StateForbids(row.StateName(q.ProtoReflect()), "RejectQuarantined")
	}
	settleQuarantined(q, reportingv1.QuarantinedUpdate_STATE_REJECTED, by, now)
	q.SettleReason = reason
	return nil
}

func settleQuarantined(q *reportingv1.QuarantinedUpdate, state reportingv1.QuarantinedUpdate_State, by Actor, now time.Time) {
	q.State, q.SettleOfficer, q.SettleTime = state, by.Officer, stamp(now)
	custody.Close(q.GetStanding())
}

func causeName(cause reportingv1.Quarantined_Cause) string {
	return strings.TrimPrefix(cause.String(), "CAUSE_")
}
