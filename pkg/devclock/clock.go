package devclock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
)

// How long a member waits before it tries again what failed.
const (
	rejoinAfter   = 500 * time.Millisecond
	resettleAfter = 200 * time.Millisecond
)

// Settle brings a member to rest: it fires what is due at Now, sequences its outbox and follows every feed to its end.
// It answers the newest position of the member's own feed.
type Settle func(ctx context.Context) (feedHead int64, err error)

// Clock tells business time to one process. It never goes back.
type Clock struct {
	service devclockv1.DevClockServiceClient
	name    string

	mu      sync.Mutex
	base    time.Time
	anchor  time.Time
	running bool
}

// Machine is the clock of production: business time is the machine's.
func Machine() *Clock { return &Clock{} }

// Join makes a clock that follows the server behind a connection, which outlives the clock. It asks for the time once, so
// that a process never works with another one; the name tells members apart, for example `registry-1`. Run keeps the clock
// right.
func Join(ctx context.Context, connection grpc.ClientConnInterface, name string) (*Clock, error) {
	c := &Clock{service: devclockv1.NewDevClockServiceClient(connection), name: name}
	answer, err := c.service.Now(ctx, &devclockv1.NowRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("devclock: ask for the time: %w", err)
	}
	c.set(answer.GetNow().AsTime(), answer.GetRunning())
	return c, nil
}

// Now is business time, in microseconds as the database keeps it.
func (c *Clock) Now() time.Time {
	if c.service == nil {
		return time.Now().Truncate(time.Microsecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now(time.Now())
}

func (c *Clock) now(machine time.Time) time.Time {
	if !c.running {
		return c.base
	}
	return c.base.Add(max(machine.Sub(c.anchor), 0)).Truncate(time.Microsecond)
}

// set takes over the server's time unless the clock has told a later one: messages take a while to arrive.
func (c *Clock) set(business time.Time, running bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	machine := time.Now()
	if told := c.now(machine); told.After(business) {
		business = told
	}
	c.base, c.anchor, c.running = business, machine, running
}

// Run keeps the member's lease, takes over each change of time and settles when asked, until ctx is done; it joins again
// whenever the server has been away. A clock of production just waits.
func (c *Clock) Run(ctx context.Context, settle Settle) error {
	if c.service == nil {
		<-ctx.Done()
		return nil
	}
	for {
		err := c.session(ctx, settle)
		if ctx.Err() != nil {
			return nil
		}
		slog.WarnContext(ctx, "devclock: joining again", "member", c.name, "error", err)
		if !pause(ctx, rejoinAfter) {
			return nil
		}
	}
}

// session is one stream: one goroutine listens, one settles, one renews the lease however long settling takes.
func (c *Clock) session(ctx context.Context, settle Settle) error {
	group, ctx := errgroup.WithContext(ctx)
	stream, err := c.service.Join(ctx, grpc.WaitForReady(true))
	if err != nil {
		return errors.Join(err, group.Wait())
	}
	var sending sync.Mutex
	say := func(m *devclockv1.JoinRequest) error {
		sending.Lock()
		defer sending.Unlock()
		return stream.Send(m)
	}
	rounds := make(chan int64, 1)
	group.Go(func() error {
		if err := say(&devclockv1.JoinRequest{Member: c.name}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for {
			word, err := stream.Recv()
			if err != nil {
				return err // the end of the stream is one too: it ends the others
			}
			c.set(word.GetNow().AsTime(), word.GetRunning())
			if word.GetRound() > 0 {
				replace(rounds, word.GetRound())
			}
		}
	})
	group.Go(func() error { return settling(ctx, rounds, settle, say) })
	group.Go(func() error {
		for pause(ctx, Lease/3) {
			if err := say(&devclockv1.JoinRequest{}); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// settling answers rounds. A round that fails is tried again: an answer would say that the member is at rest.
func settling(ctx context.Context, rounds <-chan int64, settle Settle, say func(*devclockv1.JoinRequest) error) error {
	for {
		var round int64
		select {
		case round = <-rounds:
		case <-ctx.Done():
			return nil
		}
		head, err := settle(ctx)
		for err != nil {
			if ctx.Err() != nil {
				return nil
			}
			slog.WarnContext(ctx, "devclock: settling failed and is tried again", "round", round, "error", err)
			if !pause(ctx, resettleAfter) {
				return nil
			}
			head, err = settle(ctx)
		}
		if err := say(&devclockv1.JoinRequest{SettledRound: round, FeedHead: head}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// pause waits, and reports whether there is still reason to go on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
