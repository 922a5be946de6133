package devclock_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/devclock"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
)

// process is a small service: settling appends to its feed what the other one's feed asks for.
type process struct {
	mu    sync.Mutex
	head  int64
	after *process
	// wanted is how far the chain of consequences goes.
	wanted int64
}

func (p *process) settle(context.Context) (int64, error) {
	upstream := p.after.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head <= upstream && p.head < p.wanted {
		p.head++
	}
	return p.head, nil
}

func (p *process) read() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.head
}

func TestAdvanceReturnsWhenAllConsequencesHaveHappened(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	a, b := &process{wanted: 5}, &process{wanted: 5}
	a.after, b.after = b, a
	one, _ := h.join(t, "one", a.settle)
	two, _ := h.join(t, "two", b.settle)
	answer, err := h.operator(t).Advance(t.Context(), by(3600))
	if err != nil {
		t.Fatal(err)
	}
	if a.read() != 5 || b.read() != 5 {
		t.Errorf("heads %d and %d after %d rounds", a.read(), b.read(), answer.GetRounds())
	}
	if answer.GetRounds() < 2 || answer.GetMembers() != 2 {
		t.Errorf("answer %v", answer)
	}
	want := start.Add(time.Hour)
	for name, got := range map[string]time.Time{"answer": answer.GetNow().AsTime(), "one": one.Now(), "two": two.Now()} {
		if !got.Equal(want) {
			t.Errorf("%s says %v, want %v", name, got, want)
		}
	}
}

func TestAMemberSettlesAtTheNewTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	var clock atomic.Pointer[devclock.Clock]
	var early atomic.Bool
	c, _ := h.join(t, "one", func(context.Context) (int64, error) {
		early.Store(early.Load() || clock.Load().Now().Before(start.Add(time.Minute)))
		return 0, nil
	})
	clock.Store(c)
	if _, err := h.operator(t).Advance(t.Context(), by(60)); err != nil {
		t.Fatal(err)
	}
	if early.Load() {
		t.Error("a round was settled at the old time")
	}
}

func TestAMemberThatDiesWhileSettlingIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	settling := make(chan struct{})
	var once sync.Once
	_, die := h.join(t, "dying", func(ctx context.Context) (int64, error) {
		once.Do(func() { close(settling) })
		<-ctx.Done()
		return 0, ctx.Err()
	})
	h.join(t, "living", func(context.Context) (int64, error) { return 7, nil })
	operator, answers := h.operator(t), make(chan *devclockv1.AdvanceResponse, 1)
	go func() {
		answer, err := operator.Advance(context.Background(), by(1))
		if err != nil {
			t.Errorf("advance: %v", err)
		}
		answers <- answer
	}()
	<-settling
	select {
	case <-answers:
		t.Error("a living member was not waited for")
	default:
	}
	die()
	if answer := <-answers; answer.GetMembers() != 1 {
		t.Errorf("answer %v", answer)
	}
}

