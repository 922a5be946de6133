package rules_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

func drawUpdate(rt *rapid.T, n int) rules.Update {
	content := &reportingv1.IncidentContent{
		Summary:  fmt.Sprintf("情况%d", n),
		Division: rapid.SampledFrom([]string{"", village, "320411103000"}).Draw(rt, "division"),
		Status:   rapid.SampledFrom([]reportingv1.IncidentContent_Status{0, 0, 1}).Draw(rt, "status"),
		ReportId: rapid.SampledFrom([]string{"", "", "", otherID}).Draw(rt, "report"),
		Codes:    rapid.SliceOfN(rapid.SampledFrom([]string{"3101", "0000"}), 0, 2).Draw(rt, "codes"),
	}
	for kind := range 3 {
		if rapid.Bool().Draw(rt, "told") {
			content.Milestones = append(content.Milestones, &reportingv1.Milestone{
				Kind: reportingv1.Milestone_Kind(kind + 1), Time: timestamppb.New(noon.Add(time.Duration(rapid.IntRange(0, 9).Draw(rt, "minute")) * time.Minute)),
			})
		}
	}
	return rules.Update{
		Source: rapid.SampledFrom([]string{"police:dispatch", "police:backup"}).Draw(rt, "source"), Epoch: int64(rapid.IntRange(1, 2).Draw(rt, "epoch")),
		Envelope: &reportingv1.IncidentUpdate{
			Sequence: int64(n + 1), IncidentNumber: "J1", IncidentVersion: int64(rapid.IntRange(1, 4).Draw(rt, "version")), SourceTime: timestamppb.New(noon),
		},
		Content: content,
	}
}

// A police network cut in two delivers in any order and in any batches; everybody must still compute the same incident.
func TestTheFoldDoesNotDependOnOrderOrBatches(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	rapid.Check(t, func(rt *rapid.T) {
		var updates []rules.Update
		for n := range rapid.IntRange(1, 8).Draw(rt, "count") {
			updates = append(updates, drawUpdate(rt, n))
		}
		straight := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
		rules.Fold(d, straight, updates, openReports, noon)
		shuffled := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
		mixed := rapid.Permutation(updates).Draw(rt, "order")
		cut := rapid.IntRange(0, len(mixed)).Draw(rt, "cut")
		rules.Fold(d, shuffled, mixed[:cut], openReports, noon)
		rules.Fold(d, shuffled, mixed[cut:], openReports, noon)
		rules.Fold(d, shuffled, mixed[:cut], openReports, noon)         // a replayed window
		for _, i := range []*reportingv1.Incident{straight, shuffled} { // whose it is, and to whom it is offered, is custody's to tell
			i.Standing, i.Offers = &custodyv1.Standing{Id: i.GetStanding().GetId(), Holder: i.GetStanding().GetHolder()}, nil
			if i.GetState() == reportingv1.Incident_STATE_OPEN {
				i.Standing.Holder = "somebody's"
			}
		}
		if !proto.Equal(straight, shuffled) {
			rt.Fatalf("straight %v\nshuffled %v", straight, shuffled)
		}
		if open := straight.GetState() == reportingv1.Incident_STATE_OPEN; open != (straight.GetStanding().GetHolder() != "") {
			rt.Fatalf("state %v held by %q", straight.GetState(), straight.GetStanding().GetHolder())
		}
	})
}

func TestAReplayedUpdateTellsNothing(t *testing.T) {
	t.Parallel()
	d, i := xinbei(t), rules.NewIncident(itemID, "J1", 1, "police:dispatch")
	u := []rules.Update{{Source: "police:dispatch", Epoch: 1, Envelope: &reportingv1.IncidentUpdate{Sequence: 1, IncidentVersion: 1}, Content: &reportingv1.IncidentContent{Division: village}}}
	if what := rules.Fold(d, i, u, openReports, noon); what != "opened" || i.GetStanding().GetHolder() != station {
		t.Errorf("%q, held by %s", what, i.GetStanding().GetHolder())
	}
	if what := rules.Fold(d, i, u, openReports, noon); what != "" {
		t.Errorf("the second time: %q", what)
	}
}

