package rules

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// OpenReport makes a report of what police find themselves. They have accepted it by that. id makes the id of what a word names; "" is the report.
func OpenReport(d *district.District, by Actor, req *reportingv1.OpenReportRequest, id func(string) string, now time.Time) (*reportingv1.Report, []*reportingv1.ProvisionalChild, error) {
	place, err := residence(d, "residence_division", req.GetResidenceDivision(), now)
	if err != nil {
		return nil, nil, err
	}
	foundIn, err := found(d, req.GetFoundDivision(), now)
	if err != nil {
		return nil, nil, err
	}
	discovered := req.GetDiscoverTime()
	if discovered == nil {
		discovered = stamp(now)
	}
	if err := notInFuture("discover_time", discovered.AsTime(), now); err != nil {
		return nil, nil, err
	}
	r := &reportingv1.Report{
		Division: place.Code, StaleDivision: place.Stale, FoundDivision: foundIn, Situations: req.GetSituations(), OccurTime: req.GetOccurTime(),
		DiscoverTime: discovered, OccurPlace: req.GetOccurPlace(), Narrative: req.GetNarrative(),
	}
	children, err := raised(d, r, by, req.GetChildren(), id(""), id, now)
	return r, children, err
}

// raised checks and completes a report that police make themselves: it is accepted and theirs.
func raised(d *district.District, r *reportingv1.Report, by Actor, described []*reportingv1.ChildDescription, reportID string, id func(string) string, now time.Time) ([]*reportingv1.ProvisionalChild, error) {
	for n, code := range r.GetSituations() {
		if _, ok := d.Situation(code); !ok {
			return nil, situationUnknown(fmt.Sprintf("situations[%d]", n), code)
		}
	}
	if err := checkOccurred(r, r.GetOccurTime(), now); err != nil {
		return nil, err
	}
	if err := checkChildren(d, described, func(n int) (string, string) {
		return fmt.Sprintf("children[%d].person", n), fmt.Sprintf("children[%d].school_unit", n)
	}, now); err != nil {
		return nil, err
	}
	r.Standing = &custodyv1.Standing{Id: reportID, MatterId: reportID}
	r.State, r.ReceiptNumber, r.AcceptTime = reportingv1.Report_STATE_RESPONDING, receiptNumber(reportID, now), stamp(now)
	children := enter(d, r, described, id, now)
	custody.Hold(r.Standing, by.Unit)
	begin(d, r.Standing, district.ClockReportResponse, now)
	return children, nil
}

// EndReport ends a report that is none. Another officer than the acting one answers for it: what ends here is nobody's any more.
func EndReport(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.EndReportRequest, now time.Time) error {
	if err := ending(r, by, "endReport"); err != nil {
		return err
	}
	if !answers(d, req.GetSuperior(), by, now) {
		return superiorRequired()
	}
	if duplicate := req.GetReason() == reportingv1.ReportEnd_REASON_DUPLICATE; duplicate != (req.GetOtherReportId() != "") || req.GetOtherReportId() == r.GetStanding().GetId() {
		return fault.Invalid("other_report_id", "give the other report for a duplicate, and only then")
	}
	r.State = reportingv1.Report_STATE_ENDED
	r.End = &reportingv1.ReportEnd{
		Reason: req.GetReason(), Text: req.GetText(), OtherReportId: req.GetOtherReportId(), Superior: req.GetSuperior(),
		Unit: by.Unit, Officer: by.Officer, EndTime: stamp(now),
	}
	custody.Close(r.Standing)
	return nil
}

// GoesOn reports whether a report carries its matter on, so that a duplicate of it may end.
func GoesOn(r *reportingv1.Report) bool {
	return r.GetState() != reportingv1.Report_STATE_ENDED && r.GetState() != reportingv1.Report_STATE_HANDED_OVER
}

// HandOverReport records that an authority outside the district has taken a report over.
func HandOverReport(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.HandOverReportRequest, now time.Time) error {
	if err := ending(r, by, "handOverReport"); err != nil {
		return err
	}
	if r.GetDivision() != d.Code() && !outside(d, r.GetDivision()) {
		return fault.New(reportingv1.Reason_REASON_RESIDENCE_HERE, "the child lives in this district", "division", r.GetDivision())
	}
	if !outside(d, req.GetDivision()) {
		return fault.Invalid("division", "is no division outside the district")
	}
	if err := notInFuture("hand_over_time", req.GetHandOverTime().AsTime(), now); err != nil {
		return err
	}
	r.State = reportingv1.Report_STATE_HANDED_OVER
	r.Handover = &reportingv1.Handover{
		Authority: req.GetAuthority(), Division: req.GetDivision(), HandOverTime: req.GetHandOverTime(), ReceiptNumber: req.GetReceiptNumber(),
		Text: req.GetText(), Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
	}
	custody.Close(r.Standing)
	return nil
}

// ending lets an officer of the holder end a report that it has accepted and told nobody of.
func ending(r *reportingv1.Report, by Actor, verb string) error {
	if r.GetAcceptTime() == nil {
		return forbid(r, verb)
	}
	if err := heldBy(r, by, verb, reportingv1.Report_STATE_RESPONDING, reportingv1.Report_STATE_RESPONSE_CLOSED); err != nil {
		return err
	}
	if by.Officer == "" {
		return officerRequired()
	}
	return nil
}

// answers reports whether an officer may answer for what another one does: a superior of the unit, or of the bureau above it.
func answers(d *district.District, superior string, by Actor, now time.Time) bool {
	s, ok := d.Officer(superior)
	return ok && s.Superior && s.ActiveOn(calendar.Today(now)) && (s.Unit == by.Unit || s.Unit == Bureau) && s.ID != by.Officer
}

// Supplement adds what a reporter has learnt since. Who that is stands nowhere here.
func Supplement(d *district.District, r *reportingv1.Report, present []*reportingv1.ProvisionalChild, req *reportingv1.SupplementReportRequest, id func(string) string, now time.Time) ([]*reportingv1.ProvisionalChild, error) {
	switch r.GetState() {
	case reportingv1.Report_STATE_CLOSED, reportingv1.Report_STATE_ENDED, reportingv1.Report_STATE_HANDED_OVER:
		return nil, forbid(r, "supplement")
	}
	if err := checkOccurred(r, req.GetOccurTime(), now); err != nil {
		return nil, err
	}
	numbers := numbersOf(present)
	for i, child := range req.GetFurtherChildren() {
		path := fmt.Sprintf("further_children[%d]", i)
		if err := checkChild(d, path+".person", path+".school_unit", child, numbers, now); err != nil {
			return nil, err
		}
		numbers = append(numbers, child.GetPerson().GetIdNumber())
	}
	r.Supplements = append(r.Supplements, &reportingv1.Supplement{Text: req.GetText(), AddTime: stamp(now)})
	nobody := Actor{}
	r.OccurPlace = corrected(&r.Corrections, "occur_place", r.GetOccurPlace(), req.GetOccurPlace(), "", nobody, now)
	correctOccurred(r, req.GetOccurTime(), "", nobody, now)
	var added []*reportingv1.ProvisionalChild
	for i, child := range req.GetFurtherChildren() {
		added = append(added, newChild(r, child, &reportingv1.ReportedChild{ProvisionalChildId: id(fmt.Sprintf("child.%d", i)), AddTime: stamp(now)}))
	}
	return added, nil
}

// later is the later of two times; the second may be absent.
func later(a, b *timestamppb.Timestamp) *timestamppb.Timestamp {
	if b != nil && b.AsTime().After(a.AsTime()) {
		return b
	}
	return a
}
