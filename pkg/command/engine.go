// Package command carries out the command rule: whatever a caller retries, however its connection breaks and whoever
// races it, a request has one effect or none, and the caller learns which.
//
// One attempt reads the request's idempotency row and the subject in one snapshot, applies a pure rule to the subject,
// and writes the effect with one statement whose every branch - idempotency, custody, event, grants, audit - hangs on
// the effect itself. An attempt that meets somebody else's change starts again. The idempotency row therefore proves the
// effect, and a retry is answered from it even when the command took away the caller's own right.
package command

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// attempts bounds the loop. Five lost races in a row mean a hot row; the caller hears CONTENTION and comes back.
const attempts = 5

// Engine runs the commands of one service over its database.
type Engine struct {
	// DB is the service's pool, as its application role.
	DB *pgxpool.Pool
	// Keys for digests and sealed columns.
	Keys *seal.Keys
	// Service is its name, for spans.
	Service string
	// Now is the business clock.
	Now func() time.Time
	// Constraints maps a violated constraint to the refusal it stands for. A violation that is not listed is a defect.
	Constraints map[string]func() *fault.Error
	// CalendarIncomplete, if set, says whether a clock was counted through a year whose working days are not known.
	CalendarIncomplete func(clock string, start, due time.Time) bool
	// Wake, if set, is called after each commit, so that the sequencer need not wait for its poll.
	Wake func()
	// Repeated, if set, hears of each request that was answered from an earlier effect, by its caller.
	Repeated func(ctx context.Context, caller string)
}

// errAgain makes the loop start over: somebody else changed what the attempt was based on.
var errAgain = errors.New("command: lost a race")

// Create makes a new row. The rule returns it complete except for version and times; its id is usually c.ID("").
// It may run several times and must have no effect outside of c. The answer is built from the row as written.
//
// It returns the rule's fault, a fault from Engine.Constraints, REQUEST_ID_REUSED, CONTENTION or UNAVAILABLE; any other error is
// a defect. With ValidateOnly the answer is empty.
func Create[M, A proto.Message](ctx context.Context, e *Engine, call Call, t *row.Table[M], rule func(c *Change) (M, error), answer func(M) A) (A, error) {
	return run(ctx, e, call, func(ctx context.Context, c *Change) (A, error) {
		var none A
		replayed, err := c.replay(ctx)
		if err != nil || replayed != nil {
			return decodeAnswer[A](ctx, c, replayed, err)
		}
		m, err := rule(c)
		if err != nil {
			return refuse[A](ctx, c, err)
		}
		if err := insert(c, t, m, &c.happened); err != nil {
			return none, err
		}
		return finish(ctx, c, m, answer)
	})
}

// Update changes the row with that id. The rule gets the present row and changes it in place; it decides on visibility
// first (fault NOT_FOUND). If the request carries an etag that is not the row's, the answer is ETAG_MISMATCH, except where the rule
// says NOT_FOUND. Otherwise like Create.
func Update[M, A proto.Message](ctx context.Context, e *Engine, call Call, t *row.Table[M], id string, rule func(c *Change, m M) error, answer func(M) A) (A, error) {
	return run(ctx, e, call, func(ctx context.Context, c *Change) (A, error) {
		var none A
		m, found, replayed, err := load(ctx, c, t, id)
		if err != nil || replayed != nil {
			return decodeAnswer[A](ctx, c, replayed, err)
		}
		if !found {
			return none, fault.NotFound()
		}
		head := t.Head(m)
		c.Now = later(c.Now, head.UpdateTime)
		before := stoodAt(head)
		if err := matchEtag(call.Request, head.Version, rule(c, m)); err != nil {
			return refuse[A](ctx, c, err)
		}
		if err := change(c, t, m, head.Version, before, &c.happened); err != nil {
			return none, err
		}
		return finish(ctx, c, m, answer)
	})
}

