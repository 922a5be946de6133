package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/telemetry"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// failuresBeforeParking of one event, not counting those that are no fault of the event.
const failuresBeforeParking = 10

// mark is a follower's stored place. The token is that of the last finished batch, so it may lie before through; resuming
// there brings a few events again, which are passed over.
type mark struct {
	feedID  uuid.UUID // zero until the first batch
	epoch   int64
	through int64
	token   string
}

// sameHistory reports whether what comes from a place may be applied after the mark.
func (m mark) sameHistory(at place) bool {
	return m.feedID == uuid.Nil || m.feedID == at.feedID && m.epoch == at.epoch
}

// pass is what one reading of a stream knows. Nothing of it is shared: Run and Drain may read side by side.
type pass struct {
	stored mark            // as in the table, unless another replica was faster
	done   int64           // everything up to here is stored or skipped
	parked map[string]bool // subjects with parked events; can only be missing one if the table's cursor has moved
	at     place           // history of the present batch
	after  int64           // where the present batch begins
	next   int64           // where the next batch of the stream must begin
}

// load reads the cursor, and the parked subjects, in one snapshot; it makes the row if there is none.
func (f *Follower) load(ctx context.Context, p *pass) error {
	if _, err := f.DB.Exec(ctx, "INSERT INTO follower (name) SELECT $1 WHERE NOT EXISTS (SELECT FROM follower WHERE name = $1) ON CONFLICT DO NOTHING", f.Name); err != nil {
		return fmt.Errorf("feed: follower %s: %w", f.Name, err)
	}
	var subjects []string
	err := f.DB.QueryRow(ctx, `
		SELECT coalesce(feed_id, '00000000-0000-0000-0000-000000000000'), epoch, through, token,
		       (SELECT coalesce(array_agg(DISTINCT subject_kind || '/' || subject_id), '{}') FROM parked_event WHERE follower = $1)
		FROM follower WHERE name = $1`, f.Name).
		Scan(&p.stored.feedID, &p.stored.epoch, &p.stored.through, &p.stored.token, &subjects)
	if err != nil {
		return fmt.Errorf("feed: follower %s: %w", f.Name, err)
	}
	p.done, p.parked = p.stored.through, make(map[string]bool, len(subjects))
	for _, s := range subjects {
		p.parked[s] = true
	}
	return nil
}

// accept checks that a batch belongs to the history followed so far and leaves no gap. A gap at the start of a stream means
// that events were removed before they were followed; one later on, a broken stream.
func (p *pass) accept(b *feedv1.Batch, first bool) error {
	at, err := historyOf(b)
	if err != nil {
		return err
	}
	switch {
	case !p.stored.sameHistory(at), first && b.GetHead() < p.stored.through:
		return &haltError{reason: reasonName(faultv1.Reason_REASON_FEED_EPOCH_CHANGED)}
	case first && b.GetAfter() > p.stored.through:
		return &haltError{reason: reasonName(faultv1.Reason_REASON_FEED_POSITION_EXPIRED)}
	case !first && b.GetAfter() != p.next:
		return fmt.Errorf("feed: a batch begins after %d instead of %d", b.GetAfter(), p.next)
	}
	p.at, p.after, p.next = at, b.GetAfter(), b.GetThrough()
	return nil
}

