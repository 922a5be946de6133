package referral_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/referral"
)

// promises demands that nothing in the database breaks one of the five.
func (h *house) promises(t *testing.T) {
	t.Helper()
	h.settle(t)
	counts, err := referral.Promises(t.Context(), h.db, h.now(t))
	ok(t, err)
	for _, c := range counts {
		if c.Violations != 0 {
			t.Errorf("promise %d, %s: %d of %d", c.Promise, c.Name, c.Violations, c.Checked)
		}
	}
}

func TestOneNeedFromTheAssessmentToTheConfirmation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, referrals := h.open(t, "psychological_support")
	id := referrals[0].GetStanding().GetId()
	if c.GetStanding().GetHolder() != township || c.GetColour() != personv1.RiskColour_RISK_COLOUR_YELLOW || c.GetSummary() == "" {
		t.Errorf("case is %v", c.GetStanding())
	}
	unit := h.at(t, "youth_league")
	accepted, err := unit.AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: id})
	ok(t, err)
	if s := accepted.GetStanding(); s.GetHolder() != "youth_league" || s.GetOfferedTo() != "" || s.GetClock() != "need.deliver" || s.GetVersion() != 2 {
		t.Errorf("accepted: %v", s)
	}
	_, err = unit.RecordProgress(serving(t), &referralv1.RecordProgressRequest{RequestId: request(), ReferralId: id, Note: "首次面谈"})
	ok(t, err)
	deliver := &referralv1.DeliverReferralRequest{ReferralId: id, Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED, Note: "八次面谈"}
	deliver.RequestId = request()
	delivered, err := unit.DeliverReferral(serving(t), deliver)
	ok(t, err)
	if s := delivered.GetStanding(); s.GetHolder() != "youth_league" || s.GetOfferedTo() != village || s.GetClock() != "referral.confirm" {
		t.Errorf("delivered: %v", s)
	}
	_, err = h.at(t, village).RejectDelivery(serving(t), &referralv1.RejectDeliveryRequest{RequestId: request(), ReferralId: id, Note: "只来过一次"})
	ok(t, err)
	deliver.RequestId = request()
	_, err = unit.DeliverReferral(serving(t), deliver)
	ok(t, err)
	confirmed, err := h.at(t, village).ConfirmReferral(serving(t), &referralv1.ConfirmReferralRequest{RequestId: request(), ReferralId: id})
	ok(t, err)
	if s := confirmed.GetStanding(); confirmed.GetState() != referralv1.Referral_STATE_CONFIRMED || s.GetHolder() != "" || s.GetDeadline() != nil {
		t.Errorf("confirmed: %v", s)
	}
	closed, err := h.at(t, township).CloseCase(assessing(t), &referralv1.CloseCaseRequest{RequestId: request(), CaseId: c.GetStanding().GetId(), Note: "已改善"})
	ok(t, err)
	if closed.GetState() != referralv1.Case_STATE_CLOSED || closed.GetStanding().GetHolder() != "" {
		t.Errorf("closed: %v", closed)
	}
	h.history(t, id, []string{"offered", "accepted", "progressed", "delivered", "rejected", "delivered", "confirmed"})
	h.promises(t)
}

// history compares the reasons of an item's custody points and demands that the township can read them.
func (h *house) history(t *testing.T, id string, want []string) {
	t.Helper()
	answer, err := h.at(t, township).read.GetCustodyHistory(serving(t), &referralv1.GetCustodyHistoryRequest{Id: id})
	ok(t, err)
	var got []string
	for i, p := range answer.GetPoints() {
		got = append(got, p.GetReason())
		if p.GetVersion() != int64(i+1) {
			t.Errorf("point %d is of version %d", i, p.GetVersion())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDeclineGoesToTheFallback(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "family_education")
	id := referrals[0].GetStanding().GetId()
	declined, err := h.at(t, "womens_federation").DeclineReferral(serving(t), &referralv1.DeclineReferralRequest{
		RequestId: request(), ReferralId: id, Grounds: referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY,
	})
	ok(t, err)
	if s := declined.GetStanding(); s.GetHolder() != township || s.GetOfferedTo() != "justice" {
		t.Errorf("declined: %v", s)
	}
	_, err = h.at(t, "justice").AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: id})
	ok(t, err)
	h.history(t, id, []string{"offered", "declined", "accepted"})
	h.promises(t)
}

