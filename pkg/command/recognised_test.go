package command_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// deaf connections lose the answer to the first statement after arm, which the server has carried out.
type deaf struct {
	net.Conn
	armed *atomic.Bool
}

func (c deaf) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.armed.CompareAndSwap(true, false) {
		_ = c.Close() // the test is about what follows from it
		return 0, io.EOF
	}
	return n, err
}

// A call that is recognised has no row that tells whether it took effect before its connection broke: tried again under the same id it would
// leave two effects of one request.
func TestARecognisedCallWhoseOutcomeIsUnknownIsLeftToTheCaller(t *testing.T) {
	t.Parallel()
	d := newDesk(t, pgtest.Database(t, specimen.Migrations()))
	opened := d.mustOpen(t, "N-1")
	armed := &atomic.Bool{}
	config := d.DB.Config()
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // one answer for each statement, none for its preparation
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return deaf{conn, armed}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	engine := *d.Engine
	engine.DB = pool
	for _, recognised := range []bool{true, false} {
		request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: opened.GetStanding().GetId()}
		once := call("court", "count", request)
		once.Recognised = recognised
		tries := 0
		_, err := command.Update(t.Context(), &engine, once, d.tickets, request.GetId(), func(c *command.Change, m *specimenv1.Ticket) error {
			m.Count++
			c.Happened("counted")
			if tries++; tries == 1 {
				armed.Store(true)
			}
			return nil
		}, answer)
		if recognised != fault.Is(err, faultv1.Reason_REASON_UNAVAILABLE) || recognised == (err == nil) {
			t.Errorf("recognised %v: the answer is %v after %d tries", recognised, err, tries)
		}
	}
	// The server writes what it has read before it sees that nobody listens; a lock on the row waits for it.
	var version int64
	var most int
	if err := d.DB.QueryRow(t.Context(), "SELECT version FROM ticket WHERE id = $1::uuid FOR UPDATE", opened.GetStanding().GetId()).Scan(&version); err != nil {
		t.Fatal(err)
	}
	if err := d.DB.QueryRow(t.Context(), "SELECT max(n) FROM (SELECT count(*) AS n FROM audit GROUP BY request_id) a").Scan(&most); err != nil {
		t.Fatal(err)
	}
	if version != 3 || most != 1 {
		t.Errorf("version %d with %d effects of one request, want 3 and 1", version, most)
	}
}
