package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// wire is a line between a client and the gateway that can be cut. It carries bytes: TLS ends where it always ends.
type wire struct {
	listener net.Listener
	targets  []string

	mu    sync.Mutex
	taken int
	open  map[net.Conn]struct{}
}

// stretch opens a wire to the targets, which its connections take in turn. It lasts until ctx is done.
func stretch(ctx context.Context, targets []string) (*wire, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l, targets: targets, open: map[net.Conn]struct{}{}}
	context.AfterFunc(ctx, func() {
		_ = l.Close() // nobody listens any more
		w.cut()
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // closed
			}
			go w.carry(near)
		}
	}()
	return w, nil
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) carry(near net.Conn) {
	w.mu.Lock()
	target := w.targets[w.taken%len(w.targets)]
	w.taken++
	w.mu.Unlock()
	far, err := net.Dial("tcp", target)
	if err != nil {
		_ = near.Close() // as if nobody were there
		return
	}
	for _, c := range []net.Conn{near, far} {
		w.mu.Lock()
		w.open[c] = struct{}{}
		w.mu.Unlock()
	}
	var both sync.WaitGroup
	for to, from := range map[net.Conn]net.Conn{near: far, far: near} {
		both.Go(func() {
			_, _ = io.Copy(to, from) // ends with either side
			_ = errors.Join(near.Close(), far.Close())
		})
	}
	both.Wait()
	w.mu.Lock()
	delete(w.open, near)
	delete(w.open, far)
	w.mu.Unlock()
}

// cut resets every connection in mid-message.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset and no goodbye
		}
		_ = c.Close() // it may have ended by itself
	}
}
