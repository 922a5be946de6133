package rules_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Whoever waits for another station is not bound to wait: it takes the report back, and the offer says so.
func TestTheHolderTakesAnOfferBack(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), newReport(t)
	if err := rules.Transfer(d, r, rules.Actor{Unit: station}, other, "不在辖区", noon); err != nil {
		t.Fatal(err)
	}
	before := proto.CloneOf(r)
	refused(t, rules.Accept(d, r, rules.Actor{Unit: rules.Bureau}, noon), faultv1.Reason_REASON_STATE_FORBIDS, before, r)
	if err := rules.Accept(d, r, rules.Actor{Unit: station}, noon); err != nil {
		t.Fatal(err)
	}
	if r.GetState() != reportingv1.Report_STATE_RESPONDING || r.GetStanding().GetOfferedTo() != "" || r.GetTransfers()[0].GetOutcome() != reportingv1.Transfer_OUTCOME_WITHDRAWN {
		t.Errorf("taken back as %v", r)
	}
}

// A measure for the family is none for one child twice: a choice of one excludes per child, and each child may have its own.
func TestAChoiceOfOneIsMadeForEachChild(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := newReport(t, func(r *reportingv1.SubmitReportRequest) {
		nameChildren(r, 2)
		r.Situations = []string{"GUARDIAN_FAILURE"}
	})
	if err := rules.Accept(d, r, policeman, noon); err != nil {
		t.Fatal(err)
	}
	entrust := func(children ...string) error {
		req := measure("ENTRUST_OTHER_RELATIVE")
		req.ProvisionalChildIds = children
		return rules.RecordMeasure(d, r, policeman, req, measure1, noon)
	}
	first, second := r.GetChildren()[0].GetProvisionalChildId(), r.GetChildren()[1].GetProvisionalChildId()
	if err := entrust(first); err != nil {
		t.Fatal(err)
	}
	if missing := closes(t, d, r); !slices.Equal(missing, []string{"GUARDIAN_FAILURE.1"}) {
		t.Errorf("missing %v", missing)
	}
	before := proto.CloneOf(r)
	refused(t, rules.RecordMeasure(d, r, policeman, measure("CONTACT_PARENTS_RETURN"), measure2, noon), reportingv1.Reason_REASON_MEASURE_EXCLUDED, before, r)
	forSecond := measure("CONTACT_PARENTS_RETURN")
	forSecond.ProvisionalChildIds = []string{second}
	if err := rules.RecordMeasure(d, r, policeman, forSecond, measure2, noon); err != nil {
		t.Fatal(err)
	}
	if missing := closes(t, d, r); len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
}

// What was recorded before measures named children counts for all of them, so that no response that runs is stuck.
func TestAMeasureOfAnEarlierReleaseCountsForEveryChild(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := newReport(t, func(r *reportingv1.SubmitReportRequest) {
		nameChildren(r, 2)
		r.Situations = []string{"GUARDIAN_FAILURE"}
	})
	if err := rules.Accept(d, r, policeman, noon); err != nil {
		t.Fatal(err)
	}
	r.Measures = append(r.Measures, &reportingv1.Measure{Id: measure1, Code: "ENTRUST_OTHER_RELATIVE", TakeTime: timestamppb.New(noon)})
	if missing := closes(t, d, r); len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
}

// A declined bulletin that nobody addresses anew goes up, and is not offered again to whoever gave it back.
func TestADeclinedBulletinGoesUpToTheLeadOffice(t *testing.T) {
	t.Parallel()
	d, r := xinbei(t), responding(t)
	r.State = reportingv1.Report_STATE_RESPONSE_CLOSED
	b, err := rules.IssueBulletin(d, r, rules.Actor{Unit: station}, &reportingv1.IssueBulletinRequest{Text: "请评估", ToUnit: lead}, itemID, noon)
	if err != nil {
		t.Fatal(err)
	}
	before := proto.CloneOf(b)
	refused(t, rules.DeclineBulletin(d, b, rules.Actor{Unit: township}, "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, b)
	refused(t, rules.Readdress(d, b, rules.Actor{Unit: other}, township, "x", noon), faultv1.Reason_REASON_STATE_FORBIDS, before, b)
	if err := rules.DeclineBulletin(d, b, rules.Actor{Unit: lead}, "请核实居住地", noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	stands(t, "declined", b.GetStanding(), station, "", "township.notice")
	if err := rules.ExpireBulletin(d, b, b.GetStanding().GetDeadline().AsTime()); err != nil {
		t.Fatal(err)
	}
	stands(t, "silent", b.GetStanding(), lead, "", "lead.resolve")
	if err := rules.Readdress(d, b, rules.Actor{Unit: lead}, township, "查明居住地", noon.Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	stands(t, "addressed", b.GetStanding(), lead, township, "bulletin.acknowledge")
	opened, err := rules.Acknowledge(d, b, r, rules.Actor{Unit: township}, ids, noon.Add(49*time.Hour))
	if err != nil || opened[0].GetStanding().GetHolder() != township || opened[0].GetTownship() != township {
		t.Errorf("%v, %v", opened, err)
	}
}
