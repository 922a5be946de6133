package fleet_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/e2e/fleet"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
)

// What was acknowledged is there after the service and its database were killed; nobody has to reconnect by hand.
func TestAcknowledgedWorkSurvivesThatServiceAndDatabaseAreKilled(t *testing.T) {
	t.Parallel()
	f := start(t, fleet.Options{Root: root, Dir: folder(t), Replicas: 1})
	conn, err := suite.DialGateway(f.Home, f.Gateway(), "police-dispatch")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	dispatch := reportingv1.NewDispatchServiceClient(conn)
	pushed, err := dispatch.PushIncidentUpdateBatch(t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{RequestId: uuid.NewString(), Epoch: 1, Updates: []*reportingv1.IncidentUpdate{
		{Sequence: 1, IncidentNumber: "320411-R-1", IncidentVersion: 1, SourceTime: timestamppb.New(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC))},
		{Sequence: 3, IncidentNumber: "320411-R-2", IncidentVersion: 1, SourceTime: timestamppb.New(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Process("reporting", 0).Kill()
	if err := f.RestartDatabase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Restart(t.Context(), "reporting", 0); err != nil {
		t.Fatal(err)
	}
	position, err := dispatch.GetDispatchPosition(t.Context(), &reportingv1.GetDispatchPositionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &reportingv1.Hello{Epoch: 1, DurableThrough: pushed.GetAck().GetDurableThrough(), Gaps: pushed.GetAck().GetGaps(), GreatestSequence: pushed.GetAck().GetGreatestSequence()}
	if diff := cmp.Diff(want, position.GetHello(), protocmp.Transform()); diff != "" || want.GetDurableThrough() != 1 {
		t.Errorf("the position is not the acknowledged one (-want +got):\n%s", diff)
	}
}
