package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// ErrInUse is why a server is not checked: the source has numbers there already.
var ErrInUse = errors.New("this source has pushed already, and the run would begin new epochs that its real system has to go beyond")

// Server is the check of a server: it plays a dispatch system against it. Each check begins an epoch of its own, so that none stands in the
// way of another; what it pushes stays in the server, as incidents numbered CONFORMANCE-….
type Server struct {
	// Target is the gateway's address, Identity who calls, Gateway who must answer.
	Target   string
	Identity *identity.Source
	Gateway  identity.Identity
	// RaiseEpoch allows a source that has numbers there already.
	RaiseEpoch bool
	// Patience is how long one check may take, in machine time; 30 s when zero.
	Patience time.Duration
	// AwaitDrain is how long to wait for somebody to restart the server; 0 leaves that check out.
	AwaitDrain time.Duration
	// Told hears how the checks go; nil for silence.
	Told func(line string)
}

// Run makes all checks, one after the other.
func (s Server) Run(ctx context.Context) (Report, error) {
	s.Patience = cmp.Or(s.Patience, 30*time.Second)
	p := &partner{Server: s, began: time.Now()}
	conn, err := p.dial()
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = conn.Close() }()
	p.client = reportingv1.NewDispatchServiceClient(conn)
	bounded, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	position, err := p.client.GetDispatchPosition(bounded, &reportingv1.GetDispatchPositionRequest{})
	if err != nil {
		return Report{}, err
	}
	if p.epoch = position.GetHello().GetEpoch(); p.epoch > 0 && !s.RaiseEpoch {
		return Report{}, fmt.Errorf("%w: epoch %d, durable through %d", ErrInUse, p.epoch, position.GetHello().GetDurableThrough())
	}
	var checks []Check
	for _, one := range partnerChecks {
		checks = append(checks, p.check(ctx, one))
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
	}
	report := newReport("server", s.Gateway.String()+" at "+s.Target, s.Identity.Identity().String(), p.began, checks)
	report.Epoch = p.epoch
	return report, nil
}

// partnerCheck is one check of a server. play answers what was seen; an error says what was seen instead of what was expected.
type partnerCheck struct {
	id, rule, read, expected string
	play                     func(context.Context, *partner) (seen string, err error)
}

// errLeftOut is a check that nobody asked for.
var errLeftOut = errors.New("left out")

func (p *partner) check(ctx context.Context, one partnerCheck) Check {
	c := Check{ID: one.id, Rule: one.rule, Read: one.read, Expected: one.expected, Outcome: Passed}
	p.epoch++
	bounded, cancel := context.WithTimeout(ctx, p.Patience+p.AwaitDrain)
	defer cancel()
	seen, err := one.play(bounded, p)
	c.Seen = seen
	switch {
	case errors.Is(err, errLeftOut):
		c.Outcome = LeftOut
	case err != nil:
		c.Outcome, c.Seen = Failed, err.Error()
	}
	if p.Told != nil {
		p.Told(fmt.Sprintf("%-11s %s: %s", c.Outcome, c.ID, c.Seen))
	}
	return c
}

// partner plays a dispatch system.
type partner struct {
	Server
	client reportingv1.DispatchServiceClient
	// wire is the connection it uses now, to be cut.
	wire *cuttable
	// epoch of the present check.
	epoch int64
	// began is the source time of the updates, or nearly.
	began time.Time
}

func (p *partner) dial() (*grpc.ClientConn, error) {
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		p.wire = uncut(conn)
		return p.wire, nil
	}
	return client.Dial(p.Target, client.Options{Identity: p.Identity, Peer: p.Gateway, More: []grpc.DialOption{grpc.WithContextDialer(dialer)}})
}

// link is one stream.
type link struct {
	wire   grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]
	epoch  int64
	hello  *reportingv1.Hello
	hangUp context.CancelFunc
	// apart is what was quarantined on it.
	apart map[int64]reportingv1.Quarantined_Cause
}