func TestSilenceEndsAtTheLeadOfficeWhichAssigns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "after_school_care")
	id := referrals[0].GetStanding().GetId()
	h.pass(t, referrals[0].GetStanding())
	asked := h.get(t, id)
	if s := asked.GetStanding(); s.GetHolder() != township || s.GetOfferedTo() != "womens_federation" {
		t.Errorf("after the first silence: %v", s)
	}
	h.pass(t, asked.GetStanding())
	held := h.get(t, id)
	if s := held.GetStanding(); held.GetState() != referralv1.Referral_STATE_ESCALATED || s.GetHolder() != lead || s.GetOfferedTo() != "" {
		t.Errorf("after the second silence: %v", s)
	}
	h.settle(t) // nothing is due twice
	h.history(t, id, []string{"offered", "unanswered", "escalated"})
	assigned, err := h.at(t, lead).AssignReferral(assessing(t), &referralv1.AssignReferralRequest{RequestId: request(), ReferralId: id, Unit: "youth_league"})
	ok(t, err)
	if s := assigned.GetStanding(); s.GetHolder() != lead || s.GetOfferedTo() != "youth_league" {
		t.Errorf("assigned: %v", s)
	}
	accepted, err := h.at(t, "youth_league").AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: id})
	ok(t, err)
	h.pass(t, accepted.GetStanding())
	late := h.get(t, id)
	if s := late.GetStanding(); s.GetHolder() != "youth_league" || s.GetOfferedTo() != lead || !late.GetOverdue() {
		t.Errorf("after a missed delivery: %v", s)
	}
	h.pass(t, late.GetStanding())
	if s := h.get(t, id).GetStanding(); s.GetHolder() != lead {
		t.Errorf("after the next silence: %v", s)
	}
	h.promises(t)
}

func TestAReviewThatIsMissedTwiceTakesTheCaseToTheLead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, _ := h.open(t, "legal_aid")
	review := &referralv1.ReviewCaseRequest{RequestId: request(), CaseId: c.GetStanding().GetId(), Note: "平稳"}
	reviewed, err := h.at(t, township).ReviewCase(assessing(t), review)
	ok(t, err)
	h.pass(t, reviewed.GetStanding())
	read := func() *referralv1.Case {
		got, err := h.at(t, lead).read.GetCase(assessing(t), &referralv1.GetCaseRequest{CaseId: c.GetStanding().GetId()})
		ok(t, err)
		return got.GetSupportCase()
	}
	h.pass(t, read().GetStanding())
	if s := read().GetStanding(); s.GetHolder() != lead || s.GetClock() != "lead.resolve" {
		t.Errorf("after two misses: %v", s)
	}
	back, err := h.at(t, lead).ReviewCase(assessing(t), &referralv1.ReviewCaseRequest{RequestId: request(), CaseId: c.GetStanding().GetId(), Note: "交回"})
	ok(t, err)
	if back.GetStanding().GetHolder() != township {
		t.Errorf("the lead's review left it with %s", back.GetStanding().GetHolder())
	}
	h.promises(t)
}

func TestReliefSettlesTheReferralItCameFrom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for what, outcome := range map[string]referralv1.DeliveryOutcome{
		"paid":    referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED,
		"refused": referralv1.DeliveryOutcome_DELIVERY_OUTCOME_NOT_ENTITLED,
	} {
		_, referrals := h.open(t, "temporary_relief")
		id := referrals[0].GetStanding().GetId()
		_, err := h.at(t, township).AcceptReferral(serving(t), &referralv1.AcceptReferralRequest{RequestId: request(), ReferralId: id})
		ok(t, err)
		application := uuid.NewString()
		h.applications.Store(application, &reliefv1.Application{ReferralId: id})
		h.say(t, "application", what, application, referrals[0].GetStanding().GetMatterId(), h.now(t))
		h.say(t, "application", what, application, referrals[0].GetStanding().GetMatterId(), h.now(t)) // said twice, it is delivered once
		h.settle(t)
		got := h.get(t, id)
		if got.GetState() != referralv1.Referral_STATE_DELIVERED || got.GetStanding().GetOfferedTo() != village || len(got.GetDeliveries()) != 1 {
			t.Fatalf("%s: %v", what, got.GetStanding())
		}
		if d := got.GetDeliveries()[0]; d.GetOutcome() != outcome || d.GetApplicationId() != application || d.GetDeliverDate() != "2026-03-02" {
			t.Errorf("%s: delivered %v", what, d)
		}
	}
	h.promises(t)
}

func TestTheSameAssessmentOpensOneCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.conclude(t, "legal_aid", "psychological_support")
	h.say(t, "assessment", "concluded", a.GetStanding().GetId(), a.GetStanding().GetMatterId(), h.now(t))
	h.say(t, "assessment", "recorded", uuid.NewString(), a.GetStanding().GetMatterId(), h.now(t))
	without := h.conclude(t)
	c, referrals := h.openFor(t, a)
	if referrals[0] == nil || referrals[1] == nil || c.GetAssessmentId() != a.GetStanding().GetId() {
		t.Error("a need was lost")
	}
	none, err := h.at(t, township).read.ListCases(assessing(t), &referralv1.ListCasesRequest{MatterId: without.GetStanding().GetMatterId()})
	ok(t, err)
	if len(none.GetCases()) != 0 {
		t.Error("an assessment without needs opened a case")
	}
	h.promises(t)
}

// A child that nobody knew when its case was opened is known everywhere once it is bound, and again when it is bound anew; nobody's clock moves.
func TestAChildThatIsBoundLaterIsKnownInItsCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	early := &reportingv1.Assessment{Standing: &custodyv1.Standing{Id: uuid.NewString(), MatterId: uuid.NewString()}, ChildId: uuid.NewString()}
	h.assessments.Store(early.GetStanding().GetId(), early)
	h.say(t, "assessment", "bound", early.GetStanding().GetId(), early.GetStanding().GetMatterId(), h.now(t)) // not concluded: nothing is here to bind
	a := assess("legal_aid", "psychological_support")
	a.ChildId = ""
	h.assessments.Store(a.GetStanding().GetId(), a)
	h.say(t, "assessment", "concluded", a.GetStanding().GetId(), a.GetStanding().GetMatterId(), h.now(t))
	opened, before := h.openFor(t, a)
	if opened.GetChildId() != "" || before[0].GetChildId() != "" {
		t.Fatal("the case knows a child that nobody knew")
	}
	for range 2 { // bound, and bound anew; each said twice
		known := proto.CloneOf(a)
		known.ChildId = uuid.NewString()
		h.assessments.Store(a.GetStanding().GetId(), known)
		for range 2 {
			h.say(t, "assessment", "bound", a.GetStanding().GetId(), a.GetStanding().GetMatterId(), h.now(t))
		}
		h.settle(t)
		bound, after := h.openFor(t, a)
		if bound.GetChildId() != known.GetChildId() || !bound.GetStanding().GetDeadline().AsTime().Equal(opened.GetStanding().GetDeadline().AsTime()) {
			t.Errorf("the case names %q and is due %v", bound.GetChildId(), bound.GetStanding().GetDeadline().AsTime())
		}
		for i, r := range after {
			if r.GetChildId() != known.GetChildId() || r.GetStanding().GetOfferedTo() != before[i].GetStanding().GetOfferedTo() || !r.GetStanding().GetDeadline().AsTime().Equal(before[i].GetStanding().GetDeadline().AsTime()) {
				t.Errorf("referral for %s: %v", r.GetNeed(), r.GetStanding())
			}
		}
	}
	if version := h.get(t, before[0].GetStanding().GetId()).GetStanding().GetVersion(); version != before[0].GetStanding().GetVersion()+2 {
		t.Errorf("two bindings moved the referral from version %d to %d", before[0].GetStanding().GetVersion(), version)
	}
	h.promises(t)
}

