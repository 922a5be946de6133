package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Accept makes the actor's unit the holder of a report it holds unaccepted or is offered. The first acceptance (受理) starts the response, once and
// for all: a further one is of another unit and wins no time.
func Accept(d *district.District, r *reportingv1.Report, by Actor, now time.Time) error {
	offered := by.Unit != "" && r.GetStanding().GetOfferedTo() == by.Unit
	waiting := r.GetState() == reportingv1.Report_STATE_SUBMITTED || r.GetState() == reportingv1.Report_STATE_TRANSFERRING
	own := waiting && r.GetStanding().GetHolder() == by.Unit // and takes back what it had offered
	if !offered && !own {
		return forbid(r, "accept")
	}
	switch r.GetState() {
	case reportingv1.Report_STATE_SUBMITTED, reportingv1.Report_STATE_TRANSFERRING, reportingv1.Report_STATE_RESPONDING:
		r.State = reportingv1.Report_STATE_RESPONDING
	case reportingv1.Report_STATE_RESPONSE_CLOSED:
	default:
		return forbid(r, "accept")
	}
	outcome := reportingv1.Transfer_OUTCOME_ACCEPTED
	if !offered {
		outcome = reportingv1.Transfer_OUTCOME_WITHDRAWN
	}
	answerTransfer(r, outcome, "", now)
	if r.GetAcceptTime() != nil {
		carryOn(d, r.Standing, by.Unit, clockResponseMeasures, now)
		return nil
	}
	r.AcceptTime = stamp(now)
	custody.Meet(r.Standing, district.ClockReportAccept)
	custody.Hold(r.Standing, by.Unit)
	begin(d, r.Standing, district.ClockReportResponse, now)
	return nil
}

// Transfer offers a report to another station or the bureau. The holder stays accountable until the other accepts.
func Transfer(d *district.District, r *reportingv1.Report, by Actor, to, text string, now time.Time) error {
	if err := heldBy(r, by, "transfer", reportingv1.Report_STATE_SUBMITTED, reportingv1.Report_STATE_RESPONDING); err != nil {
		return err
	}
	if !police(d, to, now) || to == by.Unit {
		return fault.New(reportingv1.Reason_REASON_TRANSFER_TARGET_INVALID, "to_unit: not another police unit of the district", "field", "to_unit").
			Field("to_unit", "not another police unit of the district")
	}
	offerTo(d, r, to, text, now)
	return nil
}

// Decline refuses an offered report; the bureau is asked next. The bureau itself cannot decline.
func Decline(d *district.District, r *reportingv1.Report, by Actor, text string, now time.Time) error {
	if by.Unit == "" || r.GetStanding().GetOfferedTo() != by.Unit {
		return forbid(r, "decline")
	}
	if by.Unit == Bureau {
		return fault.New(reportingv1.Reason_REASON_BUREAU_CANNOT_DECLINE, "the bureau is the last police unit asked")
	}
	answerTransfer(r, reportingv1.Transfer_OUTCOME_DECLINED, text, now)
	askBureau(d, r, now)
	return nil
}

// askBureau offers a report that a station did not take to the bureau; a report that the bureau had offered itself is the
// bureau's own again.
func askBureau(d *district.District, r *reportingv1.Report, now time.Time) {
	if r.GetStanding().GetHolder() != Bureau {
		offerTo(d, r, Bureau, "", now)
		return
	}
	clock := district.ClockReportTransfer
	r.State = reportingv1.Report_STATE_SUBMITTED
	if r.GetAcceptTime() != nil {
		clock, r.State = clockResponseMeasures, reportingv1.Report_STATE_RESPONDING
	}
	carryOn(d, r.Standing, Bureau, clock, now)
}

// offerTo writes an offer into report and history.
func offerTo(d *district.District, r *reportingv1.Report, to, text string, now time.Time) {
	r.Transfers = append(r.Transfers, &reportingv1.Transfer{FromUnit: r.GetStanding().GetHolder(), ToUnit: to, Text: text, OfferTime: stamp(now)})
	if r.GetState() != reportingv1.Report_STATE_RESPONSE_CLOSED { // what is done stays done, whoever has to tell of it
		r.State = reportingv1.Report_STATE_TRANSFERRING
	}
	offer(d, r.Standing, to, district.ClockReportTransfer, now)
}

