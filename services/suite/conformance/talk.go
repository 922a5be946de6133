package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// lull is how long nothing has to come until the client is taken to wait for an acknowledgement.
const lull = time.Second

// errLull and errClosed are why no further item comes: for now, and ever.
var (
	errLull   = errors.New("nothing came for a while")
	errClosed = errors.New("the client closed its side")
)

// talk is one connection of the client.
type talk struct {
	*instrument
	wire   grpc.BidiStreamingServer[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]
	conn   *cuttable
	number int
	// began is what was durable when it was opened, and first the first number that came on it.
	began, first int64
	// frames come from a goroutine of their own; waiting are the items of those that came.
	frames  chan frame
	waiting []entry
	// evicted is closed when a newer stream takes this one's place.
	evicted chan struct{}
	// skewed answers hold fields that nobody knows.
	skewed bool
	// apart are numbers to be named as quarantined by the next acknowledgement.
	apart []*reportingv1.Quarantined
}

type frame struct {
	*reportingv1.PushIncidentUpdatesRequest
	err error
}

// entry is one number of a frame: an update, or given up.
type entry struct {
	sequence int64
	update   *reportingv1.IncidentUpdate
}

// PushIncidentUpdates implements DispatchService: it plays the script from where the last connection left it.
func (i *instrument) PushIncidentUpdates(wire grpc.BidiStreamingServer[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]) error {
	t := i.enter(wire)
	defer i.leave(t)
	go t.receive()
	if err := t.greet(); err != nil {
		return err
	}
	for {
		i.mu.Lock()
		stage := i.stage
		i.mu.Unlock()
		next, err := stages[stage].play(t)
		i.mu.Lock()
		if next && i.stage == stage && !i.ended {
			i.stage++
			i.tell("%s: done", stages[stage].name)
		}
		i.mu.Unlock()
		switch {
		case errors.Is(err, errClosed):
			return t.acknowledge()
		case err != nil:
			return err
		case t.stopped():
			return nil
		}
	}
}

// stopped tells whether the run is over or the client gone.
func (t *talk) stopped() bool {
	select {
	case <-t.over:
		return true
	case <-t.wire.Context().Done():
		return true
	default:
		return false
	}
}

// enter makes a connection the present one and judges how it came back.
func (i *instrument) enter(wire grpc.BidiStreamingServer[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]) *talk {
	i.active()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.connections++
	t := &talk{instrument: i, wire: wire, number: i.connections, began: i.book.through, frames: make(chan frame), evicted: make(chan struct{})}
	if from, ok := peer.FromContext(wire.Context()); ok {
		t.conn = i.conns.from(from.Addr.String())
		if tls, ok := from.AuthInfo.(credentials.TLSInfo); ok {
			who, err := identity.OfCertificate(tls.State.PeerCertificates[0])
			i.peer = who.String()
			if err != nil {
				i.verdicts.fail("connect", "the certificate names no system of a unit: its only URI must be spiffe://DOMAIN/unit/UNIT/system/SYSTEM")
			}
		}
	}
	if i.present != nil {
		close(i.present.evicted)
	}
	i.present = t
	if i.leaving == wasDrained {
		took := time.Since(i.left).Round(10 * time.Millisecond)
		if took > i.Prompt {
			i.verdicts.fail("draining", fmt.Sprintf("the client came back %s after the stream ended with UNAVAILABLE, reason DRAINING; at most %s were allowed", took, i.Prompt))
		}
		i.verdicts.pass("draining", fmt.Sprintf("back %s after DRAINING", took))
	}
	return t
}

func (i *instrument) leave(t *talk) {
	i.active()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.present == t {
		i.present, i.left = nil, time.Now()
	}
}

// part says how a connection is about to end.
func (t *talk) part(how farewell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = how
}

