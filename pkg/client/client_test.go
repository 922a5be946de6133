package client_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// TestMain fails when a goroutine outlives its owner.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "xinbei.test"

// clock is a service whose calls a test decides about; any service with a unary method and a stream would do.
type clock struct {
	devclockv1.UnimplementedDevClockServiceServer
	now  func(context.Context) error
	join func(context.Context) error
}

// Now implements devclockv1.DevClockServiceServer.
func (c *clock) Now(ctx context.Context, _ *devclockv1.NowRequest) (*devclockv1.NowResponse, error) {
	return &devclockv1.NowResponse{}, c.now(ctx)
}

// Join implements devclockv1.DevClockServiceServer.
func (c *clock) Join(s grpc.BidiStreamingServer[devclockv1.JoinRequest, devclockv1.JoinResponse]) error {
	return c.join(s.Context())
}

type house struct {
	authority *identity.Authority
	dir       string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{dir: t.TempDir()}
	var err error
	if h.authority, err = identity.OpenAuthority(h.dir, domain); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) source(t *testing.T, service string) *identity.Source {
	t.Helper()
	leaf, err := h.authority.Issue(identity.OfService(domain, service))
	if err != nil {
		t.Fatal(err)
	}
	files, err := leaf.Write(h.dir, service)
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start serves the clock as devclock until the test ends.
func (h *house) start(t *testing.T, c *clock) string {
	t.Helper()
	s, err := server.New(server.Config{
		Identity: h.source(t, "devclock"), Now: time.Now, OpenActions: []string{"devclock.now", "devclock.join", "devclock.advance"},
	})
	if err != nil {
		t.Fatal(err)
	}
	devclockv1.RegisterDevClockServiceServer(s, c)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}))
	return listener.Addr().String()
}

func (h *house) dial(t *testing.T, address string, o client.Options) devclockv1.DevClockServiceClient {
	t.Helper()
	o.Identity = h.source(t, "registry")
	if o.Peer == (identity.Identity{}) {
		o.Peer = identity.OfService(domain, "devclock")
	}
	c, err := client.Dial(address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return devclockv1.NewDevClockServiceClient(c)
}

func TestWhatWasNeverDoneIsRepeated(t *testing.T) {
	t.Parallel()
	for reason, c := range map[faultv1.Reason]struct {
		code  codes.Code
		calls int32
	}{
		faultv1.Reason_REASON_UNAVAILABLE:   {codes.Unavailable, 4},
		faultv1.Reason_REASON_ETAG_MISMATCH: {codes.Aborted, 1},
		faultv1.Reason_REASON_OVERLOADED:    {codes.ResourceExhausted, 1},
		faultv1.Reason_REASON_INTERNAL:      {codes.Internal, 1},
	} {
		t.Run(reason.String(), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			var calls atomic.Int32
			address := h.start(t, &clock{now: func(context.Context) error {
				calls.Add(1)
				return fault.New(reason, "refused")
			}})
			_, err := h.dial(t, address, client.Options{}).Now(t.Context(), &devclockv1.NowRequest{})
			if status.Code(err) != c.code || calls.Load() != c.calls {
				t.Errorf("%d calls, %v", calls.Load(), err)
			}
		})
	}
}

func TestARepeatedCallSucceeds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var calls atomic.Int32
	address := h.start(t, &clock{now: func(context.Context) error {
		if calls.Add(1) < 3 {
			return fault.New(faultv1.Reason_REASON_UNAVAILABLE, "not yet")
		}
		return nil
	}})
	if _, err := h.dial(t, address, client.Options{}).Now(t.Context(), &devclockv1.NowRequest{}); err != nil {
		t.Error(err)
	}
}

func TestStreamsAreNotRepeated(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var calls atomic.Int32
	address := h.start(t, &clock{join: func(context.Context) error {
		calls.Add(1)
		return fault.New(faultv1.Reason_REASON_DRAINING, "elsewhere")
	}})
	stream, err := h.dial(t, address, client.Options{}).Join(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable || calls.Load() != 1 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

func TestEveryUnaryCallHasADeadline(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	left := make(chan time.Duration, 1)
	address := h.start(t, &clock{now: func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return nil
	}})
	c := h.dial(t, address, client.Options{Timeout: time.Minute})
	if _, err := c.Now(context.Background(), &devclockv1.NowRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := <-left; got <= 0 || got > time.Minute {
		t.Errorf("%v left", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := c.Now(ctx, &devclockv1.NowRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := <-left; got < 30*time.Minute {
		t.Errorf("the caller's own deadline was shortened to %v", got)
	}
}

// A peer that was away for long is tried about every second, not every two minutes: who restarts it waits for nobody.
func TestAPeerThatIsAwayIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := newHouse(t).dial(t, listener.Addr().String(), client.Options{})
	tried := make(chan error, 1)
	go func() {
		defer func() { _ = listener.Close() }()
		for range 6 {
			connection, err := listener.Accept()
			if err != nil {
				tried <- err
				return
			}
			_ = connection.Close() // the handshake fails, as with a proxy whose upstream is away
		}
		tried <- nil
	}()
	if _, err := c.Now(t.Context(), &devclockv1.NowRequest{}); err == nil {
		t.Error("nobody is there, and somebody answered")
	}
	select {
	case err := <-tried:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		_ = listener.Close()
		t.Errorf("six tries take more than ten seconds: %v", <-tried)
	}
}

func TestAServiceSaysThatItFollows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	seen := make(chan []string, 1)
	note := func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		seen <- slices.Concat(md.Get(access.KeyPurpose), md.Get(access.KeyOfficer))
		return nil
	}
	address := h.start(t, &clock{now: note, join: note})
	service, plain := h.dial(t, address, client.Options{AsService: true}), h.dial(t, address, client.Options{})
	purpose := client.For(t.Context(), accessv1.Purpose_PURPOSE_OPERATIONS)
	for name, c := range map[string]struct {
		ctx  context.Context
		by   devclockv1.DevClockServiceClient
		want []string
	}{
		"service":             {t.Context(), service, []string{"FOLLOW_UP"}},
		"service with an aim": {purpose, service, []string{"OPERATIONS"}},
		"somebody else":       {t.Context(), plain, nil},
		"an officer":          {client.By(purpose, "court-1"), plain, []string{"OPERATIONS", "court-1"}},
	} {
		if _, err := c.by.Now(c.ctx, &devclockv1.NowRequest{}); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	stream, err := service.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := <-seen; !slices.Equal(got, []string{"FOLLOW_UP"}) {
		t.Errorf("stream: %v", got)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("the stream goes on")
	}
}

func TestAnotherServiceInThePlaceOfThePeerIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	address := h.start(t, &clock{now: func(context.Context) error { return nil }})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := h.dial(t, address, client.Options{Peer: identity.OfService(domain, "reporting")}).Now(ctx, &devclockv1.NowRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}
