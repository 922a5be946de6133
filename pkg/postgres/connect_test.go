package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	neturl "net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/postgres"
)

// door stands before the real server. While it is shut it refuses as a server that is starting does; it counts who comes.
type door struct {
	address       string
	shut          atomic.Bool
	came          atomic.Int64
	inside, most  int
	mu            sync.Mutex
	serverAddress string
}

func newDoor(t *testing.T, server string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d := &door{address: l.Addr().String(), serverAddress: server}
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			d.came.Add(1)
			go d.admit(conn)
		}
	}()
	return d
}

func (d *door) admit(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if d.shut.Load() {
		d.enter(1)
		defer d.enter(-1)
		backend := pgproto3.NewBackend(conn, conn)
		if _, err := backend.ReceiveStartupMessage(); err == nil {
			backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"})
			_ = backend.Flush() // the client sees what became of it
		}
		return
	}
	server, err := net.Dial("tcp", d.serverAddress)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(server, conn); _ = server.Close() }()
	_, _ = io.Copy(conn, server)
}

func (d *door) enter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside += n
	d.most = max(d.most, d.inside)
}

// through is the URL of the real server as seen through the door.
func through(t *testing.T, d *door, server string) string {
	t.Helper()
	u, err := neturl.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = d.address
	return u.String()
}

// A server that comes back must not be kept busy refusing those who cannot wait: many callers share few connects, a failure is followed by a
// pause in which everybody is told at once, and the server is found again within seconds.
func TestManyCallersOfADatabaseThatIsAwayDialRarely(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t)
	u, err := neturl.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, u.Host)
	d.shut.Store(true)
	pool, err := postgres.Open(t.Context(), through(t, d, server), postgres.Options{Application: "test", MaxConns: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var callers sync.WaitGroup
	var refused atomic.Int64
	for range 200 {
		callers.Go(func() {
			if err := pool.Ping(t.Context()); postgres.IsConnection(err) {
				refused.Add(1)
			}
		})
	}
	callers.Wait()
	if refused.Load() != 200 {
		t.Errorf("%d of 200 callers were told that the database is away", refused.Load())
	}
	// Each pause is 50 ms or more, and a caller that waited for a place pauses with whoever failed before it.
	if came := d.came.Load(); came > 40 {
		t.Errorf("200 callers dialled %d times", came)
	}
	if d.most > 2 {
		t.Errorf("%d connects at once", d.most)
	}
	d.shut.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for again := time.NewTicker(20 * time.Millisecond); pool.Ping(ctx) != nil; {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("not found again within ten seconds")
		}
	}
}

// A password or a row that travels in clear text is a leak nobody sees.
func TestRequireTLSRefusesWhatMayGoWithout(t *testing.T) {
	t.Parallel()
	for given, refused := range map[string]bool{
		"postgres://u:secret@db.example:5432/x":                     true, // prefer: tries without TLS as well
		"postgres://u:secret@db.example:5432/x?sslmode=disable":     true,
		"postgres://u:secret@db.example:5432/x?sslmode=allow":       true,
		"postgres://u:secret@db.example:5432/x?sslmode=require":     false,
		"postgres://u:secret@a.example,b.example/x?sslmode=require": false,
		"postgres://u:secret@127.0.0.1:5432/x?sslmode=disable":      false, // no network reaches it
		"postgres://u:secret@/x?host=/run/postgresql":               false,
	} {
		pool, err := postgres.Open(t.Context(), given, postgres.Options{RequireTLS: true})
		if err == nil {
			pool.Close()
		}
		if (err != nil) != refused {
			t.Errorf("%s: refused %v, want %v (%v)", given, err != nil, refused, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the refusal tells the password: %v", err)
		}
		var unwrapped interface{ Unwrap() error }
		if errors.As(err, &unwrapped) {
			t.Errorf("the refusal carries what pgx said: %v", err)
		}
	}
}