func TestAnIncidentGoesUpWhenNobodyActs(t *testing.T) {
	t.Parallel()
	d, i := xinbei(t), rules.NewIncident(itemID, "J1", 1, "police:dispatch")
	rules.Fold(d, i, []rules.Update{{Source: "s", Epoch: 1, Envelope: &reportingv1.IncidentUpdate{Sequence: 1, IncidentVersion: 1}, Content: &reportingv1.IncidentContent{Division: village}}}, openReports, noon)
	for _, want := range []string{rules.Bureau, lead, lead} {
		if err := rules.ExpireIncident(d, i, i.GetStanding().GetDeadline().AsTime()); err != nil || i.GetStanding().GetHolder() != want {
			t.Fatalf("%v: held by %s, want %s", err, i.GetStanding().GetHolder(), want)
		}
	}
	if err := rules.ExpireIncident(d, i, noon); err == nil {
		t.Error("fired before its time")
	}
}

func TestPayloadsThatAreQuarantined(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	valid := func(proto.Message) error { return nil }
	binary := func(c *reportingv1.IncidentContent) *reportingv1.IncidentUpdate {
		raw, err := proto.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return &reportingv1.IncidentUpdate{SourceTime: timestamppb.New(noon), Payload: raw}
	}
	text, err := protojson.Marshal(&reportingv1.IncidentContent{Division: village})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		update   *reportingv1.IncidentUpdate
		validate func(proto.Message) error
		want     reportingv1.Quarantined_Cause
	}{
		"sound":             {binary(&reportingv1.IncidentContent{Division: village, Situations: []string{"MISSING"}}), valid, 0},
		"sound JSON":        {&reportingv1.IncidentUpdate{SourceTime: timestamppb.New(noon), PayloadFormat: 1, Payload: text}, valid, 0},
		"not protobuf":      {&reportingv1.IncidentUpdate{SourceTime: timestamppb.New(noon), Payload: []byte{0xff, 0xff}}, valid, reportingv1.Quarantined_CAUSE_UNDECODABLE},
		"not JSON":          {&reportingv1.IncidentUpdate{SourceTime: timestamppb.New(noon), PayloadFormat: 1, Payload: []byte("{")}, valid, reportingv1.Quarantined_CAUSE_UNDECODABLE},
		"breaks a rule":     {binary(&reportingv1.IncidentContent{Summary: "a"}), func(proto.Message) error { return errors.New("rule") }, reportingv1.Quarantined_CAUSE_RULE_BROKEN},
		"NUL character":     {binary(&reportingv1.IncidentContent{Summary: "a\x00b"}), valid, reportingv1.Quarantined_CAUSE_RULE_BROKEN},
		"unknown situation": {binary(&reportingv1.IncidentContent{Situations: []string{"X"}}), valid, reportingv1.Quarantined_CAUSE_RULE_BROKEN},
		"no time":           {&reportingv1.IncidentUpdate{}, valid, reportingv1.Quarantined_CAUSE_RULE_BROKEN},
		"nothing":           {&reportingv1.IncidentUpdate{SourceTime: timestamppb.New(noon)}, valid, reportingv1.Quarantined_CAUSE_UNDECODABLE},
		"a day ahead":       {&reportingv1.IncidentUpdate{SourceTime: timestamppb.New(noon.Add(24 * time.Hour)), PayloadFormat: 1, Payload: text}, valid, 0},
		"more than a day":   {&reportingv1.IncidentUpdate{SourceTime: timestamppb.New(noon.Add(24*time.Hour + time.Second)), PayloadFormat: 1, Payload: text}, valid, reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE},
		"in the year 1":     {&reportingv1.IncidentUpdate{SourceTime: timestamppb.New(time.Time{}), PayloadFormat: 1, Payload: text}, valid, reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE},
		"milestone of 1":    {binary(&reportingv1.IncidentContent{Milestones: []*reportingv1.Milestone{{Kind: reportingv1.Milestone_KIND_ARRIVED, Time: timestamppb.New(time.Time{})}}}), valid, reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE},
		"milestone to come": {binary(&reportingv1.IncidentContent{Milestones: []*reportingv1.Milestone{{Kind: reportingv1.Milestone_KIND_ARRIVED, Time: timestamppb.New(noon.Add(48 * time.Hour))}}}), valid, reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE},
		"unknown division":  {binary(&reportingv1.IncidentContent{Division: "320411999000"}), valid, reportingv1.Quarantined_CAUSE_DIVISION_UNKNOWN},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := rules.ReadUpdate(d, tc.validate, tc.update, noon); got != tc.want {
				t.Errorf("cause %v, want %v", got, tc.want)
			}
		})
	}
}