// take applies what is new in a batch. When another replica has been faster it looks where that one stands and goes on from there.
func (f *Follower) take(ctx context.Context, p *pass, b *feedv1.Batch) error {
	end := mark{feedID: p.at.feedID, epoch: p.at.epoch, through: b.GetThrough(), token: b.GetToken()}
	for p.stored.through < end.through {
		ev, to := p.following(b, end)
		var err error
		if ev != nil {
			err = f.settle(ctx, p, ev, to)
		} else {
			err = f.moveAlone(ctx, p, to)
		}
		if errors.Is(err, command.ErrSuperseded) {
			err = f.reload(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	p.done = max(p.done, p.stored.through)
	return nil
}

// reload looks where another replica has moved the cursor to. A cursor behind what this pass has stored means that a handler
// returned nil without a command, or that our own database has lost commits; then the stream begins again from there.
func (f *Follower) reload(ctx context.Context, p *pass) error {
	before := p.stored.through
	if err := f.load(ctx, p); err != nil {
		return err
	}
	if p.stored.through < before || !p.stored.sameHistory(p.at) {
		return errReopen
	}
	return nil
}

// following gives the next event of a batch and where the cursor stands after it; no event when only the rest of the interval is left.
func (p *pass) following(b *feedv1.Batch, end mark) (*feedv1.Event, mark) {
	events := b.GetEvents()
	for i, ev := range events {
		switch {
		case ev.GetSeq() <= p.done:
		case i == len(events)-1:
			return ev, end
		default:
			return ev, mark{feedID: end.feedID, epoch: end.epoch, through: ev.GetSeq(), token: p.stored.token}
		}
	}
	return nil, end
}

// settle ends with the event applied, skipped or parked, or with an error that says that this pass is over.
func (f *Follower) settle(ctx context.Context, p *pass, ev *feedv1.Event, to mark) error {
	failures := 0
	for b := (backoff{}); ; wait(ctx, nil, b.next()) {
		err := f.attempt(ctx, p, ev, to)
		switch {
		case err == nil || errors.Is(err, command.ErrSuperseded):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case transient(err):
			slog.InfoContext(ctx, "feed: event has to wait", "follower", f.Name, "seq", ev.GetSeq(), "type", ev.GetType(), "reason", reasonOf(err))
			continue
		}
		failures++
		slog.WarnContext(ctx, "feed: event failed", "follower", f.Name, "seq", ev.GetSeq(), "type", ev.GetType(), "failures", failures, "reason", reasonOf(err))
		if failures == failuresBeforeParking {
			return f.park(ctx, p, ev, to, failures, reasonOf(err))
		}
	}
}

// attempt tries one event once.
func (f *Follower) attempt(ctx context.Context, p *pass, ev *feedv1.Event, to mark) error {
	if p.parked[subjectOf(ev)] {
		behind, err := f.parkBehind(ctx, p, ev, to)
		if err != nil || behind {
			return err
		}
		delete(p.parked, subjectOf(ev)) // an operator's retry has freed it
	}
	err := f.apply(ctx, p, ev, to)
	switch {
	case err == nil:
		p.stored, p.done = to, to.through
	case errors.Is(err, Skip):
		p.done = ev.GetSeq()
		return nil
	}
	return err
}

// handle calls the handler within a span that links back to the change the event tells of.
func (f *Follower) handle(ctx context.Context, ev *feedv1.Event, request string, also command.Statement) error {
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("lianhu.follower", f.Name), attribute.String("lianhu.event_type", ev.GetType()), attribute.Int64("lianhu.event_seq", ev.GetSeq()))}
	if link, ok := telemetry.Link(ev.GetTraceparent()); ok {
		options = append(options, trace.WithLinks(link))
	}
	ctx, span := otel.Tracer("github.com/lianhu/lianhu/pkg/feed").Start(ctx, "follow "+ev.GetType(), options...)
	defer span.End()
	caller := "service/" + f.Service
	err := f.Handle(ctx, ev, command.Call{
		Caller: caller, Method: "follow/" + f.Name + "/" + ev.GetType(), RequestID: request, Request: ev,
		Actor: command.Actor{Unit: caller, System: f.Service, Purpose: accessv1.Purpose_PURPOSE_SERVICE_DELIVERY},
		Also:  []command.Statement{also},
	})
	if err != nil && !errors.Is(err, Skip) {
		span.SetStatus(codes.Error, reasonOf(err))
	}
	return err
}

// requestID is the same for every try of an event by whatever replica, and another one for the event that takes its number after
// history was lost.
func requestID(at place, follower string, seq int64) string {
	return uuid.NewSHA1(at.feedID, []byte(strconv.FormatInt(at.epoch, 10)+"/"+follower+"/"+strconv.FormatInt(seq, 10))).String()
}

// move is the compare-and-set of the cursor. It adds up what the batch has covered apart from where the cursor goes: a span that was stepped
// over is missing from the sum for ever.
func (f *Follower) move(p *pass, to mark) command.Statement {
	from := p.stored
	return command.Statement{SQL: `
		UPDATE follower SET feed_id = $2, epoch = $3, through = $4, token = $5, covered = covered + $9, update_time = clock_timestamp()
		WHERE name = $1 AND coalesce(feed_id, '00000000-0000-0000-0000-000000000000') = $6 AND epoch = $7 AND through = $8`,
		Args: []any{f.Name, to.feedID, to.epoch, to.through, to.token, from.feedID, from.epoch, from.through, to.through - max(from.through, p.after)}}
}

// moveAlone moves the cursor over what was skipped.
func (f *Follower) moveAlone(ctx context.Context, p *pass, to mark) error {
	if err := execOne(ctx, f.DB, f.move(p, to)); err != nil {
		return err
	}
	p.stored, p.done = to, to.through
	return nil
}

// executor is a pool or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// execOne is for a statement of our own what command does with those of a call.
func execOne(ctx context.Context, q executor, s command.Statement) error {
	tag, err := q.Exec(ctx, s.SQL, s.Args...)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return command.ErrSuperseded
	}
	return nil
}

func subjectOf(ev *feedv1.Event) string { return ev.GetSubjectKind() + "/" + ev.GetSubjectId() }