// answerTransfer closes the last offer, if it is open.
func answerTransfer(r *reportingv1.Report, outcome reportingv1.Transfer_Outcome, text string, now time.Time) {
	if len(r.Transfers) == 0 {
		return
	}
	last := r.Transfers[len(r.Transfers)-1]
	if last.Outcome == reportingv1.Transfer_OUTCOME_UNSPECIFIED {
		last.Outcome, last.DeclineText, last.AnswerTime = outcome, text, stamp(now)
	}
}

// AddSituation adds what the responding police found, and with it the measures it calls for.
func AddSituation(d *district.District, r *reportingv1.Report, by Actor, code, text string, now time.Time) error {
	if err := responding(r, by, "addSituation"); err != nil {
		return err
	}
	if _, ok := d.Situation(code); !ok {
		return situationUnknown("situation", code)
	}
	if slices.Contains(r.GetSituations(), code) {
		return fault.New(reportingv1.Reason_REASON_SITUATION_PRESENT, "the report has this situation", "situation", code)
	}
	r.Situations = append(r.Situations, code)
	r.Narrative += fmt.Sprintf("\n[%s %s %s] %s", now.In(calendar.Zone()).Format("2006-01-02 15:04"), by.Unit, code, text)
	// More to do has a clock of its own beside the response's. An offer's clock stays: it is somebody else's.
	longer := d.Deadline(clockResponseMeasures, now)
	if r.GetState() == reportingv1.Report_STATE_RESPONDING && r.GetStanding().GetOfferedTo() == "" && longer.After(r.GetStanding().GetDeadline().AsTime()) {
		extend(d, r.Standing, clockResponseMeasures, now)
	}
	return nil
}

// StrikeSituation strikes out what was reported or added wrongly. It stays readable; what closing demands follows the situations that stand.
func StrikeSituation(r *reportingv1.Report, by Actor, code, text string, now time.Time) error {
	if err := responding(r, by, "strikeSituation"); err != nil {
		return err
	}
	if by.Officer == "" {
		return officerRequired()
	}
	at := slices.Index(r.GetSituations(), code)
	switch {
	case at < 0:
		return fault.New(reportingv1.Reason_REASON_SITUATION_ABSENT, "situation: the report does not have it", "field", "situation", "situation", code).
			Field("situation", "the report does not have it")
	case len(r.GetSituations()) == 1:
		return fault.New(reportingv1.Reason_REASON_SITUATION_REQUIRED, "the only situation that stands", "situation", code)
	}
	r.Situations = slices.Delete(r.Situations, at, at+1)
	r.StruckSituations = append(r.StruckSituations, &reportingv1.StruckSituation{Situation: code, Text: text, Unit: by.Unit, Officer: by.Officer, StrikeTime: stamp(now)})
	return nil
}

// RecordMeasure records a measure that was taken. id becomes the measure's id.
func RecordMeasure(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.RecordMeasureRequest, id string, now time.Time) error {
	if err := responding(r, by, "recordMeasure"); err != nil {
		return err
	}
	code := req.GetMeasure()
	known, ok := d.Measure(code)
	switch {
	case !ok:
		return fault.New(reportingv1.Reason_REASON_MEASURE_UNKNOWN, "measure: not in the district's table", "field", "measure", "measure", code).
			Field("measure", "not in the district's table")
	case known.Opens != "":
		return fault.New(reportingv1.Reason_REASON_MEASURE_OPENS_ITEM, "measure: recorded by what it opens", "field", "measure", "measure", code, "opens", known.Opens).
			Field("measure", "recorded by what it opens")
	}
	if err := notInFuture("take_time", req.GetTakeTime().AsTime(), now); err != nil {
		return err
	}
	if err := checkUnit(d, "placement_unit", req.GetPlacementUnit(), now); err != nil {
		return err
	}
	children, err := concerned(r, known, req.GetProvisionalChildIds())
	if err != nil {
		return err
	}
	if err := notExcluded(d, r, code, children); err != nil {
		return err
	}
	r.Measures = append(r.Measures, &reportingv1.Measure{
		ProvisionalChildIds: children, Id: id, Code: code, Text: req.GetText(), TakeTime: req.GetTakeTime(), PlacementUnit: req.GetPlacementUnit(),
		Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
	})
	return nil
}

