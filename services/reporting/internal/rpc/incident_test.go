package rpc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) incidents(unit string) reportingv1.IncidentServiceClient {
	return reportingv1.NewIncidentServiceClient(h.as(unit))
}

// stationOfficer is a call for an emergency by an officer of the station.
func stationOfficer(t *testing.T) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(emergency(t), access.KeyOfficer, officer)
}

// pushAs pushes as a unit's dispatch system.
func (h *house) pushAs(unit string, updates ...*reportingv1.IncidentUpdate) *reportingv1.Ack {
	h.t.Helper()
	got, err := reportingv1.NewDispatchServiceClient(h.as(unit+":dispatch")).PushIncidentUpdateBatch(emergency(h.t), &reportingv1.PushIncidentUpdateBatchRequest{
		RequestId: id(), Epoch: 1, Updates: updates})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetAck()
}

// later is an update made some time after noon.
func later(u *reportingv1.IncidentUpdate, by time.Duration) *reportingv1.IncidentUpdate {
	u.SourceTime = timestamppb.New(noon.Add(by))
	return u
}

// A second call after the report is done: the station holds the incident again, whether the call comes before the township has
// acknowledged or after it, and has a way to end it.
func TestNewsOnAReportThatIsDoneIsTheStationsAgain(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"before the township acknowledges": false, "after the report is closed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			report := h.responded()
			h.push(1, h.update(1, "OLD", 1, &reportingv1.IncidentContent{Division: village, Summary: "早先"}))
			call := h.update(2, "LK-1", 3, &reportingv1.IncidentContent{Division: village, ReportId: report, Summary: "再次被打"})
			if !after {
				h.push(1, call)
			}
			issued, err := h.do(station).IssueBulletin(t.Context(), &reportingv1.IssueBulletinRequest{RequestId: id(), ReportId: report, Text: "请评估"})
			must(t, func() error { return err })
			must(t, func() error {
				_, err := h.do(township).AcknowledgeBulletin(t.Context(), &reportingv1.AcknowledgeBulletinRequest{RequestId: id(), BulletinId: issued.GetStanding().GetId()})
				return err
			})
			if after {
				h.push(1, call)
			}
			got := h.incident("LK-1")
			if got.GetState() != reportingv1.Incident_STATE_OPEN || got.GetStanding().GetHolder() != station || got.GetStanding().GetClock() != "incident.handle" || got.GetContent().GetReportId() != report || got.GetStanding().GetMatterId() != report {
				t.Errorf("the incident is %v", got)
			}
			h.wantPromises()
			ended, err := h.incidents(station).EndIncident(stationOfficer(t), &reportingv1.EndIncidentRequest{
				RequestId: id(), IncidentNumber: "LK-1", Ground: reportingv1.IncidentEnd_GROUND_HANDLED, Text: "已到场，儿童安全"})
			if err != nil || ended.GetState() != reportingv1.Incident_STATE_CLOSED || ended.GetStanding().GetHolder() != "" {
				t.Errorf("%v, %v", ended, err)
			}
			h.wantPromises()
		})
	}
}

// What a report carried to its end is closed with it; with another report open it goes on there.
func TestAReportThatClosesLetsGoOfItsIncidents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report, other := h.accepted(), h.accepted()
	h.push(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village, ReportId: report}), h.update(2, "J2", 1, &reportingv1.IncidentContent{Division: village, ReportId: report}))
	must(t, func() error {
		_, err := h.matter(station).LinkIncident(h.officer(), &reportingv1.LinkIncidentRequest{RequestId: id(), IncidentNumber: "J2", ReportId: other, Text: "同一事件"})
		return err
	})
	h.carried(report, "")
	if got := h.incident("J1"); got.GetState() != reportingv1.Incident_STATE_CLOSED || len(got.GetEnds()) != 1 || got.GetEnds()[0].GetGround() != reportingv1.IncidentEnd_GROUND_WITH_REPORT {
		t.Errorf("J1 is %v", got)
	}
	if got := h.incident("J2"); got.GetState() != reportingv1.Incident_STATE_LINKED || got.GetStanding().GetMatterId() != other {
		t.Errorf("J2 is %v", got)
	}
	h.wantPromises()
}

