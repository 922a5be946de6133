package feed

import (
	"context"
	"slices"
	"strings"
	"time"

	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// batchSize bounds the events of one batch; at under half a kilobyte each a batch stays well below a message limit.
const batchSize = 256

// considerFor bounds how long one batch of a narrow filter may look through old events before it reports how far it got.
const considerFor = time.Second

// cursor is one reader's place in the feed.
type cursor struct {
	server *Server
	reader Reader
	filter *feedv1.Filter
	scope  [16]byte
	opened extent // as of open
	seq    int64  // everything up to here has been considered
}

// open validates a position against the database as it is now, not against the tail: a token given out a moment ago by
// another replica may be ahead of this one, and a reader that asks for the head wants the newest.
func (s *Server) open(ctx context.Context, r Reader, at *feedv1.Position) (*cursor, error) {
	e, err := readExtent(ctx, s.db)
	if err != nil {
		return nil, err
	}
	c := &cursor{server: s, reader: r, filter: at.GetFilter(), scope: scopeOf(r, at.GetFilter()), opened: e}
	switch {
	case at.GetToken() == "" && at.GetStart() == feedv1.Start_START_HEAD:
		c.seq = e.Head
		return c, nil
	case at.GetToken() == "":
		c.seq = e.Oldest - 1
		return c, nil
	}
	p, err := decode(s.keys, at.GetToken(), c.scope)
	switch {
	case err != nil:
		return nil, err
	case p.feedID != e.FeedID:
		return nil, tokenInvalid("the token was given out for another feed")
	case p.epoch != e.Epoch, p.seq > e.Head: // ahead of the head: history was lost and nobody has said so yet
		return nil, epochChanged(e.Epoch)
	case p.seq < e.Oldest-1:
		return nil, positionExpired(e.Oldest)
	}
	c.seq = resume(p.seq, e.Head)
	return c, nil
}

// next gives the batch after the cursor and moves the cursor behind it. Without events for the reader it waits for at
// most pause, then gives an empty batch that says how far the cursor has come; at the end of the server it does so at once.
func (c *cursor) next(ctx context.Context, pause time.Duration) (*feedv1.Batch, error) {
	after, begin := c.seq, time.Now()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	var found []*feedv1.Event
	for {
		news, err := c.step(ctx, &found)
		if err != nil {
			return nil, err
		}
		if len(found) == batchSize || !news.more && len(found) > 0 || news.more && time.Since(begin) > considerFor {
			return c.batch(after, found, news.head), nil
		}
		if news.more {
			continue
		}
		select {
		case <-news.changed:
		case <-timer.C:
			return c.batch(after, found, news.head), nil
		case <-c.server.drained:
			return c.batch(after, found, news.head), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// news is what a step found out about the feed.
type news struct {
	head    int64
	more    bool            // there are further events to consider at once
	changed <-chan struct{} // closed when there are, if not
}

// step considers the next run of events, from memory if the cursor is among the newest ones, else from the table: also while this
// process has yet to read what was there when the cursor was opened, as whoever asks after a change expects to find it.
func (c *cursor) step(ctx context.Context, found *[]*feedv1.Event) (news, error) {
	g := c.server.tail.look(c.seq)
	if g.known && (len(g.entries) > 0 || c.seq >= c.opened.Head) {
		if g.epoch != c.opened.Epoch || g.feedID != c.opened.FeedID {
			return news{}, epochChanged(g.epoch)
		}
		rest := c.consider(g.entries, found)
		return news{head: max(g.head, c.opened.Head), more: rest, changed: g.changed}, nil
	}
	p, err := readPage(ctx, c.server.db, c.seq)
	if err != nil {
		return news{}, err
	}
	if p.Epoch != c.opened.Epoch || p.FeedID != c.opened.FeedID || p.Head < c.seq { // a head behind the reader: history was lost
		return news{}, epochChanged(p.Epoch)
	}
	rest := c.consider(p.entries, found)
	return news{head: p.Head, more: rest || len(p.entries) > 0, changed: g.changed}, nil
}

// consider moves the cursor over entries until the batch is full and reports whether any are left.
func (c *cursor) consider(entries []entry, found *[]*feedv1.Event) (rest bool) {
	for i, e := range entries {
		if len(*found) == batchSize {
			return i < len(entries)
		}
		c.seq = e.event.GetSeq()
		if c.wants(e) {
			*found = append(*found, e.seenBy(c.reader))
		}
	}
	return false
}

func (c *cursor) wants(e entry) bool {
	f := c.filter
	return (c.reader.Whole || c.reader.Unit != "" && slices.Contains(e.audience, c.reader.Unit)) &&
		(len(f.GetTypes()) == 0 || slices.Contains(f.GetTypes(), e.event.GetType())) &&
		(len(f.GetSubjectKinds()) == 0 || slices.Contains(f.GetSubjectKinds(), e.event.GetSubjectKind())) &&
		(f.GetMatterId() == "" || strings.EqualFold(f.GetMatterId(), e.event.GetMatterId()))
}

// batch reports the interval (after, c.seq]. The head never lies behind it: the cursor may have read further than the
// tail had heard of.
func (c *cursor) batch(after int64, events []*feedv1.Event, head int64) *feedv1.Batch {
	here := place{feedID: c.opened.FeedID, epoch: c.opened.Epoch, seq: c.seq, scope: c.scope}
	return &feedv1.Batch{After: after, Through: c.seq, Events: events, Head: max(head, c.seq), Token: here.encode(c.server.keys)}
}
