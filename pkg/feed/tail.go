package feed

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

const (
	pageSize = 1000 // events read from the table at once
	keepSize = 4096 // newest events kept in memory for all subscribers together
)

// entry is an event and who may see it. Entries are shared by all subscribers and never changed. The trace of the change is kept beside the
// event: it is for the suite's own services, and no partner receives it.
type entry struct {
	event       *feedv1.Event
	traceparent string
	audience    []string
}

// seenBy is the event as a reader receives it.
func (e entry) seenBy(r Reader) *feedv1.Event {
	if !r.Whole || e.traceparent == "" {
		return e.event
	}
	traced := proto.CloneOf(e.event)
	traced.Traceparent = e.traceparent
	return traced
}

// page is a run of entries without a gap, starting right after the position asked for, and the extent of the feed at the moment
// it was read.
type page struct {
	extent
	entries []entry
}

// readPage reads the events after a position, and the extent, in one snapshot.
func readPage(ctx context.Context, q Querier, after int64) (page, error) {
	rows, err := q.Query(ctx, `
		SELECT h.feed_id, h.epoch, h.seq, coalesce((SELECT min(feed.seq) FROM feed), h.seq + 1),
		       f.seq, f.type, f.subject_kind, f.subject_id::text, f.subject_version, coalesce(f.matter_id::text, ''),
		       f.division, f.event_time, f.traceparent, f.audience
		FROM feed_head h LEFT JOIN LATERAL (SELECT * FROM feed WHERE feed.seq > $1 ORDER BY feed.seq LIMIT $2) f ON true
		ORDER BY f.seq`, after, pageSize)
	if err != nil {
		return page{}, err
	}
	defer rows.Close()
	var p page
	for rows.Next() {
		if err := p.scan(rows); err != nil {
			return page{}, err
		}
	}
	if err := rows.Err(); err != nil {
		return page{}, err
	}
	if len(p.entries) == 0 && after < p.Head || len(p.entries) > 0 && p.entries[0].event.GetSeq() != after+1 {
		return page{}, positionExpired(p.Oldest)
	}
	return p, nil
}

// scan takes one row of readPage in; on an empty page the only row has no event.
func (p *page) scan(rows pgx.Rows) error {
	var (
		seq, version                              *int64
		kindOf, kind, id, matter, division, trace *string
		at                                        *time.Time
		audience                                  []string
	)
	err := rows.Scan(&p.FeedID, &p.Epoch, &p.Head, &p.Oldest,
		&seq, &kindOf, &kind, &id, &version, &matter, &division, &at, &trace, &audience)
	if err != nil || seq == nil {
		return err
	}
	p.entries = append(p.entries, entry{audience: audience, traceparent: *trace, event: &feedv1.Event{
		Seq: *seq, Type: *kindOf, SubjectKind: *kind, SubjectId: *id, SubjectVersion: *version, MatterId: *matter,
		Division: *division, EventTime: timestamppb.New(*at),
	}})
	return nil
}

// tail is the newest part of the feed in memory: one reader of the table per process feeds it, all subscribers of the
// process read from it. Its size is fixed, so a reader that falls behind costs table reads, never memory.
type tail struct {
	mu      sync.Mutex
	feedID  uuid.UUID
	epoch   int64
	head    int64   // newest seq of the feed that this process has heard of
	last    int64   // seq of the newest entry, and the position to read on from
	entries []entry // dense, ending at last
	changed chan struct{}
}

func newTail() *tail { return &tail{changed: make(chan struct{})} }

// glimpse is what a subscriber sees of the tail.
type glimpse struct {
	feedID  uuid.UUID
	epoch   int64
	head    int64
	entries []entry         // the events after the position; nil when there are none, or when known is false
	known   bool            // false: the position lies outside the tail, read the table
	changed <-chan struct{} // closed when there is more to see
}

func (t *tail) look(after int64) glimpse {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := glimpse{feedID: t.feedID, epoch: t.epoch, head: t.head, changed: t.changed}
	first := t.last - int64(len(t.entries))
	if after < first || after > t.last || t.epoch == 0 {
		return g
	}
	g.known = true
	g.entries = slices.Clip(t.entries[after-first:])
	return g
}

// add takes a page read after t.last in and wakes all subscribers if anything changed. A page of another history makes the tail
// begin anew at its head: what was read before may not be what is there now.
func (t *tail) add(p page) {
	if t.foreign(p) {
		t.restart(p.extent)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(p.entries) == 0 && p.Head == t.head {
		return
	}
	t.head = p.Head
	if n := len(p.entries); n > 0 {
		// Subscribers may still hold slices of this array. They are clipped, and appending writes beyond them only.
		all := append(t.entries, p.entries...)
		t.entries = all[max(0, len(all)-keepSize):]
		t.last = p.entries[n-1].event.GetSeq()
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// restart forgets the entries and reads on from the head: at the start, and when the position was trimmed away.
func (t *tail) restart(e extent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.feedID, t.epoch, t.head, t.last, t.entries = e.FeedID, e.Epoch, e.Head, e.Head, nil
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tail) foreign(p page) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.FeedID != t.feedID || p.Epoch != t.epoch || p.Head < t.last
}

func (t *tail) position() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}
