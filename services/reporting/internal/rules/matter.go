package rules

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

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
	child.Earlier = append(child.Earlier, &reportingv1.EarlierDescription{
		Person: child.GetPerson(), Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
	})
	child.Person = known
	return nil
}

// CorrectReport replaces what a report says and keeps what it said.
func CorrectReport(r *reportingv1.Report, by Actor, req *reportingv1.CorrectReportRequest, now time.Time) error {
	if req.GetOccurTime() != nil {
		if err := notInFuture("occur_time", req.GetOccurTime().AsTime(), now); err != nil {
			return err
		}
	}
	before := len(r.GetCorrections())
	r.Narrative = corrected(&r.Corrections, "narrative", r.GetNarrative(), req.GetNarrative(), req.GetText(), by, now)
	r.OccurPlace = corrected(&r.Corrections, "occur_place", r.GetOccurPlace(), req.GetOccurPlace(), req.GetText(), by, now)
	if req.GetOccurTime() != nil && !proto.Equal(req.GetOccurTime(), r.GetOccurTime()) {
		earlier := ""
		if r.GetOccurTime() != nil {
			earlier = r.GetOccurTime().AsTime().In(calendar.Zone()).Format(time.RFC3339)
		}
		r.Corrections = append(r.Corrections, &reportingv1.Correction{
			Field: "occur_time", Earlier: earlier, Text: req.GetText(), Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
		})
		r.OccurTime = req.GetOccurTime()
	}
	if len(r.GetCorrections()) == before {
		return nothingCorrected()
	}
	return nil
}

// LinkIncident says that an incident tells of a report. It answers what happened to the incident.
func LinkIncident(d *district.District, i *reportingv1.Incident, by Actor, report, text string, now time.Time) (string, error) {
	if i.GetContent().GetReportId() == report || standingLink(i, report) != nil {
		return "", fault.New(reportingv1.Reason_REASON_LINK_PRESENT, "the incident is linked to the report", "report_id", report)
	}
	i.Links = append(i.Links, &reportingv1.IncidentLink{ReportId: report, Text: text, Unit: by.Unit, Officer: by.Officer, LinkTime: stamp(now)})
	return settle(d, i, now), nil
}

// UnlinkIncident strikes out a link; the incident is held again when none is left.
func UnlinkIncident(d *district.District, i *reportingv1.Incident, report, text string, now time.Time) (string, error) {
	link := standingLink(i, report)
	if link == nil {
		return "", fault.New(reportingv1.Reason_REASON_LINK_UNKNOWN, "report_id: no such link stands", "field", "report_id").Field("report_id", "no such link stands")
	}
	link.StrikeTime, link.StrikeText = stamp(now), text
	return settle(d, i, now), nil
}

func standingLink(i *reportingv1.Incident, report string) *reportingv1.IncidentLink {
	at := slices.IndexFunc(i.GetLinks(), func(l *reportingv1.IncidentLink) bool { return l.GetReportId() == report && l.GetStrikeTime() == nil })
	if at < 0 {
		return nil
	}
	return i.GetLinks()[at]
}

// linkedTo is the report that carries an incident on: the one dispatch names, else that of the first link that stands; empty without any.
func linkedTo(i *reportingv1.Incident) string {
	if named := i.GetContent().GetReportId(); named != "" {
		return named
	}
	for _, link := range i.GetLinks() {
		if link.GetStrikeTime() == nil {
			return link.GetReportId()
		}
	}
	return ""
}
