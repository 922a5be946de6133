package rules_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// What is odd about any of the children is flagged once; a report that can name no child is taken and says so.
func TestFlagsTellOfEveryChild(t *testing.T) {
	t.Parallel()
	several := newReport(t, func(r *reportingv1.SubmitReportRequest) { nameChildren(r, 2) })
	if want := []reportingv1.Flag{reportingv1.Flag_FLAG_AGE_UNKNOWN}; !slices.Equal(several.GetFlags(), want) {
		t.Errorf("flags %v, want %v", several.GetFlags(), want)
	}
	none := newReport(t, func(r *reportingv1.SubmitReportRequest) { nameChildren(r, 0) })
	if want := []reportingv1.Flag{reportingv1.Flag_FLAG_NO_CHILD_NAMED}; !slices.Equal(none.GetFlags(), want) || none.GetProvisionalChildId() != "" || none.GetStanding().GetHolder() != station {
		t.Errorf("a report about nobody: %v", none)
	}
	req := &reportingv1.AddChildRequest{Child: someChild(), Text: "衣柜内发现"}
	child, opened, err := rules.AddChild(xinbei(t), none, nil, rules.Actor{Unit: station, Officer: "police-320411101000-1"}, req, childID, itemID, noon)
	if err != nil || opened != nil || child.GetMatterId() != reportID || child.GetDivision() != village || none.GetProvisionalChildId() != childID {
		t.Fatalf("%v, %v, %v", child, opened, err)
	}
	if want := []reportingv1.Flag{reportingv1.Flag_FLAG_AGE_UNKNOWN}; !slices.Equal(none.GetFlags(), want) {
		t.Errorf("flags %v, want %v", none.GetFlags(), want)
	}
	if entry := none.GetChildren()[0]; entry.GetUnit() != station || entry.GetText() != "衣柜内发现" || !entry.GetAddTime().AsTime().Equal(noon) {
		t.Errorf("entered as %v", entry)
	}
}

func TestTheSameChildIsNotReportedTwice(t *testing.T) {
	t.Parallel()
	d, same := xinbei(t), &reportingv1.ChildDescription{Person: &personv1.Person{IdNumber: "320411201506010019"}}
	req := submission(func(r *reportingv1.SubmitReportRequest) { r.FurtherChildren = []*reportingv1.ChildDescription{same} })
	refused(t, rules.CheckSubmission(d, req, noon), reportingv1.Reason_REASON_CHILD_PRESENT, req, req)
	r, before := newReport(t), newReport(t)
	present := []*reportingv1.ProvisionalChild{{Person: same.GetPerson()}}
	_, _, err := rules.AddChild(d, r, present, rules.Actor{Unit: station}, &reportingv1.AddChildRequest{Child: same, Text: "x"}, childID, itemID, noon)
	refused(t, err, reportingv1.Reason_REASON_CHILD_PRESENT, before, r)
}

// A response without a child ends on an officer's word; with one, there is nothing to explain.
func TestAResponseEndsWithoutAChildOnlyOnAnOfficersWord(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	r := newReport(t, func(r *reportingv1.SubmitReportRequest) { nameChildren(r, 0) })
	system, person := rules.Actor{Unit: station}, rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	if err := rules.Accept(d, r, system, noon); err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
		if err := rules.RecordMeasure(d, r, person, measure(code), code, noon); err != nil {
			t.Fatal(err)
		}
	}
	before := proto.CloneOf(r)
	refused(t, rules.CloseResponse(d, r, person, "", noon), reportingv1.Reason_REASON_CHILD_REQUIRED, before, r)
	refused(t, rules.CloseResponse(d, r, system, "空屋", noon), reportingv1.Reason_REASON_OFFICER_REQUIRED, before, r)
	if err := rules.CloseResponse(d, r, person, "空屋", noon); err != nil || r.GetNoChildText() != "空屋" || r.GetNoChildOfficer() != person.Officer {
		t.Errorf("%v, %v", r, err)
	}
	with, before := responding(t), responding(t)
	for _, x := range []*reportingv1.Report{with, before} {
		for _, code := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
			if err := rules.RecordMeasure(d, x, person, measure(code), code, noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	refused(t, rules.CloseResponse(d, with, person, "空屋", noon), faultv1.Reason_REASON_FIELD_INVALID, before, with)
}

// Two children, one in care and one whom nobody has taken yet: the placement counts when both are answered, and each request names its child.
func TestAPlacementOfTwoChildrenCountsWhenBothAreTaken(t *testing.T) {
	t.Parallel()
	d, by := xinbei(t), rules.Actor{Unit: station}
	r := newReport(t, func(r *reportingv1.SubmitReportRequest) {
		nameChildren(r, 2)
		r.Situations = []string{"DOMESTIC_VIOLENCE"}
	})
	if err := rules.Accept(d, r, by, noon); err != nil {
		t.Fatal(err)
	}
	before := proto.CloneOf(r)
	_, err := rules.RequestPlacement(d, r, by, &reportingv1.RequestPlacementRequest{Kind: 1, Text: "x"}, measure1, itemID, noon)
	refused(t, err, reportingv1.Reason_REASON_CHILD_UNKNOWN, before, r)
	_, err = rules.StartSearch(d, r, by, &reportingv1.StartSearchRequest{LastSeenTime: timestamppb.New(noon)}, measure1, itemID, noon)
	refused(t, err, reportingv1.Reason_REASON_CHILD_UNKNOWN, before, r)
	var asked []*reportingv1.Placement
	for i, child := range r.GetChildren() {
		p, err := rules.RequestPlacement(d, r, by, &reportingv1.RequestPlacementRequest{Kind: 1, Text: "x", ProvisionalChildId: child.GetProvisionalChildId()}, []string{measure1, measure2}[i], itemID, noon)
		if err != nil {
			t.Fatal(err)
		}
		asked = append(asked, p)
	}
	for i, p := range asked {
		if placed := !slices.Contains(closes(t, d, r), "DOMESTIC_VIOLENCE.2"); placed {
			t.Errorf("with %d of two taken the group is met", i)
		}
		if err := rules.AcceptPlacement(d, p, r, rules.Actor{Unit: rules.Carer}, shelter, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Contains(closes(t, d, r), "DOMESTIC_VIOLENCE.2") {
		t.Error("with both taken the group is not met")
	}
}
