package conformance

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Parts of the script that others refer to.
const (
	stageGap   = 4
	stageSkew  = 6
	stageEpoch = 8
)

// stages are the script. Each plays on one connection and says whether it is done; an error ends the connection.
var stages = []struct {
	name string
	play func(*talk) (done bool, err error)
}{
	{"first numbers", playNormal},
	{"acknowledgements", playAcks},
	{"a slow server", playSlow},
	{"a cut", playCut},
	{"a cut that leaves gaps", playGap},
	{"gaps that the Hello names", playAsked},
	{"a newer server", playSkew},
	{"the rest", playRest},
	{"an epoch that is over", playEpoch},
}

// unknownField is a number that no message of the contract has.
const unknownField = 9999

// unknown is a field that nobody knows.
func unknown(bytes int) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, unknownField, protowire.BytesType), make([]byte, bytes))
}

// padding and paddedAcks make acknowledgements that fill every window of a client that does not read them; gRPC's grow to 16 MiB.
const (
	padding    = 64 << 10
	paddedAcks = 24 << 20 / padding
)

// step is how many numbers a part takes.
func (t *talk) step() int { return int(min(t.Updates/10, 1000)) }

// take takes new numbers and acknowledges whenever nothing waits.
func (t *talk) take(count int) error {
	for taken := 0; taken < count; {
		if len(t.waiting) == 0 && taken > 0 {
			if err := t.acknowledge(); err != nil {
				return err
			}
		}
		e, err := t.next(0)
		if err != nil {
			return err
		}
		if t.store(e) {
			taken++
		}
	}
	return t.acknowledge()
}

// store makes a number durable, and tells whether it was not before.
func (t *talk) store(e entry) (fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.book.spent(e.sequence) {
		return false
	}
	t.book.spend(e.sequence)
	return true
}

// hold receives new numbers without acknowledging any, until there are enough or the client waits.
func (t *talk) hold(count int) (held []entry, err error) {
	for len(held) < count {
		e, err := t.next(lull)
		if errors.Is(err, errLull) || errors.Is(err, errClosed) && t.wire.Context().Err() == nil {
			return held, nil
		}
		if err != nil {
			return held, err
		}
		t.mu.Lock()
		fresh := !t.book.spent(e.sequence)
		t.mu.Unlock()
		if fresh {
			held = append(held, e)
		}
	}
	return held, nil
}

// hangUp cuts the connection in the middle of what the client says.
func (t *talk) hangUp() error {
	t.part(wasCut)
	if t.conn != nil {
		t.conn.cutReading(17) // inside a record of TLS
	}
	select {
	case <-t.wire.Context().Done():
	case <-t.over:
	}
	return errCut
}

// playNormal takes numbers as any server does.
func playNormal(t *talk) (bool, error) {
	err := t.take(t.step())
	return err == nil, err
}

// playAcks says more than a client that does not read has room for.
func playAcks(t *talk) (bool, error) {
	patience := t.Patience * 4 / 5 // shorter than the run's own, which would not say why
	said := make(chan error, paddedAcks)
	go func() {
		for range paddedAcks {
			err := t.wire.Send(t.padded())
			said <- err
			if err != nil {
				return
			}
		}
	}()
	for sent := range paddedAcks {
		select {
		case err := <-said:
			if err != nil {
				t.fail("acks", "the client left with %d of %d acknowledgements unread", paddedAcks-sent, paddedAcks)
				return false, err
			}
			t.active()
		case <-time.After(patience):
			t.fail("acks", "the client does not read: its window is full, and for %s no acknowledgement could be said", patience.Round(100*time.Millisecond))
			t.end() // whatever else is said, the client does not hear
			return false, refuse(codes.ResourceExhausted, "DISPATCH_ACKS_UNREAD", "acknowledgements are not read; connect again and go on from the Hello")
		}
	}
	t.pass("acks", "%d acknowledgements of %d KiB each were taken", paddedAcks, padding>>10)
	return true, nil
}

// padded is an acknowledgement that takes much room.
func (t *talk) padded() *reportingv1.PushIncidentUpdatesResponse {
	t.mu.Lock()
	defer t.mu.Unlock()
	ack := &reportingv1.Ack{DurableThrough: t.book.through, Gaps: t.book.gaps(), GreatestSequence: t.book.known()}
	ack.ProtoReflect().SetUnknown(unknown(padding))
	return &reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Ack{Ack: ack}}
}

// playSlow receives nothing for a while, then goes on.
func playSlow(t *talk) (bool, error) {
	select {
	case <-time.After(t.Pause):
	case <-t.wire.Context().Done():
		t.fail("slow", "the client hung up while the server received nothing for %s", t.Pause)
		return true, t.wire.Context().Err()
	case <-t.over:
		return false, nil
	}
	t.active()
	if err := t.take(t.step()); err != nil {
		return false, err
	}
	t.pass("slow", "went on after %s without a word from the server", t.Pause)
	return true, nil
}

