package storm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Sizes of the dispatch load.
const (
	window   = 60 // numbers that may wait for their acknowledgement
	silence  = 12 * time.Second
	eachTick = 100 * time.Millisecond
)

// incidents are shared by the sources: two of them tell of the same one.
type incidents struct {
	mu       sync.Mutex
	versions map[string]int64
}

// next draws the incident's next version.
func (i *incidents) next(number string) int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.versions[number]++
	return i.versions[number]
}

// sent is one numbered update or void and what became of it.
type sent struct {
	update *reportingv1.IncidentUpdate
	void   bool
	poison bool
	op     *Op
}

// source is a dispatch system that keeps every number until it is acknowledged, as docs/dispatch.md says.
type source struct {
	*Storm
	*actor
	system string
	who

	mu      sync.Mutex
	numbers []*sent // numbers[i] has sequence i+1
	durable int64
	// apart are the numbers that were answered with a cause.
	apart map[int64]reportingv1.Quarantined_Cause
}

// dispatch is a system that pushes updates over the stream.
func dispatch(s *Storm, a *actor, system string) *source {
	c := &source{Storm: s, system: system, who: who{unit: "police-" + system, purpose: "EMERGENCY_RESPONSE"}, apart: map[int64]reportingv1.Quarantined_Cause{}}
	c.resume(a)
	return c
}

// resume pushes, from where the last Hello stands, again and again until all numbers are acknowledged.
func (c *source) resume(a *actor) {
	c.actor = a
	c.clients.Go(func() {
		for a.ctx.Err() == nil && !c.done() {
			if err := c.session(); err != nil {
				c.history.fault(c.system + " stream ended: " + err.Error())
				if outcome, reason, _ := judge(err); outcome != Unanswered && reason != "DISPATCH_STREAM_SUPERSEDED" { // by its own newer one
					c.report("clients.answered", c.system+": the stream is refused: "+reason)
				}
			}
			pause(a.ctx, 100*time.Millisecond)
		}
		for _, s := range c.pending() {
			s.op.Outcome = Unanswered
			c.history.answer(s.op)
		}
	})
}

func (c *source) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over() && c.durable == int64(len(c.numbers))
}

// session is one stream.
func (c *source) session() error {
	conn, err := c.dial(c.unit)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(outgoing(c.ctx, c.who))
	defer cancel()
	stream, err := reportingv1.NewDispatchServiceClient(conn).PushIncidentUpdates(ctx)
	if err != nil {
		return err
	}
	answers := make(chan *reportingv1.PushIncidentUpdatesResponse)
	ended := make(chan error, 1)
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case answers <- answer:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c.push(stream, answers, ended)
}

// push sends what is not acknowledged, then new numbers as the window allows. Nothing heard for a while means a link that is dead without
// saying so.
func (c *source) push(stream grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse], answers <-chan *reportingv1.PushIncidentUpdatesResponse, ended <-chan error) error {
	heard := time.NewTimer(silence)
	defer heard.Stop()
	tick := time.NewTicker(eachTick)
	defer tick.Stop()
	greeted := false
	for {
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case answer := <-answers:
			heard.Reset(silence)
			if hello := answer.GetHello(); hello != nil {
				greeted = true
				c.greeted(hello)
				if err := c.send(stream, c.pending()); err != nil {
					return err
				}
				continue
			}
			c.acknowledged(answer.GetAck())
			if c.done() {
				return stream.CloseSend()
			}
		case <-tick.C:
			if !greeted || c.over() {
				continue
			}
			if err := c.send(stream, c.fresh()); err != nil {
				return err
			}
		case <-heard.C:
			if c.waiting() {
				return errors.New("nothing was heard")
			}
			heard.Reset(silence)
		}
	}
}

func (c *source) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.durable < int64(len(c.numbers))
}

