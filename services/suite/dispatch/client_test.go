package dispatch

import (
	"context"
	"errors"
	"iter"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/client"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

type wire = grpc.BidiStreamingServer[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]

// desk is a server whose streams a test plays, numbered from 1.
type desk struct {
	reportingv1.UnimplementedDispatchServiceServer
	play    func(n int32, w wire) error
	streams atomic.Int32
}

func (d *desk) PushIncidentUpdates(w wire) error { return d.play(d.streams.Add(1), w) }

// serve starts a desk and gives a client of it; trust between the two is another test's matter.
func serve(t *testing.T, play func(n int32, w wire) error) (*Client, *desk) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, server := &desk{play: play}, grpc.NewServer()
	reportingv1.RegisterDispatchServiceServer(server, d)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Client{Conn: conn, Frame: 2}, d
}

func greet(w wire, hello *reportingv1.Hello) error {
	return w.Send(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Hello{Hello: hello}})
}

func acknowledge(w wire, ack *reportingv1.Ack) error {
	return w.Send(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Ack{Ack: ack}})
}

func refusal(code codes.Code, reason string, metadata map[string]string) error {
	s, err := status.New(code, "refused").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "lianhu", Metadata: metadata})
	if err != nil {
		return err
	}
	return s.Err()
}

// one to ten.
func ten(_ context.Context, above int64) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		for n := above + 1; n <= 10; n++ {
			if !yield(&Item{Update: &reportingv1.IncidentUpdate{Sequence: n}}, nil) {
				return
			}
		}
	}
}

// all reads frames to the end of the client's side.
func all(w wire) (numbers []int64) {
	for {
		f, err := w.Recv()
		if err != nil {
			return numbers
		}
		for _, u := range f.GetUpdates() {
			numbers = append(numbers, u.GetSequence())
		}
	}
}

func TestOnlyWhatTheHelloMissesIsSent(t *testing.T) {
	t.Parallel()
	var got []int64
	c, _ := serve(t, func(_ int32, w wire) error {
		err := greet(w, &reportingv1.Hello{Epoch: 4, DurableThrough: 2, Gaps: []*reportingv1.SequenceRange{{From: 3, To: 3}, {From: 6, To: 7}}})
		got = all(w)
		return errors.Join(err, acknowledge(w, &reportingv1.Ack{DurableThrough: 10, Quarantined: []*reportingv1.Quarantined{{Sequence: 7, Cause: reportingv1.Quarantined_CAUSE_RULE_BROKEN}}}))
	})
	r, err := c.Push(t.Context(), ten)
	if err != nil {
		t.Fatal(err)
	}
	want := []int64{3, 6, 7, 8, 9, 10}
	if len(got) != len(want) {
		t.Fatalf("sent %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("sent %v", got)
		}
	}
	if r.Epoch != 4 || r.Before != 2 || r.DurableThrough != 10 || r.Quarantined[7] != reportingv1.Quarantined_CAUSE_RULE_BROKEN {
		t.Errorf("ended with %+v", r)
	}
}

// A newer server may say things we do not know, and draining is answered at once.
func TestDrainingIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, func(n int32, w wire) error {
		err := errors.Join(w.Send(&reportingv1.PushIncidentUpdatesResponse{}), greet(w, &reportingv1.Hello{Epoch: 1}), w.Send(&reportingv1.PushIncidentUpdatesResponse{}))
		if n == 1 {
			return errors.Join(err, refusal(codes.Unavailable, "DRAINING", nil))
		}
		all(w)
		return errors.Join(err, acknowledge(w, &reportingv1.Ack{DurableThrough: 10}))
	})
	waits := []time.Duration{}
	c.Told = func(e Event) {
		if e.Cut != nil {
			waits = append(waits, e.Wait)
		}
	}
	if r, err := c.Push(t.Context(), ten); err != nil || r.DurableThrough != 10 || r.Connections != 2 || len(waits) != 1 || waits[0] != 0 {
		t.Errorf("ended with %+v, %v; waited %v", r, err, waits)
	}
}

func TestWhatTheServerRefusesIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for reason, tc := range map[string]struct {
		code    codes.Code
		streams int32
		advice  string
	}{
		"DISPATCH_EPOCH_STALE":       {codes.FailedPrecondition, 1, "epoch 7 now"},
		"FIELD_INVALID":              {codes.InvalidArgument, 1, "correct the field"},
		"PERMISSION_DENIED":          {codes.PermissionDenied, 1, "may not push"},
		"DISPATCH_STREAM_SUPERSEDED": {codes.Aborted, 1, "another sender uses the same certificate"},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			c, d := serve(t, func(_ int32, w wire) error {
				return errors.Join(greet(w, &reportingv1.Hello{Epoch: 1}), refusal(tc.code, reason, map[string]string{"present": "7"}))
			})
			_, err := c.Push(t.Context(), ten)
			if client.Refusal(err).GetReason() != reason || !strings.Contains(Advise(err), tc.advice) || d.streams.Load() != tc.streams {
				t.Errorf("after %d streams %v; %s", d.streams.Load(), err, Advise(err))
			}
		})
	}
}

func TestAnOldEpochIsNotPushed(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, func(_ int32, w wire) error {
		err := greet(w, &reportingv1.Hello{Epoch: 5, DurableThrough: 3})
		if sent := all(w); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
		return err
	})
	c.Epoch = 4
	_, err := c.Push(t.Context(), ten)
	if stale := (*StaleEpoch)(nil); !errors.As(err, &stale) || stale.Present != 5 || !strings.Contains(Advise(err), "with epoch 6") {
		t.Errorf("ended with %v; %s", err, Advise(err))
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	c, d := serve(t, func(int32, wire) error { return status.Error(codes.Unavailable, "away") })
	c.GiveUpAfter = 500 * time.Millisecond
	if _, err := c.Push(t.Context(), ten); err == nil || !strings.Contains(err.Error(), "has said nothing for") || !strings.Contains(Advise(err), "push again") || d.streams.Load() < 2 {
		t.Errorf("after %d streams %v; %s", d.streams.Load(), err, Advise(err))
	}
}

// What takes a stream and says nothing is no gateway: it is left in time, and the time to give up counts.
func TestAServerThatNeverGreetsIsGivenUp(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, func(_ int32, w wire) error {
		<-w.Context().Done()
		return w.Context().Err()
	})
	c.GiveUpAfter = 300 * time.Millisecond
	if _, err := c.Push(t.Context(), ten); err == nil || !strings.Contains(err.Error(), "not greeted") || !strings.Contains(Advise(err), "gRPC port") {
		t.Errorf("%v; %s", err, Advise(err))
	}
}

// Voids are sent in pieces that fit into a frame.
func TestAWideVoidIsSentInPieces(t *testing.T) {
	t.Parallel()
	frames, total := 0, int64(0)
	c, _ := serve(t, func(_ int32, w wire) error {
		err := greet(w, &reportingv1.Hello{Epoch: 1})
		for {
			f, end := w.Recv()
			if end != nil {
				return errors.Join(err, acknowledge(w, &reportingv1.Ack{DurableThrough: 25_000}))
			}
			frames++
			in := int64(0)
			for _, v := range f.GetVoids() {
				in += v.GetTo() - v.GetFrom() + 1
			}
			if total += in; in > 10_000 {
				t.Errorf("a frame gives up %d numbers", in)
			}
		}
	})
	_, err := c.Push(t.Context(), func(context.Context, int64) iter.Seq2[*Item, error] {
		return func(yield func(*Item, error) bool) {
			_ = yield(&Item{Void: &reportingv1.Void{From: 1, To: 25_000, Reason: "moved"}}, nil)
		}
	})
	if err != nil || frames != 3 || total != 25_000 {
		t.Errorf("%d frames gave up %d numbers: %v", frames, total, err)
	}
}