// playCut acknowledges some, receives more, and cuts.
func playCut(t *talk) (bool, error) {
	if err := t.take(t.step()); err != nil {
		return false, err
	}
	held, err := t.hold(max(t.step()/2, 2))
	if err != nil {
		return false, err
	}
	t.say("cutting the connection with %d numbers received and not acknowledged", len(held))
	return true, t.hangUp()
}

// playGap keeps later numbers and loses earlier ones, so that the next Hello has gaps.
func playGap(t *talk) (bool, error) {
	if err := t.take(t.step()); err != nil {
		return false, err
	}
	held, err := t.hold(max(t.step()/2, 2))
	if err != nil {
		return false, err
	}
	if len(held) < 2 {
		t.pass("asked", "the client never has more than one number under way, so that none can be missing before another")
	}
	for _, e := range held[(len(held)+1)/2:] {
		t.store(e)
	}
	t.say("cutting the connection with %d numbers lost and %d behind them stored", (len(held)+1)/2, len(held)/2)
	return true, t.hangUp()
}

// playAsked waits for what the Hello named, then ends the stream as a server that stops.
func playAsked(t *talk) (bool, error) {
	for taken := 0; taken < t.step() || !t.filled(); taken++ {
		if err := t.take(1); err != nil {
			return false, err
		}
	}
	t.pass("asked", "what the Hello named as missing came")
	t.part(wasDrained)
	t.say("ending the stream with DRAINING")
	return true, refuse(codes.Unavailable, "DRAINING", "the server is about to stop: connect again now")
}

// filled tells whether nothing that a Hello asked for is missing.
func (t *talk) filled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, was := range t.book.asked {
		if was && !t.book.spent(n) {
			return false
		}
	}
	return true
}

// playSkew answers with fields and messages nobody knows.
func playSkew(t *talk) (bool, error) {
	strange := &reportingv1.PushIncidentUpdatesResponse{}
	strange.ProtoReflect().SetUnknown(unknown(10))
	if err := t.wire.Send(strange); err != nil {
		return false, err
	}
	if err := t.take(t.step()); err != nil {
		return false, err
	}
	t.pass("skew", "went on after a Hello, an acknowledgement and a message with fields nobody knows")
	return true, nil
}

// playRest takes all but the last numbers, then ends the stream once more: what is left has to wait for the next Hello.
func playRest(t *talk) (bool, error) {
	last := t.Updates - int64(t.step())
	for {
		t.mu.Lock()
		there := t.book.through >= last
		t.mu.Unlock()
		if there {
			t.part(wasDrained)
			t.say("ending the stream with DRAINING")
			return true, refuse(codes.Unavailable, "DRAINING", "the server is about to stop: connect again now")
		}
		if err := t.take(1); err != nil {
			return false, err
		}
	}
}

// playEpoch has greeted with a higher epoch and looks what the client makes of it.
func playEpoch(t *talk) (bool, error) {
	defer t.end()
	t.mu.Lock()
	old := t.book.epoch
	t.mu.Unlock()
	quiet := time.NewTimer(min(t.Patience, t.Prompt))
	defer quiet.Stop()
	select {
	case f, open := <-t.frames:
		first := firstOf(f.PushIncidentUpdatesRequest)
		switch {
		case !open || f.err != nil:
			t.pass("epoch", "the Hello named epoch %d; the client sent nothing more and hung up", old+1)
		case f.GetEpoch() <= old:
			t.fail("epoch", "the Hello named epoch %d, and the client went on in epoch %d", old+1, f.GetEpoch())
			return false, refuse(codes.FailedPrecondition, "DISPATCH_EPOCH_STALE", "a higher epoch has begun", "epoch", fmt.Sprint(f.GetEpoch()), "present", fmt.Sprint(old+1))
		case first != 1:
			t.fail("epoch", "the client took up epoch %d with number %d: everything before it is missing there", f.GetEpoch(), first)
		default:
			t.pass("epoch", "the Hello named epoch %d; the client began epoch %d at 1", old+1, f.GetEpoch())
		}
	case <-t.wire.Context().Done():
		t.pass("epoch", "the Hello named epoch %d; the client sent nothing more and hung up", old+1)
	case <-quiet.C:
		t.pass("epoch", "the Hello named epoch %d; the client sent nothing more", old+1)
	}
	return false, refuse(codes.Unavailable, "DRAINING", "the run is over")
}

// firstOf is the smallest number a frame sends or gives up.
func firstOf(f *reportingv1.PushIncidentUpdatesRequest) int64 {
	first := int64(0)
	for _, u := range f.GetUpdates() {
		if first == 0 || u.GetSequence() < first {
			first = u.GetSequence()
		}
	}
	for _, v := range f.GetVoids() {
		if first == 0 || v.GetFrom() < first {
			first = v.GetFrom()
		}
	}
	return first
}

func (t *talk) pass(id, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts.pass(id, fmt.Sprintf(format, args...))
}

func (t *talk) fail(id, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts.fail(id, fmt.Sprintf(format, args...))
}

func (t *talk) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(format, args...)
}
