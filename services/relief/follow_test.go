package relief_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// A referral that leads nowhere stops nothing else; once it is repaired, the operator lets it be applied.
func TestAnUnroutableReferralIsParkedAndAppliedAfterRepair(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lost := h.accept(t, "temporary_relief", uuid.NewString())
	nowhere := proto.CloneOf(lost)
	nowhere.PlaceDivision = "999999999999"
	h.referrals.Store(lost.GetStanding().GetId(), nowhere)
	h.opened(t, uuid.NewString()) // said after the lost one
	operator := h.at(t, "operations")
	parked, err := operator.operations.ListParkedEvents(t.Context(), &reliefv1.ListParkedEventsRequest{})
	ok(t, err)
	if len(parked.GetParkedEvents()) != 1 || parked.GetParkedEvents()[0].GetEvent().GetSubjectId() != lost.GetStanding().GetId() {
		t.Fatalf("%d events are parked", len(parked.GetParkedEvents()))
	}
	seq := parked.GetParkedEvents()[0].GetEvent().GetSeq()
	retry := func(follower string, seq int64, only bool) error {
		_, err := operator.operations.RetryParkedEvent(t.Context(), &reliefv1.RetryParkedEventRequest{
			RequestId: request(), Follower: follower, Seq: seq, ValidateOnly: only,
		})
		return err
	}
	refused(t, retry("relief.referral", seq+1, false), "PARKED_EVENT_NOT_FOUND")
	refused(t, retry("relief.referral", seq+1, true), "PARKED_EVENT_NOT_FOUND")
	refused(t, retry("relief.weather", seq, false), "PARKED_EVENT_NOT_FOUND")
	h.referrals.Store(lost.GetStanding().GetId(), lost)
	ok(t, retry("relief.referral", seq, true))
	ok(t, retry("relief.referral", seq, false))
	refused(t, retry("relief.referral", seq, false), "PARKED_EVENT_NOT_FOUND")
	h.found(t, lost)
	h.promises(t)
}

// A child that is bound after its referral was accepted becomes the beneficiary, and again when it is bound anew, until the application is
// handed in: then it is what is decided on.
func TestAChildThatIsBoundLaterBecomesTheBeneficiary(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bind := func(referral string) (child string) {
		stored, _ := h.referrals.Load(referral)
		r := proto.CloneOf(stored.(*referralv1.Referral))
		r.ChildId = uuid.NewString()
		h.referrals.Store(referral, r)
		for range 2 {
			h.say(t, "bound", r, h.now(t))
		}
		h.settle(t)
		return r.GetChildId()
	}
	opened := h.opened(t, "")
	get := func() *reliefv1.Application {
		got, err := h.at(t, township).read.GetApplication(deciding(t), &reliefv1.GetApplicationRequest{ApplicationId: opened.GetStanding().GetId()})
		ok(t, err)
		return got.GetApplication()
	}
	if opened.GetBeneficiaryId() != "" {
		t.Fatalf("beneficiary %q before anybody knows the child", opened.GetBeneficiaryId())
	}
	var child string
	for range 2 {
		child = bind(opened.GetReferralId())
		if a := get(); a.GetBeneficiaryId() != child || !a.GetStanding().GetDeadline().AsTime().Equal(opened.GetStanding().GetDeadline().AsTime()) {
			t.Errorf("beneficiary %q, due %v", a.GetBeneficiaryId(), a.GetStanding().GetDeadline().AsTime())
		}
	}
	q := asking("", 1000)
	q.ApplicationId = opened.GetStanding().GetId()
	_, err := h.at(t, township).SubmitApplication(deciding(t), q)
	ok(t, err)
	bind(opened.GetReferralId())
	if a := get(); a.GetBeneficiaryId() != child {
		t.Errorf("what is handed in was changed to %q", a.GetBeneficiaryId())
	}
	h.promises(t)
}

// found demands that a referral has opened one application, where it happened.
func (h *house) found(t *testing.T, r *referralv1.Referral) {
	t.Helper()
	listed, err := h.at(t, township).read.ListApplications(deciding(t), &reliefv1.ListApplicationsRequest{ReferralId: r.GetStanding().GetId()})
	ok(t, err)
	if len(listed.GetApplications()) != 1 || listed.GetApplications()[0].GetStanding().GetHolder() != township {
		t.Errorf("the referral has opened %d applications in the township", len(listed.GetApplications()))
	}
}

// The feed tells each unit what is its own: the township of its application, finance of every step of the money, others of nothing.
func TestTheFeedTellsOfTheMoney(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	payment := h.approved(t, 1000)
	batch := h.exported(t, payment)
	h.record(t, answering(t, batch, line(payment, "10.00", "00")))
	h.settle(t)
	for unit, want := range map[string][]string{
		township: {"application.submitted", "application.approved", "decision.made", "application.paid"},
		finance: {
			"budget_account.reserved", "payment.approved", "batch.frozen", "payment.frozen", "batch.approved", "batch.approved",
			"batch.exported", "payment.exported", "batch.settled", "payment.settled", "application.paid", "budget_account.paid",
		},
		"health": nil,
	} {
		got, err := h.at(t, unit).feed.ReadFeed(deciding(t), &reliefv1.ReadFeedRequest{Position: &feedv1.Position{}})
		ok(t, err)
		seen, expected := map[string]int{}, map[string]int{}
		for _, e := range got.GetBatch().GetEvents() {
			if e.GetType() != "budget_account.opened" { // of the district's budgets, at start
				seen[e.GetType()]++
			}
		}
		for _, kind := range want {
			expected[kind]++
		}
		if diff := cmp.Diff(expected, seen); diff != "" {
			t.Errorf("%s: %s", unit, diff)
		}
	}
}

// Money that nobody moves on stays with the lead office and goes on its agenda, however often the deadline passes.
func TestMoneyNobodyMovesIsOverdue(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	waiting, frozen := h.approved(t, 1000), h.approved(t, 2000)
	batch := h.freeze(t, frozen).GetStanding().GetId()
	for range 2 {
		h.pass(t, h.payment(t, waiting).GetStanding())
		h.pass(t, h.batch(t, batch).GetStanding())
	}
	for _, id := range []string{waiting, frozen} {
		if p := h.payment(t, id); !p.GetOverdue() || p.GetStanding().GetHolder() != lead || p.GetStanding().GetClock() != "overdue.review" {
			t.Errorf("a payment in %v: %v", p.GetState(), p.GetStanding())
		}
	}
	if b := h.batch(t, batch); !b.GetOverdue() || b.GetStanding().GetHolder() != lead {
		t.Errorf("the batch: %v", b.GetStanding())
	}
	h.promises(t)
}
