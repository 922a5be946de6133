package feed_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/feed"
)

// written remembers which versions of which subjects were committed, and which may have been.
type written struct {
	mu        sync.Mutex
	committed map[string]int64
	unknown   map[string]int64
	killed    atomic.Int64
}

func (w *written) add(into *map[string]int64, subject string, version int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if *into == nil {
		*into = map[string]int64{}
	}
	(*into)[subject] = version
}

var errChanged = errors.New("changed its mind")

// write makes transactions of a few events each: quick ones, long ones, ones that roll back, and some whose backend is killed.
func write(ctx context.Context, s *source, w *written, transactions int) error {
	for range transactions {
		subject, n, fate := uuid.NewString(), 1+rand.Int64N(3), rand.IntN(20)
		reached := false
		err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
			for version := range n {
				if err := emit(ctx, tx, event{subject: subject, version: version + 1}); err != nil {
					return err
				}
			}
			switch {
			case fate == 0:
				return errChanged
			case fate == 1:
				if _, err := s.db.Exec(ctx, "SELECT pg_terminate_backend($1)", tx.Conn().PgConn().PID()); err != nil {
					return err
				}
				w.killed.Add(1)
			case fate < 10: // stay open while others commit higher ids
				if _, err := tx.Exec(ctx, "SELECT pg_sleep($1)", rand.Float64()*0.05); err != nil {
					return err
				}
			}
			reached = true
			return nil
		})
		switch {
		case err == nil:
			w.add(&w.committed, subject, n)
		case ctx.Err() != nil:
			return ctx.Err()
		case fate == 1 && reached:
			w.add(&w.unknown, subject, n)
		case fate > 1:
			return err
		}
	}
	return nil
}

func TestSequencersLoseNothingAndNumberDensely(t *testing.T) {
	t.Parallel()
	s := newSource(t, feed.Limits{})
	for range 3 { // as many replicas
		background(t, feed.NewSequencer(s.db, nil).Run)
	}
	var w written
	writers, ctx := errgroup.WithContext(t.Context())
	for range 8 {
		writers.Go(func() error { return write(ctx, s, &w, 60) })
	}
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.seq.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.killed.Load() == 0 {
		t.Error("no backend was killed: the test proves less than it says")
	}
	if n := count(t, s.owner, "SELECT count(*) FROM outbox"); n != 0 {
		t.Errorf("%d events are left in the outbox", n)
	}
	if n := count(t, s.owner, "SELECT count(*) - max(seq) + min(seq) - 1 FROM feed"); n != 0 {
		t.Error("the feed has a gap")
	}
	if s.head(t) != count(t, s.owner, "SELECT max(seq) FROM feed") {
		t.Error("the head is not the newest event")
	}
	rows, err := s.owner.Query(t.Context(), "SELECT subject_id::text, subject_version FROM feed ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	var subject string
	var version int64
	if _, err := pgx.ForEachRow(rows, []any{&subject, &version}, func() error {
		if version != found[subject]+1 {
			t.Errorf("version %d of a subject follows version %d", version, found[subject])
		}
		found[subject] = version
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for subject, n := range w.committed {
		if found[subject] != n {
			t.Errorf("%d of %d committed events are in the feed", found[subject], n)
		}
		delete(found, subject)
	}
	for subject, n := range w.unknown {
		if m := found[subject]; m != 0 && m != n {
			t.Errorf("half a transaction is in the feed")
		}
		delete(found, subject)
	}
	if len(found) != 0 {
		t.Errorf("%d subjects were rolled back and are in the feed", len(found))
	}
}

func TestAnOpenTransactionHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := newSource(t, feed.Limits{})
	tx, err := s.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	slow := uuid.NewString()
	if err := emit(t.Context(), tx, event{subject: slow}); err != nil { // takes the lower id
		t.Fatal(err)
	}
	s.emit(t, event{}, event{})
	if got := s.head(t); got != 2 {
		t.Fatalf("the head is %d while an older transaction is open, want 2", got)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.emit(t)
	if got := count(t, s.owner, "SELECT seq FROM feed WHERE subject_id = $1", slow); got != 3 {
		t.Errorf("the late event got number %d, want 3: behind every number already given out", got)
	}
}

func TestASequencerRunsAtReadCommittedOnly(t *testing.T) {
	t.Parallel()
	s := newSource(t, feed.Limits{})
	err := pgx.BeginTxFunc(t.Context(), s.db, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT sequence_feed(10)")
		return err
	})
	if err == nil {
		t.Error("at REPEATABLE READ two sequencers give one number twice")
	}
}

func TestARestoredDatabaseIsNeitherSequencedNorServedUntilAdopted(t *testing.T) {
	t.Parallel()
	s := newSource(t, feed.Limits{})
	s.emit(t, event{})
	before, err := s.server.Read(t.Context(), whole, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, "UPDATE feed_head SET timeline = timeline + 1") // as the restored copy of another cluster would look
	if err := feed.Check(t.Context(), s.db); !errors.Is(err, feed.ErrHistoryUnknown) {
		t.Errorf("Check gave %v", err)
	}
	if err := emit(t.Context(), s.db, event{}); err != nil {
		t.Fatal(err)
	}
	if err := s.seq.Drain(t.Context()); !errors.Is(err, feed.ErrHistoryUnknown) {
		t.Errorf("sequencing gave %v: numbers may now be given out twice", err)
	}
	epoch, err := feed.AdoptEpoch(t.Context(), s.db, true)
	if err != nil || epoch != 2 {
		t.Fatalf("epoch %d, %v", epoch, err)
	}
	if err := errors.Join(feed.Check(t.Context(), s.db), s.seq.Drain(t.Context())); err != nil {
		t.Errorf("after the operator's decision: %v", err)
	}
	_, err = s.server.Read(t.Context(), whole, position(before), 0)
	wantReason(t, err, "FEED_EPOCH_CHANGED")
	if epoch, err = feed.AdoptEpoch(t.Context(), s.db, false); err != nil || epoch != 2 {
		t.Errorf("without loss the epoch became %d, %v", epoch, err)
	}
}

func TestTrimKeepsTheNewestEventAndTellsWhoIsOvertaken(t *testing.T) {
	t.Parallel()
	s := newSource(t, feed.Limits{})
	early, err := s.server.Read(t.Context(), whole, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.emit(t, event{}, event{}, event{})
	s.exec(t, "UPDATE feed SET sequence_time = sequence_time - interval '91 days' WHERE seq < 3")
	removed, err := feed.Trim(t.Context(), s.db, 90*24*time.Hour)
	if err != nil || removed != 2 {
		t.Fatalf("removed %d, %v; want 2", removed, err)
	}
	_, err = s.server.Read(t.Context(), whole, position(early), 0)
	wantReason(t, err, "FEED_POSITION_EXPIRED")
	s.exec(t, "UPDATE feed SET sequence_time = sequence_time - interval '91 days'")
	if removed, err = feed.Trim(t.Context(), s.db, 90*24*time.Hour); err != nil || removed != 0 {
		t.Errorf("removed %d, %v: without the newest event nobody knows where the feed begins", removed, err)
	}
}
