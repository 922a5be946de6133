package referral_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lianhu/lianhu/pkg/identity"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

func accept(h *house, t *testing.T, unit, id string) (*referralv1.AcceptReferralResponse, error) {
	t.Helper()
	return h.at(t, unit).AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: id})
}

func decline(grounds referralv1.DeclineGrounds, id string) *referralv1.DeclineReferralRequest {
	return &referralv1.DeclineReferralRequest{RequestId: request(), ReferralId: id, Grounds: grounds}
}

func deliver(id string) *referralv1.DeliverReferralRequest {
	return &referralv1.DeliverReferralRequest{
		RequestId: request(), ReferralId: id, Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED, Note: "已提供",
	}
}

// Every reason of the area, as a partner receives it, and nothing has changed afterwards.
func TestEveryRefusalOfTheArea(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, referrals := h.open(t, "family_education", "temporary_relief", "psychological_support")
	offered, relief, late := referrals[0].GetStanding().GetId(), referrals[1].GetStanding().GetId(), referrals[2].GetStanding()
	_, err := accept(h, t, township, relief)
	ok(t, err)
	_, err = h.at(t, township).DeliverReferral(serving(t), deliver(relief))
	ok(t, err)
	accepted, err := accept(h, t, "youth_league", late.GetId())
	ok(t, err)
	h.pass(t, accepted.GetStanding()) // offered to the lead office now; family_education has moved on to justice
	before := h.dump(t)
	produced := map[string]bool{}
	refuse := func(err error, want string, metadata map[string]string) {
		t.Helper()
		if diff := cmp.Diff(metadata, refused(t, err, want)); diff != "" {
			t.Errorf("%s: %s", want, diff)
		}
		produced["REASON_"+want] = true
	}
	holder := h.get(t, offered).GetStanding().GetHolder()
	_, err = accept(h, t, township, offered)
	refuse(err, "NOT_OFFERED", map[string]string{"offered_to": h.get(t, offered).GetStanding().GetOfferedTo()})
	_, err = h.at(t, lead).RecordProgress(serving(t), &referralv1.RecordProgressRequest{RequestId: request(), ReferralId: late.GetId(), Note: "催办"})
	refuse(err, "NOT_HOLDER", map[string]string{"holder": "youth_league", "verb": "record progress"})
	nobody := referralv1.NewReferralServiceClient(h.dial(t, h.address, "referral", identity.OfUnit(domain, township, "main")))
	_, err = nobody.CloseCase(assessing(t), &referralv1.CloseCaseRequest{RequestId: request(), CaseId: c.GetStanding().GetId(), Note: "结案"})
	refuse(err, "OFFICER_REQUIRED", nil)
	_, err = h.at(t, township).ConfirmReferral(serving(t), &referralv1.ConfirmReferralRequest{RequestId: request(), ReferralId: relief})
	refuse(err, "OWN_DELIVERY", map[string]string{"unit": township})
	_, err = h.at(t, township).CloseCase(assessing(t), &referralv1.CloseCaseRequest{RequestId: request(), CaseId: c.GetStanding().GetId(), Note: "结案"})
	refuse(err, "CASE_HAS_OPEN_REFERRALS", map[string]string{"open": "3"})
	_, err = h.at(t, "youth_league").RecordProgress(serving(t), &referralv1.RecordProgressRequest{
		RequestId: request(), ReferralId: late.GetId(), Note: "办理", HappenDate: "2027-01-01",
	})
	refuse(err, "DATE_INVALID", map[string]string{"field": "happen_date"})
	asked := h.get(t, offered).GetStanding().GetOfferedTo()
	_, err = h.at(t, asked).DeclineReferral(serving(t), decline(referralv1.DeclineGrounds_DECLINE_GROUNDS_OTHER, offered))
	refuse(err, "NOTE_REQUIRED", map[string]string{"field": "note"})
	if diff := cmp.Diff(before, h.dump(t)); diff != "" {
		t.Errorf("a refusal changed something: %s", diff)
	}
	if holder != township {
		t.Errorf("held by %s", holder)
	}

	_, err = accept(h, t, lead, late.GetId())
	ok(t, err)
	_, err = h.at(t, lead).AssignReferral(assessing(t), &referralv1.AssignReferralRequest{RequestId: request(), ReferralId: late.GetId(), Unit: "youth_council"})
	refuse(err, "UNIT_UNSUITABLE", map[string]string{"field": "unit", "unit": "youth_council"})
	for name := range referralv1.Reason_value {
		if name != "REASON_UNSPECIFIED" && name != "REASON_LEAD_CANNOT_DECLINE" && !produced[name] {
			t.Errorf("%s was never produced", name)
		}
	}
	h.promises(t)
}

