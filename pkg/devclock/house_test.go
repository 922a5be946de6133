package devclock_test

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/devclock"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
)

// TestMain fails when a goroutine outlives its owner.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "xinbei.test"

// bound is how long a test may wait for something before it has failed.
const bound = 30 * time.Second

var start = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// house is a clock server that can be stopped and started again over the same file.
type house struct {
	authority *identity.Authority
	dir       string
	config    devclock.Config
	address   string
	stop      func()
}

func newHouse(t *testing.T, edit func(*devclock.Config)) *house {
	t.Helper()
	h := &house{dir: t.TempDir()}
	var err error
	if h.authority, err = identity.OpenAuthority(h.dir, domain); err != nil {
		t.Fatal(err)
	}
	h.config = devclock.Config{File: filepath.Join(h.dir, "clock.json"), Start: start}
	if edit != nil {
		edit(&h.config)
	}
	h.serve(t, "127.0.0.1:0")
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *house) serve(t *testing.T, address string) {
	t.Helper()
	clock, err := devclock.Open(h.config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{
		Identity: h.source(t, identity.OfService(domain, "devclock"), "devclock"), Now: time.Now,
		OpenActions: devclock.Actions(), Drain: []func(){clock.Drain},
	})
	if err != nil {
		t.Fatal(err)
	}
	devclockv1.RegisterDevClockServiceServer(s, clock)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	h.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx, listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	running.Go(func() {
		if err := clock.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	h.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
}

func (h *house) source(t *testing.T, id identity.Identity, name string) *identity.Source {
	t.Helper()
	leaf, err := h.authority.Issue(id)
	if err != nil {
		t.Fatal(err)
	}
	files, err := leaf.Write(h.dir, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dial connects with a certificate of its own.
func (h *house) dial(t *testing.T, id identity.Identity, name string) *grpc.ClientConn {
	t.Helper()
	c, err := client.Dial(h.address, client.Options{
		Identity: h.source(t, id, name), Peer: identity.OfService(domain, "devclock"), Timeout: bound,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// operator is a client that steers the clock, as `lianhu clock` does.
func (h *house) operator(t *testing.T) devclockv1.DevClockServiceClient {
	return devclockv1.NewDevClockServiceClient(h.dial(t, identity.OfUnit(domain, "operations", "main"), "operations"))
}

// join runs a member until the test, or the function it answers, ends it. It returns once the server counts the member.
func (h *house) join(t *testing.T, name string, settle devclock.Settle) (*devclock.Clock, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c, err := devclock.Join(ctx, h.dial(t, identity.OfService(domain, "registry"), name), name)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	operator := h.operator(t)
	before := members(t, operator)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, settle) }()
	leave := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(leave)
	await(t, func() bool { return members(t, operator) == before+1 })
	return c, leave
}

func members(t *testing.T, o devclockv1.DevClockServiceClient) int32 {
	t.Helper()
	answer, err := o.Now(t.Context(), &devclockv1.NowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetMembers()
}

// await asks again until something is so; there is no sleep between, as each question is a call of its own.
func await(t *testing.T, so func() bool) {
	t.Helper()
	end := time.Now().Add(bound)
	for !so() {
		if time.Now().After(end) {
			t.Fatal("it never came to be")
		}
	}
}

func by(seconds int64) *devclockv1.AdvanceRequest {
	return &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{BySeconds: seconds}}
}
