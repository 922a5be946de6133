package feed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// eof is what a gRPC client sees at the regular end of a stream.
func eof(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

func position(b *feedv1.Batch) *feedv1.Position { return &feedv1.Position{Token: b.GetToken()} }

func wantReason(t testing.TB, err error, reason string) {
	t.Helper()
	if err == nil || fault.ReasonOf(err) != reason {
		t.Errorf("got %v, want %s", err, reason)
	}
}

// chain checks what a reader can check: that batches are contiguous and events lie inside, in order.
type chain struct {
	through int64
	seqs    []int64
}

func (c *chain) check(b *feedv1.Batch) error {
	if b.GetAfter() != c.through {
		return fmt.Errorf("a batch begins after %d, the one before ended at %d", b.GetAfter(), c.through)
	}
	last := b.GetAfter()
	for _, e := range b.GetEvents() {
		if e.GetSeq() <= last || e.GetSeq() > b.GetThrough() {
			return fmt.Errorf("event %d lies outside (%d, %d]", e.GetSeq(), last, b.GetThrough())
		}
		last = e.GetSeq()
		c.seqs = append(c.seqs, last)
	}
	if b.GetHead() < b.GetThrough() {
		return fmt.Errorf("the head %d lies behind %d", b.GetHead(), b.GetThrough())
	}
	c.through = b.GetThrough()
	return nil
}

// until reads batches until the chain has come to a position.
func (c *chain) until(t testing.TB, recv feed.Stream, seq int64) *feedv1.Batch {
	t.Helper()
	for {
		b, err := recv()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.check(b); err != nil {
			t.Fatal(err)
		}
		if c.through >= seq {
			return b
		}
	}
}

func TestAFilteredReaderCanProveThatItMissedNothing(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Heartbeat: 50 * time.Millisecond})
	var wanted []int64
	for i := range int64(600) { // the first half is read from the table, the rest arrives on the open stream
		e := event{what: "submitted", audience: []string{"court"}}
		switch i % 5 {
		case 1:
			e.what = "closed"
		case 2:
			e.kind = "incident"
		case 3:
			e.audience = []string{"police"}
		default:
			wanted = append(wanted, i+1)
		}
		if err := emit(t.Context(), s.db, e); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	filter := &feedv1.Filter{Types: []string{"report.submitted"}, SubjectKinds: []string{"report"}}
	var c chain
	c.until(t, s.subscribe(ctx, feed.Reader{Unit: "court"}, &feedv1.Position{Filter: filter}), 600)
	if len(c.seqs) != len(wanted) {
		t.Fatalf("%d events, want %d", len(c.seqs), len(wanted))
	}
	for i, seq := range c.seqs {
		if seq != wanted[i] {
			t.Fatalf("event %d instead of %d", seq, wanted[i])
		}
	}
}

func TestAReaderSeesOnlyWhatItIsAnAudienceOf(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{})
	matter := uuid.NewString()
	s.emit(t, event{audience: []string{"court", "police"}}, event{audience: []string{"police"}, matter: &matter}, event{})
	for name, c := range map[string]struct {
		reader feed.Reader
		filter *feedv1.Filter
		want   int
	}{
		"court":            {feed.Reader{Unit: "court"}, nil, 1},
		"police":           {feed.Reader{Unit: "police"}, nil, 2},
		"police by matter": {feed.Reader{Unit: "police"}, &feedv1.Filter{MatterId: matter}, 1},
		"court by matter":  {feed.Reader{Unit: "court"}, &feedv1.Filter{MatterId: matter}, 0},
		"health":           {feed.Reader{Unit: "health"}, nil, 0},
		"nobody":           {feed.Reader{}, nil, 0},
		"service":          {whole, nil, 3},
	} {
		b, err := s.server.Read(t.Context(), c.reader, &feedv1.Position{Filter: c.filter}, 0)
		if err != nil || len(b.GetEvents()) != c.want || b.GetThrough() != 3 {
			t.Errorf("%s: %d events through %d, %v; want %d through 3", name, len(b.GetEvents()), b.GetThrough(), err, c.want)
		}
	}
}

