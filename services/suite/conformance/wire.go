package conformance

import (
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// cutWithin is when a connection is cut although its other side said nothing more that it could be cut in.
const cutWithin = 500 * time.Millisecond

// errCut is what reading from and writing to a connection that was cut answers.
var errCut = errors.New("the connection was cut")

// cuttable is a connection that can be cut in the middle of what passes over it.
type cuttable struct {
	net.Conn
	mu sync.Mutex
	// read and written are how many bytes may still pass; negative for any number.
	read, written int
}

// uncut wraps a connection that is to live until somebody says otherwise.
func uncut(conn net.Conn) *cuttable { return &cuttable{Conn: conn, read: -1, written: -1} }

// Read implements net.Conn.
func (c *cuttable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read >= 0 {
		if n = min(n, c.read); n == c.read {
			c.reset()
			return n, errors.Join(err, errCut)
		}
		c.read -= n
	}
	return n, err
}

// Write implements net.Conn.
func (c *cuttable) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written < 0 || len(b) < c.written {
		if c.written > 0 {
			c.written -= len(b)
		}
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:c.written])
	c.written = 0
	_ = c.Conn.Close()
	return n, errCut
}

// cutReading resets the connection when a few more bytes were read, or soon.
func (c *cuttable) cutReading(bytes int) {
	c.mu.Lock()
	c.read = bytes
	c.mu.Unlock()
	time.AfterFunc(cutWithin, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reset()
	})
}

// cutWriting closes the connection when so many more bytes were written.
func (c *cuttable) cutWriting(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = bytes
}

// reset ends a connection without a farewell.
func (c *cuttable) reset() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // a connection that is gone already needs no reset
	}
	_ = c.Conn.Close()
}

// listener remembers its connections by their far end.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns map[string]*cuttable
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := uncut(conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn.RemoteAddr().String()] = c
	return c, nil
}

func (l *listener) from(address string) *cuttable {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[address]
}

// refuse makes the status that a server of the suite would answer.
func refuse(code codes.Code, reason, message string, keyValues ...string) error {
	detail := &errdetails.ErrorInfo{Reason: reason, Domain: "lianhu", Metadata: map[string]string{}}
	for i := 1; i < len(keyValues); i += 2 {
		detail.Metadata[keyValues[i-1]] = keyValues[i]
	}
	s, err := status.New(code, message).WithDetails(detail)
	if err != nil {
		return status.Error(code, message)
	}
	return s.Err()
}
