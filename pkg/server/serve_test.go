package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/server"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// bound is how long a call of a test may take before the test has failed.
const bound = 20 * time.Second

// open starts a stream, sends one message and reads the first answer.
func open(t *testing.T, c *grpc.ClientConn, method string, request proto.Message) (grpc.ClientStream, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	stream, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return nil, err
	}
	// A send that fails leaves the reason to the next receive.
	_ = stream.SendMsg(request)
	_ = stream.CloseSend()
	return stream, stream.RecvMsg(&custodyv1.Standing{})
}

// The same order holds for streams.
func TestStreamsAreRefusedLikeCalls(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), func(c *server.Config) { c.Limits.MessageBytes = 4096 })
	police := h.as(t, station())
	if _, err := open(t, police, watch, &custodyv1.WorkFilter{}); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, police, push, valid()); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, h.unit(t, "health"), watch, &custodyv1.WorkFilter{})
	want(t, err, codes.PermissionDenied, "METHOD_NOT_ALLOWED")
	_, err = open(t, h.unit(t, "treasury"), watch, &custodyv1.WorkFilter{})
	want(t, err, codes.Unauthenticated, "UNIT_UNKNOWN")
	_, err = open(t, police, watch, &custodyv1.WorkFilter{MatterId: "x"})
	want(t, err, codes.InvalidArgument, "FIELD_INVALID")
	_, err = open(t, police, push, &specimenv1.ChangeTicketRequest{})
	want(t, err, codes.InvalidArgument, "REQUEST_ID_REQUIRED")
	large := valid()
	large.Remark = strings.Repeat("r", 5000)
	_, err = open(t, police, push, large)
	want(t, err, codes.ResourceExhausted, "MESSAGE_TOO_LARGE")
}

// What gRPC refuses by itself, which is what is far too large, comes without a reason; it is still not logged as a defect of ours.
func TestWhatGRPCRefusesIsNoDefectOfOurs(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	h := start(t, echo(), func(c *server.Config) {
		c.Limits.MessageBytes = 4096
		c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	})
	police, large, garbage := h.as(t, station()), valid(), valid()
	large.Remark = strings.Repeat("r", 50_000)
	garbage.ProtoReflect().SetUnknown([]byte{0x0a}) // field 1 announces a length that is not there
	if _, err := open(t, police, push, large); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	want(t, invoke(t.Context(), police, change, garbage), codes.InvalidArgument, "FIELD_INVALID")
	_, err := open(t, police, push, garbage) // a stream's handler has the last word, and so has the order of interceptors
	want(t, err, codes.InvalidArgument, "FIELD_INVALID")
	if err := invoke(t.Context(), police, change, large); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("unary: %v", err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "defect") {
		t.Errorf("log: %s", log.String())
	}
}

func TestAFullStreamMethodIsRefused(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{})
	h := start(t, handlers{watch: func(s grpc.ServerStream) error {
		close(inside)
		<-s.Context().Done()
		return s.Context().Err()
	}}, func(c *server.Config) { c.Limits.Streams = 1 })
	police := h.as(t, station())
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	if _, err := police.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, watch); err != nil {
		t.Fatal(err)
	}
	<-inside
	_, err := open(t, police, watch, &custodyv1.WorkFilter{})
	want(t, err, codes.ResourceExhausted, "OVERLOADED")
}

func TestAMethodWithoutARuleKeepsTheServerFromStarting(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	s, err := server.New(server.Config{Identity: h.source(t, identity.OfService(domain, "relief")), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "lianhu.trial.v1.LawlessService", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Change"}}}, &handlers{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), listener); err == nil || !strings.Contains(err.Error(), "LawlessService/Change") {
		t.Errorf("got %v", err)
	}
}

func TestHealthFollowsTheChecksAndLiveDoesNot(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	h := start(t, echo(), func(c *server.Config) {
		c.CheckEvery = time.Millisecond
		c.Checks = []server.Check{{Name: "database", Run: func(context.Context) error {
			if away.Load() {
				return errors.New("away")
			}
			return nil
		}}}
	})
	// Any certificate of the domain may ask, one of no unit too, and without a deadline.
	health := healthpb.NewHealthClient(h.unit(t, "probe"))
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	changes, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: server.Ready})
	if err != nil {
		t.Fatal(err)
	}
	next := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := changes.Recv(); err != nil || got.GetStatus() != want {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	}
	next(healthpb.HealthCheckResponse_SERVING)
	away.Store(true)
	next(healthpb.HealthCheckResponse_NOT_SERVING)
	live, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: server.Live})
	if err != nil || live.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("live: %v, %v", live, err)
	}
	away.Store(false)
	next(healthpb.HealthCheckResponse_SERVING)
	if _, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: "unheard of"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown name: %v", err)
	}
}

func TestReflectionIsOpen(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(h.unit(t, "health")).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || len(answer.GetListServicesResponse().GetService()) < 3 {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestStoppingLetsCallsFinishAndEndsStreams(t *testing.T) {
	t.Parallel()
	inside, leave, drained := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := echo()
	slow.change = func(context.Context, *specimenv1.ChangeTicketRequest) (*custodyv1.Standing, error) {
		close(inside)
		<-leave
		return &custodyv1.Standing{}, nil
	}
	slow.watch = func(s grpc.ServerStream) error {
		if err := s.SendMsg(&custodyv1.Standing{}); err != nil {
			return err
		}
		<-drained
		return fault.New(faultv1.Reason_REASON_DRAINING, "connect again")
	}
	h := start(t, slow, func(c *server.Config) {
		c.Drain = []func(){func() { close(drained) }}
		c.StopWithin = time.Minute
	})
	police := h.as(t, station())
	stream, err := open(t, police, watch, &custodyv1.WorkFilter{})
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan error, 1)
	go func() { running <- invoke(context.Background(), police, change, valid()) }()
	<-inside
	// A watcher of health never leaves by itself and must not hold up the stop.
	watching, err := healthpb.NewHealthClient(h.unit(t, "health")).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watching.Recv(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	want(t, stream.RecvMsg(&custodyv1.Standing{}), codes.Unavailable, "DRAINING")
	close(leave)
	if err := <-running; err != nil {
		t.Errorf("a running call was cut: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestAStopIsBounded(t *testing.T) {
	t.Parallel()
	h := start(t, handlers{watch: func(s grpc.ServerStream) error {
		if err := s.SendMsg(&custodyv1.Standing{}); err != nil {
			return err
		}
		<-s.Context().Done() // deaf to everything but the end of its connection
		return s.Context().Err()
	}}, func(c *server.Config) { c.StopWithin = time.Millisecond })
	stream, err := open(t, h.as(t, station()), watch, &custodyv1.WorkFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&custodyv1.Standing{}); err == nil {
		t.Error("the stream outlived the server")
	}
}
