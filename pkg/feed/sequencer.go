package feed

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric"

	"github.com/lianhu/lianhu/pkg/postgres"
)

// moveAtMost bounds one move, in events, so that the head row is locked for milliseconds even after an outage.
const moveAtMost = 1000

// Polling intervals of machine time. A commit of this process wakes the loops at once; the polls find what other
// replicas have committed.
const (
	pollBusy  = 5 * time.Millisecond
	pollIdle  = 100 * time.Millisecond
	pollAfter = time.Second // after an error: the database is probably away
)

// Sequencer moves events from the outbox to the feed as soon as their transactions have committed. Every replica
// runs one; any number at once is harmless, as they take turns at the head row.
type Sequencer struct {
	db    *pgxpool.Pool
	wake  chan struct{}
	moved func()
	total metric.Int64Counter
}

// NewSequencer makes a sequencer over one service's database. The function moved, if not nil, is called after
// each move; give it the server's Wake so that subscribers of this process need not wait for a poll.
func NewSequencer(db *pgxpool.Pool, moved func()) *Sequencer {
	if moved == nil {
		moved = func() {}
	}
	return &Sequencer{
		db: db, wake: make(chan struct{}, 1), moved: moved,
		total: counter("lianhu.feed.sequenced", "{event}", "Events moved from the outbox into the feed"),
	}
}

// Wake tells the sequencer that an event has been committed. It never blocks.
func (s *Sequencer) Wake() { signal(s.wake) }

// Run sequences until ctx is done; then it returns nil. Database errors are logged and outwaited.
func (s *Sequencer) Run(ctx context.Context) error {
	for {
		moved, err := s.move(ctx)
		pause := pollIdle
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			slog.WarnContext(ctx, "feed: sequencing failed", "error", postgres.Sanitize(err))
			pause = pollAfter
		case moved == moveAtMost:
			continue
		case moved != 0:
			pause = pollBusy
		}
		wait(ctx, s.wake, pause)
	}
}

// Drain sequences until the outbox holds no visible event, whoever moved it.
func (s *Sequencer) Drain(ctx context.Context) error {
	for {
		moved, err := s.move(ctx)
		if err != nil {
			return err
		}
		if moved == 0 {
			return nil
		}
		if moved < 0 {
			wait(ctx, nil, pollBusy)
		}
	}
}

// move makes one call of sequence_feed: the number of events moved, 0 when there were none, -1 when another
// sequencer was at work. On a restored or promoted database it moves nothing and returns ErrHistoryUnknown.
func (s *Sequencer) move(ctx context.Context) (int, error) {
	var moved int
	err := s.db.QueryRow(ctx, moveSQL, moveAtMost).Scan(&moved)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "55000" { // object_not_in_prerequisite_state
		return 0, ErrHistoryUnknown
	}
	if err != nil {
		return 0, err
	}
	if moved > 0 {
		s.total.Add(ctx, int64(moved))
		s.moved()
	}
	return moved, nil
}

// signal leaves one wake-up in a channel of capacity one; a second one before it is taken adds nothing.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// wait returns after the pause, on a wake-up, or when ctx is done, whichever comes first.
func wait(ctx context.Context, wake <-chan struct{}, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}