// greeted compares the server's position with what it has acknowledged before.
func (c *source) greeted(hello *reportingv1.Hello) {
	c.mu.Lock()
	durable := c.durable
	c.mu.Unlock()
	if hello.GetDurableThrough() < durable {
		c.report("acknowledged.kept", fmt.Sprintf("source %s: %d was acknowledged as durable, a later Hello says %d", c.system, durable, hello.GetDurableThrough()))
	}
	c.acknowledged(&reportingv1.Ack{DurableThrough: hello.GetDurableThrough()})
}

// acknowledged closes the operations of the numbers that are durable now.
func (c *source) acknowledged(ack *reportingv1.Ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range ack.GetQuarantined() {
		c.apart[q.GetSequence()] = q.GetCause()
	}
	for c.durable < min(ack.GetDurableThrough(), int64(len(c.numbers))) {
		op := c.numbers[c.durable].op
		op.Outcome = Acknowledged
		c.history.answer(op)
		c.durable++
	}
}

// pending are the numbers not acknowledged yet.
func (c *source) pending() []*sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.numbers[c.durable:])
}

// fresh makes new numbers, as far as the window allows. The system's own clock does not jump with business time: a replica that was held
// still meanwhile would take its updates for those of tomorrow.
func (c *source) fresh() []*sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.world.begun.Add(c.history.now())
	var made []*sent
	for range min(1+c.n(4), window-(len(c.numbers)-int(c.durable))) {
		made = append(made, c.make(int64(len(c.numbers)+1), now))
		c.numbers = append(c.numbers, made[len(made)-1])
	}
	return made
}

// missing is the situation of a child nobody can find.
const missing = "MISSING"

// make invents one number: mostly an update, now and then a void or a poisoned payload.
func (c *source) make(sequence int64, now time.Time) *sent {
	number := fmt.Sprintf("320411-S%d", c.n(40)+40*int(c.history.now()/(20*time.Second)))
	s := &sent{void: c.n(100) == 0, poison: c.n(100) == 0}
	content := &reportingv1.IncidentContent{
		Category: "求助", Division: c.world.places[c.n(len(c.world.places))].village, Summary: fmt.Sprintf("%s %d", c.system, sequence),
	}
	if c.n(20) == 0 { // somebody has to look for the child, from the moment this is known
		content.Situations = []string{missing}
	}
	payload, err := proto.Marshal(content)
	if s.poison || err != nil {
		payload = []byte{0xff, 0xff, 0xff}
	}
	s.update = &reportingv1.IncidentUpdate{Sequence: sequence, IncidentNumber: number, SourceTime: timestamppb.New(now), Payload: payload, IncidentVersion: 1}
	if !s.void && !s.poison {
		s.update.IncidentVersion = c.incidents.next(number)
	}
	s.op = &Op{Actor: c.name, Unit: c.unit, Method: "stream " + reportingv1.DispatchService_PushIncidentUpdates_FullMethodName, Request: s.update, Tries: 1}
	c.history.invoke(s.op)
	return s
}

// send puts numbers on the wire in small frames, shuffled, some of them twice.
func (c *source) send(stream grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse], numbers []*sent) error {
	for len(numbers) > 0 {
		frame := &reportingv1.PushIncidentUpdatesRequest{Epoch: 1}
		n := min(len(numbers), 1+c.n(20))
		part := slices.Clone(numbers[:n])
		numbers = numbers[n:]
		for i := range part {
			j := c.n(i + 1)
			part[i], part[j] = part[j], part[i]
		}
		if c.n(20) == 0 {
			part = append(part, part[0])
		}
		for _, s := range part {
			if s.void {
				frame.Voids = append(frame.Voids, &reportingv1.Void{From: s.update.GetSequence(), To: s.update.GetSequence(), Reason: "storm"})
				continue
			}
			frame.Updates = append(frame.Updates, s.update)
		}
		if err := stream.Send(frame); err != nil {
			return err
		}
	}
	return nil
}
