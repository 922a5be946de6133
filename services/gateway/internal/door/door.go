// Package door is the gateway's gRPC side: it finds out who calls, and passes calls on to the services byte for byte,
// unary calls and streams alike. It knows the names of the contract's methods and nothing of their content.
package door

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// Limits of the outside listener.
const (
	// UnaryTimeout is the deadline of a unary call whose caller set none.
	UnaryTimeout = 10 * time.Second
	// MessageBytes is the largest message passed on. The services' own limits are lower and answer with a reason.
	MessageBytes = 8 << 20
	// slack is how many times as much gRPC lets in. Up to there the caller reads the reason; what is larger still gRPC refuses by itself, as
	// RESOURCE_EXHAUSTED without one, before any of our code can speak.
	slack = 2
	// streamsPerConnection bounds what one connection may have open at once.
	streamsPerConnection = 256
	// stopWithin bounds a graceful stop.
	stopWithin = 10 * time.Second
)

// Upstream is the pair of connections to one service. Streams that live for hours must not hold up short calls.
type Upstream struct {
	Unary, Stream *grpc.ClientConn
}

// Dial makes the connections to a service, whose target is as for client.Target. Nothing is retried here: whether a call may be repeated, only its caller knows.
// More options are for what only one side of the gateway needs.
func Dial(target string, source *identity.Source, service string, more ...grpc.DialOption) (Upstream, error) {
	peer := identity.OfService(source.Identity().TrustDomain, service)
	target, addresses := client.Target(target)
	dial := func() (*grpc.ClientConn, error) {
		return grpc.NewClient(target, append(append(addresses, more...),
			grpc.WithTransportCredentials(credentials.NewTLS(source.ClientTLS(peer))),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`), grpc.WithDisableRetry(),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MessageBytes), grpc.MaxCallSendMsgSize(MessageBytes)),
			client.Reconnect(),
			grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithPropagators(propagation.TraceContext{}))))...)
	}
	unary, err := dial()
	if err != nil {
		return Upstream{}, err
	}
	stream, err := dial()
	return Upstream{unary, stream}, errors.Join(err)
}

// Close closes both connections.
func (u Upstream) Close() error { return errors.Join(u.Unary.Close(), u.Stream.Close()) }

// Door is the outside gRPC server.
type Door struct {
	server      *grpc.Server
	probes      *server.Probes
	routes      map[string]route
	upstreams   map[string]Upstream
	trustDomain string
	ready       []server.Check
}

// New makes the door over upstreams by area. It says of itself by the probes when it answers.
func New(source *identity.Source, upstreams map[string]Upstream, probes *server.Probes) *Door {
	d := &Door{routes: routes(), upstreams: upstreams, probes: probes, trustDomain: source.Identity().TrustDomain}
	d.ready = []server.Check{server.CertificateCheck(source)}
	d.server = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(source.ServerTLS("h2"))),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(slack*MessageBytes), grpc.MaxSendMsgSize(MessageBytes), grpc.MaxConcurrentStreams(streamsPerConnection),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 5 * time.Minute, Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		// Nothing is read: each call from outside begins a trace of ours. A caller's trace id would tie its calls to each other.
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator()))),
		grpc.UnknownServiceHandler(d.pass),
	)
	d.probes.Register(d.server)
	reflectionpb.RegisterServerReflectionServer(d.server, reflection.NewServerV1(reflection.ServerOptions{Services: published{d.server}}))
	return d
}

// Serve passes calls on until ctx is done, then stops: running calls get stopWithin to end.
func (d *Door) Serve(ctx context.Context, listener net.Listener) error {
	ended := make(chan error, 1)
	log := slog.Default()
	d.probes.Check(ctx, log, d.ready...)
	watching, end := context.WithCancel(ctx)
	defer end()
	go d.probes.Watch(watching, server.CheckEvery, log, d.ready...)
	go func() { ended <- d.server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	d.probes.Shutdown()
	late := time.AfterFunc(stopWithin, d.server.Stop)
	defer late.Stop()
	d.server.GracefulStop()
	return <-ended // nil for a server that was stopped
}

// pass carries one call to its service and back.
func (d *Door) pass(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	correlation := uuid.NewString()
	if err := in.SetHeader(metadata.Pairs(access.KeyCorrelation, correlation)); err != nil {
		return err
	}
	err := d.carry(in, method, correlation)
	var f *fault.Error
	if errors.As(err, &f) {
		if _, published := d.routes[method]; !published {
			method = "" // the caller's own words
		}
		slog.InfoContext(in.Context(), "gateway: refused", "correlation_id", correlation, "method", shortMethod(method), "reason", f.Reason())
		return server.Identified(server.Status(f), correlation).Err()
	}
	return err
}

func (d *Door) carry(in grpc.ServerStream, method, correlation string) error {
	to, ok := d.routes[method]
	if !ok {
		return fault.New(faultv1.Reason_REASON_METHOD_UNKNOWN, "no method of this name is published")
	}
	md, err := outgoing(in.Context(), d.trustDomain, correlation)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(metadata.NewOutgoingContext(in.Context(), md))
	defer end(nil)
	conn, bounded := d.upstreams[to.area].Stream, ctx
	if !to.stream {
		conn = d.upstreams[to.area].Unary
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			bounded, cancel = context.WithTimeout(ctx, UnaryTimeout)
			defer cancel()
		}
	}
	out, err := grpc.NewClientStream(bounded, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, conn, method, grpc.ForceCodecV2(newCodec()))
	if err != nil {
		return d.answer(in.Context(), err)
	}
	// Ends by itself when the call ends: receiving from a finished call fails.
	go forward(in, out, end)
	err = back(in, out)
	if cause := context.Cause(ctx); err != nil && cause != nil && in.Context().Err() == nil {
		return cause // what forward met; the service's end of the call only follows from it
	}
	return d.answer(in.Context(), err)
}

// forward carries the caller's messages to the service, one at a time, so that HTTP/2's flow control reaches the caller.
func forward(in grpc.ServerStream, out grpc.ClientStream, end context.CancelCauseFunc) {
	for {
		f := &frame{}
		if err := in.RecvMsg(f); err != nil {
			if errors.Is(err, io.EOF) {
				_ = out.CloseSend() // always nil
				return
			}
			end(err)
			return
		}
		if f.bytes.Len() > MessageBytes {
			f.bytes.Free()
			end(TooLarge("the message", MessageBytes))
			return
		}
		if err := out.SendMsg(f); err != nil {
			return // the service has ended the call; back gets its status
		}
	}
}

// TooLarge is the fault for a message, or an answer, that the gateway does not pass on.
func TooLarge(what string, bytes int) *fault.Error {
	limit := strconv.Itoa(bytes)
	return fault.New(faultv1.Reason_REASON_MESSAGE_TOO_LARGE, what+" is larger than "+limit+" bytes", "limit_bytes", limit)
}

// back carries header, messages, trailer and status of the service to the caller, untouched.
func back(in grpc.ServerStream, out grpc.ClientStream) error {
	header, err := out.Header()
	if err == nil && len(header) > 0 {
		if err := in.SetHeader(header); err != nil {
			return err
		}
	}
	for {
		f := &frame{}
		if err := out.RecvMsg(f); err != nil {
			in.SetTrailer(out.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return tooLarge(err, len(header) > 0)
		}
		if err := in.SendMsg(f); err != nil {
			return err
		}
	}
}

// tooLarge gives a reason to gRPC's own refusal of a message's size, which has none: of the answer, here, when the service had begun to
// answer; otherwise of the request, there. The services give a reason to all that they refuse themselves.
func tooLarge(err error, begun bool) error {
	s, _ := status.FromError(err)
	switch {
	case s.Code() != codes.ResourceExhausted || len(s.Details()) > 0:
		return err
	case begun:
		return TooLarge("the answer", MessageBytes)
	}
	return fault.New(faultv1.Reason_REASON_MESSAGE_TOO_LARGE, "the message is larger than this method takes")
}

// answer leaves a service's status as it is and gives a reason to what has none: the service could not be reached.
func (d *Door) answer(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	s, _ := status.FromError(err)
	if s.Code() == codes.Unavailable && len(s.Details()) == 0 {
		return fault.New(faultv1.Reason_REASON_UNAVAILABLE, "a part of the system is away; repeat with the same request_id").RetryAfter(time.Second)
	}
	return err
}
