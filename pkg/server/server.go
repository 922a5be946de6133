// Package server is a gRPC server with everything on: mutual TLS, one order of interceptors, health, reflection, limits
// and a bounded stop.
//
// The order of the interceptors, from the outside in, the same for unary calls and streams:
//
//  1. recovery: a panic becomes INTERNAL with a trace id, and the server lives on.
//  2. record: one log line per call with method, code, reason, duration and unit; never content.
//  3. errors: a fault becomes a status with its details; whatever is no fault becomes INTERNAL.
//  4. deadline: a unary call without one is refused.
//  5. limit: too many calls of one method at a time are refused.
//  6. identity: who calls; a principal counts from the gateway alone.
//  7. access: the method's action against the caller's roles; refused unless allowed.
//  8. content: bytes that can be read, size, U+0000, masked values, request_id, dates, the rules of the contract.
//
// Then the handler. For streams 8 applies to each message received.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Names under which the health service answers. Ready is also the answer for the empty name.
const (
	Ready = "ready"
	Live  = "live"
)

// Check is one thing a server needs to do its work.
type Check struct {
	// Name for the log.
	Name string
	// Run answers nil when it is there. It is given a second.
	Run func(ctx context.Context) error
}

// Limits bound what a server takes on. Zero means the default.
type Limits struct {
	// MessageBytes is the largest message of a method. Default 1 MiB.
	MessageBytes int
	// MessageBytesOf are larger or smaller limits of single methods, by full method.
	MessageBytesOf map[string]int
	// Calls is how many unary calls of one method may run at a time. Default 128.
	Calls int
	// Streams is the same for streams. Default 1024.
	Streams int
	// Of are limits of single methods, by full method: large for what is shed last, small for what is costly.
	Of map[string]int
}

// Config of a server.
type Config struct {
	// Identity of the process, and whom it trusts.
	Identity *identity.Source
	// District with the units and the access table. Nil where only OpenActions are served.
	District *district.District
	// Now is business time.
	Now func() time.Time
	// OpenActions may be performed by any certificate of the trust domain.
	OpenActions []string
	// NoDeadline admits unary calls without a deadline. For the gateway, which supplies one itself.
	NoDeadline bool
	// Limits on messages and calls.
	Limits Limits
	// Checks decide whether the server is ready, beside its certificate.
	Checks []Check
	// CheckEvery is how often they run. Default 5 s of machine time.
	CheckEvery time.Duration
	// Drain is called first when the server stops: it ends long streams so that their readers go elsewhere.
	Drain []func()
	// StopWithin bounds a graceful stop, after which calls are cut. Default 10 s of machine time.
	StopWithin time.Duration
	// Probes carry the answers to health checks; the server's own when nil.
	Probes *Probes
	// Logger for calls; slog.Default() when nil.
	Logger *slog.Logger
}

// Server is a grpc.ServiceRegistrar: register services on it, then Serve.
type Server struct {
	*grpc.Server

	config    Config
	log       *slog.Logger
	gate      access.Gate
	validator protovalidate.Validator
	probes    *Probes
	// methods and slots are filled by Serve before the first call and only read afterwards.
	methods map[string]access.Method
	slots   map[string]chan struct{}
	// anonymous methods leave their caller out of the log: who reports is for the vault alone (R3.8).
	anonymous map[string]bool
	stopping  chan struct{}
}

// New makes a server with health and reflection; the caller registers its services on it.
func New(config Config) (*Server, error) {
	config.Limits.MessageBytes = orDefault(config.Limits.MessageBytes, 1<<20)
	config.Limits.Calls = orDefault(config.Limits.Calls, 128)
	config.Limits.Streams = orDefault(config.Limits.Streams, 1024)
	config.CheckEvery = orDefault(config.CheckEvery, CheckEvery)
	config.StopWithin = orDefault(config.StopWithin, 10*time.Second)
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &Server{
		config: config, log: config.Logger, validator: validator, probes: config.Probes, stopping: make(chan struct{}),
		gate: access.Gate{District: config.District, TrustDomain: config.Identity.Identity().TrustDomain, Now: config.Now},
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.probes == nil {
		s.probes = NewProbes()
	}
	s.Server = grpc.NewServer(s.options()...)
	s.probes.Register(s.Server)
	reflection.RegisterV1(s.Server)
	return s, nil
}

func (s *Server) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(s.config.Identity.ServerTLS("h2"))),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.MaxRecvMsgSize(slack * s.largestMessage()),
		// No grace period: streams of the police and of feeds end by their own word, not by the age of a connection.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 5 * time.Minute, Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.StatsHandler(otelgrpc.NewServerHandler(
			otelgrpc.WithPropagators(inside{s.config.Identity.Identity().TrustDomain}),
			otelgrpc.WithFilter(filters.Not(filters.HealthCheck())),
		)),
		grpc.ChainUnaryInterceptor(s.recoverUnary, s.recordUnary, s.errorsUnary, s.deadlineUnary, s.limitUnary, s.identityUnary, s.accessUnary, s.contentUnary),
		grpc.ChainStreamInterceptor(s.recoverStream, s.recordStream, s.errorsStream, s.limitStream, s.identityStream, s.accessStream, s.contentStream),
		// Without it a call of an unknown method would be answered before any interceptor, without a reason.
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return unknownMethod() }),
	}
}

func (s *Server) largestMessage() int {
	largest := s.config.Limits.MessageBytes
	for _, limit := range s.config.Limits.MessageBytesOf {
		largest = max(largest, limit)
	}
	return largest
}

// Serve answers calls on the listener until ctx is done, then stops: it says not ready, drains, waits for running calls
// and cuts off what is left after StopWithin. It fails at once when a registered method has no access rule.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if err := s.prepare(); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.probes.Check(ctx, s.log, s.checks()...)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := s.Server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return fmt.Errorf("server: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		s.probes.Watch(running, s.config.CheckEvery, s.log, s.checks()...)
		s.stop()
		return nil
	})
	return group.Wait()
}

func (s *Server) prepare() error {
	methods, err := access.Methods(s.GetServiceInfo(), s.config.OpenActions...)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.methods, s.slots, s.anonymous = methods, make(map[string]chan struct{}, len(methods)), map[string]bool{}
	for name, method := range methods {
		s.anonymous[name] = s.reports(method.Action)
		limit := s.config.Limits.Calls
		if method.Stream {
			limit = s.config.Limits.Streams
		}
		s.slots[name] = make(chan struct{}, orDefault(s.config.Limits.Of[name], limit))
	}
	return nil
}

// reports tells whether the access table knows an action by which somebody reports.
func (s *Server) reports(action string) bool {
	return s.config.District != nil && slices.ContainsFunc(s.config.District.Permissions(), func(p district.Permission) bool {
		return p.Covers(action) && slices.Contains(p.Purposes, accessv1.Purpose_PURPOSE_MANDATORY_REPORTING)
	})
}

// checks are what readiness depends on.
func (s *Server) checks() []Check {
	return append([]Check{CertificateCheck(s.config.Identity)}, s.config.Checks...)
}

func (s *Server) stop() {
	s.probes.Shutdown()
	close(s.stopping)
	for _, drain := range s.config.Drain {
		drain()
	}
	late := time.AfterFunc(s.config.StopWithin, func() {
		s.log.Warn("server: calls were cut off", "after", s.config.StopWithin)
		s.Server.Stop()
	})
	defer late.Stop()
	s.GracefulStop()
}

func orDefault[T int | time.Duration](given, otherwise T) T {
	if given <= 0 {
		return otherwise
	}
	return given
}
