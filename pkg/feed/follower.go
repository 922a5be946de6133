package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/postgres"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// Durations of machine time in a follower's life.
const (
	silence    = 15 * time.Second // three heartbeats missed: the connection is dead, whatever TCP believes
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	pollHalted = 30 * time.Second // how often a halted follower looks whether an operator has dealt with the cause
)

// Skip is returned by a handler for an event that is none of its business. Many skipped events cost one small update.
var Skip = errors.New("feed: the event is skipped") //nolint:errname,staticcheck // a signal like fs.SkipDir, not a failure

// Stream gives the batches of a feed one by one; it is the Recv of a gRPC client stream.
type Stream func() (*feedv1.Batch, error)

// Follower applies each event of another service's feed exactly once. The cursor in table follower moves in the transaction
// of the effect, compared and set, so that any number of replicas may follow at once and none acts twice. It reads the whole
// feed and leaves choosing to the handler: a filter would bind the stored token to one release of the service.
//
// Set the exported fields and then do not change them.
type Follower struct {
	// Name of the cursor, `<own service>.<source service>`. It never changes: a new name starts at the oldest event.
	Name string
	// Service is the own service's name; effects are made by the caller `service/<Service>`.
	Service string
	// DB is the own service's pool.
	DB *pgxpool.Pool
	// Open subscribes to the source from a position. The stream ends with ctx.
	Open func(ctx context.Context, at *feedv1.Position) (Stream, error)
	// Handle reads the subject at the source and makes exactly one command with call, which also moves the cursor; or it returns
	// Skip. An event may come more than once; the call is then the same and the command answers from its idempotency row.
	Handle func(ctx context.Context, ev *feedv1.Event, call command.Call) error

	lag    atomic.Int64
	halted atomic.Pointer[string]
}

// haltError ends following until an operator has acted: going on would skip events.
type haltError struct {
	reason string
	cause  error
}

func (e *haltError) Error() string { return "feed: halted: " + e.reason }
func (e *haltError) Unwrap() error { return e.cause }

// errReopen ends a stream that no longer fits the cursor.
var errReopen = errors.New("feed: the stream does not continue where the cursor stands")

// errSilent ends a stream without heartbeats.
var errSilent = errors.New("feed: the source has fallen silent")

// Run follows until ctx is done; then it returns nil. Lost connections are made again. When the source says that history is
// lost or expired the follower halts: nothing is skipped, it says so as an error, in lianhu.feed.follower_halted and in
// Halted, and asks again twice a minute.
func (f *Follower) Run(ctx context.Context) error {
	var b backoff
	for ctx.Err() == nil {
		received, err := f.follow(ctx, false)
		if received > 0 {
			b = backoff{}
		}
		pause := b.next()
		var halt *haltError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &halt):
			slog.ErrorContext(ctx, "feed: follower halted; an operator must act", "follower", f.Name, "reason", halt.reason)
			pause = pollHalted
		case !expected(err):
			slog.WarnContext(ctx, "feed: following interrupted", "follower", f.Name, "reason", reasonOf(err), "error", loggable(err))
		}
		wait(ctx, nil, pause)
	}
	return nil
}

// Drain follows until everything that was in the source's feed when Drain connected has been applied, skipped or parked. It
// may run beside Run, here or in another replica.
func (f *Follower) Drain(ctx context.Context) error {
	for b := (backoff{}); ; wait(ctx, nil, b.next()) {
		_, err := f.follow(ctx, true)
		var halt *haltError
		if err == nil || ctx.Err() != nil || errors.As(err, &halt) {
			return err
		}
	}
}

// Lag is how many events the follower was behind its source when it last heard from it.
func (f *Follower) Lag() int64 { return f.lag.Load() }

// Halted is the reason why the follower has stopped until an operator acts, FEED_EPOCH_CHANGED, FEED_POSITION_EXPIRED or
// FEED_TOKEN_INVALID; empty while it follows.
func (f *Follower) Halted() string {
	if reason := f.halted.Load(); reason != nil {
		return *reason
	}
	return ""
}

// follow reads one stream to its end. With drain it ends with nil when the head of the first batch has been passed. It returns
// how many batches it has taken.
func (f *Follower) follow(ctx context.Context, drain bool) (received int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // ends the stream
	defer func() { f.note(ctx, received, err) }()
	p := &pass{}
	if err := f.load(ctx, p); err != nil {
		return 0, err
	}
	recv, err := f.Open(ctx, &feedv1.Position{Token: p.stored.token})
	if err != nil {
		return 0, halting(err)
	}
	watch := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watch.Stop()
	target := int64(-1)
	for {
		watch.Reset(silence)
		b, err := recv()
		watch.Stop()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return received, cause
			}
			return received, halting(err)
		}
		if err := p.accept(b, received == 0); err != nil {
			return received, err
		}
		received++
		if err := f.take(ctx, p, b); err != nil {
			return received, err
		}
		f.measure(ctx, b.GetHead()-p.done)
		if received == 1 {
			target = b.GetHead()
		}
		if drain && p.done >= target {
			return received, nil
		}
	}
}

// note keeps what Halted and the metric say. A follower that takes batches again is not halted any more.
func (f *Follower) note(ctx context.Context, received int, err error) {
	var halt *haltError
	switch {
	case errors.As(err, &halt):
		f.halted.Store(&halt.reason)
	case received > 0:
		f.halted.Store(nil)
	}
	gauge("lianhu.feed.follower_halted", "1", "1 while a follower has stopped until an operator acts").
		Record(ctx, boolInt(f.Halted() != ""), f.label())
}

func (f *Follower) measure(ctx context.Context, lag int64) {
	f.lag.Store(lag)
	gauge("lianhu.feed.follower_lag", "{event}", "Events a follower is behind its source").Record(ctx, lag, f.label())
}

func (f *Follower) label() metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("lianhu.follower", f.Name))
}

// halting marks the refusals of a source that no repetition heals.
func halting(err error) error {
	switch reason := reasonOf(err); reason {
	case reasonName(faultv1.Reason_REASON_FEED_EPOCH_CHANGED), reasonName(faultv1.Reason_REASON_FEED_POSITION_EXPIRED),
		reasonName(faultv1.Reason_REASON_FEED_TOKEN_INVALID):
		return &haltError{reason: reason, cause: err}
	}
	return err
}

// backoff gives pauses that double, with jitter so that replicas do not come back in step.
type backoff struct{ ceiling time.Duration }

func (b *backoff) next() time.Duration {
	b.ceiling = min(max(2*b.ceiling, firstPause), lastPause)
	return b.ceiling/2 + rand.N(b.ceiling/2)
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// loggable never holds what PostgreSQL says about a row.
func loggable(err error) error { return postgres.Sanitize(err) }

// historyOf learns from a batch's token which history it belongs to.
func historyOf(b *feedv1.Batch) (place, error) {
	p, _, err := peek(b.GetToken())
	if err != nil {
		return place{}, fmt.Errorf("batch through %s: %w", strconv.FormatInt(b.GetThrough(), 10), err)
	}
	return p, nil
}