func TestATokenIsGoodForItsOwnPlaceOnly(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{})
	s.emit(t, event{}, event{})
	court := feed.Reader{Unit: "court"}
	given, err := s.server.Read(t.Context(), court, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	read := func(r feed.Reader, token string, f *feedv1.Filter) error {
		_, err := s.server.Read(t.Context(), r, &feedv1.Position{Token: token, Filter: f}, 0)
		return err
	}
	if err := read(court, given.GetToken(), nil); err != nil {
		t.Errorf("its own token: %v", err)
	}
	for i := range len(given.GetToken()) {
		changed := []byte(given.GetToken())
		changed[i] ^= 1
		wantReason(t, read(court, string(changed), nil), "FEED_TOKEN_INVALID")
	}
	wantReason(t, read(court, given.GetToken(), &feedv1.Filter{Types: []string{"report.closed"}}), "FEED_TOKEN_INVALID")
	wantReason(t, read(feed.Reader{Unit: "police"}, given.GetToken(), nil), "FEED_TOKEN_INVALID")
	wantReason(t, read(whole, given.GetToken(), nil), "FEED_TOKEN_INVALID")
	s.exec(t, "DELETE FROM feed; UPDATE feed_head SET seq = 1") // a copy from before the token was given out
	wantReason(t, read(court, given.GetToken(), nil), "FEED_EPOCH_CHANGED")
	s.exec(t, "UPDATE feed_head SET feed_id = gen_random_uuid(), seq = 2")
	wantReason(t, read(court, given.GetToken(), nil), "FEED_TOKEN_INVALID")
}

func TestOrderAndRepetitionInAFilterDoNotMatterToItsToken(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{})
	b, err := s.server.Read(t.Context(), whole, &feedv1.Position{Filter: &feedv1.Filter{Types: []string{"a.b", "c.d"}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	again := &feedv1.Position{Token: b.GetToken(), Filter: &feedv1.Filter{Types: []string{"c.d", "a.b", "a.b"}}}
	if _, err := s.server.Read(t.Context(), whole, again, 0); err != nil {
		t.Error(err)
	}
}

func TestReadWaitsForNewsAndNoLonger(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{MaxWait: 30 * time.Second})
	head, err := s.server.Read(t.Context(), whole, &feedv1.Position{Start: feedv1.Start_START_HEAD}, time.Hour)
	if err != nil || head.GetThrough() != 0 {
		t.Fatalf("the head is given at once: %v, %v", head, err)
	}
	var group errgroup.Group
	group.Go(func() error {
		begin := time.Now()
		b, err := s.server.Read(t.Context(), whole, position(head), time.Hour)
		if err == nil && (len(b.GetEvents()) != 1 || time.Since(begin) > 20*time.Second) {
			err = errors.New("the event did not end the waiting")
		}
		return err
	})
	s.emit(t, event{})
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	b, err := s.server.Read(t.Context(), feed.Reader{Unit: "court"}, nil, 20*time.Millisecond)
	if err != nil || len(b.GetEvents()) != 0 || b.GetThrough() != 1 {
		t.Errorf("without news: %v, %v; want an empty batch through 1", b, err)
	}
}

// Whoever has changed something and then reads finds it, also at a replica that has not yet heard of it.
func TestAReplicaThatIsBehindReadsTheTable(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{MaxWait: 30 * time.Second})
	other := feed.NewServer(s.db, testKeys(t), feed.Limits{MaxWait: 30 * time.Second}) // nobody wakes it
	background(t, other.Run)
	at := &feedv1.Position{}
	for n := range int64(20) {
		s.emit(t, event{})
		b, err := other.Read(t.Context(), whole, at, 0)
		if err != nil || b.GetThrough() != n+1 || len(b.GetEvents()) != 1 {
			t.Fatalf("after event %d: %d events through %d, %v", n+1, len(b.GetEvents()), b.GetThrough(), err)
		}
		at = &feedv1.Position{Token: b.GetToken()}
	}
}