// receive takes frames from the wire, one ahead.
func (t *talk) receive() {
	defer close(t.frames)
	for {
		f, err := t.wire.Recv()
		select {
		case t.frames <- frame{f, err}:
		case <-t.over:
			return
		case <-t.wire.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// greet says Hello as things stand.
func (t *talk) greet() error {
	t.mu.Lock()
	greeting := &reportingv1.Hello{Epoch: t.book.epoch, DurableThrough: t.book.through, Gaps: t.book.gaps(), GreatestSequence: t.book.known()}
	for _, gap := range greeting.GetGaps() {
		for n := gap.GetFrom(); n <= gap.GetTo(); n++ {
			t.book.asked[n] = t.book.numbers[n] != nil
		}
	}
	t.skewed = t.stage == stageSkew
	if t.stage == stageEpoch {
		greeting = &reportingv1.Hello{Epoch: t.book.epoch + 1}
	}
	t.leaving = gone
	t.tell("connection %d: Hello, epoch %d, durable through %d, %d gaps", t.number, greeting.GetEpoch(), greeting.GetDurableThrough(), len(greeting.GetGaps()))
	t.mu.Unlock()
	if t.skewed {
		greeting.ProtoReflect().SetUnknown(unknown(100))
	}
	return t.wire.Send(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Hello{Hello: greeting}})
}

// acknowledge says what is durable.
func (t *talk) acknowledge() error {
	t.mu.Lock()
	ack := &reportingv1.Ack{DurableThrough: t.book.through, Gaps: t.book.gaps(), Quarantined: t.apart, GreatestSequence: t.book.known()}
	t.apart = nil
	t.mu.Unlock()
	said := &reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Ack{Ack: ack}}
	if t.skewed {
		said.ProtoReflect().SetUnknown(unknown(100))
		ack.ProtoReflect().SetUnknown(unknown(100))
	}
	return t.wire.Send(said)
}

// next gives one item, in the order of the numbers within a frame. It waits no longer than patient says; 0 waits for ever.
func (t *talk) next(patient time.Duration) (entry, error) {
	var quiet <-chan time.Time
	if patient > 0 {
		timer := time.NewTimer(patient)
		defer timer.Stop()
		quiet = timer.C
	}
	for len(t.waiting) == 0 {
		select {
		case f, open := <-t.frames:
			if !open {
				return entry{}, errors.Join(errClosed, t.wire.Context().Err())
			}
			if err := t.accept(f); err != nil {
				return entry{}, err
			}
		case <-quiet:
			return entry{}, errLull
		case <-t.evicted:
			return entry{}, refuse(codes.Aborted, "DISPATCH_STREAM_SUPERSEDED", "a newer stream of this source is open")
		case <-t.over:
			return entry{}, refuse(codes.Unavailable, "DRAINING", "the run is over")
		}
	}
	one := t.waiting[0]
	t.waiting = t.waiting[1:]
	return one, nil
}

// accept judges a frame and puts its numbers into the line. What is left of it when the connection ends is lost.
func (t *talk) accept(f frame) error {
	if errors.Is(f.err, io.EOF) {
		t.part(closedWell)
		return errClosed
	}
	if f.err != nil {
		return cmp.Or(t.wire.Context().Err(), f.err)
	}
	t.active()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts.pass("connect", "as "+t.peer)
	if wrong := outOfBounds(f.PushIncidentUpdatesRequest, t.book.through); wrong != "" {
		t.verdicts.fail("frames", wrong)
		t.leaving = wasRefused
		return refuse(codes.InvalidArgument, "FIELD_INVALID", wrong)
	}
	if err := t.inEpoch(f.GetEpoch()); err != nil {
		t.leaving = wasRefused
		return err
	}
	for _, u := range f.GetUpdates() {
		t.waiting = append(t.waiting, entry{u.GetSequence(), u})
	}
	slices.SortStableFunc(t.waiting, func(a, b entry) int { return cmp.Compare(a.sequence, b.sequence) })
	for _, v := range f.GetVoids() {
		for n := v.GetFrom(); n <= v.GetTo(); n++ {
			t.waiting = append(t.waiting, entry{n, nil})
		}
	}
	for _, e := range t.waiting {
		t.hear(e)
	}
	return nil
}

// inEpoch settles the epoch with the first frame and refuses another.
func (t *talk) inEpoch(epoch int64) error {
	switch present := t.book.epoch; {
	case present == 0:
		t.book.epoch = epoch
	case epoch < present:
		t.verdicts.fail("epoch", fmt.Sprintf("a frame of epoch %d came after one of epoch %d", epoch, present))
		return refuse(codes.FailedPrecondition, "DISPATCH_EPOCH_STALE", "a higher epoch has begun", "epoch", fmt.Sprint(epoch), "present", fmt.Sprint(present))
	case epoch > present:
		t.verdicts.fail("restart", fmt.Sprintf("epoch %d was begun although nothing asked for it: what was not acknowledged of epoch %d is lost", epoch, present))
		return refuse(codes.FailedPrecondition, "DISPATCH_EPOCH_STALE", "the run goes on in its first epoch", "epoch", fmt.Sprint(epoch), "present", fmt.Sprint(present))
	}
	return nil
}

// outOfBounds names what of a frame the contract does not allow.
func outOfBounds(f *reportingv1.PushIncidentUpdatesRequest, through int64) string {
	if f.GetEpoch() < 1 {
		return fmt.Sprintf("epoch is %d", f.GetEpoch())
	}
	if len(f.GetUpdates()) > 200 {
		return fmt.Sprintf("a frame holds %d updates", len(f.GetUpdates()))
	}
	for _, u := range f.GetUpdates() {
		if u.GetSequence() < 1 || u.GetSequence() > sequenceMost {
			return fmt.Sprintf("an update has the number %d", u.GetSequence())
		}
		if u.GetSequence() > through+aheadMost {
			return fmt.Sprintf("number %d lies more than %d above what is durable", u.GetSequence(), aheadMost)
		}
	}
	total := int64(0)
	for _, v := range f.GetVoids() {
		if v.GetFrom() < 1 || v.GetTo() < v.GetFrom() || v.GetTo() > sequenceMost || v.GetTo()-v.GetFrom() >= 10000-total {
			return fmt.Sprintf("a void goes from %d to %d, or voids of a frame hold more than 10000 numbers", v.GetFrom(), v.GetTo())
		}
		total += v.GetTo() - v.GetFrom() + 1
	}
	return ""
}

// hear remembers a number and judges whether it is the one it was.
func (t *talk) hear(e entry) {
	if t.first == 0 {
		t.first = e.sequence
	}
	before := t.book.numbers[e.sequence]
	if before == nil {
		before = &heard{on: t.number, void: e.update == nil}
		if e.update != nil {
			before.digest = digest(e.update)
		}
		t.book.numbers[e.sequence] = before
		return
	}
	if e.update == nil || before.void || before.digest == digest(e.update) {
		return
	}
	t.apart = append(t.apart, &reportingv1.Quarantined{Sequence: e.sequence, Cause: reportingv1.Quarantined_CAUSE_CONFLICT})
	if t.first == 1 && t.began > 0 {
		t.verdicts.fail("restart", fmt.Sprintf("connection %d was greeted with %d as durable and began at number 1 again, with other content, in the same epoch", t.number, t.began))
		return
	}
	t.verdicts.fail("reuse", fmt.Sprintf("number %d came on connection %d with other content than it had first", e.sequence, t.number))
}

// GetDispatchPosition implements DispatchService.
func (i *instrument) GetDispatchPosition(context.Context, *reportingv1.GetDispatchPositionRequest) (*reportingv1.GetDispatchPositionResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return &reportingv1.GetDispatchPositionResponse{Hello: &reportingv1.Hello{Epoch: i.book.epoch, DurableThrough: i.book.through, Gaps: i.book.gaps(), GreatestSequence: i.book.known()}}, nil
}
