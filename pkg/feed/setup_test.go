package feed_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/seal"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

func TestMain(m *testing.M) {
	otel.SetTracerProvider(sdktrace.NewTracerProvider()) // records for the tests to look at, exports nothing
	// The private server for tests lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/lianhu/lianhu/pkg/postgres/embedded.(*account).start.func1"))
}

// whole is a service of the suite.
var whole = feed.Reader{Whole: true}

func testKeys(t testing.TB) *seal.Keys {
	t.Helper()
	keys, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// source is a service with a feed.
type source struct {
	*pgtest.DB
	db     *pgxpool.Pool
	owner  *pgxpool.Pool
	seq    *feed.Sequencer
	server *feed.Server
}

// newSource makes the database and, unlike openSource, runs nothing over it.
func newSource(t *testing.T, limits feed.Limits) *source {
	t.Helper()
	db := pgtest.New(t, specimen.Migrations())
	s := &source{DB: db, db: db.Open(t), owner: db.OpenOwner(t)}
	s.server = feed.NewServer(s.db, testKeys(t), limits)
	s.seq = feed.NewSequencer(s.db, s.server.Wake)
	// Clones of one template have one feed id; in service every database has its own.
	s.exec(t, "UPDATE feed_head SET feed_id = gen_random_uuid()")
	if err := feed.Check(t.Context(), s.db); err != nil {
		t.Fatal(err)
	}
	return s
}

func openSource(t *testing.T, limits feed.Limits) *source {
	t.Helper()
	s := newSource(t, limits)
	background(t, s.seq.Run)
	background(t, s.server.Run)
	return s
}

// background runs a loop until the test ends and waits for it. It gives a function that does so earlier.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var group errgroup.Group
	group.Go(func() error { return run(ctx) })
	stop = func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("a loop ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func (s *source) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := s.owner.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// event is what emit writes.
type event struct {
	kind     string
	what     string
	subject  string
	version  int64
	audience []string
	matter   *string
	trace    string
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// emit writes to the outbox as a command does.
func emit(ctx context.Context, q execer, events ...event) error {
	for _, e := range events {
		if e.kind == "" {
			e.kind = "report"
		}
		if e.what == "" {
			e.what = "submitted"
		}
		if e.subject == "" {
			e.subject = uuid.NewString()
		}
		_, err := q.Exec(ctx, `
			INSERT INTO outbox (type, subject_kind, subject_id, subject_version, division, audience, event_time, matter_id, traceparent)
			VALUES ($1 || '.' || $2, $1, $3, $4, '320411101000', $5, '2026-03-02T04:00:00Z', $6, $7)`,
			e.kind, e.what, e.subject, max(e.version, 1), append([]string{}, e.audience...), e.matter, e.trace)
		if err != nil {
			return err
		}
	}
	return nil
}

// emit writes events and waits until they are in the feed.
func (s *source) emit(t testing.TB, events ...event) {
	t.Helper()
	if err := emit(t.Context(), s.db, events...); err != nil {
		t.Fatal(err)
	}
	if err := s.seq.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s *source) head(t testing.TB) int64 {
	t.Helper()
	return count(t, s.owner, "SELECT seq FROM feed_head")
}

func count(t testing.TB, db *pgxpool.Pool, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually polls a condition that another goroutine brings about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// subscribe opens an in-process stream: a goroutine runs Subscribe and hands over its batches. It ends with the test's context.
func (s *source) subscribe(ctx context.Context, r feed.Reader, at *feedv1.Position) feed.Stream {
	batches, ended := make(chan *feedv1.Batch), make(chan error, 1)
	go func() {
		ended <- s.server.Subscribe(ctx, r, at, func(b *feedv1.Batch) error {
			select {
			case batches <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return func() (*feedv1.Batch, error) {
		select {
		case b := <-batches:
			return b, nil
		case err := <-ended:
			ended <- err
			return nil, eof(err)
		}
	}
}
