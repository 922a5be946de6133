package rules

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

const (
	village  = "village/320411101201"
	township = "township/320411101000"
	lead     = "civil_affairs"
)

// monday is 09:00 on an ordinary Monday in Asia/Shanghai.
var monday = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

func xinbei(t interface {
	Helper()
	Fatal(args ...any)
},
) *district.District {
	t.Helper()
	d, err := district.Load("../../../../districts/xinbei")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func assessment(needs ...*reportingv1.NeedFinding) *reportingv1.Assessment {
	return &reportingv1.Assessment{
		Standing: &custodyv1.Standing{Id: "11111111-1111-4111-8111-111111111111", MatterId: "22222222-2222-4222-8222-222222222222"},
		Division: "320411101201", Township: township, ProvisionalChildId: "33333333-3333-4333-8333-333333333333",
		Colour: personv1.RiskColour_RISK_COLOUR_YELLOW, Summary: "独居，需要支持", Needs: needs,
	}
}

func need(code string) *reportingv1.NeedFinding { return &reportingv1.NeedFinding{Code: code} }

// opened gives the only referral of a case with one need.
func opened(t *testing.T, d *district.District, finding *reportingv1.NeedFinding) *referralv1.Referral {
	t.Helper()
	_, referrals, err := Open(d, assessment(finding), monday)
	if err != nil {
		t.Fatal(err)
	}
	return referrals[0]
}

func by(unit string, now time.Time) Act { return Act{Unit: unit, Officer: "officer", Now: now} }

// where says in one line where a referral stands.
func where(r *referralv1.Referral) [4]string {
	s := r.GetStanding()
	return [4]string{state(r), s.GetHolder(), s.GetOfferedTo(), s.GetClock()}
}

func expect(t *testing.T, r *referralv1.Referral, want ...string) {
	t.Helper()
	if diff := cmp.Diff([4]string(want), where(r)); diff != "" {
		t.Errorf("stands elsewhere: %s", diff)
	}
}

func must(t *testing.T, want string) func(string, error) {
	t.Helper()
	return func(got string, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

func refused(t *testing.T, err error, reason fault.Reason) {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Errorf("got %v, want %v", err, reason)
	}
}

func TestAnAssessmentOpensOneCaseWithAReferralForEachNeed(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	elsewhere := &reportingv1.NeedFinding{Code: "temporary_relief", PlaceDivision: "320411122000", Note: "伙食费"}
	c, referrals, err := Open(d, assessment(need("psychological_support"), elsewhere), monday)
	if err != nil {
		t.Fatal(err)
	}
	if c.GetStanding().GetHolder() != township || c.GetVillage() != village || c.GetStanding().GetClock() != "case.review" ||
		c.GetStanding().GetMatterId() != "22222222-2222-4222-8222-222222222222" {
		t.Errorf("case stands %v", c.GetStanding())
	}
	expect(t, referrals[0], "OFFERED", township, "youth_league", "need.accept")
	expect(t, referrals[1], "OFFERED", township, "township/320411122000", "need.accept")
	if referrals[0].GetDuty() != "CYL-2" || referrals[1].GetRequestNote() != "伙食费" {
		t.Errorf("duty or note lost: %v", referrals)
	}
	again, same, _ := Open(d, assessment(need("psychological_support"), elsewhere), monday.Add(time.Hour))
	if again.GetStanding().GetId() != c.GetStanding().GetId() || same[1].GetStanding().GetId() != referrals[1].GetStanding().GetId() ||
		referrals[0].GetStanding().GetId() == referrals[1].GetStanding().GetId() {
		t.Error("ids do not follow from the assessment")
	}
}

func TestAnAssessmentUnderOtherDistrictDataOpensNothing(t *testing.T) {
	t.Parallel()
	if _, _, err := Open(xinbei(t), assessment(need("moon_travel")), monday); err == nil {
		t.Error("an unknown need was routed")
	}
}

func TestTheDeadlineOfAnOfferIsTheNeedsOwn(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	for code, want := range map[string]string{
		"emergency_placement":   "2026-03-02T03:00:00Z", // two hours
		"psychological_support": "2026-03-04T16:00:00Z", // two working days, to the end of Wednesday in Shanghai
	} {
		if got := opened(t, d, need(code)).GetStanding().GetDeadline().AsTime().Format(time.RFC3339); got != want {
			t.Errorf("%s: deadline %s, want %s", code, got, want)
		}
	}
	r := opened(t, d, &reportingv1.NeedFinding{Code: "protection_order", Urgent: true})
	must(t, Accepted)(Accept(d, r, by("court", monday)))
	if got := r.GetStanding(); got.GetClock() != "need.urgent" || got.GetDeadline().AsTime().Sub(monday) != 24*time.Hour {
		t.Errorf("an urgent protection order stands %v", got)
	}
}

func TestDeclineMovesTheOfferToTheFallbackAndThenTheLeadHolds(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := opened(t, d, need("family_education"))
	must(t, Declined)(Decline(d, r, by("womens_federation", monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, ""))
	expect(t, r, "OFFERED", township, "justice", "need.accept")
	must(t, Escalated)(Decline(d, r, by("justice", monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_OTHER, "不在职责内"))
	expect(t, r, "ESCALATED", lead, "", "lead.resolve")
	if custody.Overdue(r.GetStanding()) {
		t.Error("nobody missed a deadline")
	}
}

func TestSilenceMovesTheOfferToTheFallbackAndThenTheLeadHolds(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := opened(t, d, need("after_school_care"))
	later := r.GetStanding().GetDeadline().AsTime()
	if got := Expire(d, r, later); got != Unanswered {
		t.Errorf("got %s", got)
	}
	expect(t, r, "OFFERED", township, "womens_federation", "need.accept")
	if got := Expire(d, r, r.GetStanding().GetDeadline().AsTime()); got != Escalated {
		t.Errorf("got %s", got)
	}
	expect(t, r, "ESCALATED", lead, "", "lead.resolve")
	if got := Expire(d, r, r.GetStanding().GetDeadline().AsTime()); got != Overdue || !custody.Overdue(r.GetStanding()) {
		t.Errorf("got %s, overdue %t", got, custody.Overdue(r.GetStanding()))
	}
	expect(t, r, "ESCALATED", lead, "", "overdue.review")
	for _, offer := range r.GetOffers() {
		if offer.GetAnswer() != referralv1.Offer_ANSWER_SILENT {
			t.Errorf("offer to %s is %s", offer.GetUnit(), offer.GetAnswer())
		}
	}
}

func TestOnlyTheOfferedUnitAnswers(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := opened(t, d, need("psychological_support"))
	_, err := Accept(d, r, by(township, monday))
	refused(t, err, referralv1.Reason_REASON_NOT_OFFERED)
	_, err = Decline(d, r, by("health", monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_CONFLICT, "")
	refused(t, err, referralv1.Reason_REASON_NOT_OFFERED)
	_, err = Decline(d, r, by("youth_league", monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_OTHER, "")
	refused(t, err, referralv1.Reason_REASON_NOTE_REQUIRED)
	expect(t, r, "OFFERED", township, "youth_league", "need.accept")
}

func TestDeliveryIsConfirmedByTheChildsSide(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := opened(t, d, need("psychological_support"))
	unit := by("youth_league", monday)
	must(t, Accepted)(Accept(d, r, unit))
	expect(t, r, "ACCEPTED", "youth_league", "", "need.deliver")
	must(t, Progressed)(Progress(r, unit, "2026-03-01", "首次面谈"))
	expect(t, r, "IN_PROGRESS", "youth_league", "", "need.deliver")
	_, err := Progress(r, unit, "2026-03-03", "明天")
	refused(t, err, referralv1.Reason_REASON_DATE_INVALID)
	_, err = Deliver(d, r, by(township, monday), Result{Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED})
	refused(t, err, referralv1.Reason_REASON_NOT_HOLDER)
	must(t, Delivered)(Deliver(d, r, unit, Result{Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED}))
	expect(t, r, "DELIVERED", "youth_league", village, "referral.confirm")
	_, err = Confirm(r, unit, "")
	refused(t, err, referralv1.Reason_REASON_OWN_DELIVERY)
	must(t, Rejected)(Reject(d, r, by(village, monday), "只来了一次"))
	expect(t, r, "ACCEPTED", "youth_league", "", "need.deliver")
	must(t, Delivered)(Deliver(d, r, unit, Result{Date: "2026-02-28"}))
	must(t, Confirmed)(Confirm(r, by(township, monday), "已见到"))
	expect(t, r, "CONFIRMED", "", "", "")
	if r.GetStanding().GetDeadline() != nil {
		t.Error("a closed referral has a deadline")
	}
	_, err = Accept(d, r, unit)
	refused(t, err, faultStateForbids)
}

func TestAnUnconfirmedDeliveryGoesToTheTownshipThenTheLead(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	cases := map[string]struct {
		need, unit string
		want       []string
	}{
		"by a member unit":      {"psychological_support", "youth_league", []string{Unconfirmed, Escalated, Overdue}},
		"by the township":       {"temporary_relief", township, []string{Escalated, Overdue}},
		"lead office delivered": {"social_assistance", lead, []string{Unconfirmed, Escalated, Overdue}},
	}
	for name, c := range cases {
		r := opened(t, d, need(c.need))
		must(t, Accepted)(Accept(d, r, by(c.unit, monday)))
		must(t, Delivered)(Deliver(d, r, by(c.unit, monday), Result{}))
		var got []string
		for range c.want {
			got = append(got, Expire(d, r, r.GetStanding().GetDeadline().AsTime()))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		expect(t, r, "DELIVERED", lead, "", "overdue.review")
		must(t, Confirmed)(Confirm(r, by(village, monday), "")) // late, but it can always still come
	}
}

func TestTheTownshipAnswersForTheChildWhenNoVillageIsKnown(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	a := assessment(need("temporary_relief"))
	a.Division = "320411101000"
	_, referrals, err := Open(d, a, monday)
	if err != nil {
		t.Fatal(err)
	}
	r := referrals[0]
	must(t, Accepted)(Accept(d, r, by(township, monday)))
	must(t, Delivered)(Deliver(d, r, by(township, monday), Result{}))
	expect(t, r, "DELIVERED", township, township, "referral.confirm")
	_, err = Confirm(r, by("township/320411122000", monday), "")
	refused(t, err, referralv1.Reason_REASON_NOT_OFFERED)
	must(t, Confirmed)(Confirm(r, by(township, monday), ""))
}

func TestAMissedDeliveryIsOfferedToTheLeadWhichMayTakeItAndAssignIt(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := opened(t, d, need("family_education"))
	must(t, Accepted)(Accept(d, r, by("womens_federation", monday)))
	if got := Expire(d, r, r.GetStanding().GetDeadline().AsTime()); got != Overdue {
		t.Errorf("got %s", got)
	}
	expect(t, r, "ACCEPTED", "womens_federation", lead, "lead.resolve")
	must(t, Declined)(Decline(d, r, by(lead, monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, ""))
	expect(t, r, "ACCEPTED", "womens_federation", "", "overdue.review")
	if got := Expire(d, r, r.GetStanding().GetDeadline().AsTime()); got != Overdue {
		t.Errorf("got %s", got)
	}
	expect(t, r, "ACCEPTED", "womens_federation", lead, "lead.resolve")
	_, err := Assign(d, r, by(lead, monday), "justice", "")
	refused(t, err, faultStateForbids)
	must(t, Escalated)(Accept(d, r, by(lead, monday)))
	expect(t, r, "ESCALATED", lead, "", "lead.resolve")
	for _, unit := range []string{lead, "village/320411101201", "nobody", "police/320411101000"} {
		_, err = Assign(d, r, by(lead, monday), unit, "")
		refused(t, err, referralv1.Reason_REASON_UNIT_UNSUITABLE)
	}
	_, err = Assign(d, r, by("justice", monday), "justice", "")
	refused(t, err, referralv1.Reason_REASON_NOT_HOLDER)
	must(t, Assigned)(Assign(d, r, by(lead, monday), "womens_federation", "请再协调"))
	expect(t, r, "OFFERED", lead, "womens_federation", "need.accept")
	must(t, Escalated)(Decline(d, r, by("womens_federation", monday), referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, ""))
	expect(t, r, "ESCALATED", lead, "", "lead.resolve")
	must(t, Delivered)(Deliver(d, r, by(lead, monday), Result{Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_NO_LONGER_NEEDED}))
	must(t, Rejected)(Reject(d, r, by(village, monday), "仍需要"))
	expect(t, r, "ESCALATED", lead, "", "lead.resolve")
}

func TestACaseIsReviewedClosedOrGoesToTheLead(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	c, _, err := Open(d, assessment(need("legal_aid")), monday)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Review(d, c, by(lead, monday), "")
	refused(t, err, referralv1.Reason_REASON_NOT_HOLDER)
	must(t, Reviewed)(Review(d, c, by(township, monday.AddDate(0, 0, 20)), "平稳"))
	if got := c.GetStanding().GetDeadline().AsTime(); !got.After(monday.AddDate(0, 1, 10)) {
		t.Errorf("the review did not start a new month: %v", got)
	}
	_, err = Close(c, by(township, monday), 2, "")
	refused(t, err, referralv1.Reason_REASON_CASE_HAS_OPEN_REFERRALS)
	for n, want := range []string{Overdue, Escalated, Overdue, Overdue} {
		if got := ExpireCase(d, c, c.GetStanding().GetDeadline().AsTime()); got != want {
			t.Errorf("expiry %d: got %s, want %s", n, got, want)
		}
	}
	if c.GetStanding().GetHolder() != lead {
		t.Errorf("held by %s", c.GetStanding().GetHolder())
	}
	must(t, Reviewed)(Review(d, c, by(lead, monday), "交回镇里"))
	must(t, Closed)(Close(c, by(township, monday), 0, "已解决"))
	if s := c.GetStanding(); s.GetHolder() != "" || s.GetDeadline() != nil {
		t.Errorf("closed and held: %v", s)
	}
	_, err = Review(d, c, by(township, monday), "")
	refused(t, err, faultStateForbids)
}
