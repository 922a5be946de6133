package rpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Dispatch serves DispatchService.
type Dispatch struct {
	reportingv1.UnimplementedDispatchServiceServer
	*Desk
}

// voidMost is how many numbers one void may give up.
const voidMost = 10_000

// sourceNamespace of the ids derived from the names of sources, so that each source has one row whoever makes it.
var sourceNamespace = uuid.MustParse("5f4f3a0c-6f1d-5d0e-9a47-3f0b6e1c2d11")

func sourceOf(caller *access.Caller) (name, id string) {
	name = caller.Unit + ":" + caller.System
	return name, uuid.NewSHA1(sourceNamespace, []byte(name)).String()
}

// GetDispatchPosition implements DispatchService.
func (s *Dispatch) GetDispatchPosition(ctx context.Context, _ *reportingv1.GetDispatchPositionRequest) (*reportingv1.GetDispatchPositionResponse, error) {
	_, id := sourceOf(access.FromContext(ctx))
	source, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Sources, id)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return &reportingv1.GetDispatchPositionResponse{Hello: &reportingv1.Hello{}}, nil
	}
	if err != nil {
		return nil, err
	}
	known, err := store.SpentAbove(ctx, s.Engine.DB, source.GetSource(), source.GetEpoch(), source.GetDurableThrough())
	if err != nil {
		return nil, err
	}
	_, gaps := advance(source.GetDurableThrough(), known)
	return &reportingv1.GetDispatchPositionResponse{Hello: &reportingv1.Hello{
		Epoch: source.GetEpoch(), DurableThrough: source.GetDurableThrough(), Gaps: gaps,
	}}, nil
}

// PushIncidentUpdateBatch implements DispatchService. The source's row is changed by each of its batches, so that two of them
// take turns; incidents are folded in Go first, so that each row is written once.
func (s *Dispatch) PushIncidentUpdateBatch(ctx context.Context, req *reportingv1.PushIncidentUpdateBatchRequest) (*reportingv1.PushIncidentUpdateBatchResponse, error) {
	if err := checkBatch(req); err != nil {
		return nil, err
	}
	name, id := sourceOf(access.FromContext(ctx))
	call := command.CallFrom(ctx, req)
	call.Class = abuseDetail
	var ack *reportingv1.Ack
	take := func(c *command.Change, source *reportingv1.DispatchSource) error {
		var err error
		ack, err = s.take(ctx, c, source, req)
		c.Happened("advanced")
		return err
	}
	answer := func(*reportingv1.DispatchSource) *reportingv1.PushIncidentUpdateBatchResponse {
		return &reportingv1.PushIncidentUpdateBatchResponse{Ack: ack}
	}
	given, err := command.Update(ctx, s.Engine, call, s.Tables.Sources, id, take, answer)
	if !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return given, err
	}
	given, err = command.Create(ctx, s.Engine, call, s.Tables.Sources, func(c *command.Change) (*reportingv1.DispatchSource, error) {
		source := &reportingv1.DispatchSource{Id: id, Source: name}
		if err := take(c, source); err != nil {
			return nil, err
		}
		c.Happened("opened")
		return source, nil
	}, answer)
	if fault.Is(err, faultv1.Reason_REASON_CONTENTION) { // another first batch of the source was faster
		return command.Update(ctx, s.Engine, call, s.Tables.Sources, id, take, answer)
	}
	return given, err
}

// checkBatch refuses what no state of the world makes right.
func checkBatch(req *reportingv1.PushIncidentUpdateBatchRequest) error {
	seen := make(map[int64]bool, len(req.GetUpdates()))
	for i, u := range req.GetUpdates() {
		if seen[u.GetSequence()] {
			return fault.Invalid(fmt.Sprintf("updates[%d].sequence", i), "stands twice in the batch")
		}
		seen[u.GetSequence()] = true
	}
	for i, v := range req.GetVoids() {
		if v.GetTo() < v.GetFrom() || v.GetTo()-v.GetFrom() >= voidMost {
			return fault.Invalid(fmt.Sprintf("voids[%d].to", i), "must not lie before from, nor make the range larger than 10000")
		}
	}
	return nil
}

// take works a batch into the command and answers what will be durable when it commits.
func (s *Dispatch) take(ctx context.Context, c *command.Change, source *reportingv1.DispatchSource, req *reportingv1.PushIncidentUpdateBatchRequest) (*reportingv1.Ack, error) {
	if req.GetEpoch() < source.GetEpoch() {
		return nil, fault.New(reportingv1.Reason_REASON_DISPATCH_EPOCH_STALE, "a higher epoch has begun",
			"epoch", fmt.Sprint(req.GetEpoch()), "present", fmt.Sprint(source.GetEpoch()))
	}
	if req.GetEpoch() > source.GetEpoch() {
		source.Epoch, source.DurableThrough = req.GetEpoch(), 0
	}
	b, err := s.sort(ctx, c, store.Position{Source: source.GetSource(), Epoch: source.GetEpoch()}, req)
	if err != nil {
		return nil, err
	}
	if err := s.keep(ctx, c, b); err != nil {
		return nil, err
	}
	if err := s.fold(ctx, c, b); err != nil {
		return nil, err
	}
	known, err := store.SpentAbove(ctx, s.Engine.DB, source.GetSource(), source.GetEpoch(), source.GetDurableThrough())
	if err != nil {
		return nil, err
	}
	ack := &reportingv1.Ack{Quarantined: b.quarantined}
	ack.DurableThrough, ack.Gaps = advance(source.GetDurableThrough(), append(known, b.numbers()...))
	source.DurableThrough = ack.GetDurableThrough()
	return ack, nil
}
