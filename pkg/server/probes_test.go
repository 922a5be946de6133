package server_test

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/server"
)

// The kubelet restarts what is not live and sends nobody to what is not ready; it asks in plaintext, and may learn no more than that.
func TestProbesTellLiveFromReadyAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	free, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	probes := server.NewProbes()
	serving, stop := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error { return probes.Serve(serving, address) })
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	want := func(name string, want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: name}, grpc.WaitForReady(true))
		if err != nil || got.GetStatus() != want {
			t.Errorf("%q is %s (%v), want %s", name, got.GetStatus(), err, want)
		}
	}
	want(server.Live, healthpb.HealthCheckResponse_SERVING)
	want(server.Ready, healthpb.HealthCheckResponse_NOT_SERVING)
	probes.Ready(true)
	want(server.Ready, healthpb.HealthCheckResponse_SERVING)
	want("", healthpb.HealthCheckResponse_SERVING)
	probes.Shutdown()
	probes.Ready(true) // a check that was under way when the server began to stop
	want(server.Ready, healthpb.HealthCheckResponse_NOT_SERVING)
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("reflection without TLS answers %v", err)
	}
	stop()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestProbesThatNobodyAsksOnlyWait(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := server.NewProbes().Serve(ctx, ""); err != nil {
		t.Error(err)
	}
	if err := server.NewProbes().Serve(t.Context(), "127.0.0.1:no-port"); err == nil {
		t.Error("an address that cannot be listened on is passed over")
	}
}
