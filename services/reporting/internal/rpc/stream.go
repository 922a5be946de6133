package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/server"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Sizes and times of a stream. Times are machine time.
const (
	// frameBytes is the largest frame and the largest batch.
	frameBytes = 8 << 20
	// waitingBytes of frames are received ahead of their commit; then HTTP/2 holds the source back.
	waitingBytes = 8 << 20
	// commitBytes is where a commit stops taking further frames in.
	commitBytes = 4 << 20
	// commitWithin bounds one attempt to commit, and retryWithin all of them together while the database is away.
	commitWithin, retryWithin = 30 * time.Second, 30 * time.Second
	// lookEvery is how often an idle stream says that it is open, and looks whether a newer one has sent something at another replica.
	lookEvery = 5 * time.Second
	// closeWithin bounds the last word to the database.
	closeWithin = time.Second
	// AckPatience is how long a source may leave an acknowledgement unread, where a desk sets nothing else.
	AckPatience = 30 * time.Second
)

// stream is one source's connection.
type stream struct {
	*Dispatch
	// source is unit, colon, system, and row the id of its record.
	source, row string
	// opening is the stream's place in the order of all streams, whichever replica they are at.
	opening int64
	call    command.Call
	frames  <-chan received
	acks    *acks
	// evicted is closed when the stream has no more say, and writes is set once it has sent something; both by streams.
	evicted chan struct{}
	writes  bool
	// room is given back when frames were stored.
	room *semaphore.Weighted
	// spans above the durable position while the source is at version.
	spans   rules.Spans
	version int64
}

// received is a frame, or why there are no more.
type received struct {
	frame *reportingv1.PushIncidentUpdatesRequest
	bytes int64
	err   error
}