// dump is everything a refusal must leave alone.
func (h *house) dump(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for name, sql := range map[string]string{
		"versions":    "SELECT (SELECT sum(version) FROM referral) + (SELECT sum(version) FROM support_case)",
		"custody":     "SELECT count(*) FROM custody",
		"events":      "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM feed)",
		"idempotency": "SELECT count(*) FROM idempotency",
		"effects":     "SELECT count(*) FROM audit WHERE effect",
	} {
		var n int64
		ok(t, h.db.QueryRow(t.Context(), sql).Scan(&n))
		counts[name] = n
	}
	return counts
}

// Who may not know of an item cannot tell it from one that does not exist, by whatever call.
func TestAStrangerLearnsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, referrals := h.open(t, "legal_aid")
	referral, caseID, nothing := referrals[0].GetStanding().GetId(), c.GetStanding().GetId(), uuid.NewString()
	stranger, other := h.at(t, "health"), h.at(t, "township/320411122000")
	calls := map[string]func(id string) error{
		"GetReferral": func(id string) error {
			_, err := stranger.read.GetReferral(serving(t), &referralv1.GetReferralRequest{ReferralId: id})
			return err
		},
		"GetCustodyHistory": func(id string) error {
			_, err := stranger.read.GetCustodyHistory(serving(t), &referralv1.GetCustodyHistoryRequest{Id: id})
			return err
		},
		"AcceptReferral": func(id string) error { _, err := accept(h, t, "health", id); return err },
		"AcceptReferral with a stale etag": func(id string) error {
			_, err := stranger.AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: id, Etag: "v9"})
			return err
		},
		"DeliverReferral": func(id string) error { _, err := stranger.DeliverReferral(serving(t), deliver(id)); return err },
		"ConfirmReferral": func(id string) error {
			_, err := h.at(t, "village/320411122201").ConfirmReferral(serving(t), &referralv1.ConfirmReferralRequest{RequestId: request(), ReferralId: id})
			return err
		},
		"GetCase": func(id string) error {
			_, err := other.read.GetCase(assessing(t), &referralv1.GetCaseRequest{CaseId: id})
			return err
		},
		"CloseCase": func(id string) error {
			_, err := other.CloseCase(assessing(t), &referralv1.CloseCaseRequest{RequestId: request(), CaseId: id, Note: "结案"})
			return err
		},
	}
	for name, call := range calls {
		id := referral
		if name == "GetCase" || name == "CloseCase" {
			id = caseID
		}
		hidden, absent := status.Convert(call(id)).Proto(), status.Convert(call(nothing)).Proto()
		if diff := cmp.Diff(absent, hidden, protocmp.Transform(), protocmp.IgnoreFields(&errdetails.RequestInfo{}, "request_id")); diff != "" {
			t.Errorf("%s tells the hidden from the absent: %s", name, diff)
		}
		refused(t, status.FromProto(hidden).Err(), "NOT_FOUND")
	}
	_, err := h.at(t, village).AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: referral})
	refused(t, err, "METHOD_NOT_ALLOWED")
}

