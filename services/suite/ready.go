package suite

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/services/gateway"
)

// readyWithin bounds the wait for all parts to answer.
const readyWithin = time.Minute

// AwaitReady returns when every part says that it is ready.
func (s *Suite) AwaitReady(ctx context.Context) error {
	targets := s.peers()
	targets[gateway.Name] = s.GRPC
	for name, address := range targets {
		if err := s.AwaitPart(ctx, name, address); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
	return nil
}

// AwaitPart returns when one replica of a service says that it is ready.
func (s *Suite) AwaitPart(ctx context.Context, name, address string) error {
	source, err := identity.Load(s.options.Home.Service(gateway.Name))
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := awaitReady(bounded, source, name, address); err != nil {
		return fmt.Errorf("%s at %s does not become ready: %w", name, address, err)
	}
	return nil
}

func awaitReady(ctx context.Context, source *identity.Source, name, address string) error {
	conn, err := client.Dial(address, client.Options{Identity: source, Peer: identity.OfService(TrustDomain, name)})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	service := server.Ready
	if name == gateway.Name {
		service = ""
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
		if err == nil && answer.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
