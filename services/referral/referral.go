// Package referral is the service that carries a child's needs to the units whose duty they are: cases, referrals, and the
// promise that each of them is somebody's at every moment.
package referral

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/pkg/telemetry"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	"github.com/lianhu/lianhu/services/referral/internal/follow"
	"github.com/lianhu/lianhu/services/referral/internal/rpc"
	"github.com/lianhu/lianhu/services/referral/internal/store"
	"github.com/lianhu/lianhu/services/referral/internal/sweep"
)

// Name of the service, as in its identity and in the cursors of its followers.
const Name = "referral"

// Service is the running service. Make it with New, then call Run once.
type Service struct {
	config    Config
	district  *district.District
	engine    *command.Engine
	server    *server.Server
	listener  net.Listener
	sequencer *feed.Sequencer
	feed      *feed.Server
	sweeper   *custody.Sweeper
	followers []*feed.Follower
	peers     []*grpc.ClientConn
}

// New makes the service and takes its port. It does not need the database yet: a service starts while its database is away
// and reports not ready.
func New(ctx context.Context, c Config) (*Service, error) {
	source, err := identity.Load(c.Certificate)
	if err != nil {
		return nil, err
	}
	if c.Production {
		if err := source.RefuseDevelopment(); err != nil {
			return nil, err
		}
	}
	d, err := district.Load(c.District)
	if err != nil {
		return nil, err
	}
	keys, err := seal.Load(Name, c.SealKey)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, c.DatabaseURL, postgres.Options{Application: Name})
	if err != nil {
		return nil, err
	}
	s := &Service{config: c, district: d}
	s.engine = &command.Engine{DB: pool, Keys: keys, Service: Name, Now: c.Now, Wake: func() { s.sequencer.Wake() }}
	if err := s.assemble(ctx, source); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// assemble wires the parts: handlers over the engine, sequencer and feed, sweeper, followers.
func (s *Service) assemble(ctx context.Context, source *identity.Source) error {
	tables := store.NewTables()
	s.feed = feed.NewServer(s.engine.DB, s.engine.Keys, s.config.Feed)
	s.sequencer = feed.NewSequencer(s.engine.DB, s.feed.Wake)
	s.sweeper = custody.NewSweeper(s.engine.DB, s.config.Now, sweep.Expiries(s.engine, s.district, tables)...)
	for _, peer := range []struct{ name, target string }{{"reporting", s.config.Reporting}, {"relief", s.config.Relief}} {
		connection, err := client.Dial(peer.target, client.Options{
			Identity: source, Peer: identity.OfService(source.Identity().TrustDomain, peer.name), AsService: true,
		})
		if err != nil {
			return err
		}
		s.peers = append(s.peers, connection)
	}
	s.followers = follow.New(s.engine, s.district, tables, s.peers[0], s.peers[1])
	var err error
	s.server, err = server.New(server.Config{
		Identity: source, District: s.district, Now: s.config.Now, Drain: []func(){s.feed.Drain},
		Checks: []server.Check{{Name: "database", Run: s.ready}},
	})
	if err != nil {
		return err
	}
	handlers := &rpc.Service{
		Engine: s.engine, District: s.district, Tables: tables, Feed: s.feed, Followers: s.followers, Version: s.version,
	}
	referralv1.RegisterReferralServiceServer(s.server, handlers)
	referralv1.RegisterReferralReadServiceServer(s.server, handlers)
	referralv1.RegisterReferralFeedServiceServer(s.server, handlers)
	referralv1.RegisterReferralOperationsServiceServer(s.server, handlers)
	var listen net.ListenConfig
	if s.listener, err = listen.Listen(ctx, "tcp", s.config.Listen); err != nil {
		return fmt.Errorf("referral: %w", err)
	}
	return nil
}

// Main runs the service of one process until ctx is done: configuration from the environment, telemetry, then Run.
func Main(ctx context.Context, getenv func(string) string) error {
	config, err := ConfigFromEnv(getenv)
	if err != nil {
		return err
	}
	slog.SetDefault(telemetry.NewLogger(os.Stderr, slog.LevelInfo))
	provider, err := telemetry.Setup(ctx, telemetry.Config{Service: Name, Version: config.Version})
	if err != nil {
		return err
	}
	defer func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) }() // spans that do not get out are lost, nothing else
	config.Now = time.Now
	s, err := New(ctx, config)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// Addr is where the service answers.
func (s *Service) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx is done, then stops in order and returns nil.
func (s *Service) Run(ctx context.Context) error {
	defer s.close()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return s.server.Serve(running, s.listener) })
	group.Go(func() error { return s.feed.Run(running) })
	group.Go(func() error { return s.sequencer.Run(running) })
	group.Go(func() error { return s.sweeper.Run(running) })
	for _, f := range s.followers {
		group.Go(func() error { return f.Run(running) })
	}
	return group.Wait()
}

// Settle fires every deadline that has passed, follows the other services to the heads of their feeds and moves all events into
// the own feed. The development clock waits for it.
func (s *Service) Settle(ctx context.Context) error {
	if err := s.sweeper.Sweep(ctx); err != nil {
		return err
	}
	for _, f := range s.followers {
		if err := f.Drain(ctx); err != nil {
			return err
		}
	}
	return s.sequencer.Drain(ctx)
}

func (s *Service) close() {
	for _, peer := range s.peers {
		_ = peer.Close() // nothing waits for what it might still say
	}
	if s.listener != nil {
		_ = s.listener.Close() // closed before by the server in the ordinary course
	}
	s.engine.DB.Close()
}

// ready is the readiness check: the database is there, at the version this binary was built for, and its history is known.
func (s *Service) ready(ctx context.Context) error {
	at, err := postgres.SchemaVersion(ctx, s.engine.DB)
	if err != nil {
		return err
	}
	want, err := postgres.LatestVersion(Migrations())
	if err != nil {
		return err
	}
	if at != want {
		return fmt.Errorf("referral: the schema is at version %d, this binary needs %d", at, want)
	}
	return feed.Check(ctx, s.engine.DB)
}

func (s *Service) version(ctx context.Context) (*accessv1.ServiceVersion, error) {
	schema, err := postgres.SchemaVersion(ctx, s.engine.DB)
	if err != nil {
		return nil, err
	}
	contract, err := contractDigest()
	return &accessv1.ServiceVersion{
		Service: Name, Version: s.config.Version, ContractDigest: contract, DistrictCode: s.district.Code()[:6],
		DistrictVersion: s.district.Version(), DistrictDigest: s.district.Digest(), SchemaVersion: schema,
	}, err
}

// contractDigest is the digest of this area's part of the contract as linked into the binary.
func contractDigest() (string, error) {
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage(referralv1.File_lianhu_referral_v1_case_proto.Package(), func(f protoreflect.FileDescriptor) bool {
		files = append(files, f)
		return true
	})
	slices.SortFunc(files, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	sum := sha256.New()
	for _, f := range files {
		content, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(f))
		if err != nil {
			return "", errors.New("referral: a descriptor of the contract does not marshal")
		}
		_, _ = sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Migrations are the schema of the service's database, for postgres.Migrate.
func Migrations() fs.FS { return store.Migrations() }

// Promises counts violations of the five promises in the service's database at business time now.
func Promises(ctx context.Context, pool *pgxpool.Pool, now time.Time) ([]promise.Count, error) {
	return promise.Run(ctx, pool, store.Promises(store.NewTables(), now)...)
}
