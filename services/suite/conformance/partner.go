package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that junk wraps
	"google.golang.org/grpc/mem"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// partnerChecks are what a server has to stand.
var partnerChecks = []partnerCheck{
	{"hello", "The server speaks first and says where the source stands.", hello,
		"a Hello before anything was sent, and the same position from GetDispatchPosition", playHello},
	{"ack", "What is durable is acknowledged, cumulatively.", acked, "acknowledgements through the last number, and a good end after the client's", playAck},
	{"duplicate", "The same number with the same content has one effect and the same answer.", numbers, "the same acknowledgement, nothing in quarantine", playDuplicate},
	{"disorder", "Numbers may come in any order.", numbers, "everything is durable once the last is there", playDisorder},
	{"gap", "A gap is named until it is filled.", gaps, "acknowledgements that name the missing numbers, and none behind them once they came", playGapFilled},
	{"void", "Numbers that were given up count; an update that comes under one is kept apart.", gaps, "durable behind the voided numbers; quarantine for VOIDED", playVoid},
	{"reuse", "Other content under a number is quarantined, and the stream goes on.", numbers, "quarantine for CONFLICT, and the next number acknowledged", playReuse},
	{"poison", "Content that cannot be used is quarantined under its number and holds up nothing.", acked, "quarantine for UNDECODABLE, and the next number acknowledged", playPoison},
	{"epoch", "A higher epoch begins at 1; a lower one is refused.", numbers, "acknowledged from 1 in the new epoch; DISPATCH_EPOCH_STALE for the old one", playNewEpoch},
	{"bounds", "Numbers outside their range are refused with a reason, and nothing changes.", numbers, "FIELD_INVALID for 0, DISPATCH_SEQUENCE_AHEAD far above", playBounds},
	{"unreadable", "A frame that is no message ends the stream and says behind which number.", numbers, "DISPATCH_FRAME_UNREADABLE; what came before it is stored", playUnreadable},
	{"skew", "Fields that the server does not know are kept and not refused.", hello, "no quarantine; the same content again is the same, without the field it is not", playNewerClient},
	{"cut", "After a cut the Hello tells what is durable; what is sent again has one effect.", cut, "nothing acknowledged is lost, everything durable, nothing in quarantine", playCutOff},
	{"half-message", "A message that was cut in its middle never happened.", cut, "its number is not durable, and is taken when it comes whole", playHalfMessage},
	{"half-stream", "Streams that are opened and left cost nobody anything.", cut, "a stream behind them is greeted and served", playHalfStreams},
	{"newest", "A newer stream of a source takes the place of the older with its first frame.", cut, "acknowledgements on the older until then, DISPATCH_STREAM_SUPERSEDED afterwards", playNewest},
	{"slow-reader", "A client that reads late is told everything.", acked, "acknowledgements that never go back, and the last one complete", playSlowReader},
	{"batch", "The unary twin is the same protocol.", numbers, "numbers of either are known to the other", playBatch},
	{"draining", "A server that stops says so.", drain, "the stream ends with UNAVAILABLE, reason DRAINING, and the next one is greeted", playDraining},
}

// on plays on one stream and hangs up.
func on(ctx context.Context, p *partner, play func(*link) error) error {
	l, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer l.hangUp()
	return play(l)
}

func playHello(ctx context.Context, p *partner) (string, error) {
	position, err := p.client.GetDispatchPosition(ctx, &reportingv1.GetDispatchPositionRequest{})
	if err != nil {
		return "", err
	}
	err = on(ctx, p, func(l *link) error {
		if l.hello.GetEpoch() != position.GetHello().GetEpoch() || l.hello.GetDurableThrough() != position.GetHello().GetDurableThrough() {
			return fmt.Errorf("the Hello says %v, GetDispatchPosition %v", l.hello, position.GetHello())
		}
		return nil
	})
	return fmt.Sprintf("epoch %d, durable through %d", position.GetHello().GetEpoch(), position.GetHello().GetDurableThrough()), err
}

func playAck(ctx context.Context, p *partner) (string, error) {
	return "acknowledged through 10 and ended well", on(ctx, p, func(l *link) error {
		return errors.Join(l.push(5, p.updates(1, 5)), l.push(10, p.updates(6, 10)), l.wire.CloseSend(), l.refusal(""))
	})
}