// A stranger's update takes nothing, closes nothing and shows nothing; the bureau may tell of every incident.
func TestAnIncidentBelongsToWhoToldOfItFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pushAs(station, h.update(1, "X", 1, &reportingv1.IncidentContent{Division: village, Summary: "儿童被打"}))
	grab := h.update(1, "X", 1000, &reportingv1.IncidentContent{Division: "320411103000", Status: reportingv1.IncidentContent_STATUS_CLOSED})
	for range 2 { // and a retry
		ack := h.pushAs(other, grab)
		if ack.GetDurableThrough() != 1 || len(ack.GetQuarantined()) != 1 || ack.GetQuarantined()[0].GetCause() != reportingv1.Quarantined_CAUSE_FOREIGN_INCIDENT {
			t.Fatalf("answered %v", ack)
		}
	}
	_, hidden := h.read(other).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "X"})
	_, absent := h.read(other).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "J0"})
	h.same("the stranger", hidden, absent)
	h.pushAs(station, h.update(2, "X", 2, &reportingv1.IncidentContent{Division: village, Summary: "民警到场"}))
	if got := h.incident("X"); got.GetContent().GetSummary() != "民警到场" || got.GetStanding().GetHolder() != station || got.GetOwner() != station+":dispatch" {
		t.Errorf("the incident is %v", got)
	}
	mine := h.integration(emergency(t), other+":dispatch")
	if len(mine.GetQuarantine()) != 1 || mine.GetQuarantine()[0].GetCause() != reportingv1.Quarantined_CAUSE_FOREIGN_INCIDENT || mine.GetQuarantine()[0].GetOpen() != 1 {
		t.Errorf("the stranger counts %v", mine.GetQuarantine())
	}
	for _, q := range h.quarantine(&reportingv1.ListQuarantineRequest{}) {
		if r := refusalOf(t, h.replay(q.GetStanding().GetId())); r.reason != "QUARANTINE_CAUSE_PERSISTS" {
			t.Errorf("replayed: %+v", r)
		}
	}
	h.push(1, h.update(1, "X", 3, &reportingv1.IncidentContent{Division: "320411103000", Summary: "实在薛家"}))
	got := h.incident("X")
	if got.GetStanding().GetHolder() != station || got.GetStanding().GetOfferedTo() != other || got.GetStanding().GetClock() != "incident.transfer" {
		t.Errorf("moved by the bureau: %v", got.GetStanding())
	}
	if _, err := h.read(other).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "X"}); err != nil {
		t.Errorf("the station that is asked cannot read what it is asked to take: %v", err)
	}
	accepted, err := h.incidents(other).AcceptIncident(emergency(t), &reportingv1.AcceptIncidentRequest{RequestId: id(), IncidentNumber: "X"})
	if err != nil || accepted.GetStanding().GetHolder() != other {
		t.Errorf("%v, %v", accepted, err)
	}
	h.wantPromises()
}

// A number used again is an incident of its own; last year's stays readable as it was.
func TestANumberUsedAgainIsHeldByItsStation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const year = -300 * 24 * time.Hour
	h.push(1, later(h.update(1, "0001", 9, &reportingv1.IncidentContent{Division: village, Summary: "去年", Status: reportingv1.IncidentContent_STATUS_CLOSED}), year))
	first := h.update(2, "0001", 1, &reportingv1.IncidentContent{Division: "320411103000", Summary: "儿童走失", Milestones: []*reportingv1.Milestone{{Kind: reportingv1.Milestone_KIND_CALL_TAKEN, Time: timestamppb.New(noon)}}})
	h.push(1, first, h.update(3, "0001", 2, &reportingv1.IncidentContent{Division: "320411103000", Summary: "正在找"}))
	got := h.incident("0001")
	if got.GetLife() != 2 || got.GetState() != reportingv1.Incident_STATE_OPEN || got.GetStanding().GetHolder() != other || got.GetContent().GetSummary() != "正在找" || len(got.GetMilestones()) != 1 {
		t.Errorf("the second life is %v", got)
	}
	old, err := h.read(bureau).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "0001", Life: 1})
	if err != nil || old.GetIncident().GetContent().GetSummary() != "去年" || len(old.GetIncident().GetMilestones()) != 0 {
		t.Errorf("%v, %v", old, err)
	}
	must(t, func() error {
		_, err := h.matter(other).RaiseReport(emergency(t), &reportingv1.RaiseReportRequest{RequestId: id(), IncidentNumber: "0001", Situations: []string{"MISSING"}, Narrative: "走失"})
		return err
	})
	if got := h.incident("0001"); got.GetLife() != 2 || got.GetState() != reportingv1.Incident_STATE_LINKED {
		t.Errorf("raised: %v", got)
	}
	h.wantPromises()
}

