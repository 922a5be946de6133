package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
)

// dial connects to a gateway as a unit's system, over a connection of its own.
func dial(t *testing.T, home suite.Home, gateway, unit, system string) *grpc.ClientConn {
	t.Helper()
	if err := home.CertifySystem(unit, system); err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial(gateway, client.Options{Identity: source(t, home.System(unit, system)), Peer: gatewayIdentity()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// said is the time and number of an update nothing is wrong with.
func said(n int64, number string, version int64, content string) *reportingv1.IncidentUpdate {
	return &reportingv1.IncidentUpdate{
		Sequence: n, IncidentNumber: number, IncidentVersion: version, SourceTime: &timestamppb.Timestamp{Seconds: 1767571200 + n},
		PayloadFormat: reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON, Payload: []byte(content),
	}
}

// stream is a dispatch system's side of one.
type stream struct {
	grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]
	hello *reportingv1.Hello
	epoch int64
	// durable and apart are what was said so far.
	durable int64
	apart   map[int64]reportingv1.Quarantined_Cause
}

// greeted opens a stream and takes the Hello.
func greeted(ctx context.Context, conn grpc.ClientConnInterface, epoch int64, options ...grpc.CallOption) (*stream, error) {
	wire, err := reportingv1.NewDispatchServiceClient(conn).PushIncidentUpdates(ctx, options...)
	if err != nil {
		return nil, err
	}
	first, err := wire.Recv()
	if err != nil {
		return nil, err
	}
	if first.GetHello() == nil {
		return nil, fmt.Errorf("the server began with %v", first)
	}
	return &stream{BidiStreamingClient: wire, hello: first.GetHello(), epoch: epoch, apart: map[int64]reportingv1.Quarantined_Cause{}}, nil
}

// send sends a frame. An end of the stream is told where it is read.
func (s *stream) send(updates ...*reportingv1.IncidentUpdate) error {
	err := s.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: s.epoch, Updates: updates})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// read takes one acknowledgement.
func (s *stream) read() error {
	answer, err := s.Recv()
	if err != nil {
		return err
	}
	s.durable = answer.GetAck().GetDurableThrough()
	for _, q := range answer.GetAck().GetQuarantined() {
		s.apart[q.GetSequence()] = q.GetCause()
	}
	return nil
}

// until reads up to the acknowledgement of a number.
func (s *stream) until(through int64) error {
	for s.durable < through {
		if err := s.read(); err != nil {
			return fmt.Errorf("acknowledged through %d of %d: %w", s.durable, through, err)
		}
	}
	return nil
}

// end reads to the end of the stream and gives how it came; nil when well.
func (s *stream) end() error {
	for {
		if err := s.read(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// healthy is a source that pushes all the while on one stream and must not notice what others do.
type healthy struct {
	stop  context.CancelFunc
	ended chan error
	sent  atomic.Int64
}

// pushing begins to push as a station's system, five numbers in each frame, the next once the one before is acknowledged or a moment has passed.
func pushing(t *testing.T, home suite.Home, gateway string) *healthy {
	t.Helper()
	conn := dial(t, home, gateway, "police/320411103000", "dispatch")
	ctx, stop := context.WithCancel(t.Context())
	h := &healthy{stop: stop, ended: make(chan error, 1)}
	s, err := greeted(t.Context(), conn, 1)
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() { read <- s.end() }()
	go func() { h.ended <- h.push(ctx, s, read) }()
	return h
}

func (h *healthy) push(ctx context.Context, s *stream, read <-chan error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-read:
			return fmt.Errorf("the stream of a healthy source ended after %d numbers: %w", h.sent.Load(), err)
		case <-ctx.Done():
			if err := s.CloseSend(); err != nil {
				return err
			}
			if err := <-read; err != nil {
				return fmt.Errorf("the stream of a healthy source ended with %w", err)
			}
			if s.durable != h.sent.Load() || len(s.apart) != 0 || s.hello.GetDurableThrough() != 0 {
				return fmt.Errorf("of %d numbers of a healthy source %d are durable, quarantined %v", h.sent.Load(), s.durable, s.apart)
			}
			return nil
		case <-tick.C:
			var updates []*reportingv1.IncidentUpdate
			for range 5 {
				n := h.sent.Add(1)
				updates = append(updates, said(n, fmt.Sprintf("H%d", n%11), n, `{"summary":"healthy"}`))
			}
			if err := s.send(updates...); err != nil {
				return err
			}
		}
	}
}

// unharmed ends the healthy source: it has pushed on one stream from beginning to end, every number is durable, and none was quarantined.
func (h *healthy) unharmed() error {
	h.stop()
	err := <-h.ended
	if err == nil && h.sent.Load() < 20 {
		err = fmt.Errorf("a healthy source pushed %d numbers only: the test proves nothing", h.sent.Load())
	}
	return err
}