func playDuplicate(ctx context.Context, p *partner) (string, error) {
	return "the same answer over two streams", errors.Join(
		on(ctx, p, func(l *link) error {
			return errors.Join(l.push(5, p.updates(1, 5)), l.push(5, p.updates(1, 5)), l.quarantined(nil))
		}),
		on(ctx, p, func(l *link) error { return errors.Join(l.push(6, p.updates(1, 6)), l.quarantined(nil)) }))
}

func playDisorder(ctx context.Context, p *partner) (string, error) {
	return "3 2 5 4 1 became durable through 5", on(ctx, p, func(l *link) error {
		for _, n := range []int64{3, 2, 5, 4} {
			if err := l.send(p.updates(n, n)); err != nil {
				return err
			}
		}
		return errors.Join(l.until(0, &reportingv1.SequenceRange{From: 1, To: 1}), l.push(5, p.updates(1, 1)), l.quarantined(nil))
	})
}

func playGapFilled(ctx context.Context, p *partner) (string, error) {
	return "3 to 4 were named as missing, in the next Hello too, and filled", errors.Join(
		on(ctx, p, func(l *link) error {
			missing := &reportingv1.SequenceRange{From: 3, To: 4}
			return errors.Join(l.push(2, p.updates(1, 2)), l.send(p.updates(5, 6)), l.until(2, missing))
		}),
		on(ctx, p, func(l *link) error {
			if g := l.hello.GetGaps(); len(g) != 1 || g[0].GetFrom() != 3 || g[0].GetTo() != 4 {
				return fmt.Errorf("the Hello names %v as missing", g)
			}
			return errors.Join(l.push(6, p.updates(3, 4)), l.quarantined(nil))
		}))
}

func playVoid(ctx context.Context, p *partner) (string, error) {
	return "durable through 5 over voided 3 to 4; an update under 3 is quarantined", on(ctx, p, func(l *link) error {
		void := &reportingv1.Void{From: 3, To: 4, Reason: "conformance run"}
		return errors.Join(l.push(4, p.updates(1, 2), void), l.push(5, p.updates(3, 5)),
			l.quarantined(map[int64]reportingv1.Quarantined_Cause{3: reportingv1.Quarantined_CAUSE_VOIDED, 4: reportingv1.Quarantined_CAUSE_VOIDED}))
	})
}

func playReuse(ctx context.Context, p *partner) (string, error) {
	return "quarantined as CONFLICT, and the stream went on", on(ctx, p, func(l *link) error {
		other := p.update(2)
		other.Payload = []byte(`{"summary":"conformance run, something else"}`)
		return errors.Join(l.push(2, p.updates(1, 2)), l.push(3, []*reportingv1.IncidentUpdate{other, p.update(3)}),
			l.quarantined(map[int64]reportingv1.Quarantined_Cause{2: reportingv1.Quarantined_CAUSE_CONFLICT}))
	})
}

func playPoison(ctx context.Context, p *partner) (string, error) {
	return "quarantined as UNDECODABLE, and the stream went on", on(ctx, p, func(l *link) error {
		poison := p.update(1)
		poison.PayloadFormat, poison.Payload = reportingv1.PayloadFormat_PAYLOAD_FORMAT_UNSPECIFIED, []byte{0xff, 0xff, 0xff}
		return errors.Join(l.push(2, []*reportingv1.IncidentUpdate{poison, p.update(2)}),
			l.quarantined(map[int64]reportingv1.Quarantined_Cause{1: reportingv1.Quarantined_CAUSE_UNDECODABLE}))
	})
}