// An update that names an abolished village is taken: the township's station holds the incident, and the code is flagged.
func TestAnUpdateThatNamesAClosedDivisionIsFolded(t *testing.T) {
	t.Parallel()
	h := newHouseIn(t, withClosedVillage(t))
	ack := h.push(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village, Summary: "儿童独处"}))
	if len(ack.GetQuarantined()) != 0 {
		t.Fatalf("quarantined: %v", ack)
	}
	got := h.incident("J1")
	if got.GetStanding().GetHolder() != station || got.GetDivision() != "320411101000" || got.GetStaleDivision() != village {
		t.Errorf("the incident is %v", got)
	}
	if counts := h.integration(emergency(t), "police:dispatch").GetCounts(); counts.GetStaleDivisions() != 1 {
		t.Errorf("counted %v", counts)
	}
	h.wantPromises()
}

// A list shows what GetIncident would, a page at a time, by state, number, holder and division.
func TestIncidentsAreListed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for n := range 5 {
		h.push(1, h.update(int64(n+1), fmt.Sprintf("a/%d", n), 1, &reportingv1.IncidentContent{Division: village, Summary: "x"}))
	}
	h.push(1, h.update(6, "J6", 1, &reportingv1.IncidentContent{Division: "320411103000", Summary: "y"}),
		h.update(7, "J7", 1, &reportingv1.IncidentContent{Division: village, Summary: "z", Status: reportingv1.IncidentContent_STATUS_CLOSED}))
	list := func(unit string, req *reportingv1.ListIncidentsRequest) (numbers []string) {
		t.Helper()
		for {
			page, err := reportingv1.NewIncidentReadServiceClient(h.as(unit)).ListIncidents(emergency(t), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page.GetIncidents() {
				numbers = append(numbers, i.GetIncidentNumber())
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				return numbers
			}
		}
	}
	for name, tc := range map[string]struct {
		unit string
		req  *reportingv1.ListIncidentsRequest
		want int
	}{
		"the station's, two a page":  {station, &reportingv1.ListIncidentsRequest{PageSize: 2}, 6},
		"those it holds":             {station, &reportingv1.ListIncidentsRequest{Holder: station}, 5},
		"closed ones":                {station, &reportingv1.ListIncidentsRequest{States: []reportingv1.Incident_State{reportingv1.Incident_STATE_CLOSED}}, 1},
		"by number":                  {station, &reportingv1.ListIncidentsRequest{IncidentNumber: "a/3"}, 1},
		"another station's":          {other, &reportingv1.ListIncidentsRequest{}, 1},
		"the bureau's, by division":  {bureau, &reportingv1.ListIncidentsRequest{Division: "320411101000"}, 6},
		"a dispatch system's, whole": {"police:dispatch", &reportingv1.ListIncidentsRequest{}, 7},
		"a number that nobody has":   {bureau, &reportingv1.ListIncidentsRequest{IncidentNumber: "J0"}, 0},
	} {
		if got := list(tc.unit, tc.req); len(got) != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	_, err := reportingv1.NewIncidentReadServiceClient(h.as(station)).ListIncidents(emergency(t), &reportingv1.ListIncidentsRequest{Division: "999999999999"})
	if r := refusalOf(t, err); r.reason != "DIVISION_UNKNOWN" {
		t.Errorf("%+v", r)
	}
}
