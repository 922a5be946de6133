package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/pgtest"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// line is the way to the database, which can be cut.
type line struct {
	mu sync.Mutex
	// unanswered commits still reach the database, and their answer nobody; unsent ones do not.
	unanswered, unsent int
	away               bool
	conns              []net.Conn
}

var errCut = errors.New("the line is cut")

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return nil, errors.Join(&net.OpError{Op: "dial", Err: errCut}, conn.Close())
	}
	l.conns = append(l.conns, conn)
	return &cutAtCommit{conn, l}, nil
}

// cut ends all connections, and no new one is made until the line is there again.
func (l *line) cut(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away = away; away {
		for _, conn := range l.conns {
			_ = conn.Close()
		}
		l.conns = nil
	}
}

type cutAtCommit struct {
	net.Conn
	line *line
}

// Write implements net.Conn.
func (c *cutAtCommit) Write(b []byte) (int, error) {
	if !bytes.Contains(b, []byte("commit\x00")) {
		return c.Conn.Write(b)
	}
	c.line.mu.Lock()
	defer c.line.mu.Unlock()
	switch {
	case c.line.unsent > 0:
		c.line.unsent--
		return 0, errors.Join(errCut, c.Close())
	case c.line.unanswered > 0:
		c.line.unanswered--
		n, err := c.Conn.Write(b)
		if err == nil {
			_, err = c.Read(make([]byte, 4096)) // it is committed
		}
		return n, errors.Join(err, c.Close())
	}
	return c.Conn.Write(b)
}

// newHouseBehind is a house whose service reaches its database over a line that can be cut.
func newHouseBehind(t *testing.T, l *line) *house {
	t.Helper()
	h := newHouse(t)
	config, err := pgxpool.ParseConfig(h.database.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DialFunc = l.dial
	if h.engine.DB, err = pgxpool.NewWithConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.engine.DB.Close)
	return h
}

// The database dies with a commit under way, before or behind it. The service cannot know which, and need not: what it then acknowledges is
// stored once.
func TestACommitWithoutAnAnswerIsNeitherLostNorDoubled(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*line{"committed": {unanswered: 1}, "not committed": {unsent: 1}, "several": {unanswered: 1, unsent: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouseBehind(t, l)
			link, _ := h.connect()
			link.send(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village}), h.update(2, "J2", 1, &reportingv1.IncidentContent{Division: "short"}))
			_, apart := link.until(through(2))
			if len(apart) != 1 || apart[2] != reportingv1.Quarantined_CAUSE_RULE_BROKEN {
				t.Errorf("quarantined %v", apart)
			}
			if l.unanswered+l.unsent != 0 {
				t.Error("no commit was cut: the test proves nothing")
			}
			var updates, kept int
			must(t, func() error {
				return h.db.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM dispatch_update), (SELECT count(*) FROM quarantined_update)").Scan(&updates, &kept)
			})
			if version := h.incident("J1").GetStanding().GetVersion(); updates != 2 || kept != 1 || version != 1 {
				t.Errorf("%d updates and %d quarantined are stored, the incident was written %d times", updates, kept, version)
			}
			h.wantPromises()
		})
	}
}

// The database is away longer than a stream waits: the stream ends and says so, and the Hello of the next one names what is durable.
func TestAStreamEndsWhenTheDatabaseStaysAway(t *testing.T) {
	t.Parallel()
	l := &line{}
	h := newHouseBehind(t, l)
	h.outage = time.Second
	there := h.elsewhere()
	content := &reportingv1.IncidentContent{Division: village}
	link, _ := h.connectTo(there)
	link.send(1, h.update(1, "J1", 1, content))
	link.until(through(1))
	l.cut(true)
	link.send(1, h.update(2, "J1", 2, content))
	if r := refusalOf(t, link.end()); r.reason != "UNAVAILABLE" {
		t.Errorf("ended with %+v", r)
	}
	wire, err := there.PushIncidentUpdates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Recv(); refusalOf(t, err).reason != "UNAVAILABLE" {
		t.Errorf("opened while the database is away: %v", err)
	}
	l.cut(false)
	again, greeting := h.connectTo(there)
	if greeting.GetDurableThrough() != 1 {
		t.Errorf("greeted with %v", greeting)
	}
	again.send(1, h.update(2, "J1", 2, content))
	again.until(through(2))
	h.wantPromises()
}

// Server processes of the database are killed again and again while a source pushes on one stream: it is told of nothing, and each update counts once.
func TestAStreamSurvivesThatServerProcessesAreKilled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	admin, err := pgx.Connect(t.Context(), pgtest.Server(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()
	l, _ := h.connect()
	const frames, each = 40, 5
	for f := range int64(frames) {
		var updates []*reportingv1.IncidentUpdate
		for n := f*each + 1; n <= f*each+each; n++ {
			updates = append(updates, h.update(n, fmt.Sprintf("J%d", n%7), n, &reportingv1.IncidentContent{Division: village}))
		}
		l.send(1, updates...)
		if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = 'lianhu_test_app'", h.database.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, apart := l.until(through(frames * each)); len(apart) != 0 {
		t.Errorf("quarantined %v", apart)
	}
	h.db.Reset() // of connections whose server process is gone
	counts := h.integration(t.Context(), "police:dispatch").GetCounts()
	if counts.GetUpdates() != frames*each || counts.GetStreams() != 1 {
		t.Errorf("counted %v", counts)
	}
	h.wantPromises()
}
