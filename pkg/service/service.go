// Package service runs one service of the suite: it opens what every service needs - database, keys, district, identity, clock,
// peers - starts what every service does - serve, sequence, follow, sweep - and stops all of it in order. A service adds
// its rules, tables and handlers.
package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/devclock"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/server"
)

// Spec is what makes a service this one and no other.
type Spec struct {
	// Name: registry, reporting, referral or relief.
	Name string
	// Migrations of its database, the runtime's included.
	Migrations fs.FS
	// Constraints maps violated constraints to refusals; see command.Engine.
	Constraints map[string]func() *fault.Error
	// Build makes the service's parts over the runtime.
	Build func(ctx context.Context, r *Runtime) (Parts, error)
}

// Parts of a service.
type Parts struct {
	// Register adds its gRPC services.
	Register func(s grpc.ServiceRegistrar)
	// Expiries say what passed deadlines do.
	Expiries []custody.Expiry
	// Followers of other services' feeds.
	Followers []*feed.Follower
	// Limits of its methods.
	Limits server.Limits
	// Checks for readiness beside database, schema and certificate.
	Checks []server.Check
	// Beside are further tasks that run until ctx is done; an error of one ends the service.
	Beside []func(ctx context.Context) error
	// Drain ends the service's long streams when the process stops, before running calls are waited for.
	Drain []func()
	// Close releases what Build opened; may be nil.
	Close func()
}

// Runtime is what a service is built over.
type Runtime struct {
	// Name of the service.
	Name string
	// Config as read.
	Config Config
	// District package.
	District *district.District
	// Identity of the process.
	Identity *identity.Source
	// Engine runs the commands.
	Engine *command.Engine
	// Feed serves the service's feed.
	Feed *feed.Server
	// Schema is the newest migration.
	Schema int64

	peers  map[string]*grpc.ClientConn
	probes *server.Probes
}

// Peer is the connection to another service, as this service's own identity.
func (r *Runtime) Peer(name string) (*grpc.ClientConn, error) {
	conn, ok := r.peers[name]
	if !ok {
		return nil, fmt.Errorf("service: no address for %s in PEERS", name)
	}
	return conn, nil
}

// ClockName is the development clock's name as a service.
const ClockName = "devclock"

// waitEvery is how often a start that waits for its database looks again.
const waitEvery = time.Second

