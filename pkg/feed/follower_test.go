package feed_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// clerk is a service that follows: each event becomes one note. The note's id is drawn anew each time, so that an event
// applied twice leaves two notes.
type clerk struct {
	*source // the clerk's own database; what it feeds is not read
	engine  *command.Engine
	notes   *row.Table[*specimenv1.Note]
}

func newClerk(t *testing.T) *clerk {
	t.Helper()
	db := pgtest.New(t, specimen.Migrations())
	c := &clerk{source: &source{DB: db, db: db.Open(t), owner: db.OpenOwner(t)}, notes: specimen.Notes()}
	c.engine = &command.Engine{DB: c.db, Keys: testKeys(t), Service: "clerk", Now: time.Now}
	return c
}

// note is the plain handler. The text of the note is the event's number, its division the version: both are looked at later.
func (c *clerk) note(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	_, err := command.Create(ctx, c.engine, call, c.notes, func(change *command.Change) (*specimenv1.Note, error) {
		change.Happened("noted")
		return &specimenv1.Note{Id: uuid.NewString(), MatterId: ev.GetSubjectId(), Division: strconv.FormatInt(ev.GetSeq(), 10)}, nil
	}, func(*specimenv1.Note) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

func (c *clerk) follow(s *source, handle func(context.Context, *feedv1.Event, command.Call) error) *feed.Follower {
	return &feed.Follower{
		Name: "clerk.source", Service: "clerk", DB: c.db, Handle: handle,
		Open: func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
			return s.subscribe(ctx, whole, at), nil
		},
	}
}

// killSessions ends every connection of the clerk's replicas.
func (c *clerk) killSessions(t testing.TB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), `
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
}

// noted gives the numbers of the events that had an effect, in the order of the effects.
func (c *clerk) noted(t testing.TB) []int64 {
	t.Helper()
	rows, err := c.owner.Query(t.Context(), `
		SELECT n.division::bigint FROM (SELECT id AS o, subject_id FROM outbox WHERE type = 'note.noted') w JOIN note n ON n.id = w.subject_id ORDER BY w.o`)
	if err != nil {
		t.Fatal(err)
	}
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	return seqs
}

func (c *clerk) through(t testing.TB) int64 {
	t.Helper()
	return count(t, c.owner, "SELECT coalesce(max(through), 0) FROM follower WHERE name = 'clerk.source'")
}

func wantEach(t testing.TB, seqs []int64, n int64) {
	t.Helper()
	if int64(len(seqs)) != n {
		t.Fatalf("%d effects, want %d", len(seqs), n)
	}
	for i, seq := range seqs {
		if seq != int64(i)+1 {
			t.Fatalf("effect %d is of event %d", i+1, seq)
		}
	}
}

func TestReplicasThatAreKilledApplyEachEventOnce(t *testing.T) {
	t.Parallel()
	s, c := openSource(t, feed.Limits{Heartbeat: 50 * time.Millisecond, Life: 200 * time.Millisecond}), newClerk(t)
	flaky := func(ctx context.Context, ev *feedv1.Event, call command.Call) error {
		switch rand.IntN(20) {
		case 0:
			return status.Error(codes.Unavailable, "the source is away")
		case 1: // done, and the answer is lost
			return errors.Join(c.note(ctx, ev, call), fault.New(faultv1.Reason_REASON_UNAVAILABLE, "lost"))
		}
		return c.note(ctx, ev, call)
	}
	for range 3 {
		background(t, c.follow(s, flaky).Run)
	}
	const events = 400
	for i := range events {
		if err := emit(t.Context(), s.db, event{}); err != nil {
			t.Fatal(err)
		}
		if i%40 == 0 { // whatever the replicas are at
			c.killSessions(t)
		}
	}
	eventually(t, "the cursor reaches the head", func() bool { return c.through(t) == events })
	wantEach(t, c.noted(t), events)
}

func TestAFollowerResumesWhereItStood(t *testing.T) {
	t.Parallel()
	s, c := openSource(t, feed.Limits{}), newClerk(t)
	s.emit(t, make([]event, 10)...)
	stop := background(t, c.follow(s, c.note).Run)
	eventually(t, "the first ten", func() bool { return c.through(t) == 10 })
	stop()
	s.emit(t, make([]event, 10)...)
	var again atomic.Int64
	f := c.follow(s, func(ctx context.Context, ev *feedv1.Event, call command.Call) error {
		if ev.GetSeq() <= 10 {
			again.Add(1)
		}
		return c.note(ctx, ev, call)
	})
	if err := f.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEach(t, c.noted(t), 20)
	if again.Load() != 0 || f.Lag() != 0 {
		t.Errorf("%d events came again; the lag is %d", again.Load(), f.Lag())
	}
}

func TestSkippedEventsMoveTheCursorTogether(t *testing.T) {
	t.Parallel()
	s, c := openSource(t, feed.Limits{}), newClerk(t)
	s.emit(t, make([]event, 100)...)
	f := c.follow(s, func(ctx context.Context, ev *feedv1.Event, call command.Call) error {
		if ev.GetSeq() == 50 {
			return c.note(ctx, ev, call)
		}
		return feed.Skip
	})
	if err := f.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seqs := c.noted(t); c.through(t) != 100 || len(seqs) != 1 || seqs[0] != 50 {
		t.Errorf("effects of %v, cursor at %d; want 50 and 100", seqs, c.through(t))
	}
}

var errDefect = errors.New("cannot be applied")

// picky fails on the events of one subject as long as broken is set.
func (c *clerk) picky(subject string, broken *atomic.Bool) func(context.Context, *feedv1.Event, command.Call) error {
	return func(ctx context.Context, ev *feedv1.Event, call command.Call) error {
		if ev.GetSubjectId() == subject && broken.Load() {
			return errDefect
		}
		return c.note(ctx, ev, call)
	}
}

func TestAnEventThatFailsIsParkedAndBlocksOnlyItsSubject(t *testing.T) {
	t.Parallel()
	s, c := openSource(t, feed.Limits{}), newClerk(t)
	bad := uuid.NewString()
	var broken atomic.Bool
	broken.Store(true)
	f := c.follow(s, c.picky(bad, &broken))
	s.emit(t, event{}, event{subject: bad, version: 1}, event{}, event{subject: bad, version: 2}, event{})
	if err := f.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seqs := c.noted(t); len(seqs) != 3 || seqs[1] != 3 {
		t.Fatalf("effects of %v, want 1, 3 and 5", seqs)
	}
	parked, err := feed.ListParked(t.Context(), c.db, "", feed.ParkedAfter{}, 50)
	if err != nil || len(parked) != 2 {
		t.Fatalf("%v, %v; want two parked events", parked, err)
	}
	first, second := parked[0], parked[1]
	if first.GetEvent().GetSeq() != 2 || first.GetAttempts() != 10 || first.GetReason() != "INTERNAL" || second.GetEvent().GetSeq() != 4 || second.GetAttempts() != 0 {
		t.Errorf("parked %v", parked)
	}
	if wait := first.GetDeadline().AsTime().Sub(first.GetParkTime().AsTime()).Round(time.Minute); wait != 24*time.Hour {
		t.Errorf("the operator has %v, want a day", wait)
	}
	page, err := feed.ListParked(t.Context(), c.db, "clerk.source", feed.ParkedAfter{Follower: "clerk.source", Seq: 2}, 1)
	if err != nil || len(page) != 1 || page[0].GetEvent().GetSeq() != 4 {
		t.Errorf("the next page is %v, %v", page, err)
	}

	if err := f.Retry(t.Context(), 4); !errors.Is(err, errDefect) { // the earlier one of the subject has to come first
		t.Errorf("a retry that fails gave %v", err)
	}
	if n := count(t, c.owner, "SELECT attempts FROM parked_event WHERE seq = 2"); n != 11 {
		t.Errorf("%d attempts are counted, want 11", n)
	}
	broken.Store(false)
	wantReason(t, f.Retry(t.Context(), 3), "PARKED_EVENT_NOT_FOUND")
	if err := f.Retry(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	s.emit(t, event{subject: bad, version: 3})
	if err := f.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seqs := c.noted(t); len(seqs) != 6 || seqs[3] != 2 || seqs[4] != 4 || seqs[5] != 6 {
		t.Errorf("effects of %v; want 2, 4 and 6 at the end", seqs)
	}
	if n := count(t, c.owner, "SELECT count(*) FROM parked_event"); n != 0 {
		t.Errorf("%d events are parked still", n)
	}
}

func TestRetryOfTwoOperatorsAtOnceAppliesOnce(t *testing.T) {
	t.Parallel()
	s, c := openSource(t, feed.Limits{}), newClerk(t)
	bad := uuid.NewString()
	var broken atomic.Bool
	broken.Store(true)
	f := c.follow(s, c.picky(bad, &broken))
	s.emit(t, event{subject: bad, version: 1}, event{subject: bad, version: 2}, event{subject: bad, version: 3})
	if err := f.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken.Store(false)
	done := make(chan error, 4)
	for range cap(done) {
		go func() { done <- f.Retry(t.Context(), 1) }()
	}
	for range cap(done) {
		if err := <-done; err != nil && fault.ReasonOf(err) != "PARKED_EVENT_NOT_FOUND" {
			t.Error(err)
		}
	}
	wantEach(t, c.noted(t), 3)
}

func TestAFollowerHaltsWhenHistoryIsLostOrExpired(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, reason string }{
		"new epoch": {"UPDATE feed_head SET epoch = epoch + 1", "FEED_EPOCH_CHANGED"},
		"trimmed":   {"INSERT INTO feed SELECT seq + 10, type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent FROM feed; DELETE FROM feed WHERE seq < 11; UPDATE feed_head SET seq = 11", "FEED_POSITION_EXPIRED"},
		"rewound":   {"DELETE FROM feed; UPDATE feed_head SET seq = 0", "FEED_EPOCH_CHANGED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, own := newSource(t, feed.Limits{}), newClerk(t)
			s.emit(t, event{})
			f := own.follow(s, own.note)
			if err := f.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.exec(t, c.sql)
			if err := f.Drain(t.Context()); err == nil {
				t.Error("draining went on")
			}
			if f.Halted() != c.reason {
				t.Errorf("halted for %q, want %s", f.Halted(), c.reason)
			}
			background(t, f.Run)
			if own.through(t) != 1 {
				t.Error("events were skipped")
			}
		})
	}
}

func TestANewFollowerDoesNotStartInTheMiddle(t *testing.T) {
	t.Parallel()
	s, c := newSource(t, feed.Limits{}), newClerk(t)
	s.emit(t, event{}, event{})
	s.exec(t, "DELETE FROM feed WHERE seq = 1")
	f := c.follow(s, c.note)
	if err := f.Drain(t.Context()); err == nil || f.Halted() != "FEED_POSITION_EXPIRED" {
		t.Errorf("%v, halted %q: the first event was passed over in silence", err, f.Halted())
	}
}

// grpcFeed serves a source as a service does, over a real connection.
func grpcFeed(t *testing.T, s *source) *grpc.ClientConn {
	t.Helper()
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Feed", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Subscribe", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			at := &feedv1.Position{}
			if err := stream.RecvMsg(at); err != nil {
				return err
			}
			err := s.server.Subscribe(stream.Context(), whole, at, func(b *feedv1.Batch) error { return stream.SendMsg(b) })
			if err == nil {
				return nil
			}
			st, _ := status.New(codes.FailedPrecondition, "refused").WithDetails(&errdetails.ErrorInfo{Reason: fault.ReasonOf(err), Domain: fault.Domain})
			return st.Err()
		},
	}}}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(context.Context) error { return server.Serve(listener) })
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestFollowingOverGRPC(t *testing.T) {
	t.Parallel()
	s, c := openSource(t, feed.Limits{Life: 100 * time.Millisecond}), newClerk(t)
	conn := grpcFeed(t, s)
	f := c.follow(s, c.note)
	f.Open = func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Feed/Subscribe")
		if err == nil {
			err = errors.Join(stream.SendMsg(at), stream.CloseSend())
		}
		return func() (*feedv1.Batch, error) {
			b := &feedv1.Batch{}
			return b, stream.RecvMsg(b)
		}, err
	}
	stop := background(t, f.Run)
	for range 100 {
		s.emit(t, event{})
	}
	eventually(t, "the cursor reaches the head", func() bool { return c.through(t) == 100 })
	stop()
	wantEach(t, c.noted(t), 100)
	s.exec(t, "UPDATE feed_head SET epoch = epoch + 1")
	if err := f.Drain(t.Context()); err == nil || f.Halted() != "FEED_EPOCH_CHANGED" {
		t.Errorf("%v, halted %q: the reason was lost on the wire", err, f.Halted())
	}
}
