package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// A client that never reads is cut off after half a minute, through the gateway, whose buffers lie between; what it sent is stored, and another
// source does not notice.
func TestAClientThatNeverReadsIsCutOffBehindTheGateway(t *testing.T) {
	t.Parallel()
	s, home := prepare(t)
	run(t, s, func(ctx context.Context) error {
		other := pushing(t, home, s.GRPC)
		conn := dial(t, home, s.GRPC, "police", "dispatch")
		deaf, err := greeted(ctx, conn, 1)
		if err != nil {
			return err
		}
		var gapped []*reportingv1.IncidentUpdate
		for n := range int64(200) {
			gapped = append(gapped, said(2+2*n, "D-1", n+1, `{"summary":"one"}`))
		}
		sent := make(chan error, 1)
		go func() {
			err := deaf.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1, Updates: gapped})
			for err == nil { // each acknowledgement names a hundred gaps, and they fill the line
				err = deaf.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1})
			}
			sent <- err
		}()
		if err := closed(ctx, conn); err != nil {
			return err
		}
		if end := deaf.end(); status.Code(end) != codes.ResourceExhausted || infoOf(end).GetReason() != "DISPATCH_ACKS_UNREAD" {
			t.Errorf("ended with %v", end)
		}
		if err := <-sent; !errors.Is(err, io.EOF) {
			t.Errorf("sending ended with %v", err)
		}
		again, err := greeted(ctx, conn, 1)
		if err != nil {
			return err
		}
		if len(again.hello.GetGaps()) != 100 {
			t.Errorf("greeted with %d gaps", len(again.hello.GetGaps()))
		}
		return other.unharmed()
	})
}

// closed waits until the source of a connection has no stream open any more. It cannot learn of it by its stream, which it does not read.
func closed(ctx context.Context, conn grpc.ClientConnInterface) error {
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		mine, err := reportingv1.NewIntegrationServiceClient(conn).GetIntegration(ctx, &reportingv1.GetIntegrationRequest{})
		if err != nil || mine.GetIntegration().GetOpenStreams() == 0 {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// crowd is how many streams of one update are opened. docs/testing.md says what ten thousand take.
var crowd = flag.Int64("crowd", 2000, "streams of one update")

// Thousands of streams with one update each, four sources at a time: all is durable, nothing is left behind, and another source does not notice.
// It counts what the process holds, so no other test runs beside it.
func TestThousandsOfStreamsOfOneUpdate(t *testing.T) {
	s, home := prepare(t)
	const sources = 4
	each := *crowd / sources
	run(t, s, func(ctx context.Context) error {
		other := pushing(t, home, s.GRPC)
		var conns [sources]*grpc.ClientConn
		for i, who := range [sources]string{"police", "police/320411101000", "police/320411104000", "police/320411105000"} {
			conns[i] = dial(t, home, s.GRPC, who, "dispatch")
			if err := one(ctx, conns[i], 1); err != nil {
				return fmt.Errorf("%s: %w", who, err)
			}
		}
		routines, heap := runtime.NumGoroutine(), inUse()
		began := time.Now()
		var group errgroup.Group
		for _, conn := range conns {
			group.Go(func() error {
				for n := int64(2); n <= each; n++ {
					if err := one(ctx, conn, n); err != nil {
						return err
					}
				}
				return closed(ctx, conn)
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		t.Logf("%d streams in %s", sources*each, time.Since(began).Round(time.Millisecond))
		if now := runtime.NumGoroutine(); now > routines+100 {
			t.Errorf("%d goroutines before, %d afterwards", routines, now)
		}
		if now := inUse(); now > heap+64<<20 {
			t.Errorf("%d MiB in use before, %d afterwards", heap>>20, now>>20)
		}
		return other.unharmed()
	})
}

// one opens a stream, sends one update and reads to its end. Each connection tells of incidents of its own: they belong to who told of them first.
func one(ctx context.Context, conn grpc.ClientConnInterface, n int64) error {
	s, err := greeted(ctx, conn, 1)
	if err != nil {
		return err
	}
	if s.hello.GetDurableThrough() != n-1 {
		return fmt.Errorf("stream %d was greeted with %v", n, s.hello)
	}
	if err := errors.Join(s.send(said(n, fmt.Sprintf("T%p-%d", conn, n%100), n, `{"summary":"one"}`)), s.CloseSend(), s.end()); err != nil {
		return fmt.Errorf("stream %d: %w", n, err)
	}
	if s.durable != n || len(s.apart) > 0 {
		return fmt.Errorf("stream %d: durable through %d, quarantined %v", n, s.durable, s.apart)
	}
	return nil
}

// inUse is the memory in use once garbage is gone.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
