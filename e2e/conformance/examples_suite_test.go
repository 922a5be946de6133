//go:build clients

package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/dispatch"
)

// A file of an example: updates of some incidents, numbers in disorder and twice, a void, a code that no table has, and a poisoned update,
// which comes last, when no connection is cut any more.
const (
	fileUpdates, fileIncidents      = 1500, 40
	begun                           = 300 // numbers that are pushed before the file
	voidFrom, voidTo                = 701, 720
	codeAt                          = 1001
	poisonAt                        = fileUpdates
	fileStored                      = fileUpdates - (voidTo - voidFrom + 1) // updates that take a number
	cutFirst, cutHandshake, cutLast = 90_000, 1_000, 60_000                 // bytes after which connections are cut
)

// plan is the file of one example and what has to be read back.
type plan struct {
	name    string
	content string
	// tops are the updates that stand, by incident.
	tops map[string]int
}

func newPlan(name string) *plan {
	p := &plan{name: name, tops: map[string]int{}}
	var lines []string
	for n := 1; n < poisonAt; n++ {
		if n < voidFrom || n > voidTo {
			lines = append(lines, p.line(n))
			p.tops[p.incident(n)] = n
		}
	}
	for i := 0; i+10 < len(lines); i += 30 { // near numbers change places, some stand twice
		lines[i], lines[i+10] = lines[i+10], lines[i]
		lines = append(lines[:i+5:i+5], append([]string{lines[i]}, lines[i+5:]...)...)
	}
	lines = append(lines, fmt.Sprintf(`{"void":{"from":%d,"to":"%d","reason":"numbers of a test"}}`, voidFrom, voidTo))
	lines = append(lines, strings.Replace(p.line(poisonAt), `"求助"`, `7`, 1))
	p.content = strings.Join(lines, "\n")
	return p
}

// beginning is the first numbers alone.
func (p *plan) beginning() string {
	var lines []string
	for n := 1; n <= begun; n++ {
		lines = append(lines, p.line(n))
	}
	return strings.Join(lines, "\n")
}

func (p *plan) incident(n int) string {
	if n == codeAt {
		return fmt.Sprintf("EXAMPLE-%s-code", p.name)
	}
	return fmt.Sprintf("EXAMPLE-%s-%d", p.name, n%fileIncidents)
}

func (p *plan) summary(n int) string {
	return fmt.Sprintf("第%d次更新 %s", n, strings.Repeat("内容", n%30))
}

func (p *plan) line(n int) string {
	codes := ""
	if n == codeAt {
		codes = `,"codes":["EXAMPLE-CODE"]`
	}
	return fmt.Sprintf(`{"sequence":%d,"incidentNumber":%q,"incident_version":"%d","source_time":"2026-01-05T%02d:%02d:00.25+08:00",`+
		`"payload":{"category":"求助", "summary": %q, "milestones":[{"kind":"KIND_ARRIVED","time":"2026-01-05T08:%02d:%02d+08:00"}]%s}}`,
		n, p.incident(n), n, 8+n/600, n%60, p.summary(n), n/60, n%60, codes)
}

// pushesToTheSuite pushes a file over connections that are cut, through the gateway, and asks the suite what it has.
func (e *example) pushesToTheSuite(ctx context.Context, t *testing.T, s *suite.Suite, home suite.Home) {
	if err := home.CertifySystem(e.unit, "dispatch"); err != nil {
		t.Fatal(err)
	}
	files, p := home.System(e.unit, "dispatch"), newPlan(e.name)
	wire := newCutter(t, s.GRPC, cutFirst, cutHandshake, cutLast)
	pushes := func(exit int, target, content string, more []string, texts ...string) {
		t.Helper()
		e.pushes(ctx, t, exit, target, files, content, more, texts)
	}
	pushes(0, s.GRPC, p.beginning(), nil, "hello: epoch 0, durable through 0\n", fmt.Sprintf("ack: durable through %d\n", begun), "done: all is durable, 0 quarantined")
	pushes(1, wire.listener.Addr().String(), p.content, nil,
		fmt.Sprintf("hello: epoch 1, durable through %d\n", begun), "cut: ", fmt.Sprintf("quarantined: %d CAUSE_UNDECODABLE", poisonAt), "done: all is durable, 1 quarantined")
	if wire.cuts() != 3 {
		t.Errorf("%d connections were cut; the test proves nothing", wire.cuts())
	}
	repeated := e.isStoredOnce(ctx, t, s, home, p)

	pushes(0, s.GRPC, p.content, nil, fmt.Sprintf("hello: epoch 1, durable through %d\n", poisonAt), "done: all is durable, 0 quarantined")
	if again := e.isStoredOnce(ctx, t, s, home, p); again != repeated {
		t.Errorf("%d updates were sent although the Hello said that they are durable", again-repeated)
	}
	late, missed := p.line(poisonAt+1)+"\n"+p.line(poisonAt+3), fmt.Sprintf("%d-%[1]d missing at the server and not in the file", poisonAt+2)
	pushes(1, s.GRPC, late, nil, missed)
	pushes(0, s.GRPC, fmt.Sprintf(`{"void":{"from":%d,"to":%[1]d}}`, poisonAt+2), nil, fmt.Sprintf("ack: durable through %d\n", poisonAt+3))
	pushes(2, s.GRPC, p.line(1)+"\n"+strings.Replace(p.line(1), "求助", "纠纷", 1), nil, "line 2", "number 1 stands in the file before", "nothing was sent")
	pushes(2, s.GRPC, p.line(1)+"\n{\"sequence\":}", nil, "line 2", "nothing was sent")
	pushes(2, s.GRPC, strings.Replace(p.line(1), "source_time", "sauce_time", 1), nil, "line 1", "nothing was sent")
	pushes(0, s.GRPC, p.line(1), []string{"--epoch", "2"}, "hello: epoch 1", "ack: durable through 1\n", "done: all is durable, 0 quarantined")
	pushes(1, s.GRPC, p.content, nil, "stopped: the server counts by epoch 2, our numbers are of 1")
	said, exit := e.push(ctx, t, s.GRPC, home.Unit("youth_league"), p.line(1))
	if exit != 1 || !strings.Contains(strings.ToUpper(strings.ReplaceAll(said, "_", "")), "PERMISSIONDENIED") {
		t.Errorf("who may not push is told so by status %d:\n%s", exit, said)
	}
}