// StrikeMeasure strikes out a measure recorded by mistake. It stays readable.
func StrikeMeasure(r *reportingv1.Report, by Actor, id, text string, now time.Time) error {
	if err := responding(r, by, "strikeMeasure"); err != nil {
		return err
	}
	for _, m := range r.GetMeasures() {
		if m.GetId() == id && m.GetStrikeTime() == nil && m.GetItemId() == "" {
			m.StrikeTime, m.StrikeText = stamp(now), text
			return nil
		}
	}
	return fault.New(reportingv1.Reason_REASON_MEASURE_NOT_FOUND, "measure_id: no such measure stands", "field", "measure_id")
}

// Waive frees the response from a group of measures. Another officer than the acting one answers for it: a superior of the
// holding unit, or of the bureau above it.
func Waive(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.WaiveMeasureRequest, now time.Time) error {
	if err := responding(r, by, "waive"); err != nil {
		return err
	}
	if by.Officer == "" {
		return officerRequired()
	}
	if !answers(d, req.GetSuperior(), by, now) {
		return superiorRequired()
	}
	called := slices.ContainsFunc(d.Measures(r.GetSituations()...), func(g district.Group) bool { return g.ID == req.GetGroup() })
	if !called {
		return fault.New(reportingv1.Reason_REASON_GROUP_UNKNOWN, "group: not called for by the report", "field", "group", "group", req.GetGroup()).
			Field("group", "not called for by the report")
	}
	if err := checkNamed(r, req.GetProvisionalChildIds()); err != nil {
		return err
	}
	r.Waivers = append(r.Waivers, &reportingv1.Waiver{
		Group: req.GetGroup(), Text: req.GetText(), Superior: req.GetSuperior(), ProvisionalChildIds: req.GetProvisionalChildIds(), Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
	})
	return nil
}

// CloseResponse ends the response once each group of measures is met or waived. noChild says why nobody was found where the report is about no
// child.
func CloseResponse(d *district.District, r *reportingv1.Report, by Actor, noChild string, now time.Time) error {
	if err := heldBy(r, by, "closeResponse", reportingv1.Report_STATE_RESPONDING); err != nil {
		return err
	}
	if missing := missingGroups(d, r); len(missing) > 0 {
		list := strings.Join(missing, ",")
		return fault.New(reportingv1.Reason_REASON_RESPONSE_INCOMPLETE, "groups of measures are missing: "+list, "missing", list)
	}
	if err := nameless(r, by, noChild); err != nil {
		return err
	}
	if noChild != "" {
		r.NoChildText, r.NoChildOfficer = noChild, by.Officer
	}
	r.State = reportingv1.Report_STATE_RESPONSE_CLOSED
	r.ResponseCloseTime = stamp(now)
	custody.Meet(r.Standing, district.ClockReportResponse)
	custody.Hold(r.Standing, by.Unit)
	begin(d, r.Standing, district.ClockTownshipNotice, now)
	return nil
}

func sourceOf(d *district.District, group string) string {
	for _, response := range d.Responses() {
		for _, g := range response.Groups {
			if g.ID == group {
				return response.Source
			}
		}
	}
	return ""
}

func officerRequired() error {
	return fault.New(reportingv1.Reason_REASON_OFFICER_REQUIRED, "name the acting officer in the metadata lianhu-officer")
}

func superiorRequired() error {
	return fault.New(reportingv1.Reason_REASON_SUPERIOR_REQUIRED, "superior: not another officer of the police who may approve", "field", "superior").
		Field("superior", "not another officer of the police who may approve")
}

// heldBy lets only the holder act, and only in the named states.
func heldBy(r *reportingv1.Report, by Actor, verb string, states ...reportingv1.Report_State) error {
	if r.GetStanding().GetHolder() != by.Unit || !slices.Contains(states, r.GetState()) {
		return forbid(r, verb)
	}
	return nil
}

// responding lets the holder work on a response that it has accepted, also while it waits for another unit to take over: the
// child cannot wait.
func responding(r *reportingv1.Report, by Actor, verb string) error {
	if r.GetAcceptTime() == nil {
		return forbid(r, verb)
	}
	return heldBy(r, by, verb, reportingv1.Report_STATE_RESPONDING, reportingv1.Report_STATE_TRANSFERRING)
}
