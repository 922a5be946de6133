package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/command"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// reasonBehind is the reason of an event that was never tried, as an earlier one of its subject is parked.
const reasonBehind = "BEHIND_PARKED_EVENT"

// park puts an event aside and moves the cursor over it, both or neither.
func (f *Follower) park(ctx context.Context, p *pass, ev *feedv1.Event, to mark, attempts int, reason string) error {
	err := pgx.BeginFunc(ctx, f.DB, func(tx pgx.Tx) error {
		return f.putAside(ctx, tx, p, ev, to, attempts, reason)
	})
	if err != nil {
		return err
	}
	p.stored, p.done, p.parked[subjectOf(ev)] = to, to.through, true
	counter("lianhu.feed.parked", "{event}", "Events put aside for an operator").Add(ctx, 1, f.label())
	slog.ErrorContext(ctx, "feed: event parked", "follower", f.Name, "seq", ev.GetSeq(), "type", ev.GetType(), "reason", reason)
	return nil
}

// parkBehind parks an event if its subject still has a parked one. The lock on that one makes an operator's retry and this
// wait for each other: either the retry finds this event too, or the event is applied after the retry.
func (f *Follower) parkBehind(ctx context.Context, p *pass, ev *feedv1.Event, to mark) (parked bool, err error) {
	err = pgx.BeginFunc(ctx, f.DB, func(tx pgx.Tx) error {
		var before int64
		err := tx.QueryRow(ctx, `
			SELECT seq FROM parked_event WHERE follower = $1 AND subject_kind = $2 AND subject_id = $3
			ORDER BY seq DESC LIMIT 1 FOR KEY SHARE`, f.Name, ev.GetSubjectKind(), ev.GetSubjectId()).Scan(&before)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		parked = true
		return f.putAside(ctx, tx, p, ev, to, 0, reasonBehind)
	})
	if err != nil || !parked {
		return false, err
	}
	p.stored, p.done = to, to.through
	return true, nil
}

// putAside moves the cursor first: who loses the race for it must not see a clash of keys instead.
func (f *Follower) putAside(ctx context.Context, tx pgx.Tx, p *pass, ev *feedv1.Event, to mark, attempts int, reason string) error {
	if err := execOne(ctx, tx, f.move(p, to)); err != nil {
		return err
	}
	raw, err := proto.Marshal(ev)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO parked_event (follower, seq, subject_kind, subject_id, event, attempts, reason, request_id, deadline)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + interval '24 hours')`,
		f.Name, ev.GetSeq(), ev.GetSubjectKind(), ev.GetSubjectId(), raw, attempts, reason, requestID(p.at, f.Name, ev.GetSeq()))
	return err
}

// parkedRow is a parked event with the request id under which it was tried.
type parkedRow struct {
	event   *feedv1.Event
	request string
}

// Retry applies a parked event and all others parked of its subject, in order, through the handler; each row goes in the
// transaction of its effect. If one fails, it stays, with one more attempt counted, and its error is returned. It
// returns fault PARKED_EVENT_NOT_FOUND when there is no such event.
func (f *Follower) Retry(ctx context.Context, seq int64) error {
	var kind, id string
	err := f.DB.QueryRow(ctx, "SELECT subject_kind, subject_id::text FROM parked_event WHERE follower = $1 AND seq = $2", f.Name, seq).Scan(&kind, &id)
	if errors.Is(err, pgx.ErrNoRows) {
		return notParked()
	}
	if err != nil {
		return fmt.Errorf("feed: parked event: %w", err)
	}
	for last := int64(0); ; {
		row, err := f.oldest(ctx, kind, id)
		if err != nil || row == nil {
			return err
		}
		if row.event.GetSeq() == last {
			return errors.New("feed: the handler made no command with its call")
		}
		last = row.event.GetSeq()
		err = f.retry(ctx, row)
		if err != nil && !errors.Is(err, command.ErrSuperseded) { // superseded: another operator has just done it
			return err
		}
	}
}

// oldest is the parked event of a subject that has to come first, nil when there is none left.
func (f *Follower) oldest(ctx context.Context, kind, id string) (*parkedRow, error) {
	row := &parkedRow{event: &feedv1.Event{}}
	var raw []byte
	err := f.DB.QueryRow(ctx, `
		SELECT event, request_id::text FROM parked_event WHERE follower = $1 AND subject_kind = $2 AND subject_id = $3
		ORDER BY seq LIMIT 1`, f.Name, kind, id).Scan(&raw, &row.request)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("feed: parked event: %w", err)
	}
	return row, proto.Unmarshal(raw, row.event)
}

func (f *Follower) retry(ctx context.Context, row *parkedRow) error {
	gone := command.Statement{SQL: "DELETE FROM parked_event WHERE follower = $1 AND seq = $2", Args: []any{f.Name, row.event.GetSeq()}}
	err := f.handle(ctx, row.event, row.request, gone)
	switch {
	case err == nil || errors.Is(err, command.ErrSuperseded):
		return err
	case errors.Is(err, Skip):
		return execOne(ctx, f.DB, gone)
	}
	_, counting := f.DB.Exec(ctx, "UPDATE parked_event SET attempts = attempts + 1, reason = $3 WHERE follower = $1 AND seq = $2",
		f.Name, row.event.GetSeq(), reasonOf(err))
	return errors.Join(err, counting)
}

// ParkedAfter is where a page of parked events begins: after this one. The zero value is the beginning.
type ParkedAfter struct {
	Follower string
	Seq      int64
}

// ListParked gives at most limit parked events, of one follower or, if its name is empty, of all, by follower and then seq.
func ListParked(ctx context.Context, q Querier, follower string, after ParkedAfter, limit int) ([]*feedv1.ParkedEvent, error) {
	rows, err := q.Query(ctx, `
		SELECT follower, event, attempts, reason, park_time, deadline FROM parked_event
		WHERE ($1 = '' OR follower = $1) AND (follower, seq) > ($2, $3) ORDER BY follower, seq LIMIT $4`,
		follower, after.Follower, after.Seq, limit)
	if err != nil {
		return nil, fmt.Errorf("feed: list parked events: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*feedv1.ParkedEvent, error) {
		out := &feedv1.ParkedEvent{Event: &feedv1.Event{}}
		var raw []byte
		var parked, deadline time.Time
		if err := row.Scan(&out.Follower, &raw, &out.Attempts, &out.Reason, &parked, &deadline); err != nil {
			return nil, err
		}
		out.ParkTime, out.Deadline = timestamppb.New(parked), timestamppb.New(deadline)
		return out, proto.Unmarshal(raw, out.Event)
	})
}
