package custody

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// pollEvery is how often deadlines are looked for, in machine time; well within the promised tolerance of 5 s.
const pollEvery = time.Second

// page is how many due items are read at once.
const page = 100

// ErrNotDue is what an expiry rule returns when the item has moved on since it was found. Nothing is written.
var ErrNotDue = errors.New("custody: the deadline has been dealt with")

// namespace of the request ids derived from deadlines.
var namespace = uuid.MustParse("a3f2a3bb-0d0f-5b9e-8f52-5a2a7d1f1c02")

// ExpiryCall is the call that fires one deadline. Its request id follows from kind, id and version, so that all replicas
// fire it once between them.
func ExpiryCall(service, kind, id string, version int64) command.Call {
	return command.Call{
		Caller:    "service/" + service,
		Method:    "sweep/" + kind,
		RequestID: uuid.NewSHA1(namespace, fmt.Appendf(nil, "%s/%s/%d", kind, id, version)).String(),
		Actor:     command.Actor{Unit: "service/" + service, System: "sweeper", Purpose: accessv1.Purpose_PURPOSE_FOLLOW_UP},
	}
}

// Expiry is one kind of item and what its passed deadline does.
type Expiry struct {
	Source
	// Expire runs one command with ExpiryCall; it returns ErrNotDue when the item is not at that version any more.
	Expire func(ctx context.Context, id string, version int64) error
}

// Sweeper fires the deadlines of one service. Every replica runs one; the command rule makes each deadline fire once.
type Sweeper struct {
	db       Querier
	now      func() time.Time
	expiries []Expiry
	wake     chan struct{}
	fired    metric.Int64Counter
	failed   metric.Int64Counter
}

// NewSweeper makes a sweeper over the service's database and business clock.
func NewSweeper(db Querier, now func() time.Time, expiries ...Expiry) *Sweeper {
	meter := otel.Meter("lianhu/custody")
	fired, _ := meter.Int64Counter("lianhu.custody.deadlines_fired", metric.WithDescription("Deadlines that passed and were acted upon."))
	failed, _ := meter.Int64Counter("lianhu.custody.deadlines_failed", metric.WithDescription("Deadlines whose command failed; tried again at the next poll."))
	return &Sweeper{db: db, now: now, expiries: expiries, wake: make(chan struct{}, 1), fired: fired, failed: failed}
}

// Wake makes the sweeper look at once, for example when business time has been advanced. It never blocks.
func (s *Sweeper) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sweeps until ctx is done; then it returns nil. Errors are logged and tried again.
func (s *Sweeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "custody: sweeping failed", "reason", fault.ReasonOf(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// Sweep fires everything that is due now. Items whose command fails stay due and do not hold up the others; the first
// such error is returned after all have been tried.
func (s *Sweeper) Sweep(ctx context.Context) error {
	var first error
	for _, e := range s.expiries {
		if err := s.sweep(ctx, e); err != nil && first == nil {
			first = err
		}
	}
	return first
}

type due struct {
	ID       string
	Version  int64
	Deadline time.Time
}

func (s *Sweeper) sweep(ctx context.Context, e Expiry) error {
	var first error
	now := s.now()
	after := due{ID: "00000000-0000-0000-0000-000000000000", Deadline: time.Unix(0, 0)}
	for {
		found, err := s.due(ctx, e.Table, now, after)
		if err != nil {
			return err
		}
		for _, d := range found {
			switch err := s.fire(ctx, e, d); {
			case err == nil:
				s.fired.Add(ctx, 1)
			case ctx.Err() != nil:
				return ctx.Err()
			case !errors.Is(err, ErrNotDue):
				s.failed.Add(ctx, 1)
				slog.Log(ctx, levelOf(err), "custody: a deadline could not be fired", "kind", e.Kind, "item", d.ID, "reason", fault.ReasonOf(err))
				if first == nil {
					first = err
				}
			}
		}
		if len(found) < page {
			return first
		}
		after = found[len(found)-1]
	}
}

// levelOf tells an outage, which the next poll makes good, from a defect, which somebody has to look at.
func levelOf(err error) slog.Level {
	if fault.Is(err, faultv1.Reason_REASON_UNAVAILABLE) || fault.Is(err, faultv1.Reason_REASON_CONTENTION) {
		return slog.LevelWarn
	}
	return slog.LevelError
}

func (s *Sweeper) due(ctx context.Context, table string, now time.Time, after due) ([]due, error) {
	rows, err := s.db.Query(ctx, fmt.Sprintf(`
		SELECT id::text, version, deadline FROM %s
		WHERE deadline <= $1 AND (deadline, id) > ($2, $3::uuid) ORDER BY deadline, %[1]s.id LIMIT $4`, table), now, after.Deadline, after.ID, page)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[due])
}
