package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lianhu/lianhu/pkg/row"
)

// streamSeen is how long after it was last seen a stream counts as open; it is seen every five seconds. All times here are the database
// server's, the one clock all replicas share.
const streamSeen = 15 * time.Second

// Executor is a pool, a connection or a transaction.
type Executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// OpenStream notes that a source has opened a stream and gives its place in the order of all openings. Those of the source that nobody has
// seen for long go: their server was killed.
func OpenStream(ctx context.Context, q row.Querier, source string) (opening int64, err error) {
	rows, err := q.Query(ctx, `WITH gone AS (DELETE FROM dispatch_stream WHERE source = $1 AND seen_time < clock_timestamp() - $2::interval)
		INSERT INTO dispatch_stream (opening, source) VALUES (nextval('dispatch_opening'), $1) RETURNING opening`, source, streamSeen)
	if err != nil {
		return 0, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
}

// SeeStream notes that a stream is still open, also when the database has forgotten it in a crash.
func SeeStream(ctx context.Context, q Executor, source string, opening int64) error {
	_, err := q.Exec(ctx, `INSERT INTO dispatch_stream (opening, source) VALUES ($1, $2)
		ON CONFLICT (opening) DO UPDATE SET seen_time = clock_timestamp()`, opening, source)
	return err
}

// Open is what is known of the streams a source has open.
type Open struct {
	Streams int32
	// Since is when the newest was opened; nil when there is none.
	Since *time.Time
}

// OpenStreams looks which streams of a source are open, at whichever replica.
func OpenStreams(ctx context.Context, q row.Querier, source string) (Open, error) {
	rows, err := q.Query(ctx, `SELECT count(*), (array_agg(open_time ORDER BY opening DESC))[1] FROM dispatch_stream
		WHERE source = $1 AND seen_time >= clock_timestamp() - $2::interval`, source, streamSeen)
	if err != nil {
		return Open{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Open])
}

// CloseStream notes that a stream has ended.
func CloseStream(ctx context.Context, q Executor, opening int64) error {
	_, err := q.Exec(ctx, "DELETE FROM dispatch_stream WHERE opening = $1", opening)
	return err
}
