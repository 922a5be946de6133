package rpc

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// What a frame, a batch and a source may hold; see the contract.
const (
	frameMost    = 200
	batchMost    = 500
	voidMost     = 10_000
	aheadMost    = 1_000_000
	sequenceMost = 1<<53 - 1 // the greatest integer that JSON's own number holds
)

// Dispatch serves DispatchService.
type Dispatch struct {
	reportingv1.UnimplementedDispatchServiceServer
	*Desk

	streams streams
}

// NewDispatch serves the dispatch systems of a desk.
func NewDispatch(d *Desk) *Dispatch {
	return &Dispatch{Desk: d, streams: streams{open: map[string][]*stream{}, drained: make(chan struct{})}}
}

// sourceNamespace of the ids derived from the names of sources, so that each source has one row whoever makes it.
var sourceNamespace = uuid.MustParse("5f4f3a0c-6f1d-5d0e-9a47-3f0b6e1c2d11")

func sourceOf(caller *access.Caller) (name, id string) {
	name = caller.Unit + ":" + caller.System
	return name, sourceID(name)
}

func sourceID(name string) string { return uuid.NewSHA1(sourceNamespace, []byte(name)).String() }

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
	spans, err := store.SpansAbove(ctx, s.Engine.DB, source.GetSource(), source.GetEpoch(), source.GetDurableThrough())
	return &reportingv1.GetDispatchPositionResponse{Hello: hello(source, spans)}, err
}

func hello(source *reportingv1.DispatchSource, spans rules.Spans) *reportingv1.Hello {
	durable := source.GetDurableThrough()
	return &reportingv1.Hello{Epoch: source.GetEpoch(), DurableThrough: durable, Gaps: spans.Gaps(durable, gapsMost), GreatestSequence: spans.Greatest(durable)}
}

// PushIncidentUpdateBatch implements DispatchService.
func (s *Dispatch) PushIncidentUpdateBatch(ctx context.Context, req *reportingv1.PushIncidentUpdateBatchRequest) (*reportingv1.PushIncidentUpdateBatchResponse, error) {
	f := &reportingv1.PushIncidentUpdatesRequest{Epoch: req.GetEpoch(), Updates: req.GetUpdates(), Voids: req.GetVoids()}
	if err := checkFrame(f, batchMost); err != nil {
		return nil, err
	}
	call := command.CallFrom(ctx, req)
	call.Class = abuseDetail
	p := &push{frames: []*reportingv1.PushIncidentUpdatesRequest{f}}
	return onSource(ctx, s, call, "advanced", func(c *command.Change, source *reportingv1.DispatchSource) error {
		return s.take(ctx, c, source, p)
	}, func(*reportingv1.DispatchSource) *reportingv1.PushIncidentUpdateBatchResponse {
		return &reportingv1.PushIncidentUpdateBatchResponse{Ack: p.ack}
	})
}

// onSource runs a rule on the caller's source, which is made when it calls for the first time. Every push changes the source's row, so that
// two pushes of one source take turns.
func onSource[A proto.Message](ctx context.Context, s *Dispatch, call command.Call, what string, rule func(*command.Change, *reportingv1.DispatchSource) error, answer func(*reportingv1.DispatchSource) A) (A, error) {
	caller := access.FromContext(ctx)
	name, id := sourceOf(caller)
	change := func(c *command.Change, source *reportingv1.DispatchSource) error {
		c.Happened(what)
		source.Contract = cmp.Or(caller.Contract, source.GetContract())
		return rule(c, source)
	}
	given, err := command.Update(ctx, s.Engine, call, s.Tables.Sources, id, change, answer)
	if !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return given, err
	}
	given, err = command.Create(ctx, s.Engine, call, s.Tables.Sources, func(c *command.Change) (*reportingv1.DispatchSource, error) {
		source := &reportingv1.DispatchSource{Id: id, Source: name}
		err := change(c, source)
		c.Happened("opened")
		return source, err
	}, answer)
	if fault.Is(err, faultv1.Reason_REASON_CONTENTION) { // another first call of the source was faster, or what the call writes beside is contended
		again, changed := command.Update(ctx, s.Engine, call, s.Tables.Sources, id, change, answer)
		if !fault.Is(changed, faultv1.Reason_REASON_NOT_FOUND) {
			return again, changed
		}
	}
	return given, err
}