// isStoredOnce asks as the partner, as the police and as the operator. It gives how many updates came again.
func (e *example) isStoredOnce(ctx context.Context, t *testing.T, s *suite.Suite, home suite.Home, p *plan) (repeated int64) {
	t.Helper()
	partner, err := dispatch.Dial(s.GRPC, source(t, home.System(e.unit, "dispatch")), gatewayIdentity())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = partner.Close() }()
	answer, err := reportingv1.NewIntegrationServiceClient(partner).GetIntegration(ctx, &reportingv1.GetIntegrationRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := answer.GetIntegration()
	counts := got.GetCounts()
	if repeated = counts.GetRepeatedUpdates(); counts != nil {
		counts.RepeatedUpdates, counts.Streams = 0, 0 // as often as lines were cut
	}
	want := &reportingv1.Integration{
		Source: e.unit + ":dispatch", Epoch: 1, DurableThrough: poisonAt,
		Counts:     &reportingv1.SourceCounts{Updates: fileStored, Voided: voidTo - voidFrom + 1, GreatestSequence: poisonAt, UnknownCodes: 1},
		Quarantine: []*reportingv1.QuarantineCount{{Cause: reportingv1.Quarantined_CAUSE_UNDECODABLE, Open: 1}},
	}
	seen := &reportingv1.Integration{
		Source: got.GetSource(), Epoch: got.GetEpoch(), DurableThrough: got.GetDurableThrough(), Gaps: got.GetGaps(), Counts: counts, Quarantine: got.GetQuarantine(),
	}
	if diff := cmp.Diff(want, seen, protocmp.Transform()); diff != "" {
		t.Errorf("my integration (-want +got):\n%s", diff)
	}

	operator, err := suite.DialGateway(home, s.GRPC, "operations")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = operator.Close() }()
	apart, err := reportingv1.NewReportingOperationsServiceClient(operator).ListQuarantine(ctx, &reportingv1.ListQuarantineRequest{Source: want.GetSource()})
	if err != nil {
		t.Fatal(err)
	}
	if list := apart.GetQuarantinedUpdates(); len(list) != 1 || list[0].GetSequence() != poisonAt {
		t.Errorf("the operator's quarantine holds %v", list)
	}

	police, err := suite.DialGateway(home, s.GRPC, "police")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = police.Close() }()
	reader := reportingv1.NewReportingReadServiceClient(police)
	for number, top := range p.tops {
		answer, err := reader.GetIncident(ctx, &reportingv1.GetIncidentRequest{IncidentNumber: number})
		if err != nil {
			t.Fatalf("%s: %v", number, err)
		}
		i := answer.GetIncident()
		if i.GetSequence() != int64(top) || i.GetContent().GetSummary() != p.summary(top) || i.GetSourceTime().GetNanos() != 250_000_000 || len(i.GetMilestones()) != 1 {
			t.Errorf("%s is of number %d, %q, with %d milestones; want number %d, %q, one", number, i.GetSequence(), i.GetContent().GetSummary(), len(i.GetMilestones()), top, p.summary(top))
		}
		if unknown := len(i.GetUnknownCodes()); (unknown == 1) != (top == codeAt) {
			t.Errorf("%s has %d unknown codes", number, unknown)
		}
	}
	return repeated
}
