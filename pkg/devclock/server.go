// Package devclock is business time in development: one server that holds it, members that follow it. A demonstration or
// a test moves time forward and knows, when the call returns, that every deadline due has fired and every consequence
// has been followed to its end. Production has no such server; there business time is the machine's.
package devclock

import (
	"context"
	"maps"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/fault"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
)

// Lease is how long a member may stay silent before nobody waits for it, in machine time.
const Lease = 15 * time.Second

// How far running time is allowed ahead of the file, and how often the file is written.
const (
	ahead     = 10 * time.Second
	saveEvery = 2 * time.Second
)

// Config of a clock server.
type Config struct {
	// File keeps the time over restarts.
	File string
	// Start is business time when there is no file yet; the machine's when zero.
	Start time.Time
	// Running lets business time run with the machine's clock; otherwise it stands still between advances.
	Running bool
	// Lease of the members; the constant Lease when zero.
	Lease time.Duration
}

// Server implements lianhu.devclock.v1.DevClockService.
type Server struct {
	devclockv1.UnimplementedDevClockServiceServer

	file  string
	lease time.Duration
	// advancing is held by the one Advance at a time.
	advancing chan struct{}
	drained   chan struct{}
	drain     sync.Once
	receivers sync.WaitGroup

	mu      sync.Mutex
	state   state
	round   int64
	members map[string]*member
}

// Actions are the actions of the service's methods, open to every certificate of the development authority.
func Actions() []string { return []string{"devclock.now", "devclock.advance", "devclock.join"} }

// Open loads the time from the file or makes it. Run must be running while the server serves.
func Open(c Config) (*Server, error) {
	s, found, err := load(c.File)
	if err != nil {
		return nil, err
	}
	machine := time.Now()
	now := s.at(machine)
	switch {
	case !found && c.Start.IsZero():
		now = machine.Truncate(time.Microsecond)
	case !found:
		now = c.Start.Truncate(time.Microsecond)
	case s.Reserved.After(now):
		now = s.Reserved
	}
	s.Running = c.Running
	s = s.reserve(now, machine, ahead)
	if err := s.store(c.File); err != nil {
		return nil, err
	}
	if c.Lease <= 0 {
		c.Lease = Lease
	}
	return &Server{
		file: c.File, lease: c.Lease, state: s, members: map[string]*member{},
		advancing: make(chan struct{}, 1), drained: make(chan struct{}),
	}, nil
}

// Run keeps running time on file until ctx is done, then ends the members' streams and waits for them.
func (s *Server) Run(ctx context.Context) error {
	defer s.receivers.Wait()
	defer s.Drain()
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := s.move(func(now time.Time) time.Time { return now }); err != nil {
				return err
			}
		}
	}
}

// Drain ends the members' streams; they join again when the server is back.
func (s *Server) Drain() { s.drain.Do(func() { close(s.drained) }) }

// move sets business time by the present one; the file comes first, so that nobody hears of a time that a crash forgets.
func (s *Server) move(to func(now time.Time) time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	machine := time.Now()
	now := s.state.at(machine)
	target := to(now)
	if !s.state.Running && target.Equal(now) {
		return nil
	}
	next := s.state.reserve(target, machine, ahead)
	if err := next.store(s.file); err != nil {
		return err
	}
	s.state = next
	return nil
}

// Now implements devclockv1.DevClockServiceServer.
func (s *Server) Now(context.Context, *devclockv1.NowRequest) (*devclockv1.NowResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &devclockv1.NowResponse{
		Now: timestamppb.New(s.state.at(time.Now())), Running: s.state.Running, Members: int32(len(s.members)),
	}, nil
}

// Advance implements devclockv1.DevClockServiceServer. When it ends early, because its caller left, time has moved all the
// same; by_seconds 0 then waits for the rest.
func (s *Server) Advance(ctx context.Context, request *devclockv1.AdvanceRequest) (*devclockv1.AdvanceResponse, error) {
	select {
	case s.advancing <- struct{}{}:
		defer func() { <-s.advancing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.set(request); err != nil {
		return nil, err
	}
	rounds, heads, err := s.settle(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &devclockv1.AdvanceResponse{
		Now: timestamppb.New(s.state.at(time.Now())), Rounds: rounds, Members: int32(len(heads)),
	}, nil
}

func (s *Server) set(request *devclockv1.AdvanceRequest) error {
	var refused error
	err := s.move(func(now time.Time) time.Time {
		target := now
		switch to := request.GetTarget().(type) {
		case *devclockv1.AdvanceRequest_To:
			if !to.To.IsValid() || to.To.AsTime().Before(now) {
				refused = fault.Invalid("to", "must be a time that is not before the present one")
				return now
			}
			target = to.To.AsTime().Truncate(time.Microsecond)
		case *devclockv1.AdvanceRequest_BySeconds:
			if to.BySeconds < 0 || to.BySeconds > int64(furthest/time.Second) {
				refused = fault.Invalid("by_seconds", "must be from 0 to ten years")
				return now
			}
			target = now.Add(time.Duration(to.BySeconds) * time.Second)
		default:
			refused = fault.Invalid("target", "must be set")
		}
		// The reserved time may lie a little ahead of a target; that time has not been told to anybody yet.
		return target
	})
	if refused != nil {
		return refused
	}
	return err
}

// furthest bounds one advance, so that a slip of the finger does not end a demonstration.
const furthest = 10 * 366 * 24 * time.Hour

// settle asks all members to come to rest, again and again, until two rounds in a row have found every feed where it was:
// what one member does in a round may give another something to do.
func (s *Server) settle(ctx context.Context) (rounds int32, heads map[string]int64, err error) {
	for {
		next, err := s.settleOnce(ctx)
		if err != nil {
			return rounds, nil, err
		}
		rounds++
		if rounds > 1 && maps.Equal(heads, next) {
			return rounds, next, nil
		}
		heads = next
	}
}

// settleOnce runs one round and answers where the feeds of those who settled stand. Whoever leaves is not waited for.
func (s *Server) settleOnce(ctx context.Context) (map[string]int64, error) {
	s.mu.Lock()
	s.round++
	round := s.round
	asked := maps.Clone(s.members)
	for _, m := range asked {
		m.ask(round)
	}
	s.mu.Unlock()
	heads := map[string]int64{}
	for name, m := range asked {
		head, settled, err := m.await(ctx, round)
		if err != nil {
			return nil, err
		}
		if settled {
			heads[name] = head
		}
	}
	return heads, nil
}
