package rules_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

const otherID = "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a0f2"

// told is an update of the station's incident, sent and received at hours from noon.
func told(n int, sent, received time.Duration, status reportingv1.IncidentContent_Status) rules.Update {
	return rules.Update{
		Source: "police:dispatch", Epoch: 1, Received: noon.Add(received),
		Envelope: &reportingv1.IncidentUpdate{Sequence: int64(n), IncidentVersion: int64(n), SourceTime: timestamppb.New(noon.Add(sent))},
		Content:  &reportingv1.IncidentContent{Division: village, Status: status},
	}
}

// missedAt is an incident whose station let its day pass, by the sweeper's word.
func missedAt(t *testing.T) *reportingv1.Incident {
	t.Helper()
	d, i := xinbei(t), rules.NewIncident(itemID, "J1", 1, "police:dispatch")
	rules.Fold(d, i, []rules.Update{told(1, 0, 0, 0)}, openReports, noon)
	if err := rules.ExpireIncident(d, i, noon.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	return i
}

func TestADeadlineThatPassedWhileTheLinkWasDownIsMarked(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		sent, received time.Duration
		want           bool
	}{
		"closed in time, told after an outage": {20 * time.Hour, 30 * time.Hour, true},
		"sent at the very deadline":            {day, 30 * time.Hour, true},
		"received at the very deadline":        {20 * time.Hour, day, true},
		"closed too late":                      {day + time.Second, 30 * time.Hour, false},
		"told in time":                         {20 * time.Hour, 23 * time.Hour, false},
		"a slow minute is no outage":           {day - 30*time.Second, day + 30*time.Second, false},
	} {
		i := missedAt(t)
		rules.Fold(d, i, []rules.Update{told(2, tc.sent, tc.received, reportingv1.IncidentContent_STATUS_CLOSED)}, openReports, noon.Add(30*time.Hour))
		missed := i.GetMissedDeadlines()
		if len(missed) != 1 || missed[0].GetHolder() != station || !missed[0].GetDeadline().AsTime().Equal(noon.Add(day)) || missed[0].GetOverdueWhileLinkDown() != tc.want {
			t.Errorf("%s: %v", name, missed)
		}
		if i.GetState() != reportingv1.Incident_STATE_CLOSED || i.GetStanding().GetHolder() != "" {
			t.Errorf("%s: %v", name, i)
		}
	}
}

// An update that arrives after the deadline and before the sweeper finds the deadline kept all the same, and kept once.
func TestADeadlineIsKeptWhoeverComesFirst(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	i := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
	rules.Fold(d, i, []rules.Update{told(1, 0, 0, 0)}, openReports, noon)
	after := noon.Add(25 * time.Hour)
	rules.Fold(d, i, []rules.Update{told(2, 20*time.Hour, 25*time.Hour, 0)}, openReports, after)
	if err := rules.ExpireIncident(d, i, after); err != nil {
		t.Fatal(err)
	}
	if missed := i.GetMissedDeadlines(); len(missed) != 1 || !missed[0].GetOverdueWhileLinkDown() {
		t.Errorf("kept %v", missed)
	}
	// The bureau's own deadline passes with the link up; the lead office's is no police unit's.
	for range 3 {
		if err := rules.ExpireIncident(d, i, i.GetStanding().GetDeadline().AsTime()); err != nil {
			t.Fatal(err)
		}
	}
	if missed := i.GetMissedDeadlines(); len(missed) != 2 || missed[1].GetHolder() != rules.Bureau || missed[1].GetOverdueWhileLinkDown() {
		t.Errorf("kept %v", missed)
	}
}

func TestTheMarksDoNotDependOnTheOrderOfAReplay(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	rapid.Check(t, func(rt *rapid.T) {
		var updates []rules.Update
		for n := range rapid.IntRange(1, 6).Draw(rt, "count") {
			sent := rapid.IntRange(18, 30).Draw(rt, "sent")
			updates = append(updates, told(n+2, time.Duration(sent)*time.Hour, 31*time.Hour, reportingv1.IncidentContent_Status(rapid.IntRange(0, 1).Draw(rt, "status"))))
		}
		straight, mixed := missedAt(t), missedAt(t)
		now := noon.Add(31 * time.Hour)
		rules.Fold(d, straight, updates, openReports, now)
		for _, u := range rapid.Permutation(updates).Draw(rt, "order") {
			rules.Fold(d, mixed, []rules.Update{u}, openReports, now)
		}
		for n := range straight.GetMissedDeadlines() {
			if !proto.Equal(straight.GetMissedDeadlines()[n], mixed.GetMissedDeadlines()[n]) {
				rt.Fatalf("straight %v\nmixed %v", straight.GetMissedDeadlines(), mixed.GetMissedDeadlines())
			}
		}
	})
}

func TestCodesAreReadByTheTableOfTheirSource(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	i := &reportingv1.Incident{Source: "police:dispatch", UnknownCodes: []string{"stale"}, Content: &reportingv1.IncidentContent{
		Situations: []string{"LIVING_ALONE"}, Codes: []string{"3302", "5104", "ZS-01", "3301", "9001", "ZS-01"},
	}}
	rules.Recognise(d, i)
	want := [][]string{{"LIVING_ALONE", "DOMESTIC_VIOLENCE", "BODY_INJURY_OR_ABUSE"}, {"HELP_MEDICAL"}, {"ZS-01"}}
	if diff := cmp.Diff(want, [][]string{i.GetRecognisedSituations(), i.GetRecognisedMeasures(), i.GetUnknownCodes()}); diff != "" {
		t.Error(diff)
	}
	i.Source = "police/320411101000:dispatch" // another vendor's table
	rules.Recognise(d, i)
	if diff := cmp.Diff([]string{"3302", "5104", "3301", "9001"}, i.GetUnknownCodes()); diff != "" {
		t.Error(diff)
	}
}