// PushIncidentUpdates implements DispatchService: one goroutine receives, one sends, and this one commits what waits while the last commit
// ran. None waits for another longer than its room lasts.
func (s *Dispatch) PushIncidentUpdates(wire grpc.BidiStreamingServer[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]) error {
	ctx := wire.Context()
	st := &stream{Dispatch: s, evicted: make(chan struct{}), room: semaphore.NewWeighted(waitingBytes)}
	st.source, st.row = sourceOf(access.FromContext(ctx))
	st.call = command.CallFrom(ctx, &reportingv1.PushIncidentUpdatesRequest{})
	st.call.Class, st.call.Recognised = abuseDetail, true
	var greeting *reportingv1.Hello
	err := s.persist(ctx, func(ctx context.Context) (err error) {
		greeting, err = st.open(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer st.close(ctx)
	defer s.streams.enter(st)()
	st.acks = newAcks(wire.Send, greeting, cmp.Or(s.AckPatience, AckPatience), st.source)
	st.frames = st.receive(ctx, wire.Recv)
	err = st.run(ctx)
	return st.acks.finish(ctx, err)
}

// open draws the stream's place in the order of streams and says where the source stands. It takes nobody's place: an attempt that the source
// has given up and that arrives late looks just like this one, up to here.
func (st *stream) open(ctx context.Context) (_ *reportingv1.Hello, err error) {
	if st.opening == 0 {
		if st.opening, err = store.OpenStream(ctx, st.Engine.DB, st.source); err != nil {
			return nil, err
		}
	}
	source, err := row.Get(ctx, st.Engine.DB, st.Engine.Keys, st.Tables.Sources, st.row)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return &reportingv1.Hello{}, nil
	}
	if err != nil {
		return nil, err
	}
	if st.spans, err = store.SpansAbove(ctx, st.Engine.DB, source.GetSource(), source.GetEpoch(), source.GetDurableThrough()); err != nil {
		return nil, err
	}
	st.version = source.GetVersion()
	return hello(source, st.spans), nil
}

// close forgets the stream. What cannot be forgotten now is by itself, once nobody has seen it for a while.
func (st *stream) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	_ = store.CloseStream(ctx, st.Engine.DB, st.opening)
}

// receive takes frames from the wire while there is room. It ends with the call: receiving from an ended one fails.
func (st *stream) receive(ctx context.Context, recv func() (*reportingv1.PushIncidentUpdatesRequest, error)) <-chan received {
	frames := make(chan received, batchMost) // room bounds what waits in it
	go func() {
		defer close(frames)
		last := int64(0)
		for {
			f, err := recv()
			if err == nil {
				err = checkFrame(f, frameMost)
			} else {
				err = unreadable(err, last)
			}
			r := received{frame: f, bytes: int64(proto.Size(f)), err: err}
			if err == nil && st.room.Acquire(ctx, r.bytes) != nil {
				return
			}
			select {
			case frames <- r:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			for _, u := range f.GetUpdates() {
				last = u.GetSequence()
			}
		}
	}()
	return frames
}

// unreadable tells the source behind which number a frame lies that is no message.
func unreadable(err error, last int64) error {
	if !errors.Is(err, server.ErrUnreadable) {
		return err
	}
	return fault.New(reportingv1.Reason_REASON_DISPATCH_FRAME_UNREADABLE, "the frame is no message of the contract; nothing of it was taken", "after", fmt.Sprint(last)).Wrap(err)
}

// run commits until the stream ends, and answers how it ended; nil when the source closed its side and all is stored.
func (st *stream) run(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var next *received // was received, but begins another commit
	for {
		if next == nil {
			r, err := st.wait(ctx, look.C)
			if err != nil {
				return err
			}
			next = r
		}
		if errors.Is(next.err, io.EOF) { // the source has no more to say
			return nil
		}
		if next.err != nil {
			return next.err
		}
		var frames []*reportingv1.PushIncidentUpdatesRequest
		var bytes int64
		frames, bytes, next = st.gather(*next)
		err := st.store(ctx, frames, false)
		st.room.Release(bytes)
		if err != nil {
			return err
		}
	}
}

// wait gives the next frame, or why the stream ends. What was received and is not acknowledged by then, the source sends again.
func (st *stream) wait(ctx context.Context, look <-chan time.Time) (*received, error) {
	for {
		select { // a newer stream has the first word
		case <-st.evicted:
			return nil, st.superseded()
		default:
		}
		select {
		case r, open := <-st.frames:
			if !open {
				return nil, ctx.Err()
			}
			return &r, nil
		case <-st.evicted:
		case <-st.streams.drained:
			return nil, fault.New(faultv1.Reason_REASON_DRAINING, "the server is about to stop: connect again now")
		case <-st.acks.ended:
			return nil, st.acks.err
		case <-st.acks.unread:
			return nil, st.acks.refusal()
		case <-look:
			if err := st.current(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// gather takes in what else has been received, as far as it fits into one commit.
func (st *stream) gather(first received) (frames []*reportingv1.PushIncidentUpdatesRequest, bytes int64, next *received) {
	updates := 0
	r := first
	for {
		updates, bytes = updates+len(r.frame.GetUpdates()), bytes+r.bytes
		frames = append(frames, r.frame)
		select {
		case more, open := <-st.frames:
			if !open {
				return frames, bytes, nil
			}
			if more.err != nil || more.frame.GetEpoch() != first.frame.GetEpoch() || updates+len(more.frame.GetUpdates()) > batchMost || bytes+more.bytes > commitBytes {
				return frames, bytes, &more
			}
			r = more
		default:
			return frames, bytes, nil
		}
	}
}

// store commits frames and acknowledges them. When they cannot be stored together, each is tried by itself, so that one that is refused
// ends the stream behind those before it; and of a frame in which a defect of ours shows, each update, so that it costs one update only.
func (st *stream) store(ctx context.Context, frames []*reportingv1.PushIncidentUpdatesRequest, unprocessable bool) error {
	err := st.commit(ctx, frames, unprocessable)
	var refused *fault.Error
	switch {
	case err == nil:
		return nil
	case transient(err), fault.Is(err, reportingv1.Reason_REASON_DISPATCH_STREAM_SUPERSEDED):
		return err
	case len(frames) > 1:
		for _, f := range frames {
			if err := st.store(ctx, []*reportingv1.PushIncidentUpdatesRequest{f}, false); err != nil {
				return err
			}
		}
		return nil
	case errors.As(err, &refused), unprocessable:
		return err
	case len(frames[0].GetUpdates()) > 1:
		var singles []*reportingv1.PushIncidentUpdatesRequest
		for _, u := range frames[0].GetUpdates() {
			singles = append(singles, &reportingv1.PushIncidentUpdatesRequest{Epoch: frames[0].GetEpoch(), Updates: []*reportingv1.IncidentUpdate{u}})
		}
		return st.store(ctx, append(singles, &reportingv1.PushIncidentUpdatesRequest{Epoch: frames[0].GetEpoch(), Voids: frames[0].GetVoids()}), false)
	}
	slog.ErrorContext(ctx, "dispatch: an update cannot be stored and goes to quarantine", "source", st.source, "cause", postgres.Sanitize(err))
	return st.store(ctx, frames, true)
}

// commit stores frames in one command, whether or not the source is still there to hear of it.
func (st *stream) commit(ctx context.Context, frames []*reportingv1.PushIncidentUpdatesRequest, unprocessable bool) error {
	// A trace of its own: the stream's would grow for hours.
	ctx = trace.ContextWithSpanContext(context.WithoutCancel(ctx), trace.SpanContext{})
	err := st.persist(ctx, func(ctx context.Context) error {
		return st.attempt(ctx, &push{frames: frames, unprocessable: unprocessable, spans: st.spans, version: st.version})
	})
	if err == nil {
		st.streams.wrote(st)
	}
	return err
}

// persist does something again while the database is away.
func (s *Dispatch) persist(ctx context.Context, do func(context.Context) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		bounded, cancel := context.WithTimeout(ctx, commitWithin)
		defer cancel()
		err := do(bounded)
		if err != nil && !transient(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(cmp.Or(s.Outage, retryWithin)))
	return err
}

// attempt is the one place where it is decided which stream writes for the source: the one opened last of all that have ever sent something.
func (st *stream) attempt(ctx context.Context, p *push) error {
	source, err := onSource(ctx, st.Dispatch, st.call, "advanced", func(c *command.Change, source *reportingv1.DispatchSource) error {
		switch opening := source.GetOpening(); {
		case opening > st.opening:
			return st.superseded()
		case opening < st.opening:
			source.Opening = st.opening
			counts(source).Streams++
		}
		return st.take(ctx, c, source, p)
	}, func(source *reportingv1.DispatchSource) *reportingv1.DispatchSource { return source })
	if err != nil {
		return err
	}
	st.spans, st.version = p.after, source.GetVersion()
	st.acks.put(p.ack)
	return nil
}

// transient errors pass: what failed is tried again as it is.
func transient(err error) bool {
	return fault.Is(err, faultv1.Reason_REASON_UNAVAILABLE) || fault.Is(err, faultv1.Reason_REASON_CONTENTION) ||
		postgres.IsConnection(err) || errors.Is(err, context.DeadlineExceeded)
}

// current says that the stream is still open, and refuses when a newer one of the source has sent something anywhere.
func (st *stream) current(ctx context.Context) error {
	// A database that is away ends no idle stream.
	_ = store.SeeStream(ctx, st.Engine.DB, st.source, st.opening)
	source, err := row.Get(ctx, st.Engine.DB, st.Engine.Keys, st.Tables.Sources, st.row)
	if err == nil && source.GetOpening() > st.opening {
		return st.superseded()
	}
	return nil
}

func (st *stream) superseded() error {
	return fault.New(reportingv1.Reason_REASON_DISPATCH_STREAM_SUPERSEDED, "a newer stream of this source has taken over", "source", st.source)
}
