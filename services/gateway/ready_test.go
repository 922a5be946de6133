package gateway_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/services/gateway"
)

// A gateway whose certificate has run out refuses nobody, but everybody refuses it: it must not be sent calls any more.
func TestAGatewayWhoseCertificateRanOutIsNotReady(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	leaf, err := h.ca.IssueUntil(identity.OfService(domain, gateway.Name), time.Now().Add(3*time.Second), "127.0.0.1")
	ok(t, err)
	files, err := leaf.Write(h.dir, "short")
	ok(t, err)
	health, outside, web := listen(t), listen(t), listen(t)
	address := health.Addr().String()
	ok(t, health.Close())
	config := gateway.Config{
		Certificate: files.Certificate, Key: files.Key, Roots: filepath.Join(h.dir, identity.RootsFile), HealthListen: address,
		Peers: map[string]string{"registry": "a:1", "reporting": "a:1", "referral": "a:1", "relief": "a:1"},
	}
	config.Shared.Environment = "development"
	serve(t, func(ctx context.Context) error { return gateway.Run(ctx, config, outside, web) })
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	ok(t, err)
	defer func() { _ = conn.Close() }()
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	ok(t, err)
	want := []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING}
	for _, status := range want {
		for {
			got, err := watch.Recv()
			ok(t, err)
			if got.GetStatus() == status {
				break
			}
		}
	}
}
