// Package rules decides what may happen to reports, bulletins, assessments, incidents, searches, placements, filings and supervisions. Every function is pure: it gets the
// messages, the district's data and the time, changes the messages in place and answers a fault when the law or the state
// forbids it. Whether a caller may know of an item at all has been decided before.
package rules

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Clocks of this service that the district package does not name as its own.
const (
	clockReportImmediate        = "report.immediate"
	clockResponseMeasures       = "response.measures"
	clockIncidentHandle         = "incident.handle"
	clockIncidentTransfer       = "incident.transfer"
	clockMissingSearch          = "missing.search"
	clockPlacementAccept        = "placement.accept"
	clockAssessmentTransfer     = "assessment.transfer"
	clockPlacementReview        = "tempguardian.review"
	clockReviewAdmin            = "police.review.admin"
	clockReviewAdminComplex     = "police.review.admin.complex"
	clockReviewCriminal         = "police.review.criminal"
	clockReviewCriminalClues    = "police.review.criminal.clues"
	clockReviewCriminalApproved = "police.review.criminal.approved"
	clockReportFeedback         = "report.feedback"
	clockReportFeedback2        = "report.feedback2" // of no length: it ends with an event, and a district may do without
	clockFilingReasons          = "filing.reasons"
	clockFilingJudge            = "filing.judge"
	clockFilingOrder            = "filing.order"
)

// Bureau is the police unit above the stations: the last one a report can be offered to.
const Bureau = "police"

// Actor is who acts, as the rules need to know it.
type Actor struct {
	// Unit id.
	Unit string
	// Officer id; may be empty.
	Officer string
}

// CheckDistrict refuses district data without which a rule here would fail at run time.
func CheckDistrict(d *district.District) error {
	clocks := []string{
		clockReportImmediate, clockResponseMeasures, clockIncidentHandle, clockIncidentTransfer, clockMissingSearch, clockPlacementAccept, clockPlacementReview,
		clockAssessmentTransfer,
		clockReviewAdmin, clockReviewAdminComplex, clockReviewCriminal, clockReviewCriminalClues, clockReviewCriminalApproved, clockReportFeedback,
		clockFilingReasons, clockFilingJudge, clockFilingOrder,
	}
	for _, id := range clocks {
		if c, ok := d.Clock(id); !ok || c.Length.IsZero() {
			return fmt.Errorf("district: clocks.yaml: the reporting service needs clock %s with a length", id)
		}
	}
	for _, what := range []string{district.OpensSearch, district.OpensPlacement} {
		if _, ok := d.MeasureOpening(what); !ok {
			return fmt.Errorf("district: measures.yaml: no measure opens a %s", what)
		}
	}
	return nil
}

func stamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// hold makes a unit the holder under the clock of a step, which starts now.
func hold(d *district.District, s *custodyv1.Standing, unit, clock string, now time.Time) {
	custody.Set(s, unit, d.Deadline(clock, now), clock)
}

// offer asks a unit to take over under a clock that starts now.
func offer(d *district.District, s *custodyv1.Standing, unit, clock string, now time.Time) {
	custody.Offer(s, unit, d.Deadline(clock, now), clock)
}

// extend runs another clock without moving anything.
func extend(d *district.District, s *custodyv1.Standing, clock string, now time.Time) {
	custody.Extend(s, d.Deadline(clock, now), clock)
}

// carryOn makes a unit the holder of what it takes over. The law's clocks go on as they are; where none runs any more, because it was missed, the
// clock of the step keeps the item from lying.
func carryOn(d *district.District, s *custodyv1.Standing, unit, step string, now time.Time) {
	custody.Hold(s, unit)
	if !custody.Running(s) {
		extend(d, s, step, now)
	}
}

// begin starts a clock of the law that runs from an event, whoever holds the item until its act.
func begin(d *district.District, s *custodyv1.Standing, clock string, event time.Time) {
	custody.Start(s, clock, event, d.Deadline(clock, event))
}

// forbid is the refusal of a verb in the state the report is in.
func forbid(r *reportingv1.Report, verb string) error {
	return fault.StateForbids(row.StateName(r.ProtoReflect()), verb)
}

// escalateToLead makes the lead office the holder of what nobody took, and leaves the offer to whoever has to act. Once it
// holds the item, the item stays its own and is looked at again and again.
func escalateToLead(d *district.District, s *custodyv1.Standing, responsible string, now time.Time) {
	if s.GetHolder() == d.LeadOffice() {
		if !custody.Running(s) {
			extend(d, s, district.ClockOverdueReview, now)
		}
		return
	}
	hold(d, s, d.LeadOffice(), district.ClockLeadResolve, now)
	if responsible != d.LeadOffice() { // nothing is offered to whoever holds it
		s.OfferedTo = responsible
	}
}
