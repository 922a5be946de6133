package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// How a pool makes connections. A database that comes back is met by every client it ever had, at once: whoever then gives up before the
// server has come to it, and dials again, takes the server's time from those who would have been let in. So a pool dials few connections
// at a time, is patient with each, and pauses after a failure, for a random time, so that processes do not come in step.
const (
	dialAtOnce = 2
	firstPause = 100 * time.Millisecond
	// longestPause keeps a process ready again within 10 s of its database: the longest pause and one connect.
	longestPause = 3 * time.Second
)

// errPausing is what a caller gets who needs a new connection while the pool pauses after a failure. It counts as IsConnection: whoever
// waited instead would only be told the same later.
var errPausing = errors.New("postgres: the database is away; the next try to connect comes after a pause")

// dialer bounds and paces the connects of one pool. It is the pool's tracer of connects, since a pool tells a failed one to nobody else.
type dialer struct {
	slots chan struct{}

	mu       sync.Mutex
	failures int
	until    time.Time
}

func newDialer() *dialer { return &dialer{slots: make(chan struct{}, dialAtOnce)} }

// before waits for a place to dial, or refuses at once while the pool pauses.
func (d *dialer) before(ctx context.Context, _ *pgx.ConnConfig) error {
	if d.pausing(time.Now()) {
		return errPausing
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	// Whoever waited behind a connect that failed pauses with it.
	if d.pausing(time.Now()) {
		<-d.slots
		return errPausing
	}
	return nil
}

func (d *dialer) pausing(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.until)
}

// TraceConnectStart does nothing: the place was taken by before, which alone may refuse.
func (d *dialer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd gives the place back and sets the pause that follows a failure.
func (d *dialer) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	<-d.slots
	d.mu.Lock()
	defer d.mu.Unlock()
	if data.Err == nil {
		d.failures, d.until = 0, time.Time{}
		return
	}
	d.failures++
	d.until = time.Now().Add(pause(d.failures))
}

// pause is between half and all of a time that doubles with each failure, up to longestPause.
func pause(failures int) time.Duration {
	longest := longestPause
	if shift := failures - 1; shift < 5 {
		longest = min(firstPause<<shift, longestPause)
	}
	return longest/2 + rand.N(longest/2+1)
}
