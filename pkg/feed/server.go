package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// Reader is who reads a feed.
type Reader struct {
	// Unit sees the events it is an audience of.
	Unit string
	// Whole is for services of the suite: they see every event.
	Whole bool
}

// Limits are durations of machine time. Zero means the default.
type Limits struct {
	// Heartbeat is how often a stream says something when nothing happens. Default 4 s; the contract promises 5.
	Heartbeat time.Duration
	// Stall is how long one batch may wait for a reader before it is cut off. Default 10 s.
	Stall time.Duration
	// Life is how long a stream lasts, so that readers spread over new replicas. Default 1 h.
	Life time.Duration
	// MaxWait bounds the waiting of Read. Default 7 s, safely within the gateway's deadline of 10 s.
	MaxWait time.Duration
}

// Server serves one service's feed. It is used by the service's feed handlers, which only wrap its batches.
type Server struct {
	db      *pgxpool.Pool
	keys    *seal.Keys
	limits  Limits
	tail    *tail
	wake    chan struct{}
	drained chan struct{}
	ending  sync.Mutex // guards closing drained against starting a sender
	senders sync.WaitGroup
	readers metric.Int64UpDownCounter
	slow    metric.Int64Counter
}

// NewServer makes a server. Nothing is served before Run has been started; Check must have passed.
func NewServer(db *pgxpool.Pool, keys *seal.Keys, limits Limits) *Server {
	limits.Heartbeat = orDefault(limits.Heartbeat, 4*time.Second)
	limits.Stall = orDefault(limits.Stall, 10*time.Second)
	limits.Life = orDefault(limits.Life, time.Hour)
	limits.MaxWait = orDefault(limits.MaxWait, 7*time.Second)
	readers, slow := serverMetrics()
	return &Server{
		db: db, keys: keys, limits: limits, tail: newTail(),
		wake: make(chan struct{}, 1), drained: make(chan struct{}), readers: readers, slow: slow,
	}
}

// Wake tells the server that the feed has grown. It never blocks.
func (s *Server) Wake() { signal(s.wake) }

// Run reads the feed for all subscribers of this process until ctx is done; then it drains and returns nil once every
// sender has ended. Database errors are logged and outwaited; subscribers meanwhile get heartbeats.
func (s *Server) Run(ctx context.Context) error {
	defer s.senders.Wait()
	defer s.Drain()
	started := false
	for ctx.Err() == nil {
		grown, err := s.refresh(ctx, &started)
		pause := pollIdle
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			slog.WarnContext(ctx, "feed: reading failed", "error", postgres.Sanitize(err))
			pause = pollAfter
		case grown == pageSize:
			continue
		case grown > 0:
			pause = pollBusy
		}
		wait(ctx, s.wake, pause)
	}
	return nil
}

// refresh reads what is new into the tail and returns how many events that were.
func (s *Server) refresh(ctx context.Context, started *bool) (int, error) {
	if !*started {
		e, err := readExtent(ctx, s.db)
		if err != nil {
			return 0, err
		}
		s.tail.restart(e)
		*started = true
	}
	p, err := readPage(ctx, s.db, s.tail.position())
	if fault.Is(err, faultv1.Reason_REASON_FEED_POSITION_EXPIRED) {
		*started = false
		return pageSize, nil
	}
	if err != nil {
		return 0, err
	}
	s.tail.add(p)
	return len(p.entries), nil
}

// Drain ends all streams with DRAINING after a last batch; readers reconnect elsewhere with its token. Call it before
// the gRPC server stops gracefully, which would otherwise wait for the streams.
func (s *Server) Drain() {
	s.ending.Lock()
	defer s.ending.Unlock()
	if !s.draining() {
		close(s.drained)
	}
}