// open begins a stream and takes the Hello, again while the server is away.
func (p *partner) open(ctx context.Context, options ...grpc.CallOption) (*link, error) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		l, err := p.attempt(ctx, options...)
		if status.Code(err) != codes.Unavailable {
			return l, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (p *partner) attempt(ctx context.Context, options ...grpc.CallOption) (*link, error) {
	ctx, hangUp := context.WithCancel(ctx)
	wire, err := p.client.PushIncidentUpdates(ctx, append(options, grpc.WaitForReady(true))...)
	if err != nil {
		hangUp()
		return nil, err
	}
	said, err := wire.Recv()
	if err == nil && said.GetHello() == nil {
		err = fmt.Errorf("the server began with %v, not with a Hello", said)
	}
	if err != nil {
		hangUp()
		return nil, err
	}
	return &link{wire, p.epoch, said.GetHello(), hangUp, map[int64]reportingv1.Quarantined_Cause{}}, nil
}

// update of the present check, with a number.
func (p *partner) update(n int64) *reportingv1.IncidentUpdate {
	return &reportingv1.IncidentUpdate{
		Sequence: n, IncidentNumber: fmt.Sprintf("CONFORMANCE-%d-%d", p.epoch, n%5), IncidentVersion: n,
		SourceTime: timestamppb.New(p.began.Add(time.Duration(n) * time.Millisecond)), PayloadFormat: reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON,
		Payload: fmt.Appendf(nil, `{"summary":"conformance run, update %d"}`, n),
	}
}

// updates of a range of numbers.
func (p *partner) updates(from, to int64) (out []*reportingv1.IncidentUpdate) {
	for n := from; n <= to; n++ {
		out = append(out, p.update(n))
	}
	return out
}

// send sends a frame. An end of the stream is told where it is read.
func (l *link) send(updates []*reportingv1.IncidentUpdate, voids ...*reportingv1.Void) error {
	err := l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: l.epoch, Updates: updates, Voids: voids})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// until reads acknowledgements up to one that is durable through a number and names these gaps above it. Those before it may say less.
func (l *link) until(through int64, gaps ...*reportingv1.SequenceRange) error {
	last := "nothing"
	for {
		said, err := l.wire.Recv()
		if err != nil {
			return fmt.Errorf("instead of an acknowledgement through %d, with %d gaps above it, came %s and then: %w", through, len(gaps), last, err)
		}
		ack := said.GetAck()
		for _, q := range ack.GetQuarantined() {
			l.apart[q.GetSequence()] = q.GetCause()
		}
		if ack.GetDurableThrough() > through {
			return fmt.Errorf("acknowledged through %d, and %d was due", ack.GetDurableThrough(), through)
		}
		same := func(a, b *reportingv1.SequenceRange) bool {
			return a.GetFrom() == b.GetFrom() && a.GetTo() == b.GetTo()
		}
		if ack.GetDurableThrough() == through && slices.EqualFunc(ack.GetGaps(), gaps, same) {
			return nil
		}
		last = fmt.Sprintf("one through %d with the gaps %v", ack.GetDurableThrough(), ack.GetGaps())
	}
}

// push sends and reads until all is durable.
func (l *link) push(through int64, updates []*reportingv1.IncidentUpdate, voids ...*reportingv1.Void) error {
	return errors.Join(l.send(updates, voids...), l.until(through))
}

// quarantined fails unless exactly these numbers were, for these causes.
func (l *link) quarantined(want map[int64]reportingv1.Quarantined_Cause) error {
	for n, cause := range want {
		if l.apart[n] != cause {
			return fmt.Errorf("number %d was due in quarantine as %s; the server says %s", n, cause, l.apart[n])
		}
	}
	if len(l.apart) != len(want) {
		return fmt.Errorf("quarantined: %v; due: %v", l.apart, want)
	}
	return nil
}

// refusal reads to the end of the stream and fails unless it ends for a reason; an empty one stands for a good end.
func (l *link) refusal(reason string) error {
	for {
		said, err := l.wire.Recv()
		switch {
		case errors.Is(err, io.EOF) && reason == "":
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the stream ended well, and %s was due", reason)
		case err != nil && client.Refusal(err).GetReason() == reason && reason != "":
			return nil
		case err != nil:
			return fmt.Errorf("the stream ended with %s, reason %q, and %q was due: %w", status.Code(err), client.Refusal(err).GetReason(), reason, err)
		}
		for _, q := range said.GetAck().GetQuarantined() {
			l.apart[q.GetSequence()] = q.GetCause()
		}
	}
}

// gone waits until a connection that was cut is known to be.
func (l *link) gone() error {
	for {
		_, err := l.wire.Recv()
		if err == nil {
			continue
		}
		if code := status.Code(err); code != codes.Unavailable && code != codes.Canceled {
			return fmt.Errorf("the cut stream ended with %w", err)
		}
		return nil
	}
}
