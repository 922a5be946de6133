package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

const actionQuarantine = "operate.quarantine"

// ListQuarantine implements ReportingOperationsService. What an update says stays where it is.
func (s *Operations) ListQuarantine(ctx context.Context, req *reportingv1.ListQuarantineRequest) (*reportingv1.ListQuarantineResponse, error) {
	size, scope, position, err := s.page(access.FromContext(ctx), req, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	var after *store.After
	if position != nil {
		if after, err = readAfter(position); err != nil {
			return nil, err
		}
	}
	found, err := s.Tables.ListQuarantine(ctx, s.Engine.DB, s.Engine.Keys, req, after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.ListQuarantineResponse{QuarantinedUpdates: found[:min(size, len(found))]}
	for _, q := range answer.GetQuarantinedUpdates() {
		q.Update = nil
	}
	if len(found) > size {
		last := found[size-1]
		answer.NextPageToken = pagetoken.Make(s.Engine.Keys, scope, last.GetCreateTime().AsTime().Format(time.RFC3339Nano), last.GetStanding().GetId())
	}
	return answer, nil
}

// ReplayQuarantined implements ReportingOperationsService.
func (s *Operations) ReplayQuarantined(ctx context.Context, req *reportingv1.ReplayQuarantinedRequest) (*reportingv1.ReplayQuarantinedResponse, error) {
	rule := func(c *command.Change, q *reportingv1.QuarantinedUpdate) (string, error) {
		content, err := rules.Replay(s.District, s.Validate, q, by(ctx), c.Now)
		if err != nil {
			return "", err
		}
		return "replayed", s.retell(ctx, c, q, content)
	}
	return update(ctx, s.Desk, req, s.Tables.Quarantine, req.GetQuarantinedUpdateId(), actionQuarantine, rule,
		func(q *reportingv1.QuarantinedUpdate) *reportingv1.ReplayQuarantinedResponse {
			return &reportingv1.ReplayQuarantinedResponse{Standing: q.GetStanding(), State: q.GetState()}
		})
}

// retell folds what was kept apart into its incident, and lets its number count as used.
func (d *Desk) retell(ctx context.Context, c *command.Change, q *reportingv1.QuarantinedUpdate, content *reportingv1.IncidentContent) error {
	b := &batch{
		at:    store.Position{Source: q.GetSource(), Epoch: q.GetEpoch()},
		fresh: []store.Incoming{{Envelope: q.GetUpdate()}}, contents: []*reportingv1.IncidentContent{content},
	}
	var named []string
	if content.GetReportId() != "" {
		named = append(named, content.GetReportId())
	}
	if err := d.link(ctx, b, named, q.GetCreateTime().AsTime()); err != nil {
		return err
	}
	if len(b.usable) == 0 {
		return rules.CausePersists(b.fresh[0].Cause)
	}
	source, err := row.Get(ctx, d.Engine.DB, d.Engine.Keys, d.Tables.Sources, sourceID(q.GetSource()))
	if err != nil {
		return err
	}
	b.usable[0].Skew = time.Duration(source.GetSkewMs()) * time.Millisecond
	store.Release(c, b.at, q.GetUpdate())
	return d.fold(ctx, c, b)
}

// RejectQuarantined implements ReportingOperationsService.
func (s *Operations) RejectQuarantined(ctx context.Context, req *reportingv1.RejectQuarantinedRequest) (*reportingv1.RejectQuarantinedResponse, error) {
	rule := func(c *command.Change, q *reportingv1.QuarantinedUpdate) (string, error) {
		return "rejected", rules.Reject(q, by(ctx), req.GetReason(), c.Now)
	}
	return update(ctx, s.Desk, req, s.Tables.Quarantine, req.GetQuarantinedUpdateId(), actionQuarantine, rule,
		func(q *reportingv1.QuarantinedUpdate) *reportingv1.RejectQuarantinedResponse {
			return &reportingv1.RejectQuarantinedResponse{Standing: q.GetStanding(), State: q.GetState()}
		})
}

// CloseGap implements ReportingOperationsService. A stream of the source that is open notices by the version of the source's record.
func (s *Operations) CloseGap(ctx context.Context, req *reportingv1.CloseGapRequest) (*reportingv1.CloseGapResponse, error) {
	if req.GetTo() < req.GetFrom() || req.GetTo()-req.GetFrom() >= voidMost {
		return nil, fault.Invalid("to", fmt.Sprintf("must make a range of 1 to %d numbers", voidMost))
	}
	var answer *reportingv1.CloseGapResponse
	rule := func(c *command.Change, source *reportingv1.DispatchSource) (err error) {
		c.Happened("gap_closed", unitOf(source.GetSource()))
		answer, err = s.closeGap(ctx, c, source, req)
		return err
	}
	return command.Update(ctx, s.Engine, command.CallFrom(ctx, req), s.Tables.Sources, sourceID(req.GetSource()), rule,
		func(*reportingv1.DispatchSource) *reportingv1.CloseGapResponse { return answer })
}

func (s *Operations) closeGap(ctx context.Context, c *command.Change, source *reportingv1.DispatchSource, req *reportingv1.CloseGapRequest) (*reportingv1.CloseGapResponse, error) {
	if req.GetEpoch() != source.GetEpoch() {
		return nil, staleEpoch(req.GetEpoch(), source)
	}
	at := store.Position{Source: source.GetSource(), Epoch: source.GetEpoch()}
	spans, err := store.SpansAbove(ctx, s.Engine.DB, at.Source, at.Epoch, source.GetDurableThrough())
	if err != nil {
		return nil, err
	}
	var missing []int64
	if req.GetTo() < spans.Greatest(source.GetDurableThrough()) {
		missing = spans.Missing(source.GetDurableThrough(), req.GetFrom(), req.GetTo())
	}
	if len(missing) == 0 {
		return nil, fault.New(reportingv1.Reason_REASON_DISPATCH_GAP_UNKNOWN, "no number is missing there", "source", source.GetSource())
	}
	given := store.GivenUp{Void: &reportingv1.Void{From: req.GetFrom(), To: req.GetTo(), Reason: req.GetReason()}, Numbers: missing}
	if err := store.StoreVoids(c, at, access.FromContext(ctx).Unit, []store.GivenUp{given}); err != nil {
		return nil, err
	}
	for _, n := range missing {
		spans = spans.Add(n, n)
	}
	source.DurableThrough, spans = spans.Advance(source.GetDurableThrough())
	source.Counts.Voided += int64(len(missing))
	return &reportingv1.CloseGapResponse{Hello: hello(source, spans), Closed: int32(len(missing))}, nil
}

// LowerEpoch implements ReportingOperationsService.
func (s *Operations) LowerEpoch(ctx context.Context, req *reportingv1.LowerEpochRequest) (*reportingv1.LowerEpochResponse, error) {
	if req.GetEpoch() >= req.GetMistakenEpoch() {
		return nil, fault.Invalid("epoch", "must be lower than mistaken_epoch")
	}
	var spans rules.Spans
	rule := func(c *command.Change, source *reportingv1.DispatchSource) (err error) {
		c.Happened("epoch_lowered", unitOf(source.GetSource()))
		if req.GetMistakenEpoch() != source.GetEpoch() {
			return staleEpoch(req.GetMistakenEpoch(), source)
		}
		if spans, err = store.SpansAbove(ctx, s.Engine.DB, source.GetSource(), req.GetEpoch(), 0); err != nil {
			return err
		}
		if err := store.StoreLowered(c, source, req.GetEpoch(), by(ctx), req.GetReason()); err != nil {
			return err
		}
		source.Epoch = req.GetEpoch()
		source.DurableThrough, spans = spans.Advance(0)
		counts(source).GreatestSequence = spans.Greatest(source.GetDurableThrough())
		return nil
	}
	return command.Update(ctx, s.Engine, command.CallFrom(ctx, req), s.Tables.Sources, sourceID(req.GetSource()), rule,
		func(source *reportingv1.DispatchSource) *reportingv1.LowerEpochResponse {
			return &reportingv1.LowerEpochResponse{Hello: hello(source, spans)}
		})
}

// unitOf is the unit of a source.
func unitOf(source string) string {
	unit, _, _ := strings.Cut(source, ":")
	return unit
}

// keepApart puts aside what somebody has to look at, each content once.
func (d *Desk) keepApart(ctx context.Context, c *command.Change, b *batch) error {
	if len(b.apart) == 0 {
		return nil
	}
	ids := make([]string, len(b.apart))
	for i, in := range b.apart {
		ids[i] = store.QuarantineID(b.at, in)
	}
	known, err := store.QuarantinedAmong(ctx, d.Engine.DB, ids)
	if err != nil {
		return err
	}
	for i, in := range b.apart {
		if known[ids[i]] || slices.Contains(ids[:i], ids[i]) {
			continue
		}
		kept := rules.Quarantine(d.District, ids[i], rules.Update{Source: b.at.Source, Epoch: b.at.Epoch, Envelope: in.Envelope}, in.Cause, c.Now)
		if err := command.Insert(c, d.Tables.Quarantine, kept, "quarantined", unitOf(b.at.Source)); err != nil {
			return err
		}
	}
	return nil
}
