package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lianhu/lianhu/pkg/identity"
)

// Probes are the answers of one process to health checks: Live from the beginning, Ready once the server says so. Whoever runs
// the process - Kubernetes's kubelet - has no certificate and speaks no TLS, so Serve answers it on a listener of its own, where
// there is nothing else to ask.
type Probes struct{ health *health.Server }

// NewProbes begins live and not ready: a process that waits for its database must not be restarted for it.
func NewProbes() *Probes {
	p := &Probes{health.NewServer()}
	p.health.SetServingStatus(Live, healthpb.HealthCheckResponse_SERVING)
	p.Ready(false)
	return p
}

// Ready says whether calls are welcome.
func (p *Probes) Ready(ready bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		status = healthpb.HealthCheckResponse_SERVING
	}
	p.health.SetServingStatus("", status)
	p.health.SetServingStatus(Ready, status)
}

// CheckEvery is how often the checks of readiness run unless a server says otherwise.
const CheckEvery = 5 * time.Second

// Check runs each check, a second at the most, and says whether calls are welcome. What fails is logged by its name.
func (p *Probes) Check(ctx context.Context, log *slog.Logger, checks ...Check) {
	ready := true
	for _, c := range checks {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		if err := c.Run(bounded); err != nil {
			ready = false
			log.WarnContext(ctx, "server: not ready", "check", c.Name, "cause", describe(err))
		}
		cancel()
	}
	p.Ready(ready)
}

// Watch runs the checks again and again until ctx is done.
func (p *Probes) Watch(ctx context.Context, every time.Duration, log *slog.Logger, checks ...Check) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.Check(ctx, log, checks...)
		}
	}
}

// CertificateCheck fails when the process's own certificate has run out: whoever calls would be refused by its own library.
func CertificateCheck(source *identity.Source) Check {
	return Check{Name: "certificate", Run: func(context.Context) error { return source.Check() }}
}

// Register adds the health service to a server.
func (p *Probes) Register(s grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(s, p.health) }

// Shutdown answers not serving from now on, whatever Ready says.
func (p *Probes) Shutdown() { p.health.Shutdown() }

// Serve answers health checks without TLS on an address until ctx is done. An empty address means nobody asks: it only waits.
func (p *Probes) Serve(ctx context.Context, address string) error {
	if address == "" {
		<-ctx.Done()
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("server: listen for health checks: %w", err)
	}
	return p.serve(ctx, listener)
}

func (p *Probes) serve(ctx context.Context, listener net.Listener) error {
	s := grpc.NewServer(grpc.MaxRecvMsgSize(4<<10), grpc.MaxConcurrentStreams(16))
	p.Register(s)
	defer context.AfterFunc(ctx, s.Stop)()
	if err := s.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("server: health checks: %w", err)
	}
	return nil
}