func TestAnUnroutableAssessmentIsParkedAndAppliedAfterRepair(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.conclude(t, "moon_travel")
	h.settle(t)
	operator := h.at(t, "operations")
	parked, err := operator.operations.ListParkedEvents(t.Context(), &referralv1.ListParkedEventsRequest{})
	ok(t, err)
	if len(parked.GetParkedEvents()) != 1 || parked.GetParkedEvents()[0].GetEvent().GetSubjectId() != a.GetStanding().GetId() {
		t.Fatalf("parked: %v", parked)
	}
	seq := parked.GetParkedEvents()[0].GetEvent().GetSeq()
	retry := func(seq int64, only bool) error {
		_, err := operator.operations.RetryParkedEvent(t.Context(), &referralv1.RetryParkedEventRequest{
			RequestId: request(), Follower: "referral.reporting", Seq: seq, ValidateOnly: only,
		})
		return err
	}
	refused(t, retry(seq+1, false), "PARKED_EVENT_NOT_FOUND")
	refused(t, retry(seq+1, true), "PARKED_EVENT_NOT_FOUND")
	a.Needs[0].Code = "legal_aid"
	ok(t, retry(seq, true))
	ok(t, retry(seq, false))
	if _, referrals := h.openFor(t, a); referrals[0].GetStanding().GetOfferedTo() != "justice" {
		t.Error("the repaired event was not applied")
	}
	h.promises(t)
}

func TestAUnitsWorkListAndFeedShowWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "psychological_support", "legal_aid")
	work := func(unit string, filter *custodyv1.WorkFilter) []string {
		var ids []string
		var token string
		for {
			page, err := h.at(t, unit).read.ListWork(t.Context(), &referralv1.ListWorkRequest{Filter: filter, PageSize: 1, PageToken: token})
			ok(t, err)
			for _, item := range page.GetItems() {
				ids = append(ids, item.GetKind()+" "+item.GetState())
			}
			if token = page.GetNextPageToken(); token == "" {
				return ids
			}
		}
	}
	for _, c := range []struct {
		unit   string
		filter *custodyv1.WorkFilter
		want   []string
	}{
		{"youth_league", nil, []string{"referral OFFERED"}},
		{"youth_league", &custodyv1.WorkFilter{Side: custodyv1.Side_SIDE_HOLDER}, nil},
		{"justice", &custodyv1.WorkFilter{Side: custodyv1.Side_SIDE_OFFERED}, []string{"referral OFFERED"}},
		{township, nil, []string{"referral OFFERED", "referral OFFERED", "case OPEN"}},
	} {
		if diff := cmp.Diff(c.want, work(c.unit, c.filter)); diff != "" {
			t.Errorf("%s %v: %s", c.unit, c.filter, diff)
		}
	}
	_, err := h.at(t, "youth_league").read.ListWork(t.Context(), &referralv1.ListWorkRequest{Filter: &custodyv1.WorkFilter{Unit: township}})
	if reason := client.Refusal(err).GetReason(); reason != "METHOD_NOT_ALLOWED" {
		t.Errorf("the work of another unit: %v", err)
	}
	read := func(unit string) (types []string) {
		for token := ""; ; {
			batch, err := h.at(t, unit).feed.ReadFeed(t.Context(), &referralv1.ReadFeedRequest{Position: &feedv1.Position{Token: token}})
			ok(t, err)
			for _, ev := range batch.GetBatch().GetEvents() {
				types = append(types, ev.GetType()+" "+ev.GetSubjectId())
			}
			if token = batch.GetBatch().GetToken(); batch.GetBatch().GetThrough() == batch.GetBatch().GetHead() && batch.GetBatch().GetHead() >= 3 {
				return types
			}
		}
	}
	if diff := cmp.Diff([]string{"referral.offered " + referrals[0].GetStanding().GetId()}, read("youth_league")); diff != "" {
		t.Error(diff)
	}
	if got := read(township); len(got) != 3 {
		t.Errorf("the township's feed: %v", got)
	}
}

