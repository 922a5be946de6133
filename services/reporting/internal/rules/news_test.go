package rules_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// news is an update of the village's incident made some time after noon and received at once.
func news(sequence, version int64, at time.Duration, content *reportingv1.IncidentContent) rules.Update {
	return rules.Update{
		Source: "police:dispatch", Epoch: 1, Received: noon.Add(at), Content: content,
		Envelope: &reportingv1.IncidentUpdate{Sequence: sequence, IncidentNumber: "J1", IncidentVersion: version, SourceTime: timestamppb.New(noon.Add(at))},
	}
}

// inJSON is an update with a JSON payload, read as it comes.
func inJSON(t *testing.T, sequence, version int64, payload string) rules.Update {
	t.Helper()
	u := news(sequence, version, 0, nil)
	u.Envelope.PayloadFormat, u.Envelope.Payload = reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON, []byte(payload)
	content, cause := rules.ReadUpdate(xinbei(t), func(proto.Message) error { return nil }, u.Envelope, noon)
	if cause != 0 {
		t.Fatalf("%s: %s", payload, cause)
	}
	u.Content = content
	return u
}

// A name that is misspelt clears nothing: the fields it leaves unsaid stay with the update that said them, in whatever order they come.
func TestAMisspeltFieldClearsNothing(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	whole := inJSON(t, 1, 1, `{"summary":"儿童被打","division":"`+village+`","situations":["DOMESTIC_VIOLENCE"],"place":"桥头"}`)
	later := inJSON(t, 2, 2, `{"summary":"又被打","division":"`+village+`","situations":["DOMESTIC_VIOLENCE"]}`)
	misspelt := inJSON(t, 3, 3, `{"sumario":"第三次","place":"村口"}`)
	rapid.Check(t, func(rt *rapid.T) {
		i := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
		for _, u := range rapid.Permutation([]rules.Update{whole, later, misspelt}).Draw(rt, "order") {
			rules.Fold(d, i, []rules.Update{u}, openReports, noon)
		}
		c := i.GetContent()
		if c.GetSummary() != "又被打" || c.GetDivision() != village || len(c.GetSituations()) != 1 || c.GetPlace() != "村口" || i.GetIncidentVersion() != 3 {
			rt.Fatalf("reads %v", i)
		}
		if !slices.Equal(i.GetUnknownFields(), []string{"sumario"}) || i.GetStanding().GetHolder() == "" {
			rt.Fatalf("not flagged: %v", i)
		}
	})
	// A status that is left out is open: nothing may keep an incident closed by mistake.
	i := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
	rules.Fold(d, i, []rules.Update{inJSON(t, 1, 1, `{"summary":"a","status":"STATUS_CLOSED"}`)}, openReports, noon)
	rules.Fold(d, i, []rules.Update{inJSON(t, 2, 2, `{"sumario":"b"  ,"place":"c"}`)}, openReports, noon)
	if i.GetState() != reportingv1.Incident_STATE_OPEN || i.GetContent().GetSummary() != "a" {
		t.Errorf("reads %v", i)
	}
}

// A version out of all proportion is flagged, and later news of its source still counts.
func TestAVersionFarAboveDoesNotPinAnIncident(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	say := func(summary string) *reportingv1.IncidentContent {
		return &reportingv1.IncidentContent{Division: village, Summary: summary}
	}
	updates := []rules.Update{news(1, 1, 0, say("a")), news(2, 1_000_000, time.Minute, say("b")), news(3, 2, 2*time.Minute, say("c"))}
	rapid.Check(t, func(rt *rapid.T) {
		i := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
		for _, u := range rapid.Permutation(updates).Draw(rt, "order") {
			rules.Fold(d, i, []rules.Update{u}, openReports, noon)
		}
		if i.GetContent().GetSummary() != "c" || !i.GetVersionLeap() {
			rt.Fatalf("reads %v", i)
		}
	})
}

