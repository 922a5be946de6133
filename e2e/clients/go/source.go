package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	reportingv1 "lianhu-dispatch-example/contract/lianhu/reporting/v1"
)

// At most 200 updates a frame is the contract's limit; the bytes keep a frame far below its 8 MiB, so that a cut costs little.
const frameUpdates, frameBytes = 200, 1 << 20

// supersededMost is how often in a row another stream may take our place: two senders with one certificate would go on for ever.
const supersededMost = 3

// Source brings an outbox to the server.
type Source struct {
	Client       reportingv1.DispatchServiceClient
	Epoch        int64
	LongestPause time.Duration
	Outbox       *Outbox
	// Quarantined counts the numbers whose content was kept apart: durable, but somebody has to look.
	Quarantined int
}

// stream is one connection of a source.
type stream struct {
	greeted bool
	// sent is closed when everything was written and our side closed; ended well behind that, all of it is durable.
	sent chan struct{}
	gaps []*reportingv1.SequenceRange
}

// Push opens one stream after the other until all is durable. Its error is one that only a person can get over.
func (s *Source) Push(ctx context.Context) error {
	for failures, superseded := 0, 0; ; {
		one := &stream{sent: make(chan struct{})}
		err := s.stream(ctx, one)
		if err == nil && one.complete() {
			if len(one.gaps) > 0 {
				return fmt.Errorf("%s missing at the server and not in the file: send or void them", ranges(one.gaps))
			}
			return nil
		}
		reason := reasonOf(err)
		if reason != "" {
			err = fmt.Errorf("%s: %w", reason, err)
		}
		if final(err, reason) {
			return err
		}
		if superseded++; reason != "DISPATCH_STREAM_SUPERSEDED" {
			superseded = 0
		}
		if superseded >= supersededMost {
			return fmt.Errorf("%s: another sender uses the same certificate; find it, then push again", reason)
		}
		if one.greeted {
			failures = 0
		}
		pause := min(s.LongestPause, 250*time.Millisecond<<min(failures, 20))
		pause = pause/2 + rand.N(pause/2+1)
		failures++
		switch {
		case reason == "DRAINING" && one.greeted: // another server waits for us already
			fmt.Println("draining: again at once")
			continue
		case superseded > 0: // whoever comes back at once only throws the other one out
			pause = s.LongestPause
		}
		fmt.Printf("cut: %v; again in %s\n", err, pause.Round(time.Millisecond))
		time.Sleep(pause)
	}
}

// stream reads what the server says, from the Hello to the end; nil when it ended well. A goroutine of its own sends meanwhile: a source that
// leaves acknowledgements unread is cut off.
func (s *Source) stream(ctx context.Context, one *stream) error {
	// Without a purpose nobody could tell later why the call was made.
	ctx, hangUp := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "lianhu-purpose", "EMERGENCY_RESPONSE"))
	defer hangUp()
	wire, err := s.Client.PushIncidentUpdates(ctx)
	if err != nil {
		return err
	}
	for {
		said, err := wire.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch hello, ack := said.GetHello(), said.GetAck(); {
		case hello != nil && !one.greeted: // nothing was sent before: it may be durable already
			fmt.Printf("hello: epoch %d, durable through %d%s\n", hello.GetEpoch(), hello.GetDurableThrough(), missing(hello.GetGaps()))
			if hello.GetEpoch() > s.Epoch {
				return fmt.Errorf("the server counts by epoch %d, our numbers are of %d: %w", hello.GetEpoch(), s.Epoch, errEpochOver)
			}
			if hello.GetEpoch() == s.Epoch { // in a higher one everything has to be sent
				s.Outbox.Settle(hello.GetDurableThrough(), hello.GetGaps(), hello.GetGreatestSequence())
				one.gaps = hello.GetGaps()
			}
			one.greeted = true
			go send(wire, s.Epoch, s.Outbox.Items, one.sent)
		case ack != nil:
			fmt.Printf("ack: durable through %d%s\n", ack.GetDurableThrough(), missing(ack.GetGaps()))
			for _, q := range ack.GetQuarantined() { // said once: note it. A cause we do not know prints as its number
				fmt.Printf("quarantined: %d %s\n", q.GetSequence(), q.GetCause())
				s.Quarantined++
			}
			one.gaps = ack.GetGaps()
			s.Outbox.Settle(ack.GetDurableThrough(), ack.GetGaps(), ack.GetGreatestSequence())
		} // anything else is of a newer contract: overlook it
	}
}

func (one *stream) complete() bool {
	select {
	case <-one.sent:
		return true
	default:
		return false
	}
}

// send writes frames and closes our side. Send blocks while the server does not receive: that is the backpressure. Why a stream broke, its
// reading side is told.
func send(wire grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse], epoch int64, items []Item, sent chan<- struct{}) {
	for len(items) > 0 {
		var frame *reportingv1.PushIncidentUpdatesRequest
		frame, items = nextFrame(epoch, items)
		if wire.Send(frame) != nil {
			return
		}
	}
	if wire.CloseSend() == nil {
		close(sent)
	}
}

// nextFrame takes items off the front. A void ends its frame, so that no frame gives up too much.
func nextFrame(epoch int64, items []Item) (frame *reportingv1.PushIncidentUpdatesRequest, rest []Item) {
	frame = &reportingv1.PushIncidentUpdatesRequest{Epoch: epoch}
	for bytes := 0; len(items) > 0 && len(frame.Updates) < frameUpdates && bytes < frameBytes && len(frame.Voids) == 0; items = items[1:] {
		if void := items[0].Void; void != nil {
			frame.Voids = append(frame.Voids, void)
			continue
		}
		frame.Updates = append(frame.Updates, items[0].Update)
		bytes += proto.Size(items[0].Update)
	}
	return frame, items
}

var errEpochOver = errors.New("find out who began it")

// reasonOf reads google.rpc.ErrorInfo: the reason is stable for ever, the message is for people.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// final tells whether a new stream would be refused like this one.
func final(err error, reason string) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return true
	}
	return errors.Is(err, errEpochOver) || reason == "MESSAGE_TOO_LARGE"
}

func missing(gaps []*reportingv1.SequenceRange) string {
	if len(gaps) == 0 {
		return ""
	}
	return ", missing " + ranges(gaps)
}

func ranges(gaps []*reportingv1.SequenceRange) string {
	var list []string
	for _, gap := range gaps {
		list = append(list, fmt.Sprintf("%d-%d", gap.GetFrom(), gap.GetTo()))
	}
	return strings.Join(list, " ")
}
