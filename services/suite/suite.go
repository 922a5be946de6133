// Package suite runs all of Lianhu in one process over a PostgreSQL of its own: what `lianhu up` does. Each service is the same
// code, with the same certificates, as when it runs alone.
package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/devclock"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/postgres/embedded"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/pkg/service"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	"github.com/lianhu/lianhu/services/gateway"
	"github.com/lianhu/lianhu/services/referral"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/relief"
	"github.com/lianhu/lianhu/services/reporting"
)

// Options of a suite.
type Options struct {
	// Home is the folder it keeps everything in.
	Home Home
	// DistrictDir is the folder of the district package.
	DistrictDir string
	// GRPC and JSON are the gateway's addresses; port 0 means any free one.
	GRPC, JSON string
	// StandStill keeps business time still between advances, for a demonstration or a test; otherwise it runs.
	StandStill bool
	// AdminURL of a PostgreSQL server to use in place of the embedded one.
	AdminURL string
	// Progress gets a line for each step of the start; nil means silence.
	Progress io.Writer
}

// Suite is what Prepare made ready: addresses, databases, certificates. Run runs it.
type Suite struct {
	// District package.
	District *district.District
	// GRPC and JSON are the gateway's addresses, Clock is the development clock's.
	GRPC, JSON, Clock string

	options   Options
	cluster   *embedded.Cluster
	databases map[string]urls
	listeners map[string]net.Listener
}

// Prepare brings up the database, migrates it, issues certificates and takes all ports. It does not serve yet.
func Prepare(ctx context.Context, o Options) (*Suite, error) {
	s, err := Provision(ctx, o)
	if err != nil {
		return s, err
	}
	if err := s.listen(ctx); err != nil {
		return s, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// Provision is Prepare without ports: what the parts need when each is a process of its own; see Environment.
func Provision(ctx context.Context, o Options) (s *Suite, err error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	told := func(line string) { _, _ = fmt.Fprintln(o.Progress, line) }
	s = &Suite{options: o, listeners: map[string]net.Listener{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(ctx))
		}
	}()
	if s.District, err = district.Load(o.DistrictDir); err != nil {
		return s, err
	}
	told("district " + s.District.ZH() + " " + s.District.Version())
	if err = o.Home.Certify(s.District); err != nil {
		return s, err
	}
	admin := o.AdminURL
	if admin == "" {
		told("starting PostgreSQL")
		if s.cluster, err = embedded.Start(ctx, embedded.Config{Dir: o.Home.Path("postgres"), Progress: o.Progress}); err != nil {
			return s, err
		}
		admin = s.cluster.AdminURL()
	}
	s.databases, err = o.Home.ensure(ctx, admin, told)
	return s, err
}

// listen takes the ports: the gateway's as asked for, the others as they come, on this machine only.
func (s *Suite) listen(ctx context.Context) error {
	addresses := map[string]string{"grpc": s.options.GRPC, "json": s.options.JSON}
	for _, name := range services {
		addresses[name] = "127.0.0.1:0"
	}
	delete(addresses, gateway.Name)
	var config net.ListenConfig
	for name, address := range addresses {
		l, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("take a port for %s: %w; choose other addresses with --grpc and --json, or stop what runs there", name, err)
		}
		s.listeners[name] = l
	}
	s.GRPC, s.JSON, s.Clock = s.address("grpc"), s.address("json"), s.address(service.ClockName)
	return nil
}

func (s *Suite) address(name string) string { return s.listeners[name].Addr().String() }

// Run serves until ctx is done or a part fails. ready is called once everything answers.
func (s *Suite) Run(ctx context.Context, ready func(ctx context.Context) error) error {
	clock, err := s.openClock()
	if err != nil {
		return err
	}
	runs, err := s.runs()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return clock.Run(ctx) })
	group.Go(func() error { return s.serveClock(ctx, clock) })
	for _, run := range runs {
		group.Go(func() error { return run(ctx) })
	}
	if s.cluster != nil && s.cluster.Ended() != nil {
		group.Go(func() error {
			select {
			case <-s.cluster.Ended():
				return fmt.Errorf("PostgreSQL has ended; see %s", s.options.Home.Path("postgres", "postgres.log"))
			case <-ctx.Done():
				return nil
			}
		})
	}
	withdraw := func() {}
	defer func() { withdraw() }()
	group.Go(func() (err error) {
		if err := s.AwaitReady(ctx); err != nil {
			return err
		}
		if withdraw, err = s.announce(); err != nil {
			return err
		}
		return ready(ctx)
	})
	if err := group.Wait(); !errors.Is(err, errStop) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// errStop ends Run without a failure.
var errStop = errors.New("stop")

// Stop is what ready returns when the suite has served its purpose.
func Stop() error { return errStop }