func TestANumberUsedAgainBeginsANewLife(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	const year = 300 * 24 * time.Hour
	old := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
	rules.Fold(d, old, []rules.Update{news(5, 9, 0, &reportingv1.IncidentContent{Summary: "去年", Status: reportingv1.IncidentContent_STATUS_CLOSED})}, openReports, noon)
	lives := []*reportingv1.Incident{old}
	again := rules.NewIncident(otherID, "J1", 2, "police:dispatch")
	rules.Fold(d, again, []rules.Update{news(7, 2, year, &reportingv1.IncidentContent{Summary: "今年"})}, openReports, noon)
	for name, tc := range map[string]struct {
		lives []*reportingv1.Incident
		u     rules.Update
		want  int
	}{
		"a late update":                     {lives, news(4, 8, -time.Hour, nil), 0},
		"a late one with a later time":      {lives, news(4, 8, 23*time.Hour, nil), 0},
		"one numbered before what stands":   {lives, news(4, 8, year, nil), 0},
		"news a year later":                 {lives, news(6, 10, year, nil), 0},
		"the number a year later":           {lives, news(6, 1, year, nil), 1},
		"the number the next day":           {lives, news(6, 1, 25*time.Hour, nil), 1},
		"the same version a year later":     {lives, news(6, 9, year, nil), 1},
		"its second update":                 {[]*reportingv1.Incident{old, again}, news(8, 3, year+time.Hour, nil), 1},
		"its first update, late":            {[]*reportingv1.Incident{old, again}, news(6, 1, year-time.Hour, nil), 1},
		"above the old version by now":      {[]*reportingv1.Incident{old, again}, news(20, 11, year+20*time.Hour, nil), 1},
		"a late update of the first life":   {[]*reportingv1.Incident{old, again}, news(3, 7, -time.Hour, nil), 0},
		"a third life, after another year":  {[]*reportingv1.Incident{old, again}, news(30, 1, 2*year, nil), 2},
		"another source's, a year later":    {lives, rules.Update{Source: "police/320411101000:dispatch", Epoch: 1, Envelope: news(1, 1, year, nil).Envelope}, 1},
		"a number nobody has used till now": {nil, news(1, 1, 0, nil), 0},
	} {
		if got := rules.LifeOf(d, tc.lives, tc.u); got != tc.want {
			t.Errorf("%s: life %d, want %d", name, got, tc.want)
		}
	}
	parts := rules.SortByLife(d, lives, []rules.Update{
		news(6, 1, year, &reportingv1.IncidentContent{Summary: "a"}), news(7, 2, year+time.Hour, &reportingv1.IncidentContent{Summary: "b"}),
		news(4, 8, 0, &reportingv1.IncidentContent{Summary: "c"}),
	})
	if len(parts) != 2 || len(parts[0]) != 1 || len(parts[1]) != 2 {
		t.Errorf("sorted as %v", parts)
	}
}

// A clock that is behind is set right before anything is excused by it, and a time before the incident excuses nothing.
func TestAClockThatIsWrongExcusesNothing(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	for name, tc := range map[string]struct {
		sent, skew time.Duration
		want       bool
	}{
		"an outage":                        {20 * time.Hour, 0, true},
		"eight hours behind, as always":    {17 * time.Hour, -8 * time.Hour, false},
		"eight hours behind and an outage": {14 * time.Hour, -8 * time.Hour, true},
		"three hours ahead and an outage":  {23 * time.Hour, 3 * time.Hour, true},
		"before the incident":              {-time.Hour, 0, false},
		"long before anything":             {-250 * 365 * 24 * time.Hour, 0, false},
		"the day after":                    {40 * time.Hour, 0, false},
	} {
		i := missedAt(t)
		i.CreateTime = timestamppb.New(noon)
		u := told(2, tc.sent, 25*time.Hour, 0)
		u.Skew = tc.skew
		rules.Fold(d, i, []rules.Update{u}, openReports, noon.Add(25*time.Hour))
		if got := i.GetMissedDeadlines()[0].GetOverdueWhileLinkDown(); got != tc.want {
			t.Errorf("%s: excused is %v", name, got)
		}
	}
}

