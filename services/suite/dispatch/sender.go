package dispatch

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Bounds of a frame. The server takes 8 MiB, 200 updates and voids of 100 ranges with 10000 numbers together.
const (
	frameUpdates, frameDefault = 200, 100
	frameBytes                 = 4 << 20
	frameVoids                 = 100
	frameVoided                = 10000
)

// gapsNamed is how many gaps a Hello names at most.
const gapsNamed = 100

// missing is what a Hello says is not durable.
type missing struct {
	through int64
	gaps    []*reportingv1.SequenceRange
	// greatest number known to the server; 0 from one that does not tell.
	greatest int64
}

// has tells whether a number has to be sent. Above the last gap named everything has, up to the greatest number known only where gaps may have
// been left out.
func (m missing) has(n int64) bool {
	if n <= m.through {
		return false
	}
	for _, g := range m.gaps {
		if n <= g.GetTo() {
			return n >= g.GetFrom()
		}
	}
	return len(m.gaps) >= gapsNamed || n > m.greatest
}

// sender writes an outbox to one stream.
type sender struct {
	wire    grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]
	epoch   int64
	most    int
	missing missing
	// finished is set when the whole outbox was sent and our side closed.
	finished bool

	frame         *reportingv1.PushIncidentUpdatesRequest
	bytes, voided int64
}

// run sends what is missing. A stream that ends meanwhile is no error here: why it did, the receiving side is told.
func (s *sender) run(ctx context.Context, outbox Outbox) error {
	s.frame = &reportingv1.PushIncidentUpdatesRequest{Epoch: s.epoch}
	for item, err := range outbox(ctx, s.missing.through) {
		if err != nil {
			return err
		}
		if err := s.take(item); err != nil {
			return ended(err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := s.flush(); err != nil {
		return ended(err)
	}
	s.finished = true
	return ended(s.wire.CloseSend())
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// take adds an item to the frame and sends the frame when it is full.
func (s *sender) take(item *Item) error {
	switch {
	case item == nil:
		return s.flush()
	case item.Void != nil:
		return s.void(item.Void)
	case !s.missing.has(item.Update.GetSequence()):
		return nil
	}
	size := int64(proto.Size(item.Update))
	if s.bytes+size > frameBytes {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.frame.Updates = append(s.frame.Updates, item.Update)
	s.bytes += size
	most := s.most
	if most <= 0 {
		most = frameDefault
	}
	if len(s.frame.Updates) >= min(most, frameUpdates) {
		return s.flush()
	}
	return nil
}

// void gives numbers up, in pieces that fit into a frame.
func (s *sender) void(v *reportingv1.Void) error {
	for from := max(v.GetFrom(), s.missing.through+1); from <= v.GetTo(); {
		if s.voided == frameVoided || len(s.frame.GetVoids()) == frameVoids {
			if err := s.flush(); err != nil {
				return err
			}
		}
		to := min(v.GetTo(), from+frameVoided-s.voided-1)
		s.frame.Voids = append(s.frame.Voids, &reportingv1.Void{From: from, To: to, Reason: v.GetReason()})
		s.voided += to - from + 1
		from = to + 1
	}
	return nil
}

func (s *sender) flush() error {
	if len(s.frame.GetUpdates())+len(s.frame.GetVoids()) == 0 {
		return nil
	}
	err := s.wire.Send(s.frame)
	s.frame, s.bytes, s.voided = &reportingv1.PushIncidentUpdatesRequest{Epoch: s.epoch}, 0, 0
	return err
}