// checkFrame refuses what no state of the world makes right and no quarantine could hold: too much, and numbers that are none.
func checkFrame(f *reportingv1.PushIncidentUpdatesRequest, most int) error {
	if len(f.GetUpdates()) > most {
		return fault.Invalid("updates", fmt.Sprintf("must not hold more than %d", most))
	}
	for i, u := range f.GetUpdates() {
		if u.GetSequence() < 1 || u.GetSequence() > sequenceMost {
			return fault.Invalid(fmt.Sprintf("updates[%d].sequence", i), fmt.Sprintf("must be from 1 to %d", int64(sequenceMost)))
		}
	}
	total := int64(0)
	for i, v := range f.GetVoids() {
		if v.GetTo() < v.GetFrom() || v.GetTo() > sequenceMost {
			return fault.Invalid(fmt.Sprintf("voids[%d].to", i), fmt.Sprintf("must be from voids[%d].from to %d", i, int64(sequenceMost)))
		}
		size := v.GetTo() - v.GetFrom() + 1
		if size > voidMost-total {
			return fault.Invalid(fmt.Sprintf("voids[%d].to", i), fmt.Sprintf("must not make the ranges larger than %d together", voidMost))
		}
		total += size
	}
	return nil
}

// push is what one commit takes.
type push struct {
	// frames of one epoch, in the order they came.
	frames []*reportingv1.PushIncidentUpdatesRequest
	// unprocessable quarantines every update, because storing it in any other way has failed.
	unprocessable bool
	// spans above the durable position while the source is at version; read from the database when it is at another.
	spans   rules.Spans
	version int64
	// ack is what will be durable when the command commits, and after are the spans left above it. The last attempt's count.
	ack   *reportingv1.Ack
	after rules.Spans
}

// take works a push into the command. Incidents are folded in Go first, so that each row is written once.
func (s *Dispatch) take(ctx context.Context, c *command.Change, source *reportingv1.DispatchSource, p *push) error {
	spans, err := s.begin(ctx, source, p)
	if err != nil {
		return err
	}
	b, err := s.sort(ctx, c, store.Position{Source: source.GetSource(), Epoch: source.GetEpoch()}, p)
	if err != nil {
		return err
	}
	b.measure(source, c.Now)
	if err := s.keep(ctx, c, b); err != nil {
		return err
	}
	if err := s.fold(ctx, c, b); err != nil {
		return err
	}
	for _, in := range b.fresh {
		spans = spans.Add(in.Envelope.GetSequence(), in.Envelope.GetSequence())
	}
	for _, v := range b.voids {
		for _, n := range v.Numbers {
			spans = spans.Add(n, n)
		}
	}
	source.DurableThrough, p.after = spans.Advance(source.GetDurableThrough())
	greatest := p.after.Greatest(source.GetDurableThrough())
	p.ack = &reportingv1.Ack{
		DurableThrough: source.GetDurableThrough(), Gaps: p.after.Gaps(source.GetDurableThrough(), gapsMost), Quarantined: b.quarantined, GreatestSequence: greatest,
	}
	b.count(s.District, source, greatest, c.Now)
	return nil
}

// begin settles the epoch, refuses numbers too far ahead and gives the spans above the durable position.
func (s *Dispatch) begin(ctx context.Context, source *reportingv1.DispatchSource, p *push) (rules.Spans, error) {
	epoch := p.frames[0].GetEpoch()
	if epoch < source.GetEpoch() {
		return nil, staleEpoch(epoch, source)
	}
	var spans rules.Spans
	fresh := epoch > source.GetEpoch()
	if fresh {
		var err error // an epoch that the operator took back has numbers when it comes again
		if spans, err = store.SpansAbove(ctx, s.Engine.DB, source.GetSource(), epoch, 0); err != nil {
			return nil, err
		}
		source.Epoch = epoch
		source.DurableThrough, spans = spans.Advance(0)
	}
	if n := p.greatest(); n > source.GetDurableThrough()+aheadMost {
		return nil, fault.New(reportingv1.Reason_REASON_DISPATCH_SEQUENCE_AHEAD, "send or void what is missing first, or begin a new epoch",
			"sequence", fmt.Sprint(n), "durable_through", fmt.Sprint(source.GetDurableThrough()))
	}
	switch {
	case fresh:
		return spans, nil
	case p.version != 0 && p.version == source.GetVersion():
		return slices.Clone(p.spans), nil
	}
	return store.SpansAbove(ctx, s.Engine.DB, source.GetSource(), source.GetEpoch(), source.GetDurableThrough())
}

func staleEpoch(epoch int64, source *reportingv1.DispatchSource) error {
	return fault.New(reportingv1.Reason_REASON_DISPATCH_EPOCH_STALE, "another epoch counts now",
		"epoch", fmt.Sprint(epoch), "present", fmt.Sprint(source.GetEpoch()))
}

// greatest number that is sent or given up.
func (p *push) greatest() int64 {
	greatest := int64(0)
	for _, f := range p.frames {
		for _, u := range f.GetUpdates() {
			greatest = max(greatest, u.GetSequence())
		}
		for _, v := range f.GetVoids() {
			greatest = max(greatest, v.GetTo())
		}
	}
	return greatest
}