func TestReadLeavesTheCallerASecondOfItsDeadline(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{})
	ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
	defer cancel()
	if _, err := s.server.Read(ctx, whole, nil, time.Minute); err != nil {
		t.Errorf("%v: the caller loses its answer to its own deadline", err)
	}
}

func TestASlowReaderIsCutOffAndResumesWithoutAGap(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Stall: 50 * time.Millisecond})
	s.emit(t, make([]event, 700)...)
	var c chain
	var last *feedv1.Batch
	release := make(chan struct{})
	err := s.server.Subscribe(t.Context(), whole, nil, func(b *feedv1.Batch) error {
		if last != nil {
			<-release // as a full window that nobody empties
			return nil
		}
		last = b
		return c.check(b)
	})
	close(release)
	wantReason(t, err, "FEED_READER_SLOW")
	if last.GetThrough() >= 700 {
		t.Fatal("everything went out in one batch: the test proves nothing")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.until(t, s.subscribe(ctx, whole, position(last)), 700)
	if len(c.seqs) != 700 {
		t.Errorf("%d events, want 700", len(c.seqs))
	}
}

func TestAStreamSpeaksWhenNothingHappens(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Heartbeat: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	recv := s.subscribe(ctx, whole, nil)
	for range 3 {
		if b, err := recv(); err != nil || len(b.GetEvents()) != 0 || b.GetToken() == "" {
			t.Fatalf("%v, %v; want a heartbeat with a token", b, err)
		}
	}
}

func TestDrainEndsAStreamWithATokenToGoOn(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Heartbeat: time.Hour})
	recv := s.subscribe(t.Context(), whole, nil)
	last, err := recv()
	if err != nil {
		t.Fatal(err)
	}
	s.server.Drain()
	for { // a stream that was waiting says a last word; one that has just spoken need not
		b, err := recv()
		if err != nil {
			wantReason(t, err, "DRAINING")
			break
		}
		last = b
	}
	if _, err := s.server.Read(t.Context(), whole, position(last), 0); err != nil {
		t.Error(err)
	}
	wantReason(t, s.server.Subscribe(t.Context(), whole, nil, nil), "DRAINING")
	s.server.Drain()
}

func TestAStreamEndsAfterItsLifeWithATokenToGoOn(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Life: 50 * time.Millisecond})
	recv := s.subscribe(t.Context(), whole, nil)
	var last *feedv1.Batch
	for {
		b, err := recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = b
	}
	if _, err := s.server.Read(t.Context(), whole, position(last), 0); err != nil {
		t.Error(err)
	}
}

func TestManyReadersSeeTheSameFeedWhateverTheirPace(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Heartbeat: 100 * time.Millisecond})
	const readers, events = 20, 5000                // more than the tail keeps
	group, ctx := errgroup.WithContext(t.Context()) // whoever fails ends the others
	for i := range readers {
		group.Go(func() error {
			var c chain
			var last *feedv1.Batch
			for c.through < events { // each loses its stream now and then
				stream, end := context.WithCancel(ctx)
				recv := s.subscribe(stream, whole, position(last))
				for range 1 + i {
					b, err := recv()
					if err != nil {
						end()
						return err
					}
					if err := c.check(b); err != nil {
						end()
						return err
					}
					if last = b; c.through >= events {
						break
					}
				}
				end()
			}
			if len(c.seqs) != events {
				return errors.New("a reader missed events")
			}
			return nil
		})
	}
	for range 4 {
		group.Go(func() error { return emit(ctx, s.db, make([]event, events/4)...) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestAStreamEndsWhenHistoryIsLostUnderIt(t *testing.T) {
	t.Parallel()
	s := openSource(t, feed.Limits{Heartbeat: 20 * time.Millisecond})
	s.emit(t, event{}, event{}, event{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	recv := s.subscribe(ctx, whole, nil)
	new(chain).until(t, recv, 3)
	s.exec(t, "DELETE FROM feed WHERE seq > 1; UPDATE feed_head SET seq = 1") // fail-over to a standby that lagged behind
	for {
		if _, err := recv(); err != nil {
			wantReason(t, err, "FEED_EPOCH_CHANGED")
			return
		}
	}
}
