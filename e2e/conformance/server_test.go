package conformance

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/lianhu/lianhu/e2e/fleet"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite/conformance"
)

// The suite as it runs in production, behind its gateway, passes every check of a partner's part; the service is restarted when the run asks
// for it.
func TestTheSuitePasses(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	f, err := fleet.Start(t.Context(), fleet.Options{Root: root, Dir: dir, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	}()
	restarted := make(chan error, 1)
	check := conformance.Server{
		Target: f.Gateway(), Identity: source(t, f.Home.System("police", "dispatch")), Gateway: gatewayIdentity(), AwaitDrain: time.Minute,
		Told: func(line string) {
			t.Log(line)
			if strings.HasPrefix(line, "restart") {
				go func() {
					restarted <- errors.Join(f.Process("reporting", 0).Terminate(), f.Restart(t.Context(), "reporting", 0))
				}()
			}
		},
	}
	report, err := check.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
	if report.Verdict != conformance.Passed {
		t.Error(text(t, report))
	}
	// A source that is in use is left alone unless somebody says so.
	if _, err := check.Run(t.Context()); !errors.Is(err, conformance.ErrInUse) {
		t.Errorf("a second run begins with %v", err)
	}
}

// eager acknowledges what it was sent and remembers nothing.
type eager struct {
	reportingv1.UnimplementedDispatchServiceServer
}

func (eager) GetDispatchPosition(context.Context, *reportingv1.GetDispatchPositionRequest) (*reportingv1.GetDispatchPositionResponse, error) {
	return &reportingv1.GetDispatchPositionResponse{Hello: &reportingv1.Hello{}}, nil
}

func (eager) PushIncidentUpdates(wire grpc.BidiStreamingServer[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]) error {
	err := wire.Send(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Hello{Hello: &reportingv1.Hello{}}})
	for err == nil {
		var f *reportingv1.PushIncidentUpdatesRequest
		if f, err = wire.Recv(); err != nil {
			return nil
		}
		ack := &reportingv1.Ack{}
		for _, u := range f.GetUpdates() {
			ack.DurableThrough = max(ack.GetDurableThrough(), u.GetSequence())
		}
		err = wire.Send(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Ack{Ack: ack}})
	}
	return err
}

// A server that acknowledges without keeping passes where nothing is asked of its memory, and nowhere else.
func TestAServerThatOnlyAcknowledgesFails(t *testing.T) {
	t.Parallel()
	gateway, system := certified(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(gateway.ServerTLS("h2"))))
	reportingv1.RegisterDispatchServiceServer(server, eager{})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	report, err := conformance.Server{Target: l.Addr().String(), Identity: system, Gateway: gatewayIdentity(), Patience: 2 * time.Second}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, c := range report.Failures() {
		failed = append(failed, c.ID)
	}
	for _, id := range []string{"disorder", "gap", "void", "reuse", "poison", "epoch", "bounds", "unreadable", "cut", "newest", "batch"} {
		if !slices.Contains(failed, id) {
			t.Errorf("%s did not fail", id)
		}
	}
	for _, id := range []string{"hello", "ack", "slow-reader"} {
		if slices.Contains(failed, id) {
			t.Errorf("%s failed", id)
		}
	}
}