func playNewEpoch(ctx context.Context, p *partner) (string, error) {
	old := p.epoch
	err := on(ctx, p, func(l *link) error {
		if err := l.push(3, p.updates(1, 3)); err != nil {
			return err
		}
		p.epoch++
		l.epoch = p.epoch
		return l.push(1, p.updates(1, 1))
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("epoch %d began at 1, and epoch %d was refused", p.epoch, old), on(ctx, p, func(l *link) error {
		if l.hello.GetEpoch() != p.epoch || l.hello.GetDurableThrough() != 1 {
			return fmt.Errorf("the Hello says %v", l.hello)
		}
		l.epoch = old
		return errors.Join(l.send(p.updates(4, 4)), l.refusal("DISPATCH_EPOCH_STALE"))
	})
}

func playBounds(ctx context.Context, p *partner) (string, error) {
	return "refused with their reasons, and nothing changed", errors.Join(
		on(ctx, p, func(l *link) error {
			return errors.Join(l.push(1, p.updates(1, 1)), l.send(p.updates(0, 0)), l.refusal("FIELD_INVALID"))
		}),
		on(ctx, p, func(l *link) error {
			return errors.Join(l.send(p.updates(5_000_000, 5_000_000)), l.refusal("DISPATCH_SEQUENCE_AHEAD"))
		}),
		on(ctx, p, func(l *link) error { return errors.Join(l.push(2, p.updates(2, 2)), l.quarantined(nil)) }))
}

// junk sends bytes as they are and reads as protobuf does.
type junk struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (j junk) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(raw)}, nil
	}
	return j.CodecV2.Marshal(v)
}

func playUnreadable(ctx context.Context, p *partner) (string, error) {
	l, err := p.open(ctx, grpc.ForceCodecV2(junk{encoding.GetCodecV2("proto")}))
	if err != nil {
		return "", err
	}
	defer l.hangUp()
	if err := errors.Join(l.push(2, p.updates(1, 2)), l.wire.SendMsg([]byte{0xff, 0xff, 0xff}), l.refusal("DISPATCH_FRAME_UNREADABLE")); err != nil {
		return "", err
	}
	return "refused with its reason; the numbers before it are durable", on(ctx, p, func(l *link) error { return l.push(3, p.updates(3, 3)) })
}

func playNewerClient(ctx context.Context, p *partner) (string, error) {
	newer := func() *reportingv1.IncidentUpdate {
		u := p.update(1)
		u.Payload = []byte(`{"summary":"conformance run, newer client","fieldOfALaterContract":{"a":[1]}}`)
		u.ProtoReflect().SetUnknown(unknown(20))
		return u
	}
	return "unknown fields in frame, update and payload were taken, and belong to the content", on(ctx, p, func(l *link) error {
		frame := &reportingv1.PushIncidentUpdatesRequest{Epoch: l.epoch, Updates: []*reportingv1.IncidentUpdate{newer(), p.update(2)}}
		frame.ProtoReflect().SetUnknown(unknown(20))
		if err := errors.Join(l.wire.Send(frame), l.until(2), l.push(2, []*reportingv1.IncidentUpdate{newer()}), l.quarantined(nil)); err != nil {
			return err
		}
		without := newer()
		without.ProtoReflect().SetUnknown(nil)
		return errors.Join(l.push(2, []*reportingv1.IncidentUpdate{without}), l.quarantined(map[int64]reportingv1.Quarantined_Cause{1: reportingv1.Quarantined_CAUSE_CONFLICT}))
	})
}

// resume connects after a cut and sends what is not durable.
func (p *partner) resume(ctx context.Context, least, most int64) error {
	return on(ctx, p, func(l *link) error {
		through := l.hello.GetDurableThrough()
		if through < least {
			return fmt.Errorf("%d was acknowledged, and the Hello after the cut says %d", least, through)
		}
		if through >= most {
			return nil
		}
		return errors.Join(l.push(most, p.updates(through+1, most)), l.quarantined(nil))
	})
}

func playCutOff(ctx context.Context, p *partner) (string, error) {
	err := on(ctx, p, func(l *link) error {
		if err := errors.Join(l.push(20, p.updates(1, 20)), l.send(p.updates(21, 60))); err != nil {
			return err
		}
		p.wire.cutWriting(0)
		_ = l.send(p.updates(61, 61)) // is cut off
		return l.gone()
	})
	if err != nil {
		return "", err
	}
	return "went on behind what the Hello named and reached 80", p.resume(ctx, 20, 80)
}

