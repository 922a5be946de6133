package gateway_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

const (
	read = reportingv1.ReportingReadService_GetReport_FullMethodName
	// watch stands for any stream: the gateway does not look which side of it speaks.
	watch = reportingv1.ReportingFeedService_Subscribe_FullMethodName
)

var bothWays = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

func open(ctx context.Context, t *testing.T, c *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	stream, err := c.NewStream(ctx, bothWays, watch)
	ok(t, err)
	return stream
}

func TestAStreamCarriesMessagesBothWays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": func(_ string, s grpc.ServerStream) error {
		for {
			var message []byte
			switch err := s.RecvMsg(&message); {
			case errors.Is(err, io.EOF): // the caller has closed its side and still listens
				last := []byte("last")
				return s.SendMsg(&last)
			case err != nil:
				return err
			}
			if err := s.SendMsg(&message); err != nil {
				return err
			}
		}
	}})
	s := open(t.Context(), t, h.unit(t, township))
	var got []byte
	for _, text := range []string{"one", "", "three"} {
		sent := []byte(text)
		ok(t, s.SendMsg(&sent))
		ok(t, s.RecvMsg(&got)) // each is answered before the next is sent: nothing waits for a full buffer
		if string(got) != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	ok(t, s.CloseSend())
	ok(t, s.RecvMsg(&got))
	if err := s.RecvMsg(&got); string(got) != "last" || !errors.Is(err, io.EOF) {
		t.Errorf("%q, %v after the caller closed its side", got, err)
	}
}

// The end of a call travels to whoever does not know of it yet.
func TestTheEndOfAStreamTravels(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	h := newHouse(t, map[string]behind{
		"reporting": func(_ string, s grpc.ServerStream) error {
			begun <- struct{}{}
			<-s.Context().Done()
			ended <- s.Context().Err()
			return nil
		},
		"referral": func(string, grpc.ServerStream) error { return status.Error(codes.FailedPrecondition, "over") },
	})
	c := h.unit(t, township)
	ctx, cancel := context.WithCancel(t.Context())
	open(ctx, t, c)
	wait(t, begun, "the stream")
	cancel()
	if err := wait(t, ended, "the end of the caller at the service"); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller's end reached the service as %v", err)
	}

	other, err := c.NewStream(t.Context(), bothWays, "/lianhu.referral.v1.ReferralFeedService/Subscribe")
	ok(t, err)
	var got []byte
	if err := other.RecvMsg(&got); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("the end of the service reached the caller as %v", err)
	}
}

const (
	piece  = 64 << 10
	pieces = 1024
	// ahead is how many pieces may lie between a sender and a reader who does not read: windows and buffers of two connections.
	ahead = 256
)

// pump sends pieces until an end of the stream and tells each that went off.
func pump(send func(m any) error, gone *atomic.Int64, moved chan<- struct{}) error {
	content := make([]byte, piece)
	for range pieces {
		if err := send(&content); err != nil {
			return err
		}
		gone.Add(1)
		select {
		case moved <- struct{}{}:
		default:
		}
	}
	return nil
}

// stalled waits until a sender stands still or has sent more than may be on the way. A slow machine may look like standing still; that lets
// a fault pass now and then, and never fails a gateway that is in order.
func stalled(t *testing.T, gone *atomic.Int64, moved <-chan struct{}) {
	t.Helper()
	for gone.Load() <= ahead {
		quiet := time.NewTimer(500 * time.Millisecond)
		select {
		case <-moved:
			quiet.Stop()
		case <-quiet.C:
			return
		}
	}
	t.Errorf("%d pieces were sent to a reader who does not read", gone.Load())
}

// A caller who does not read stops the service, instead of filling the gateway, and nobody else's calls.
func TestASlowCallerStopsTheService(t *testing.T) {
	t.Parallel()
	var gone atomic.Int64
	moved := make(chan struct{}, 1)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		if method == read {
			return empty(method, s)
		}
		return pump(s.SendMsg, &gone, moved)
	}})
	c := h.unit(t, township)
	s := open(t.Context(), t, c)
	stalled(t, &gone, moved)
	request, answer := []byte{}, []byte{}
	if err := c.Invoke(t.Context(), read, &request, &answer); err != nil {
		t.Errorf("a short call beside it: %v", err)
	}
	for range pieces { // all of it, so the service went on
		ok(t, s.RecvMsg(&answer))
	}
}

// A service that does not read stops the caller.
func TestASlowServiceStopsTheCaller(t *testing.T) {
	t.Parallel()
	goOn, got := make(chan struct{}), make(chan int, 1)
	h := newHouse(t, map[string]behind{"reporting": func(_ string, s grpc.ServerStream) error {
		<-goOn
		n := 0
		for message := []byte(nil); s.RecvMsg(&message) == nil; n++ {
		}
		got <- n
		return nil
	}})
	s := open(t.Context(), t, h.unit(t, township))
	var gone atomic.Int64
	moved, sent := make(chan struct{}, 1), make(chan error, 1)
	go func() { sent <- errors.Join(pump(s.SendMsg, &gone, moved), s.CloseSend()) }()
	stalled(t, &gone, moved)
	close(goOn)
	ok(t, wait(t, sent, "the end of sending"))
	if n := wait(t, got, "the service's count"); n != pieces {
		t.Errorf("%d of %d pieces arrived", n, pieces)
	}
}

// One connection may have 256 calls open; the next one waits at its caller for one of them to end.
func TestAConnectionHasSoManyStreams(t *testing.T) {
	t.Parallel()
	const streams = 256
	begun := make(chan struct{}, streams)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		if method == read {
			return empty(method, s)
		}
		begun <- struct{}{}
		<-s.Context().Done()
		return nil
	}})
	c := h.unit(t, township)
	first, leave := context.WithCancel(t.Context())
	open(first, t, c)
	for range streams - 1 {
		open(t.Context(), t, c)
	}
	for range streams {
		wait(t, begun, "a stream")
	}
	request, answer := []byte{}, []byte{}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Invoke(short, read, &request, &answer); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("one more: %v", err)
	}
	if err := h.unit(t, township).Invoke(t.Context(), read, &request, &answer); err != nil {
		t.Errorf("another connection: %v", err)
	}
	leave()
	if err := c.Invoke(t.Context(), read, &request, &answer); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}
