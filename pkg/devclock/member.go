package devclock

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/fault"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// member is one joined process, as long as its stream lasts.
type member struct {
	name string
	// rounds holds the newest round that was asked for and not yet sent.
	rounds chan int64
	// answers holds the newest answer that nobody has looked at.
	answers chan answer
	// evicted is closed when the same member has joined anew, gone when the stream has ended.
	evicted, gone chan struct{}
}

type answer struct{ round, head int64 }

// ask leaves a round to be sent; an older one nobody sent yet is of no use any more. Callers hold the server's lock.
func (m *member) ask(round int64) { replace(m.rounds, round) }

// replace puts the newest value into a channel of size one. Only one goroutine at a time may do so.
func replace[T any](c chan T, value T) {
	select {
	case <-c:
	default:
	}
	c <- value
}

// await waits until the member has settled a round or has left.
func (m *member) await(ctx context.Context, round int64) (head int64, settled bool, err error) {
	for {
		select {
		case a := <-m.answers:
			if a.round == round {
				return a.head, true, nil
			}
		case <-m.gone:
			return 0, false, nil
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
}

type joining = grpc.BidiStreamingServer[devclockv1.JoinRequest, devclockv1.JoinResponse]

// Join implements devclockv1.DevClockServiceServer.
func (s *Server) Join(stream joining) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetMember() == "" {
		return fault.Invalid("member", "must be set in the first message")
	}
	m := s.enter(first.GetMember())
	defer s.leave(m)
	heard, ended := make(chan struct{}, 1), make(chan error, 1)
	s.receivers.Go(func() { ended <- m.receive(stream, heard) })

	lease := time.NewTimer(s.lease)
	defer lease.Stop()
	round := int64(0)
	for {
		if err := stream.Send(s.word(round)); err != nil {
			return err
		}
		if round, err = s.listen(m, lease, heard, ended); err != nil || round == 0 {
			return err
		}
	}
}

// listen waits for the next round to send; 0 without an error means that the member has left.
func (s *Server) listen(m *member, lease *time.Timer, heard <-chan struct{}, ended <-chan error) (int64, error) {
	for {
		select {
		case round := <-m.rounds:
			return round, nil
		case <-heard:
			lease.Reset(s.lease)
		case err := <-ended:
			return 0, err
		case <-lease.C:
			return 0, away("the lease ran out in silence: join again")
		case <-m.evicted:
			return 0, away("the member has joined on another stream")
		case <-s.drained:
			return 0, fault.New(faultv1.Reason_REASON_DRAINING, "the clock is about to stop: join again")
		}
	}
}

func away(message string) error { return fault.New(faultv1.Reason_REASON_UNAVAILABLE, message) }

// receive passes on what the member says. A blocked receive ends when the handler has returned.
func (m *member) receive(stream joining, heard chan<- struct{}) error {
	for {
		said, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case heard <- struct{}{}:
		default: // one is waiting to be noticed
		}
		if said.GetSettledRound() > 0 {
			replace(m.answers, answer{said.GetSettledRound(), said.GetFeedHead()})
		}
	}
}

func (s *Server) enter(name string) *member {
	m := &member{
		name: name, rounds: make(chan int64, 1), answers: make(chan answer, 1), evicted: make(chan struct{}), gone: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if older := s.members[name]; older != nil {
		close(older.evicted)
	}
	s.members[name] = m
	return m
}

func (s *Server) leave(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[m.name] == m {
		delete(s.members, m.name)
	}
	close(m.gone)
}

func (s *Server) word(round int64) *devclockv1.JoinResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &devclockv1.JoinResponse{Now: timestamppb.New(s.state.at(time.Now())), Running: s.state.Running, Round: round}
}