// runs gives the five parts, each as it would run alone.
func (s *Suite) runs() ([]func(context.Context) error, error) {
	configs := map[string]service.Config{}
	for _, name := range services[:4] {
		config, err := s.config(name)
		if err != nil {
			return nil, err
		}
		configs[name] = config
	}
	vaultKey, err := s.options.Home.secret("root-vault")
	if err != nil {
		return nil, err
	}
	files := s.options.Home.Service(gateway.Name)
	return []func(context.Context) error{
		func(ctx context.Context) error {
			return registry.Run(ctx, registry.Config{Config: configs["registry"]}, s.listeners["registry"])
		},
		func(ctx context.Context) error {
			return reporting.Run(ctx, reporting.Config{
				Config: configs["reporting"], VaultDatabaseURL: s.databases["vault"].app, VaultRootKey: vaultKey,
			}, s.listeners["reporting"])
		},
		func(ctx context.Context) error {
			return referral.Run(ctx, referral.Config{Config: configs["referral"]}, s.listeners["referral"])
		},
		func(ctx context.Context) error {
			return relief.Run(ctx, relief.Config{Config: configs["relief"]}, s.listeners["relief"])
		},
		func(ctx context.Context) error {
			return gateway.Run(ctx, gateway.Config{
				Certificate: files.Certificate, Key: files.Key, Roots: files.Roots, Peers: s.peers(), Shared: s.shared(),
			}, s.listeners["grpc"], s.listeners["json"])
		},
	}, nil
}

func (s *Suite) shared() service.Shared {
	return service.Shared{DistrictDir: s.options.DistrictDir, Environment: "development", DevClock: s.Clock}
}

func (s *Suite) peers() map[string]string {
	peers := map[string]string{}
	for _, name := range services[:4] {
		peers[name] = s.address(name)
	}
	return peers
}

func (s *Suite) config(name string) (service.Config, error) {
	root, err := s.options.Home.secret("root-" + name)
	files := s.options.Home.Service(name)
	return service.Config{
		DatabaseURL: s.databases[name].app, MaxConns: 10, Certificate: files.Certificate, Key: files.Key, Roots: files.Roots,
		RootKey: root, Peers: s.peers(), Shared: s.shared(),
	}, err
}

func (s *Suite) openClock() (*devclock.Server, error) {
	return devclock.Open(devclock.Config{File: s.options.Home.Path("clock.json"), Running: !s.options.StandStill})
}

func (s *Suite) serveClock(ctx context.Context, clock *devclock.Server) error {
	source, err := identity.Load(s.options.Home.Service(service.ClockName))
	if err != nil {
		return err
	}
	return ServeClock(ctx, source, clock, s.listeners[service.ClockName])
}

// ServeClock serves a development clock to every certificate of the authority.
func ServeClock(ctx context.Context, source *identity.Source, clock *devclock.Server, listener net.Listener) error {
	if !source.Development() {
		return errors.New("the development clock serves beside the development authority only")
	}
	front, err := server.New(server.Config{
		Identity: source, Now: time.Now, OpenActions: devclock.Actions(), Drain: []func(){clock.Drain},
	})
	if err != nil {
		return err
	}
	devclockv1.RegisterDevClockServiceServer(front, clock)
	return front.Serve(ctx, listener)
}

// Dial connects to the gateway with the certificate of a unit.
func (s *Suite) Dial(unit string) (*grpc.ClientConn, error) {
	return DialGateway(s.options.Home, s.GRPC, unit)
}

// DialGateway connects to a gateway with the certificate of a unit in a home.
func DialGateway(h Home, address, unit string) (*grpc.ClientConn, error) {
	source, err := identity.Load(h.Unit(unit))
	if err != nil {
		return nil, fmt.Errorf("no certificate of a unit %q can be read; those there are lie in %s: %w", unit, h.Path("certificates"), err)
	}
	return client.Dial(address, client.Options{Identity: source, Peer: identity.OfService(TrustDomain, gateway.Name)})
}

// DialClock connects to the development clock.
func DialClock(h Home, address string) (*grpc.ClientConn, error) {
	source, err := identity.Load(h.Service(gateway.Name))
	if err != nil {
		return nil, err
	}
	return client.Dial(address, client.Options{
		Identity: source, Peer: identity.OfService(TrustDomain, service.ClockName), Timeout: 2 * time.Minute,
	})
}

// KillDatabase ends the embedded PostgreSQL by a signal that it does not see, and waits until it is gone.
func (s *Suite) KillDatabase() error {
	return s.cluster.Kill()
}

// StartDatabase starts the embedded PostgreSQL again after KillDatabase, where it was before, and returns when it has recovered.
func (s *Suite) StartDatabase(ctx context.Context) (err error) {
	s.cluster, err = embedded.Start(ctx, embedded.Config{Dir: s.options.Home.Path("postgres"), Port: s.cluster.Port(), Progress: s.options.Progress})
	return err
}

// Close stops the embedded cluster and gives the ports back. Run must have ended.
func (s *Suite) Close(ctx context.Context) error {
	for _, l := range s.listeners {
		_ = l.Close() // closed by its server in the ordinary course
	}
	if s.cluster == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return s.cluster.Stop(bounded)
}