func TestASilentMemberIsNotWaitedForBeyondItsLease(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *devclock.Config) { c.Lease = 50 * time.Millisecond })
	stream, err := h.operator(t).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&devclockv1.JoinRequest{Member: "silent"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if answer, err := h.operator(t).Advance(t.Context(), by(1)); err != nil || answer.GetMembers() != 0 {
		t.Errorf("%v, %v", answer, err)
	}
	for err == nil {
		_, err = stream.Recv() // first the round that it never answered
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestAFailedRoundIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	var calls atomic.Int64
	h.join(t, "one", func(context.Context) (int64, error) {
		if calls.Add(1) == 1 {
			return 0, errors.New("database away")
		}
		return 3, nil
	})
	answer, err := h.operator(t).Advance(t.Context(), by(0))
	if err != nil || answer.GetMembers() != 1 || calls.Load() < 3 {
		t.Errorf("%v, %v after %d calls", answer, err, calls.Load())
	}
}

func TestAMemberThatJoinsAnewReplacesItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	o := h.operator(t)
	older, err := o.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newer, err := o.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []devclockv1.DevClockService_JoinClient{older, newer} {
		if err := stream.Send(&devclockv1.JoinRequest{Member: "one"}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := older.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the older stream ended with %v", err)
	}
	if got := members(t, o); got != 1 {
		t.Errorf("%d members", got)
	}
	nameless, err := o.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := nameless.Send(&devclockv1.JoinRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := nameless.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("nameless: %v", err)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	o := h.operator(t)
	for name, request := range map[string]*devclockv1.AdvanceRequest{
		"to the past":   {Target: &devclockv1.AdvanceRequest_To{To: timestamppb.New(start.Add(-time.Second))}},
		"by less":       by(-1),
		"by far":        by(1 << 62),
		"to nothing":    {},
		"to no instant": {Target: &devclockv1.AdvanceRequest_To{To: &timestamppb.Timestamp{Nanos: -1}}},
	} {
		if _, err := o.Advance(t.Context(), request); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	to := start.Add(72 * time.Hour)
	answer, err := o.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_To{To: timestamppb.New(to)}})
	if err != nil || !answer.GetNow().AsTime().Equal(to) {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestTimeSurvivesARestartAndMembersComeBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c, _ := h.join(t, "one", func(context.Context) (int64, error) { return 1, nil })
	if _, err := h.operator(t).Advance(t.Context(), by(3600)); err != nil {
		t.Fatal(err)
	}
	h.stop()
	if !c.Now().Equal(start.Add(time.Hour)) {
		t.Errorf("without the server the member says %v", c.Now())
	}
	h.serve(t, h.address)
	o := h.operator(t)
	await(t, func() bool { return members(t, o) == 1 })
	answer, err := o.Advance(t.Context(), by(60))
	if err != nil || !answer.GetNow().AsTime().Equal(start.Add(time.Hour+time.Minute)) || answer.GetMembers() != 1 {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestRunningTimeRunsAndNeverGoesBackOverRestarts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *devclock.Config) { c.Running = true })
	c, _ := h.join(t, "one", func(context.Context) (int64, error) { return 1, nil })
	o := h.operator(t)
	first, err := o.Now(t.Context(), &devclockv1.NowRequest{})
	if err != nil || !first.GetRunning() {
		t.Fatalf("%v, %v", first, err)
	}
	last := first.GetNow().AsTime()
	await(t, func() bool {
		now, err := o.Now(t.Context(), &devclockv1.NowRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if now.GetNow().AsTime().Before(last) {
			t.Fatalf("%v after %v", now.GetNow().AsTime(), last)
		}
		last = now.GetNow().AsTime()
		return last.After(start.Add(10*time.Millisecond)) && c.Now().After(start)
	})
	h.stop()
	h.serve(t, h.address)
	now, err := h.operator(t).Now(t.Context(), &devclockv1.NowRequest{})
	if err != nil || now.GetNow().AsTime().Before(last) {
		t.Errorf("after a restart %v, before it %v, %v", now.GetNow().AsTime(), last, err)
	}
}

func TestADamagedFileIsNotTakenForTheBeginning(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.stop()
	if err := os.WriteFile(h.config.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := devclock.Open(h.config); err == nil {
		t.Error("opened")
	}
}

func TestTheMachinesClockIsTheMachines(t *testing.T) {
	t.Parallel()
	c := devclock.Machine()
	before := time.Now().Truncate(time.Microsecond)
	if now := c.Now(); now.Before(before) || now.After(time.Now()) {
		t.Errorf("now %v", now)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx, nil); err != nil {
		t.Error(err)
	}
}

// The machine's own clock was set back while the server was down: what has been told stays told.
func TestAMachineThatWasSetBackDoesNotTakeTimeBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *devclock.Config) { c.Running = true })
	h.stop()
	told := start.Add(time.Hour)
	content, err := json.Marshal(map[string]any{
		"base": start, "anchor": time.Now().Add(time.Hour), "running": true, "reserved": told,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.config.File, content, 0o600); err != nil {
		t.Fatal(err)
	}
	h.serve(t, h.address)
	now, err := h.operator(t).Now(t.Context(), &devclockv1.NowRequest{})
	if err != nil || now.GetNow().AsTime().Before(told) {
		t.Errorf("%v, %v", now.GetNow().AsTime(), err)
	}
}