func TestListsArePagedNewestFirstAndBoundToTheirCaller(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var want []string
	for range 3 {
		c, _ := h.open(t, "legal_aid")
		want = append([]string{c.GetStanding().GetId()}, want...)
		_, err := h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{BySeconds: 60}})
		ok(t, err)
	}
	var got []string
	q := &referralv1.ListCasesRequest{PageSize: 2, Division: "320411101000", State: referralv1.Case_STATE_OPEN}
	for {
		page, err := h.at(t, township).read.ListCases(assessing(t), q)
		ok(t, err)
		for _, c := range page.GetCases() {
			got = append(got, c.GetStanding().GetId())
		}
		if page.GetNextPageToken() == "" {
			break
		}
		q.PageToken = page.GetNextPageToken()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err := h.at(t, lead).read.ListCases(assessing(t), q)
	refused(t, err, "PAGE_TOKEN_INVALID")
	q.Division = "320411999000"
	_, err = h.at(t, township).read.ListCases(assessing(t), q)
	refused(t, err, "DIVISION_UNKNOWN")
	elsewhere, err := h.at(t, "township/320411122000").read.ListCases(assessing(t), &referralv1.ListCasesRequest{})
	ok(t, err)
	if len(elsewhere.GetCases()) != 0 {
		t.Error("another township sees the cases")
	}
	mine, err := h.at(t, "justice").read.ListReferrals(serving(t), &referralv1.ListReferralsRequest{Need: "legal_aid", State: referralv1.Referral_STATE_OFFERED})
	ok(t, err)
	if len(mine.GetReferrals()) != 3 {
		t.Errorf("justice sees %d referrals", len(mine.GetReferrals()))
	}
}

// What a newer replica has stored and this one does not know the class of is shown to nobody but those who may read the highest.
func TestUnknownContentIsMasked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, referrals := h.open(t, "legal_aid")
	id := referrals[0].GetStanding().GetId()
	unknown := protowire.AppendString(protowire.AppendTag(nil, 901, protowire.BytesType), "新字段")
	_, err := h.owner.Exec(t.Context(), `UPDATE referral SET sealed_abuse_detail = '\x00'::bytea || $2 WHERE id = $1`, id, unknown)
	ok(t, err)
	if got := h.get(t, id).ProtoReflect().GetUnknown(); len(got) == 0 {
		t.Error("a service of the suite does not get the unknown field")
	}
	got, err := h.at(t, "justice").read.GetReferral(serving(t), &referralv1.GetReferralRequest{ReferralId: id})
	ok(t, err)
	if len(got.GetReferral().ProtoReflect().GetUnknown()) != 0 {
		t.Error("justice gets the unknown field")
	}
	_, err = accept(h, t, "justice", id)
	ok(t, err)
	if got := h.get(t, id).ProtoReflect().GetUnknown(); len(got) == 0 {
		t.Error("a change by this replica lost the unknown field")
	}
}

func TestAReadLeavesARowAndShowsNoMoreThanItsClass(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, referrals := h.open(t, "legal_aid")
	got, err := h.at(t, "justice").read.GetReferral(serving(t), &referralv1.GetReferralRequest{ReferralId: referrals[0].GetStanding().GetId()})
	ok(t, err)
	if got.GetReferral().GetRequestNote() != "每周两次" {
		t.Errorf("justice reads the note as %q", got.GetReferral().GetRequestNote())
	}
	_, err = h.at(t, township).read.GetCase(assessing(t), &referralv1.GetCaseRequest{CaseId: c.GetStanding().GetId()})
	ok(t, err)
	var looks int
	err = h.db.QueryRow(t.Context(), `
		SELECT count(*) FROM audit WHERE NOT effect AND unit = 'justice' AND subject_id = $1 AND purpose = $2 AND class = $3`,
		referrals[0].GetStanding().GetId(), accessv1.Purpose_PURPOSE_SERVICE_DELIVERY, accessv1.DataClass_DATA_CLASS_PERSONAL).Scan(&looks)
	ok(t, err)
	if looks != 1 {
		t.Errorf("%d looks on record", looks)
	}
	version, err := h.as(t, identity.OfUnit(domain, "operations", "main")).read.GetVersion(t.Context(), &referralv1.GetVersionRequest{})
	ok(t, err)
	d, _ := xinbei()
	if v := version.GetVersion(); v.GetService() != "referral" || v.GetDistrictDigest() != d.Digest() || v.GetSchemaVersion() < 110 || len(v.GetContractDigest()) != 64 {
		t.Errorf("version %v", v)
	}
}