// Subscribe sends the feed from a position until the reader leaves, then returns ctx's error. The first batch goes out
// at once, empty if nothing is new: it carries the token and the head to start from. After Limits.Life the stream ends
// with nil, on shutdown with DRAINING, each after a last batch; the reader resumes with that token.
//
// Errors: FEED_TOKEN_INVALID, FEED_EPOCH_CHANGED, FEED_POSITION_EXPIRED, FEED_READER_SLOW, DRAINING, UNAVAILABLE; or send's own.
// The function send is not called after Subscribe has returned, but a call may still be blocked in it until the
// stream is torn down; Run waits for such calls.
func (s *Server) Subscribe(ctx context.Context, r Reader, at *feedv1.Position, send func(*feedv1.Batch) error) error {
	c, err := s.open(ctx, r, at)
	if err != nil {
		return away(err)
	}
	out, err := s.startSender(send)
	if err != nil {
		return err
	}
	defer out.stop()
	s.readers.Add(ctx, 1)
	defer s.readers.Add(context.WithoutCancel(ctx), -1)

	end := time.Now().Add(s.limits.Life)
	pause := time.Duration(0)
	for {
		batch, err := c.next(ctx, pause)
		if err != nil {
			return away(err)
		}
		if err := out.deliver(ctx, batch); err != nil {
			if fault.Is(err, faultv1.Reason_REASON_FEED_READER_SLOW) {
				s.slow.Add(ctx, 1)
			}
			return err
		}
		if s.draining() {
			return draining()
		}
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		pause = min(s.limits.Heartbeat, left)
	}
}

// Read answers one batch. Without news it waits for at most maxWait (bounded by Limits.MaxWait and by ctx's deadline
// less a second), then answers an empty batch; a reader that asks for the head gets it at once.
//
// Errors: FEED_TOKEN_INVALID, FEED_EPOCH_CHANGED, FEED_POSITION_EXPIRED, UNAVAILABLE.
func (s *Server) Read(ctx context.Context, r Reader, at *feedv1.Position, maxWait time.Duration) (*feedv1.Batch, error) {
	c, err := s.open(ctx, r, at)
	if err != nil {
		return nil, away(err)
	}
	if at.GetToken() == "" && at.GetStart() == feedv1.Start_START_HEAD {
		return c.batch(c.seq, nil, c.opened.Head), nil
	}
	maxWait = min(maxWait, s.limits.MaxWait)
	if deadline, ok := ctx.Deadline(); ok {
		maxWait = min(maxWait, time.Until(deadline)-time.Second)
	}
	batch, err := c.next(ctx, max(maxWait, 0))
	return batch, away(err)
}

// away makes a lost database a refusal that tells the reader to come back; its token is still good.
func away(err error) error {
	if err == nil || !postgres.IsConnection(err) {
		return err
	}
	return fault.New(faultv1.Reason_REASON_UNAVAILABLE, "the feed's database is away; resume by token").RetryAfter(time.Second).Wrap(err)
}

func (s *Server) draining() bool {
	select {
	case <-s.drained:
		return true
	default:
		return false
	}
}

// sender calls send in a goroutine of its own. A call blocked by flow control ends only when the handler returns, so
// the handler itself must stay free to give up on a reader that does not read.
type sender struct {
	batches chan *feedv1.Batch
	results chan error
	stall   time.Duration
}

// startSender refuses once draining has begun: Run may be waiting for the last sender already.
func (s *Server) startSender(send func(*feedv1.Batch) error) (*sender, error) {
	s.ending.Lock()
	defer s.ending.Unlock()
	if s.draining() {
		return nil, draining()
	}
	out := &sender{batches: make(chan *feedv1.Batch), results: make(chan error, 1), stall: s.limits.Stall}
	s.senders.Go(func() {
		for batch := range out.batches {
			out.results <- send(batch)
		}
	})
	return out, nil
}

func (o *sender) stop() { close(o.batches) }

func (o *sender) deliver(ctx context.Context, batch *feedv1.Batch) error {
	timer := time.NewTimer(o.stall)
	defer timer.Stop()
	o.batches <- batch // the goroutine is idle: every earlier batch has had its result taken
	select {
	case err := <-o.results:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fault.New(faultv1.Reason_REASON_FEED_READER_SLOW, "the reader did not take a batch in time; resume by token")
	}
}

func draining() error {
	return fault.New(faultv1.Reason_REASON_DRAINING, "the server is about to stop: connect again now")
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}
