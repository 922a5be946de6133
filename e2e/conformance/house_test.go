// Package conformance holds both sides of the dispatch protocol against each other: our client and wrong ones against the instrument, the
// partner's part against the suite behind its gateway.
package conformance

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/services/suite"
)

const root = "../.."

// folder is one that PostgreSQL's own user may enter, unlike t.TempDir.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lianhu-conformance-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// prepare makes a suite in a home of its own, on a PostgreSQL server of its own.
func prepare(t *testing.T) (*suite.Suite, suite.Home) {
	t.Helper()
	home, err := suite.OpenHome(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := suite.Prepare(t.Context(), suite.Options{
		Home: home, DistrictDir: filepath.Join(root, "districts", "xinbei"), GRPC: "127.0.0.1:0", JSON: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, home
}

// run serves the suite while the test does something with it.
func run(t *testing.T, s *suite.Suite, do func(ctx context.Context) error) {
	t.Helper()
	err := s.Run(t.Context(), func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		return suite.Stop()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func source(t *testing.T, files identity.Files) *identity.Source {
	t.Helper()
	s, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// gatewayIdentity is who answers in the development authority's domain.
func gatewayIdentity() identity.Identity { return identity.OfService(suite.TrustDomain, "gateway") }

// cutter passes connections on to an address and cuts each one after some bytes of its caller, in the middle of whatever is being said, as
// often as it has cuts left.
type cutter struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	after    []int64
	made     int
}

func newCutter(t *testing.T, to string, after ...int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, to: to, after: after}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.pass(in) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return c
}

// cuts counts the connections that were cut.
func (c *cutter) cuts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made
}

func (c *cutter) pass(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	c.mu.Lock()
	left := int64(-1)
	if len(c.after) > 0 {
		left, c.after = c.after[0], c.after[1:]
	}
	c.mu.Unlock()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = copyBytes(in, out, -1)
		_ = in.Close()
	}()
	if full, _ := copyBytes(out, in, left); full {
		c.mu.Lock()
		c.made++
		c.mu.Unlock()
		_ = in.(*net.TCPConn).SetLinger(0) // a reset, as when a line breaks
	}
	_ = in.Close()
	_ = out.Close()
	<-answered
}

// copyBytes copies until an end or, when most is not negative, that many bytes.
func copyBytes(to, from net.Conn, most int64) (full bool, err error) {
	buffer := make([]byte, 4096)
	for most != 0 {
		b := buffer
		if most > 0 {
			b = buffer[:min(most, int64(len(buffer)))]
		}
		n, err := from.Read(b)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return false, err
			}
		}
		if err != nil {
			return false, err
		}
		if most > 0 {
			most -= int64(n)
		}
	}
	return true, nil
}

// line of a file to push: one more version of one of seven incidents.
func line(n int) string {
	return fmt.Sprintf(`{"sequence":%d,"incident_number":"C%d","incident_version":%d,"source_time":"2026-03-02T08:%02d:%02d+08:00","payload":{"summary":"update %d"}}`+"\n",
		n, n%7, n, n/60%60, n%60, n)
}
