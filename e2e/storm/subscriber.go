package storm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/client"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// subscriber follows an area's feed as a unit sees it, through every cut, by the token of the last batch it has kept.
type subscriber struct {
	*Storm
	*actor
	area, unit string
	filter     *feedv1.Filter

	mu      sync.Mutex
	token   string
	through int64
	events  []*feedv1.Event
	batches int
}

// heartbeat is how long a stream of a feed may be silent: more than the promised 5 s.
const heartbeat = 12 * time.Second

func subscribe(s *Storm, a *actor, area, unit string, filter *feedv1.Filter) *subscriber {
	c := &subscriber{Storm: s, actor: a, area: area, unit: unit, filter: filter}
	s.followers.Go(func() {
		for s.following.Err() == nil {
			err := c.session()
			if reason := client.Refusal(err).GetReason(); reason == "FEED_TOKEN_INVALID" || reason == "FEED_EPOCH_CHANGED" || reason == "FEED_POSITION_EXPIRED" {
				c.report("subscribers.complete", fmt.Sprintf("%s of %s cannot go on from its token: %s", c.unit, c.area, reason))
				return
			}
			pause(s.following, 100*time.Millisecond)
		}
	})
	return c
}

type batched interface{ GetBatch() *feedv1.Batch }

func receiving[T any, P interface {
	*T
	batched
}](stream grpc.ServerStreamingClient[T], err error) (func() (*feedv1.Batch, error), error) {
	if err != nil {
		return nil, err
	}
	return func() (*feedv1.Batch, error) {
		message, err := stream.Recv()
		return P(message).GetBatch(), err
	}, nil
}

func (c *subscriber) open(ctx context.Context) (func() (*feedv1.Batch, error), error) {
	conn, err := c.dial(c.unit)
	if err != nil {
		return nil, err
	}
	at := &feedv1.Position{Token: c.token, Filter: c.filter}
	switch c.area {
	case "registry":
		return receiving(registryv1.NewRegistryFeedServiceClient(conn).Subscribe(ctx, &registryv1.SubscribeRequest{Position: at}))
	case "reporting":
		return receiving(reportingv1.NewReportingFeedServiceClient(conn).Subscribe(ctx, &reportingv1.SubscribeRequest{Position: at}))
	case "referral":
		return receiving(referralv1.NewReferralFeedServiceClient(conn).Subscribe(ctx, &referralv1.SubscribeRequest{Position: at}))
	}
	return receiving(reliefv1.NewReliefFeedServiceClient(conn).Subscribe(ctx, &reliefv1.SubscribeRequest{Position: at}))
}

func (c *subscriber) session() error {
	ctx, cancel := context.WithCancel(c.following)
	defer cancel()
	next, err := c.open(ctx)
	if err != nil {
		return err
	}
	// A link that is dead without saying so is cut by us.
	silent := time.AfterFunc(heartbeat, cancel)
	defer silent.Stop()
	for {
		batch, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		silent.Reset(heartbeat)
		c.keep(batch)
	}
}

// keep stores a batch with its token, and holds it against the promise that each batch begins where the last one ended.
func (c *subscriber) keep(batch *feedv1.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batches > 0 && batch.GetAfter() != c.through {
		c.report("subscribers.complete", fmt.Sprintf("%s of %s: a batch begins after %d, the one before it ended at %d", c.unit, c.area, batch.GetAfter(), c.through))
	}
	for _, e := range batch.GetEvents() {
		if e.GetSeq() <= batch.GetAfter() || e.GetSeq() > batch.GetThrough() {
			c.report("subscribers.complete", fmt.Sprintf("%s of %s: event %d lies outside its batch", c.unit, c.area, e.GetSeq()))
		}
	}
	c.events = append(c.events, batch.GetEvents()...)
	c.token, c.through = batch.GetToken(), batch.GetThrough()
	c.batches++
}
