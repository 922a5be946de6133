// Package gateway is the one door of the suite: it knows callers by their certificates, passes gRPC through untouched and answers
// the same contract as JSON. It has no database and no rules.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/gateway/internal/door"
	"github.com/lianhu/lianhu/services/gateway/internal/surface"
)

// Name of the gateway, as in its identity.
const Name = "gateway"

// Config of the gateway. Its variables begin with GATEWAY_; those of the suite carry no prefix.
type Config struct {
	// Listen is the gRPC address, ListenJSON the HTTPS one.
	Listen     string `env:"LISTEN" envDefault:":8443"`
	ListenJSON string `env:"LISTEN_JSON" envDefault:":8444"`
	// HealthListen is the address of plaintext health checks, for whoever runs the process; empty means none.
	HealthListen string `env:"HEALTH_LISTEN"`
	// Certificate, Key and Roots are PEM files; they may be replaced while the process runs.
	Certificate string `env:"CERTIFICATE_FILE,required"`
	Key         string `env:"KEY_FILE,required"`
	Roots       string `env:"ROOTS_FILE,required"`
	// Peers are the addresses of the four services, `name=address`, comma separated; an address is as for client.Target.
	Peers map[string]string `env:"PEERS,required" envKeyValSeparator:"="`
	// Shared settings of the suite.
	Shared service.Shared `env:"-"`
}

// ConfigFromEnv reads the configuration from the environment, strictly.
func ConfigFromEnv() (Config, error) {
	var c Config
	err := service.ParseConfig("GATEWAY", &c, &c.Shared)
	return c, err
}

// Run passes calls on until ctx is done. Nil listeners mean to listen on the configured addresses.
func Run(ctx context.Context, c Config, grpcListener, jsonListener net.Listener) (err error) {
	source, err := identity.Load(identity.Files{Certificate: c.Certificate, Key: c.Key, Roots: c.Roots})
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if c.Shared.Production() {
		if err := source.RefuseDevelopment(); err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
	}
	upstreams := map[string]door.Upstream{}
	defer func() {
		for _, u := range upstreams {
			_ = u.Close() // nothing waits for what a service might still say
		}
	}()
	for _, area := range door.Areas() {
		address, ok := c.Peers[area]
		if !ok {
			return fmt.Errorf("gateway: no address for %s in GATEWAY_PEERS", area)
		}
		if upstreams[area], err = door.Dial(address, source, area, surface.Condition()); err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
	}
	json, err := surface.New(ctx, source, upstreams)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	for listener, address := range map[*net.Listener]string{&grpcListener: c.Listen, &jsonListener: c.ListenJSON} {
		if *listener == nil {
			if *listener, err = net.Listen("tcp", address); err != nil {
				return fmt.Errorf("gateway: listen: %w", err)
			}
		}
	}
	slog.InfoContext(ctx, "serving", "service", Name, "grpc", grpcListener.Addr().String(), "json", jsonListener.Addr().String())
	group, ctx := errgroup.WithContext(ctx)
	probes := server.NewProbes()
	group.Go(func() error { return probes.Serve(ctx, c.HealthListen) })
	group.Go(func() error { return door.New(source, upstreams, probes).Serve(ctx, grpcListener) })
	group.Go(func() error { return json.Serve(ctx, jsonListener) })
	return group.Wait()
}
