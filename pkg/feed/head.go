package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrHistoryUnknown is returned by Check when the database is not the one that wrote the feed so far: it was restored
// or promoted, and whether events were lost only an operator can tell.
var ErrHistoryUnknown = errors.New("feed: the database was restored or promoted; an operator must adopt it first")

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// identity is what tells one history of a PostgreSQL cluster from another. The timeline comes from the WAL position being
// written, as the one in the control file lags behind a promotion until the next checkpoint.
const identity = `
	SELECT system_identifier::text AS system_identifier,
	       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline
	FROM pg_control_system()`

// Check compares the cluster with the one recorded in feed_head and must pass before anything is served: tokens given
// out before a restore would otherwise point at other events. The first call on a new database records the cluster.
// It returns ErrHistoryUnknown on a mismatch.
func Check(ctx context.Context, q Querier) error {
	_, err := one(ctx, q, `
		WITH found AS (`+identity+`)
		UPDATE feed_head SET system_identifier = found.system_identifier, timeline = found.timeline
		FROM found WHERE feed_head.system_identifier = ''
		RETURNING epoch`, pgx.RowTo[int64])
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("feed: record the cluster: %w", err)
	}
	same, err := one(ctx, q, `
		WITH found AS (`+identity+`)
		SELECT found.system_identifier = feed_head.system_identifier AND found.timeline = feed_head.timeline
		FROM found, feed_head`, pgx.RowTo[bool])
	if err != nil {
		return fmt.Errorf("feed: compare the cluster: %w", err)
	}
	if !same {
		return ErrHistoryUnknown
	}
	return nil
}

// AdoptEpoch is the operator's decision after a restore or promotion: it records the present cluster. With lost, history may
// be missing, so a new epoch begins and every token from before is refused with FEED_EPOCH_CHANGED; without, readers
// resume as if nothing had happened. It returns the epoch now in force.
func AdoptEpoch(ctx context.Context, q Querier, lost bool) (epoch int64, err error) {
	epoch, err = one(ctx, q, `
		WITH found AS (`+identity+`)
		UPDATE feed_head
		SET system_identifier = found.system_identifier, timeline = found.timeline, epoch = epoch + $1::boolean::integer
		FROM found RETURNING epoch`, pgx.RowTo[int64], lost)
	if err != nil {
		return 0, fmt.Errorf("feed: adopt the cluster: %w", err)
	}
	return epoch, nil
}

// Trim removes events sequenced more than keep of machine time ago and returns how many. Readers whose position it
// overtakes are told FEED_POSITION_EXPIRED. The newest event always stays, so that the oldest position is known.
func Trim(ctx context.Context, q Querier, keep time.Duration) (int64, error) {
	return one(ctx, q, `
		WITH gone AS (
			DELETE FROM feed
			WHERE seq < (SELECT coalesce(max(seq), 0) FROM feed)
			  AND seq < (SELECT coalesce(min(seq), 9223372036854775807) FROM feed WHERE sequence_time >= clock_timestamp() - $1::interval)
			RETURNING seq)
		SELECT count(*) FROM gone`, pgx.RowTo[int64], keep)
}

// extent is what the feed holds at one moment.
type extent struct {
	FeedID uuid.UUID
	Epoch  int64
	Head   int64
	Oldest int64 // seq of the oldest event kept; Head+1 when there is none
}

func readExtent(ctx context.Context, q Querier) (extent, error) {
	return one(ctx, q, `
		SELECT feed_id, epoch, seq AS head, coalesce((SELECT min(feed.seq) FROM feed), feed_head.seq + 1) AS oldest FROM feed_head`,
		pgx.RowToStructByName[extent])
}

func one[T any](ctx context.Context, q Querier, sql string, to pgx.RowToFunc[T], args ...any) (T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectExactlyOneRow(rows, to)
}