// finish stores everything the rule asked for and gives the answer.
func finish[M, A proto.Message](ctx context.Context, c *Change, m M, answer func(M) A) (A, error) {
	var none A
	// The rule's writes were collected with the primary one last; it is executed first, as the idempotency row hangs on it.
	last := len(c.writes) - 1
	c.writes[0], c.writes[last] = c.writes[last], c.writes[0]
	given := answer(m)
	stored, err := proto.Marshal(given)
	if err != nil {
		return none, fmt.Errorf("command: marshal the answer: %w", err)
	}
	if err := c.commit(ctx, stored); err != nil {
		return none, err
	}
	if c.call.ValidateOnly {
		return empty[A](), nil
	}
	return given, nil
}

// run is the loop. Whatever an attempt meets is one of: an answer, a refusal, or a reason to look again.
func run[A proto.Message](ctx context.Context, e *Engine, call Call, attempt func(context.Context, *Change) (A, error)) (A, error) {
	ctx, span := otel.Tracer("lianhu/command").Start(ctx, "command "+call.Method, trace.WithAttributes(
		attribute.String("lianhu.service", e.Service), attribute.String("lianhu.request_id", call.RequestID)))
	defer span.End()
	digest := e.Keys.Digest("request", canonical(call.Request))
	var none A
	var last error
	for n := range attempts {
		if n > 0 {
			if err := pause(ctx, n); err != nil {
				return none, err
			}
		}
		if call.Recognised {
			call.RequestID = uuid.NewString() // the attempt before may have been committed, and this one is another effect for the audit
		}
		c := &Change{Engine: e, Now: e.Now().UTC().Truncate(time.Microsecond), call: call, digest: digest, span: span}
		given, err := attempt(ctx, c)
		if err == nil {
			if e.Wake != nil {
				e.Wake()
			}
			return given, nil
		}
		again, resolved := c.resolve(ctx, err)
		if !again {
			span.SetStatus(codes.Error, fault.ReasonOf(resolved))
			return none, resolved
		}
		last = resolved
	}
	span.SetStatus(codes.Error, fault.ReasonOf(last))
	return none, last
}

// resolve says whether an attempt's error is a reason to start again, and what to tell the caller if there is no more try.
func (c *Change) resolve(ctx context.Context, err error) (again bool, told error) {
	switch {
	case errors.Is(err, errAgain), postgres.IsSerialization(err):
		return true, fault.New(faultv1.Reason_REASON_CONTENTION, "five attempts met a concurrent change", "method", c.call.Method).RetryAfter(time.Second).Wrap(err)
	case ctx.Err() != nil:
		return false, ctx.Err()
	case postgres.IsConnection(err):
		return true, fault.New(faultv1.Reason_REASON_UNAVAILABLE, "the database is away; repeat with the same request_id").RetryAfter(time.Second).Wrap(err)
	case postgres.Constraint(err) == "":
		return false, postgres.Sanitize(err)
	}
	// A violated constraint may be the doing of this very request on another connection, which hits the business key before
	// the idempotency key. Only when no idempotency row is there is it somebody else's.
	replayed, lookup := c.replay(ctx)
	switch {
	case lookup != nil:
		return c.resolve(ctx, lookup)
	case replayed != nil:
		return true, err // the next attempt answers from the row
	}
	name := postgres.Constraint(err)
	if known, ok := c.Engine.Constraints[name]; ok {
		return false, known().Wrap(err)
	}
	if runtimeKeys[name] {
		return true, fault.New(faultv1.Reason_REASON_CONTENTION, "five attempts met a concurrent change", "method", c.call.Method).RetryAfter(time.Second).Wrap(err)
	}
	return false, fmt.Errorf("command: constraint %s violated and not mapped to a refusal", name)
}

// runtimeKeys are violated only by a race between two attempts.
var runtimeKeys = map[string]bool{"idempotency_key": true, "custody_key": true}

// pause waits before a further attempt, longer each time and never in step with a rival.
func pause(ctx context.Context, n int) error {
	ceiling := time.Duration(1<<n) * 5 * time.Millisecond
	timer := time.NewTimer(rand.N(ceiling) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func empty[A proto.Message]() A {
	var none A
	return none.ProtoReflect().New().Interface().(A)
}