func TestARequestHasOneEffect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "family_education")
	id := referrals[0].GetStanding().GetId()
	unit := h.at(t, "womens_federation")
	q := decline(referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, id)
	only := proto.Clone(q).(*referralv1.DeclineReferralRequest)
	only.ValidateOnly = true
	before := h.dump(t)
	checked, err := unit.DeclineReferral(serving(t), only)
	ok(t, err)
	if diff := cmp.Diff(&referralv1.DeclineReferralResponse{}, checked, protocmp.Transform()); diff != "" {
		t.Errorf("a check answers %s", diff)
	}
	if diff := cmp.Diff(before, h.dump(t)); diff != "" {
		t.Errorf("a check changed something: %s", diff)
	}
	first, err := unit.DeclineReferral(serving(t), q)
	ok(t, err)
	after := h.dump(t)
	// The command has taken away the unit's part in the referral; its retry is answered all the same.
	again, err := unit.DeclineReferral(serving(t), q)
	ok(t, err)
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
		t.Errorf("the retry answers otherwise: %s", diff)
	}
	if diff := cmp.Diff(after, h.dump(t)); diff != "" {
		t.Errorf("the retry changed something: %s", diff)
	}
	q.Grounds = referralv1.DeclineGrounds_DECLINE_GROUNDS_CONFLICT
	_, err = unit.DeclineReferral(serving(t), q)
	refused(t, err, "REQUEST_ID_REUSED")
	_, err = unit.DeclineReferral(serving(t), &referralv1.DeclineReferralRequest{ReferralId: id, Grounds: 1})
	refused(t, err, "REQUEST_ID_REQUIRED")
	_, err = unit.DeclineReferral(serving(t), &referralv1.DeclineReferralRequest{RequestId: request(), ReferralId: id})
	refused(t, err, "FIELD_INVALID")
	_, err = h.at(t, "justice").AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: id, Etag: "v1"})
	refused(t, err, "ETAG_MISMATCH")
	only.RequestId = request()
	_, err = unit.DeclineReferral(serving(t), only)
	refused(t, err, "NOT_FOUND")
	h.promises(t)
}

// The same request sent many times at once, and two different ones, have one effect between them.
func TestTwoAcceptAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "legal_aid")
	id := referrals[0].GetStanding().GetId()
	same := request()
	requests := []string{same, same, same, request(), request()}
	answers, errs := make([]*custodyv1.Standing, len(requests)), make([]error, len(requests))
	unit := h.at(t, "justice")
	together(len(requests), func(i int) {
		got, err := unit.AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: requests[i], ReferralId: id})
		answers[i], errs[i] = got.GetStanding(), err
	})
	accepted := map[string]bool{}
	for i, err := range errs {
		if err == nil {
			accepted[requests[i]] = true
			if answers[i].GetVersion() != 2 || answers[i].GetHolder() != "justice" {
				t.Errorf("answered %v", answers[i])
			}
			continue
		}
		refused(t, err, "STATE_FORBIDS")
	}
	if len(accepted) != 1 {
		t.Errorf("%d requests were told that they accepted", len(accepted))
	}
	for i, err := range errs {
		if accepted[requests[i]] && err != nil {
			t.Errorf("one sending of the request that won was told %v", err)
		}
	}
	h.history(t, id, []string{"offered", "accepted"})
	h.promises(t)
}

// The deadline and the acceptance meet: exactly one of them happens, and the loser is told so.
func TestAcceptanceAgainstTheDeadline(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 5 {
		_, referrals := h.open(t, "psychological_support")
		id := referrals[0].GetStanding().GetId()
		var accepting, passing error
		together(2, func(i int) {
			if i == 0 {
				_, accepting = accept(h, t, "youth_league", id)
				return
			}
			_, passing = h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{
				Target: &devclockv1.AdvanceRequest_To{To: referrals[0].GetStanding().GetDeadline()},
			})
		})
		ok(t, passing)
		got := h.get(t, id)
		switch {
		case accepting == nil && got.GetStanding().GetHolder() != "youth_league":
			t.Errorf("accepted, and held by %v", got.GetStanding())
		case accepting != nil:
			reason, _ := reasonOf(accepting)
			// Once the offer has moved on, the unit that stayed silent has no part in the referral any more.
			if reason != "NOT_FOUND" || got.GetStanding().GetOfferedTo() != "womens_federation" {
				t.Errorf("refused with %v, standing %v", accepting, got.GetStanding())
			}
		}
		if got.GetStanding().GetVersion() != 2 {
			t.Errorf("version %d: both happened", got.GetStanding().GetVersion())
		}
	}
	h.promises(t)
}

func together(n int, do func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	group.Wait()
}