func playHalfMessage(ctx context.Context, p *partner) (string, error) {
	big := p.update(3)
	big.PayloadFormat, big.Payload = reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON, fmt.Appendf(nil, `{"summary":"%0900000d"}`, 7)
	err := on(ctx, p, func(l *link) error {
		if err := l.push(2, p.updates(1, 2)); err != nil {
			return err
		}
		p.wire.cutWriting(40_000) // an update of which not a tenth gets through
		_ = l.send([]*reportingv1.IncidentUpdate{big})
		return l.gone()
	})
	if err != nil {
		return "", err
	}
	return "number 3 was not durable after half of it, and was when it came whole", on(ctx, p, func(l *link) error {
		if l.hello.GetDurableThrough() != 2 {
			return fmt.Errorf("durable through %d after half a message of number 3", l.hello.GetDurableThrough())
		}
		return errors.Join(l.push(4, p.updates(3, 4)), l.quarantined(nil))
	})
}

// halfStreams are opened and left without a word.
const halfStreams = 50

func playHalfStreams(ctx context.Context, p *partner) (string, error) {
	for range halfStreams {
		ctx, leave := context.WithCancel(ctx)
		_, err := p.client.PushIncidentUpdates(ctx, grpc.WaitForReady(true))
		leave()
		if err != nil {
			return "", err
		}
	}
	// Some that were left may still be on their way, and take nobody's place.
	return fmt.Sprintf("%d streams were left, and the stream behind them was served", halfStreams), on(ctx, p, func(l *link) error {
		return errors.Join(l.push(2, p.updates(1, 2)), l.wire.CloseSend(), l.refusal(""))
	})
}

func playNewest(ctx context.Context, p *partner) (string, error) {
	return "the older stream was told so", on(ctx, p, func(older *link) error {
		if err := older.push(1, p.updates(1, 1)); err != nil {
			return err
		}
		return on(ctx, p, func(newer *link) error {
			return errors.Join(older.push(2, p.updates(2, 2)), newer.push(3, p.updates(3, 3)), older.refusal("DISPATCH_STREAM_SUPERSEDED"), newer.quarantined(nil))
		})
	})
}

func playSlowReader(ctx context.Context, p *partner) (string, error) {
	const frames, each = 100, 10
	return fmt.Sprintf("%d frames were sent before the first acknowledgement was read", frames), on(ctx, p, func(l *link) error {
		for f := range int64(frames) {
			if err := l.send(p.updates(f*each+1, f*each+each)); err != nil {
				return err
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		last := int64(0)
		for last < frames*each {
			said, err := l.wire.Recv()
			if err != nil {
				return fmt.Errorf("after an acknowledgement through %d: %w", last, err)
			}
			now := said.GetAck().GetDurableThrough()
			if now < last {
				return fmt.Errorf("acknowledged %d after %d", now, last)
			}
			last = now
		}
		return errors.Join(l.wire.CloseSend(), l.refusal(""))
	})
}

func playBatch(ctx context.Context, p *partner) (string, error) {
	if err := on(ctx, p, func(l *link) error { return l.push(3, p.updates(1, 3)) }); err != nil {
		return "", err
	}
	answer, err := p.client.PushIncidentUpdateBatch(ctx, &reportingv1.PushIncidentUpdateBatchRequest{RequestId: uuid.NewString(), Epoch: p.epoch, Updates: p.updates(2, 5)})
	if err != nil {
		return "", err
	}
	if ack := answer.GetAck(); ack.GetDurableThrough() != 5 || len(ack.GetQuarantined()) != 0 {
		return "", fmt.Errorf("the twin acknowledges %v", ack)
	}
	return "3 numbers of a stream, 2 more of a batch, 1 of a stream", on(ctx, p, func(l *link) error {
		if l.hello.GetDurableThrough() != 5 {
			return fmt.Errorf("the Hello after the batch says %v", l.hello)
		}
		return errors.Join(l.push(6, p.updates(5, 6)), l.quarantined(nil))
	})
}

func playDraining(ctx context.Context, p *partner) (string, error) {
	if p.AwaitDrain <= 0 {
		return "nobody was asked to restart the server", errLeftOut
	}
	err := on(ctx, p, func(l *link) error {
		if err := l.push(3, p.updates(1, 3)); err != nil {
			return err
		}
		if p.Told != nil {
			p.Told(fmt.Sprintf("restart the reporting service now; the run waits %s", p.AwaitDrain))
		}
		return l.refusal("DRAINING")
	})
	if err != nil {
		return "", err
	}
	return "ended with DRAINING; the next stream went on behind 3", p.resume(ctx, 3, 5)
}
