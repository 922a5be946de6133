// Package dispatch is a dispatch system's side of DispatchService: it sends numbered updates, reads acknowledgements, and after a cut goes on
// from what the server says is missing. It keeps nothing: what is not acknowledged stays with its owner, in the outbox.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/service"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Machine times of connecting again: the first wait after a cut, and the longest.
const (
	firstWait = 200 * time.Millisecond
	longWait  = 10 * time.Second
	// connectWait is gRPC's own longest pause between two attempts to connect; its default of two minutes would outlast ours.
	connectWait = 3 * time.Second
	// helloWait is how long a server may take to greet. What takes streams and never greets is no Lianhu gateway, or one that has lost its service.
	helloWait = 30 * time.Second
)

// Item is what takes one number, or gives up some; one of the two is set.
type Item struct {
	Update *reportingv1.IncidentUpdate
	Void   *reportingv1.Void
}

// Outbox gives what lies above a number, in the order in which it is to be sent. It is asked again after each cut and then gives what was
// not acknowledged once more, every number with the content it had before. A nil item says that there is nothing more at the moment: what
// was gathered goes out. An outbox that follows a living system waits for the next item, and ends with the context.
type Outbox func(ctx context.Context, above int64) iter.Seq2[*Item, error]

// Client pushes an outbox.
type Client struct {
	// Conn leads to the gateway; see Dial.
	Conn grpc.ClientConnInterface
	// Epoch of the numbers. 0 goes on in the server's, or begins the first.
	Epoch int64
	// Frame is how many updates go into one frame, 1 to 200. Default 100.
	Frame int
	// GiveUpAfter is how long the server may be silent over all attempts, in machine time; 0 tries for ever.
	GiveUpAfter time.Duration
	// Told hears what happens, in order and from one goroutine; nil for silence.
	Told func(Event)
}

// Event is one thing that happened; one field group is set.
type Event struct {
	// Hello and Ack are what the server said.
	Hello *reportingv1.Hello
	Ack   *reportingv1.Ack
	// Cut is why a connection ended; the next attempt follows after Wait.
	Cut  error
	Wait time.Duration
}

// Result is where a push ended.
type Result struct {
	// Epoch of the numbers.
	Epoch int64
	// Before is what was durable when the push began.
	Before int64
	// DurableThrough and Gaps are as in the last acknowledgement.
	DurableThrough int64
	Gaps           []*reportingv1.SequenceRange
	// Quarantined are the numbers whose content was kept apart, with the cause.
	Quarantined map[int64]reportingv1.Quarantined_Cause
	// Connections counts the streams that came as far as a Hello.
	Connections int
}

// Dial connects to a gateway for a Client: it tries again soon, however often it failed.
func Dial(target string, source *identity.Source, gateway identity.Identity) (*grpc.ClientConn, error) {
	return client.Dial(target, client.Options{
		Identity: source, Peer: gateway,
		More: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: firstWait, Multiplier: 1.6, Jitter: 0.2, MaxDelay: connectWait},
			MinConnectTimeout: connectWait,
		})},
	})
}

// Push sends the outbox to its end, over as many connections as that takes, and returns when the server has acknowledged what it took in. Its
// error is one that another attempt would not get over; Advise tells what to do about it. Gaps and quarantined numbers are no error.
func (c *Client) Push(ctx context.Context, outbox Outbox) (Result, error) {
	p := &push{Client: c, result: Result{Epoch: c.Epoch, Quarantined: map[int64]reportingv1.Quarantined_Cause{}}, heard: time.Now()}
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = firstWait, longWait
	for {
		said := p.said
		err := p.session(ctx, outbox)
		if err == nil {
			return p.result, nil
		}
		if ctx.Err() != nil {
			return p.result, ctx.Err()
		}
		if !passes(err) {
			return p.result, err
		}
		if silent := time.Since(p.heard); c.GiveUpAfter > 0 && silent > c.GiveUpAfter {
			return p.result, fmt.Errorf("the server has said nothing for %s: %w", silent.Round(time.Second), err)
		}
		wait := time.Duration(0)
		if p.said > said {
			waits.Reset()
		}
		if p.said == said || client.Refusal(err).GetReason() != draining {
			wait = waits.NextBackOff()
		}
		p.tell(Event{Cut: err, Wait: wait})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return p.result, ctx.Err()
		}
	}
}