// News that moves an incident is an offer: the holder stays until the other station accepts, and after a refusal or silence the bureau is asked.
func TestNewsThatMovesAnIncidentOffersIt(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	moved := func() *reportingv1.Incident {
		i := openIncident(t, &reportingv1.IncidentContent{Division: village})
		rules.Fold(d, i, []rules.Update{news(2, 2, time.Hour, &reportingv1.IncidentContent{Division: "320411103000"})}, openReports, noon.Add(time.Hour))
		return i
	}
	now := noon.Add(2 * time.Hour)
	i := moved()
	stands(t, "moved", i.GetStanding(), station, other, "incident.transfer")
	if err := rules.AcceptIncident(d, i, rules.Actor{Unit: station}, now); err == nil {
		t.Error("the holder accepted its own offer")
	}
	if err := rules.AcceptIncident(d, i, rules.Actor{Unit: other}, now); err != nil {
		t.Fatal(err)
	}
	stands(t, "accepted", i.GetStanding(), other, "", "incident.handle")
	i = moved()
	if err := rules.DeclineIncident(d, i, rules.Actor{Unit: other}, "不在辖区", now); err != nil {
		t.Fatal(err)
	}
	stands(t, "declined", i.GetStanding(), station, rules.Bureau, "incident.transfer")
	if err := rules.DeclineIncident(d, i, rules.Actor{Unit: rules.Bureau}, "由原派出所处理", now); err != nil {
		t.Fatal(err)
	}
	stands(t, "declined by all", i.GetStanding(), station, "", "incident.handle")
	i = moved()
	if err := rules.ExpireIncident(d, i, i.GetStanding().GetDeadline().AsTime()); err != nil {
		t.Fatal(err)
	}
	stands(t, "silent", i.GetStanding(), station, rules.Bureau, "incident.transfer")
	rules.Fold(d, i, []rules.Update{news(3, 3, 6*time.Hour, &reportingv1.IncidentContent{Division: village})}, openReports, noon.Add(6*time.Hour))
	stands(t, "moved back", i.GetStanding(), station, "", "incident.handle")
	if n := len(i.GetOffers()); n != 2 || i.GetOffers()[0].GetOutcome() != reportingv1.IncidentOffer_OUTCOME_SILENT || i.GetOffers()[1].GetOutcome() != reportingv1.IncidentOffer_OUTCOME_WITHDRAWN {
		t.Errorf("offers %v", i.GetOffers())
	}
	by := rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	if err := rules.TransferIncident(d, i, by, "finance", "x", now); err == nil {
		t.Error("an incident went to the finance bureau")
	}
	if err := rules.TransferIncident(d, i, by, other, "实为邻镇", now); err != nil {
		t.Fatal(err)
	}
	stands(t, "transferred", i.GetStanding(), station, other, "incident.transfer")
}

// A report that is done carries no news; what it was told before ends with it, and the police unit can end what is left.
func TestAReportThatIsDoneCarriesNoNews(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	linked := &reportingv1.IncidentContent{Division: village, ReportId: reportID}
	report := &reportingv1.Report{Standing: &custodyv1.Standing{Id: reportID}}
	i := openIncident(t, linked)
	stands(t, "carried", i.GetStanding(), "", "", "")
	done := rules.Carriers{reportID: {Holder: station, Done: true}, otherID: {Holder: station}}
	rules.Fold(d, i, []rules.Update{news(2, 2, time.Hour, &reportingv1.IncidentContent{Division: village, ReportId: reportID, Summary: "再次被打"})}, done, noon.Add(time.Hour))
	stands(t, "news after the response", i.GetStanding(), station, "", "incident.handle")
	if i.GetStanding().GetMatterId() != reportID || i.GetState() != reportingv1.Incident_STATE_OPEN {
		t.Errorf("the link is gone: %v", i)
	}
	by := rules.Actor{Unit: station, Officer: "police-320411101000-1"}
	if _, err := rules.EndIncident(d, i, rules.Actor{Unit: other, Officer: "x"}, reportingv1.IncidentEnd_GROUND_HANDLED, "x", done, noon); err == nil {
		t.Error("another station ended it")
	}
	if what, err := rules.EndIncident(d, i, by, reportingv1.IncidentEnd_GROUND_HANDLED, "已到场处置", done, noon); err != nil || what != "closed" {
		t.Fatal(what, err)
	}
	rules.Fold(d, i, []rules.Update{news(3, 3, 2*time.Hour, &reportingv1.IncidentContent{Division: village, ReportId: reportID, Summary: "第三次"})}, done, noon.Add(2*time.Hour))
	stands(t, "news after the end", i.GetStanding(), station, "", "incident.handle")
	if what, err := rules.LinkIncident(d, i, by, otherID, "新报告", done, noon); err != nil || what != "linked" || i.GetStanding().GetMatterId() != otherID {
		t.Errorf("%s, %v: %v", what, err, i)
	}
	for name, tc := range map[string]struct {
		responded bool
		other     rules.Carrier
		state     reportingv1.Incident_State
		matter    string
	}{
		"its response covered it":   {true, rules.Carrier{}, reportingv1.Incident_STATE_CLOSED, reportID},
		"it ended without one":      {false, rules.Carrier{}, reportingv1.Incident_STATE_OPEN, reportID},
		"another report carries on": {true, rules.Carrier{Holder: station}, reportingv1.Incident_STATE_LINKED, otherID},
	} {
		i := openIncident(t, linked)
		i.Links = append(i.Links, &reportingv1.IncidentLink{ReportId: otherID})
		report.ResponseCloseTime = nil
		if tc.responded {
			report.ResponseCloseTime = timestamppb.New(noon)
		}
		rules.Release(d, i, report, rules.Carriers{reportID: {Holder: station}, otherID: tc.other}, noon)
		if i.GetState() != tc.state || i.GetStanding().GetMatterId() != tc.matter || (tc.state == reportingv1.Incident_STATE_OPEN) != (i.GetStanding().GetHolder() == station) {
			t.Errorf("%s: %v", name, i)
		}
	}
}
