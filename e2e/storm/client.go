package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
)

// attempt bounds one attempt of a call in machine time.
const attempt = 10 * time.Second

// who acts, and why.
type who struct{ unit, officer, purpose string }

// dialer gives the connection of a unit.
type dialer func(unit string) (grpc.ClientConnInterface, error)

// actor is an honest client: it repeats what got no answer with the same request_id, as docs/integrating.md says, and takes every
// refusal for an answer.
type actor struct {
	name string
	dial dialer
	told *history
	// working ends when no new work is begun; ctx when nobody waits for an answer any more.
	working, ctx context.Context

	mu     sync.Mutex
	random *rand.Rand
}

// over reports whether no new work is to be begun.
func (a *actor) over() bool { return a.working.Err() != nil }

// n draws a number below most.
func (a *actor) n(most int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.random.IntN(most)
}

// id draws a UUID.
func (a *actor) id() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(a.random.UintN(256))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	return uuid.UUID(raw).String()
}

// rest pauses for a moment of machine time, or until the load ends.
func (a *actor) rest(d time.Duration) { pause(a.working, d) }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// mutate makes a change and gives its answer; ok when it was acknowledged.
func mutate[A proto.Message](a *actor, w who, method string, request proto.Message, answer A) (A, bool) {
	m := request.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("request_id"), protoreflect.ValueOfString(a.id()))
	op := a.do(w, method, request, answer)
	return answer, op.Outcome == Acknowledged
}

// read makes a call without effect.
func read[A proto.Message](a *actor, w who, method string, request proto.Message, answer A) (A, bool) {
	op := a.do(w, method, request, answer)
	return answer, op.Outcome == Acknowledged
}

// do carries one operation to its answer.
func (a *actor) do(w who, method string, request, answer proto.Message) *Op {
	op := &Op{Actor: a.name, Unit: w.unit, Purpose: w.purpose, Officer: w.officer, Method: method, Request: request}
	if field := request.ProtoReflect().Descriptor().Fields().ByName("request_id"); field != nil {
		op.RequestID = request.ProtoReflect().Get(field).String()
	}
	a.told.invoke(op)
	defer a.told.answer(op)
	for {
		op.Tries++
		err := a.try(w, method, request, answer)
		var again bool
		op.Outcome, op.Reason, again = judge(err)
		switch op.Outcome {
		case Acknowledged:
			op.Answer = answer
		case Refused:
			op.Metadata = client.Refusal(err).GetMetadata()
		}
		if !again || a.ctx.Err() != nil {
			return op
		}
		pause(a.ctx, min(time.Duration(op.Tries)*50*time.Millisecond, time.Second))
	}
}

func (a *actor) try(w who, method string, request, answer proto.Message) error {
	conn, err := a.dial(w.unit)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(outgoing(a.ctx, w), attempt)
	defer cancel()
	proto.Reset(answer)
	return conn.Invoke(ctx, method, request, answer)
}

func outgoing(ctx context.Context, w who) context.Context {
	md := metadata.MD{}
	for key, value := range map[string]string{access.KeyPurpose: w.purpose, access.KeyOfficer: w.officer} {
		if value != "" {
			md.Set(key, value)
		}
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// judge says what an attempt's error means: an answer, a refusal, or no answer at all, which is to be repeated. An error without our
// own reason comes from the wire.
func judge(err error) (o Outcome, reason string, again bool) {
	if err == nil {
		return Acknowledged, "", false
	}
	code, reason := status.Code(err), client.Refusal(err).GetReason()
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Unanswered, code.String(), true
	case reason == "CONTENTION", reason == "OVERLOADED", code == codes.Unavailable, code == codes.DeadlineExceeded, code == codes.Canceled:
		return Unanswered, code.String() + " " + reason, true
	case reason == "INTERNAL":
		return Defect, fmt.Sprint(code, " ", reason), false
	case reason == "" && (code == codes.Internal || code == codes.Unknown || code == codes.ResourceExhausted):
		return Unanswered, code.String() + " " + status.Convert(err).Message(), true
	case reason == "":
		return Defect, code.String() + " without a reason", false
	}
	return Refused, reason, false
}