// push is one Push under way.
type push struct {
	*Client
	result Result
	// said counts what the server said, and heard is when it last did.
	said  int
	heard time.Time
}

func (p *push) tell(e Event) {
	if p.Told != nil {
		p.Told(e)
	}
}

// listening counts a message of the server.
func (p *push) listening() {
	p.said++
	p.heard = time.Now()
}

// session is one connection: Hello, then frames one way and acknowledgements the other, at the same time.
func (p *push) session(ctx context.Context, outbox Outbox) error {
	ctx, hangUp := context.WithCancel(metadata.AppendToOutgoingContext(ctx, access.KeyContract, service.ContractDigest("reporting")[:12]))
	defer hangUp()
	wire, err := reportingv1.NewDispatchServiceClient(p.Conn).PushIncidentUpdates(ctx)
	if err != nil {
		return err
	}
	patience := helloWait
	if p.GiveUpAfter > 0 {
		patience = min(patience, p.GiveUpAfter)
	}
	late := time.AfterFunc(patience, hangUp)
	greeting, err := awaitHello(wire)
	if !late.Stop() {
		return status.Errorf(codes.DeadlineExceeded, "connected, and not greeted within %s", patience)
	}
	if err != nil {
		return err
	}
	p.listening()
	if err := p.greeted(greeting); err != nil {
		return err
	}
	out := &sender{wire: wire, epoch: p.result.Epoch, most: p.Frame, missing: missing{greeting.GetDurableThrough(), greeting.GetGaps(), greeting.GetGreatestSequence()}}
	if greeting.GetEpoch() != p.result.Epoch {
		out.missing = missing{}
	}
	sent := make(chan error, 1)
	go func() {
		err := out.run(ctx, outbox)
		if err != nil {
			hangUp() // the outbox cannot be read: there is nothing left to wait for
		}
		sent <- err
	}()
	err = p.listen(wire)
	hangUp()
	if failed := <-sent; failed != nil && !errors.Is(failed, context.Canceled) {
		return failed
	}
	if err == nil && !out.finished {
		return errEndedEarly
	}
	return err
}

// awaitHello takes the first Hello; a server newer than us may say something before it.
func awaitHello(wire grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]) (*reportingv1.Hello, error) {
	for {
		said, err := wire.Recv()
		if errors.Is(err, io.EOF) {
			return nil, errEndedEarly
		}
		if err != nil {
			return nil, err
		}
		if said.GetHello() != nil {
			return said.GetHello(), nil
		}
	}
}

// greeted settles the epoch and what is durable in it.
func (p *push) greeted(greeting *reportingv1.Hello) error {
	if p.result.Epoch == 0 {
		p.result.Epoch = max(1, greeting.GetEpoch())
	}
	if greeting.GetEpoch() > p.result.Epoch {
		return &StaleEpoch{Epoch: p.result.Epoch, Present: greeting.GetEpoch()}
	}
	if p.result.Connections++; greeting.GetEpoch() == p.result.Epoch {
		if p.result.Connections == 1 {
			p.result.Before = greeting.GetDurableThrough()
		}
		p.result.DurableThrough, p.result.Gaps = greeting.GetDurableThrough(), greeting.GetGaps()
	}
	p.tell(Event{Hello: greeting})
	return nil
}

// listen takes acknowledgements until the stream ends; nil when it ended well. What it does not know, a newer server says.
func (p *push) listen(wire grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]) error {
	for {
		said, err := wire.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p.listening()
		ack := said.GetAck()
		if ack == nil {
			continue
		}
		p.result.DurableThrough, p.result.Gaps = ack.GetDurableThrough(), ack.GetGaps()
		for _, q := range ack.GetQuarantined() {
			p.result.Quarantined[q.GetSequence()] = q.GetCause()
		}
		p.tell(Event{Ack: ack})
	}
}
