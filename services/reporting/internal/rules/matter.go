package rules

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// IdentifyChild writes down who a child is and keeps how it was described before. Id, matter and clocks stay: it is the same child, known better.
func IdentifyChild(child *reportingv1.ProvisionalChild, by Actor, person *personv1.Person, text string, now time.Time) error {
	if err := checkPerson("person", person, now); err != nil {
		return err
	}
	known := proto.CloneOf(person)
	complete(known)
	if proto.Equal(known, child.GetPerson()) {
		return nothingCorrected()
	}
	known = redescribe(child, known, by, text, now)
	child.Person, child.EstimatedAge, child.EstimateTime = known, 0, nil
	return nil
}

// DescribeChild writes down what is known of a child without a number, and keeps how it was described before.
func DescribeChild(child *reportingv1.ProvisionalChild, by Actor, req *reportingv1.DescribeChildRequest, now time.Time) error {
	if err := checkPerson("person", req.GetPerson(), now); err != nil {
		return err
	}
	if req.GetEstimatedAge() != 0 && req.GetPerson().GetBirthDate() != "" {
		return fault.Invalid("estimated_age", "the birth date is given")
	}
	if proto.Equal(req.GetPerson(), child.GetPerson()) && req.GetEstimatedAge() == child.GetEstimatedAge() {
		return nothingCorrected()
	}
	child.Person = redescribe(child, proto.CloneOf(req.GetPerson()), by, req.GetText(), now)
	child.EstimatedAge, child.EstimateTime = req.GetEstimatedAge(), nil
	if req.GetEstimatedAge() != 0 {
		child.EstimateTime = stamp(now)
	}
	return nil
}

// redescribe keeps how a child was described before, and gives the new description back.
func redescribe(child *reportingv1.ProvisionalChild, known *personv1.Person, by Actor, text string, now time.Time) *personv1.Person {
	child.Earlier = append(child.Earlier, &reportingv1.EarlierDescription{
		Person: child.GetPerson(), EstimatedAge: child.GetEstimatedAge(), Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
	})
	return known
}

// CorrectReport replaces what a report says and keeps what it said. It reports whether the residence is another one now: then everything of the report
// has to follow.
func CorrectReport(d *district.District, r *reportingv1.Report, by Actor, req *reportingv1.CorrectReportRequest, now time.Time) (moved bool, err error) {
	if err := checkOccurred(r, req.GetOccurTime(), now); err != nil {
		return false, err
	}
	var place district.Located
	if req.GetResidenceDivision() != "" {
		if place, err = residence(d, "residence_division", req.GetResidenceDivision(), now); err != nil {
			return false, err
		}
	}
	before := len(r.GetCorrections())
	r.Narrative = corrected(&r.Corrections, "narrative", r.GetNarrative(), req.GetNarrative(), req.GetText(), by, now)
	r.OccurPlace = corrected(&r.Corrections, "occur_place", r.GetOccurPlace(), req.GetOccurPlace(), req.GetText(), by, now)
	correctOccurred(r, req.GetOccurTime(), req.GetText(), by, now)
	if place.Code != "" && place.Code != r.GetDivision() {
		r.Division = corrected(&r.Corrections, "residence_division", r.GetDivision(), place.Code, req.GetText(), by, now)
		r.StaleDivision = place.Stale
		moveReport(d, r, req.GetText(), now)
		moved = true
	}
	if len(r.GetCorrections()) == before {
		return false, nothingCorrected()
	}
	return moved, nil
}

// checkOccurred refuses a time at which what a report tells cannot have happened; none is fine.
func checkOccurred(r *reportingv1.Report, occurred *timestamppb.Timestamp, now time.Time) error {
	if occurred == nil {
		return nil
	}
	if err := notInFuture("occur_time", occurred.AsTime(), now); err != nil {
		return err
	}
	return occurredInOrder("occur_time", occurred.AsTime(), r.GetDiscoverTime().AsTime())
}

// correctOccurred writes when it happened, if that is given and another time than before, and keeps the time before.
func correctOccurred(r *reportingv1.Report, occurred *timestamppb.Timestamp, text string, by Actor, now time.Time) {
	if occurred == nil || proto.Equal(occurred, r.GetOccurTime()) {
		return
	}
	earlier := ""
	if r.GetOccurTime() != nil {
		earlier = r.GetOccurTime().AsTime().In(calendar.Zone()).Format(time.RFC3339)
	}
	r.Corrections = append(r.Corrections, &reportingv1.Correction{
		Field: "occur_time", Earlier: earlier, Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
	})
	r.OccurTime = occurred
}

// LinkIncident says that an incident tells of a report. It answers what happened to the incident.
func LinkIncident(d *district.District, i *reportingv1.Incident, by Actor, report, text string, carriers Carriers, now time.Time) (string, error) {
	if i.GetContent().GetReportId() == report || standingLink(i, report) != nil {
		return "", fault.New(reportingv1.Reason_REASON_LINK_PRESENT, "the incident is linked to the report", "report_id", report)
	}
	i.Links = append(i.Links, &reportingv1.IncidentLink{ReportId: report, Text: text, Unit: by.Unit, Officer: by.Officer, LinkTime: stamp(now)})
	if carriers[report].Done {
		i.DoneReports = append(i.DoneReports, report)
	}
	return settle(d, i, carriers, now), nil
}

// UnlinkIncident strikes out a link; the incident is held again when none is left.
func UnlinkIncident(d *district.District, i *reportingv1.Incident, report, text string, carriers Carriers, now time.Time) (string, error) {
	link := standingLink(i, report)
	if link == nil {
		return "", fault.New(reportingv1.Reason_REASON_LINK_UNKNOWN, "report_id: no such link stands", "field", "report_id").Field("report_id", "no such link stands")
	}
	link.StrikeTime, link.StrikeText = stamp(now), text
	return settle(d, i, carriers, now), nil
}

func standingLink(i *reportingv1.Incident, report string) *reportingv1.IncidentLink {
	at := slices.IndexFunc(i.GetLinks(), func(l *reportingv1.IncidentLink) bool { return l.GetReportId() == report && l.GetStrikeTime() == nil })
	if at < 0 {
		return nil
	}
	return i.GetLinks()[at]
}
