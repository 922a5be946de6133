package rpc

import (
	"cmp"
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// acks sends acknowledgements in a goroutine of its own: a source that does not read holds up neither its commits nor, for longer than
// patience, its stream. What is not sent yet is replaced by what is newer.
type acks struct {
	send func(*reportingv1.PushIncidentUpdatesResponse) error
	// wake holds a token when there is something to send or no more to come.
	wake chan struct{}
	// ended is closed when nothing is sent any more; err says why, nil when all was sent.
	ended chan struct{}
	err   error
	// unread is closed when the source has let a message lie for longer than patience, in machine time.
	unread   chan struct{}
	patience time.Duration
	source   string

	mu      sync.Mutex
	pending *reportingv1.Ack
	closed  bool
}

func newAcks(send func(*reportingv1.PushIncidentUpdatesResponse) error, greeting *reportingv1.Hello, patience time.Duration, source string) *acks {
	a := &acks{send: send, wake: make(chan struct{}, 1), ended: make(chan struct{}), unread: make(chan struct{}), patience: patience, source: source}
	go a.run(greeting)
	return a
}

func (a *acks) run(greeting *reportingv1.Hello) {
	defer close(a.ended)
	lies := time.AfterFunc(a.patience, func() { close(a.unread) })
	defer lies.Stop()
	say := func(said *reportingv1.PushIncidentUpdatesResponse) bool {
		lies.Reset(a.patience)
		a.err = a.send(said)
		if !lies.Stop() {
			a.err = cmp.Or(a.err, a.refusal())
		}
		return a.err == nil
	}
	if !say(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Hello{Hello: greeting}}) {
		return
	}
	for {
		ack, closed := a.take()
		if ack == nil && closed {
			return
		}
		if ack == nil {
			<-a.wake
			continue
		}
		if !say(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Ack{Ack: ack}}) {
			return
		}
	}
}

func (a *acks) take() (ack *reportingv1.Ack, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ack, a.pending = a.pending, nil
	return ack, a.closed
}

// put replaces what waits to be sent. Quarantined numbers are named once and so are added up.
func (a *acks) put(ack *reportingv1.Ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ack = proto.CloneOf(ack)
	ack.Quarantined = append(a.pending.GetQuarantined(), ack.GetQuarantined()...)
	a.pending = ack
	a.signal()
}

func (a *acks) signal() {
	select {
	case a.wake <- struct{}{}:
	default: // a token is there already
	}
}

// finish sends what is left and answers how the stream ended: as cause says, or because the source does not read.
func (a *acks) finish(ctx context.Context, cause error) error {
	a.mu.Lock()
	a.closed = true
	a.signal()
	a.mu.Unlock()
	select {
	case <-a.ended:
		return cmp.Or(cause, a.err)
	case <-ctx.Done():
		return cmp.Or(cause, ctx.Err())
	case <-a.unread:
		return cmp.Or(cause, a.refusal())
	}
}

func (a *acks) refusal() error {
	return fault.New(reportingv1.Reason_REASON_DISPATCH_ACKS_UNREAD, "acknowledgements are not read; connect again and go on from the Hello", "source", a.source)
}