// Run runs a service until ctx is done, or until something happens that waiting does not mend. The listener is closed at
// the end; nil means to listen on Config.Listen.
func Run(ctx context.Context, spec Spec, config Config, listener net.Listener) (err error) {
	if listener == nil {
		if listener, err = net.Listen("tcp", config.Listen); err != nil {
			return fmt.Errorf("%s: listen: %w", spec.Name, err)
		}
	}
	defer func() { _ = listener.Close() }() // Serve has closed it unless it never came to serving
	r, stop, err := open(ctx, spec, config)
	if err != nil {
		return fmt.Errorf("%s: %w", spec.Name, err)
	}
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	ctx, end := context.WithCancel(ctx)
	group.Go(func() error { return r.probes.Serve(ctx, config.HealthListen) })
	group.Go(func() error {
		defer end()
		if err := r.await(ctx); err != nil {
			return err
		}
		return r.run(ctx, spec, listener)
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%s: %w", spec.Name, err)
	}
	return nil
}

// open makes everything that does not wait for anybody.
func open(ctx context.Context, spec Spec, config Config) (r *Runtime, stop func(), err error) {
	var stops []func()
	stop = func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	r = &Runtime{Name: spec.Name, Config: config, peers: map[string]*grpc.ClientConn{}, probes: server.NewProbes()}
	if r.District, err = district.Load(config.Shared.DistrictDir); err != nil {
		return nil, nil, err
	}
	if r.Identity, err = identity.Load(identity.Files{Certificate: config.Certificate, Key: config.Key, Roots: config.Roots}); err != nil {
		return nil, nil, err
	}
	if config.Shared.Production() {
		if err = r.Identity.RefuseDevelopment(); err != nil {
			return nil, nil, err
		}
	}
	keys, err := seal.Load(spec.Name, config.RootKey)
	if err != nil {
		return nil, nil, err
	}
	pool, err := postgres.Open(ctx, config.DatabaseURL, config.Database(spec.Name))
	if err != nil {
		return nil, nil, err
	}
	stops = append(stops, pool.Close)
	if r.Schema, err = postgres.LatestVersion(spec.Migrations); err != nil {
		return nil, nil, err
	}
	for name, address := range config.Peers {
		peer := identity.OfService(r.Identity.Identity().TrustDomain, name)
		conn, err := client.Dial(address, client.Options{Identity: r.Identity, Peer: peer, AsService: true, District: r.District.Digest()})
		if err != nil {
			return nil, nil, err
		}
		stops = append(stops, func() { _ = conn.Close() }) // nothing is lost by a connection that does not close well
		r.peers[name] = conn
	}
	r.Engine = &command.Engine{DB: pool, Keys: keys, Service: spec.Name, Now: time.Now, Constraints: spec.Constraints, CalendarIncomplete: r.District.CountedBlind}
	r.Feed = feed.NewServer(pool, keys, feed.Limits{})
	return r, stop, nil
}

// await returns when the database is there, migrated, and the one that wrote the feed so far. A database that is away or
// not migrated yet is waited for: its migration job may still be running.
func (r *Runtime) await(ctx context.Context) error {
	ticker := time.NewTicker(waitEvery)
	defer ticker.Stop()
	for {
		err := r.checkSchema(ctx)
		if err == nil {
			if err = feed.Check(ctx, r.Engine.DB); err == nil || errors.Is(err, feed.ErrHistoryUnknown) {
				return err
			}
		}
		slog.WarnContext(ctx, "waiting for the database", "service", r.Name, "cause", postgres.Sanitize(err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (r *Runtime) checkSchema(ctx context.Context) error {
	have, err := postgres.SchemaVersion(ctx, r.Engine.DB)
	if err == nil && have < r.Schema {
		err = fmt.Errorf("the schema is at version %d, this program needs %d: run the migration", have, r.Schema)
	}
	return err
}

// run starts everything and waits until all of it has ended.
func (r *Runtime) run(ctx context.Context, spec Spec, listener net.Listener) error {
	sequencer := feed.NewSequencer(r.Engine.DB, r.Feed.Wake)
	r.Engine.Wake = sequencer.Wake
	group, ctx := errgroup.WithContext(ctx)
	clock, leave, err := r.clock(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r.Engine.Now = clock.Now
	parts, err := spec.Build(ctx, r)
	if err != nil {
		return err
	}
	if parts.Close != nil {
		defer parts.Close()
	}
	sources := make([]custody.Source, len(parts.Expiries))
	for i, e := range parts.Expiries {
		sources[i] = e.Source
	}
	if err := custody.WriteActing(ctx, r.Engine.DB, r.District, sources...); err != nil {
		return err
	}
	sweeper := custody.NewSweeper(r.Engine.DB, r.Engine.Now, parts.Expiries...)
	s, err := server.New(server.Config{
		Identity: r.Identity, District: r.District, Now: r.Engine.Now, Limits: parts.Limits,
		Checks: append([]server.Check{{Name: "database", Run: r.checkSchema}}, parts.Checks...),
		Drain:  append([]func(){r.Feed.Drain}, parts.Drain...), Probes: r.probes,
	})
	if err != nil {
		return err
	}
	parts.Register(s)
	group.Go(func() error { return r.Feed.Run(ctx) })
	group.Go(func() error { return sequencer.Run(ctx) })
	group.Go(func() error { return sweeper.Run(ctx) })
	for _, f := range parts.Followers {
		group.Go(func() error { return f.Run(ctx) })
	}
	for _, task := range parts.Beside {
		group.Go(func() error { return task(ctx) })
	}
	group.Go(func() error {
		return clock.Run(ctx, func(ctx context.Context) (int64, error) { return r.settle(ctx, sweeper, sequencer, parts.Followers) })
	})
	group.Go(func() error { return s.Serve(ctx, listener) })
	slog.InfoContext(ctx, "serving", "service", r.Name, "address", listener.Addr().String(), "district", r.District.Version())
	return group.Wait()
}

// clock is the development clock where one is configured, else the machine's. The member's name tells replicas apart.
func (r *Runtime) clock(ctx context.Context) (*devclock.Clock, func(), error) {
	if r.Config.Shared.DevClock == "" {
		return devclock.Machine(), func() {}, nil
	}
	peer := identity.OfService(r.Identity.Identity().TrustDomain, ClockName)
	conn, err := client.Dial(r.Config.Shared.DevClock, client.Options{Identity: r.Identity, Peer: peer, AsService: true})
	if err != nil {
		return nil, nil, err
	}
	c, err := devclock.Join(ctx, conn, r.Name+"-"+uuid.NewString()[:8])
	return c, func() { _ = conn.Close() }, err // nothing is lost by a connection that does not close well
}

// settle brings the service to rest at the present business time: every passed deadline fired, every event sequenced, every
// feed followed to its end. It answers the head of the feed, so that the clock can tell whether anything still moves.
func (r *Runtime) settle(ctx context.Context, sweeper *custody.Sweeper, sequencer *feed.Sequencer, followers []*feed.Follower) (int64, error) {
	if err := sweeper.Sweep(ctx); err != nil {
		return 0, err
	}
	for _, f := range followers {
		if err := f.Drain(ctx); err != nil {
			return 0, err
		}
	}
	if err := sequencer.Drain(ctx); err != nil {
		return 0, err
	}
	var head int64
	err := r.Engine.DB.QueryRow(ctx, "SELECT seq FROM feed_head").Scan(&head)
	return head, err
}
