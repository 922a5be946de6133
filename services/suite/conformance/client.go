package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// LeastUpdates a client must have to send for a run.
const LeastUpdates = 80

// Client is the check of a vendor's client: it listens as the gateway does and takes the client through a script.
type Client struct {
	// Listener is where the client connects, Identity what it is shown.
	Listener net.Listener
	Identity *identity.Source
	// Updates is how many numbers the client will send, from 1 on, in its first epoch. At least LeastUpdates; more is fine.
	Updates int64
	// Wait is how long nobody may come, Patience how long the client may do nothing then, Prompt how soon after DRAINING it has to be back,
	// Pause how long the server is slow. Machine time; 2 min, 15 s, 5 s and 2 s when zero.
	Wait, Patience, Prompt, Pause time.Duration
	// Told hears how the script goes; nil for silence.
	Told func(line string)
}

// Run takes one client through the script and judges it. It ends when the script is through or the client does nothing any more.
func (c Client) Run(ctx context.Context) (Report, error) {
	if c.Updates < LeastUpdates {
		return Report{}, fmt.Errorf("a run needs at least %d updates, not %d", LeastUpdates, c.Updates)
	}
	c.Wait = cmp.Or(c.Wait, 2*time.Minute)
	c.Patience, c.Prompt, c.Pause = cmp.Or(c.Patience, 15*time.Second), cmp.Or(c.Prompt, 5*time.Second), cmp.Or(c.Pause, 2*time.Second)
	i := &instrument{
		Client: c, conns: &listener{Listener: c.Listener, conns: map[string]*cuttable{}}, over: make(chan struct{}), activity: make(chan struct{}, 1),
		book: book{numbers: map[int64]*heard{}, asked: map[int64]bool{}}, verdicts: newVerdicts(), peer: "nobody", began: time.Now(),
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(c.Identity.ServerTLS("h2"))), grpc.MaxRecvMsgSize(16<<20))
	reportingv1.RegisterDispatchServiceServer(server, i)
	served := make(chan error, 1)
	go func() { served <- server.Serve(i.conns) }()
	err := i.watch(ctx)
	i.end()
	server.Stop()
	return i.report(), errors.Join(err, <-served)
}

// instrument is a run under way.
type instrument struct {
	reportingv1.UnimplementedDispatchServiceServer
	Client
	conns *listener
	// over is closed when the run has its verdict; activity holds a token when the client did something.
	over     chan struct{}
	activity chan struct{}

	// began is when the run did.
	began time.Time

	mu       sync.Mutex
	ended    bool
	book     book
	verdicts verdicts
	peer     string
	// stage of the script, and the connection that plays it now.
	stage       int
	present     *talk
	connections int
	// left is when and how the last connection ended.
	left    time.Time
	leaving farewell
	// why the script was not played to its end, where that is no failure by itself.
	why string
}

// farewell is how the instrument let go of a connection.
type farewell int

const (
	// gone: the client went, or nobody came yet.
	gone farewell = iota
	wasCut
	wasDrained
	closedWell
	wasRefused
)

// end closes the run. Handlers see it and let go.
func (i *instrument) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ended {
		i.ended = true
		close(i.over)
	}
}

func (i *instrument) active() {
	select {
	case i.activity <- struct{}{}:
	default:
	}
}

func (i *instrument) tell(format string, args ...any) {
	if i.Told != nil {
		i.Told(fmt.Sprintf(format, args...))
	}
}

// watch waits for the end of the script, or until the client has done nothing for longer than patience.
func (i *instrument) watch(ctx context.Context) error {
	idle := time.NewTimer(i.Wait)
	defer idle.Stop()
	for {
		select {
		case <-i.over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-i.activity:
			idle.Reset(i.Patience)
		case <-idle.C:
			i.mu.Lock()
			i.gaveUp()
			i.mu.Unlock()
			return nil
		}
	}
}

// gaveUp says what it means that the client does nothing any more, as things stand.
func (i *instrument) gaveUp() {
	waited := i.Patience.Round(100 * time.Millisecond)
	switch {
	case i.connections == 0:
		i.verdicts.fail("connect", fmt.Sprintf("nobody opened PushIncidentUpdates within %s", i.Wait))
	case i.present != nil:
		i.why = fmt.Sprintf("the client stayed connected and sent nothing for %s", waited)
	case i.leaving == wasCut:
		id := "resend"
		if i.stage > stageGap {
			id = "asked"
		}
		i.verdicts.fail(id, fmt.Sprintf("the connection was cut with number %d acknowledged and %d more under way; the client did not come back within %s: it took the cut for success",
			i.book.through, i.book.unsettled(), waited))
	case i.leaving == wasDrained:
		i.verdicts.fail("draining", fmt.Sprintf("the stream ended with UNAVAILABLE, reason DRAINING; the client did not come back within %s", waited))
	default:
		i.why = fmt.Sprintf("the client went and did not come back within %s", waited)
	}
}

// report judges what only the end can tell, and sums up.
func (i *instrument) report() Report {
	i.mu.Lock()
	defer i.mu.Unlock()
	v := &i.verdicts
	// Where numbers began again, a missing one says nothing; behind the last part, what is missing was not waited for.
	if v.of("restart").Outcome != Failed && i.stage < stageEpoch {
		i.judgeLosses()
	}
	if i.stage >= stageEpoch {
		for _, id := range []string{"reuse", "restart", "frames", "silent"} {
			v.pass(id, fmt.Sprintf("held for all %d numbers over %d connections", len(i.book.numbers), i.connections))
		}
		v.pass("resend", "nothing that was under way was lost")
	}
	return newReport("client", i.peer, i.Identity.Identity().String(), i.began, v.list(fmt.Sprintf("the run ended in the part %q, after %d numbers and %d connections; %s", stages[i.stage].name, len(i.book.numbers), i.connections, cmp.Or(i.why, "see what failed"))))
}

// judgeLosses names the numbers that never became durable.
func (i *instrument) judgeLosses() {
	missing := i.book.missing(i.connections)
	for how, rule := range map[loss]struct{ id, text string }{
		never:    {"silent", "numbers %s were never sent and never voided, though every acknowledgement named them as missing"},
		cutOff:   {"resend", "numbers %s were under way when a connection ended, were not acknowledged, and were not sent again"},
		askedFor: {"asked", "numbers %s were named as missing by a Hello and were neither sent nor voided"},
	} {
		if len(missing[how]) > 0 {
			i.verdicts.fail(rule.id, fmt.Sprintf(rule.text, list(missing[how])))
		}
	}
}

// unsettled counts numbers that were received and lost.
func (b *book) unsettled() (n int) {
	for _, h := range b.numbers {
		if !h.spent {
			n++
		}
	}
	return n
}
