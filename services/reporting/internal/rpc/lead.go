package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Leads serves LeadService.
type Leads struct {
	reportingv1.UnimplementedLeadServiceServer
	*Desk
}

// DirectItem implements LeadService.
func (s *Leads) DirectItem(ctx context.Context, req *reportingv1.DirectItemRequest) (*reportingv1.DirectItemResponse, error) {
	switch req.GetKind() {
	case "report":
		return directed(ctx, s, req, s.Tables.Reports, func(c *command.Change, r *reportingv1.Report) error {
			return rules.DirectReport(s.District, r, s.Tables.Reports.Head(r).State, by(ctx), req.GetToUnit(), req.GetText(), c.Now)
		})
	case "search":
		return directed(ctx, s, req, s.Tables.Searches, noteOf(ctx, s, req, s.Tables.Searches, func(x *reportingv1.Search) *[]*reportingv1.Direction { return &x.Directions }))
	case "filing":
		return directed(ctx, s, req, s.Tables.Filings, noteOf(ctx, s, req, s.Tables.Filings, func(x *reportingv1.Filing) *[]*reportingv1.Direction { return &x.Directions }))
	case "supervision":
		return directed(ctx, s, req, s.Tables.Supervisions, noteOf(ctx, s, req, s.Tables.Supervisions, func(x *reportingv1.Supervision) *[]*reportingv1.Direction { return &x.Directions }))
	}
	return nil, fault.Invalid("kind", "is no kind of item that the lead office directs")
}

// noteOf is the rule for the kinds that keep what was directed in a list of their own.
func noteOf[M proto.Message](ctx context.Context, s *Leads, req *reportingv1.DirectItemRequest, t *row.Table[M], notes func(M) *[]*reportingv1.Direction) func(*command.Change, M) error {
	return func(c *command.Change, m M) error {
		head := t.Head(m)
		note, err := rules.Direct(s.District, head.Standing, head.State, by(ctx), req.GetToUnit(), req.GetText(), c.Now)
		if err != nil {
			return err
		}
		list := notes(m)
		*list = append(*list, note)
		return nil
	}
}

func directed[M proto.Message](ctx context.Context, s *Leads, req *reportingv1.DirectItemRequest, t *row.Table[M], rule func(*command.Change, M) error) (*reportingv1.DirectItemResponse, error) {
	return update(ctx, s.Desk, req, t, req.GetItemId(), "item.direct", func(c *command.Change, m M) (string, error) {
		return "directed", rule(c, m)
	}, func(m M) *reportingv1.DirectItemResponse {
		return &reportingv1.DirectItemResponse{Standing: t.Head(m).Standing}
	})
}

// DeclineItem implements LeadService.
func (s *Leads) DeclineItem(ctx context.Context, req *reportingv1.DeclineItemRequest) (*reportingv1.DeclineItemResponse, error) {
	switch req.GetKind() {
	case "search":
		return declined(ctx, s, req, s.Tables.Searches, func(x *reportingv1.Search) *[]*reportingv1.Direction { return &x.Directions })
	case "filing":
		return declined(ctx, s, req, s.Tables.Filings, func(x *reportingv1.Filing) *[]*reportingv1.Direction { return &x.Directions })
	}
	return nil, fault.Invalid("kind", "is no kind of item that is declined here")
}

func declined[M proto.Message](ctx context.Context, s *Leads, req *reportingv1.DeclineItemRequest, t *row.Table[M], notes func(M) *[]*reportingv1.Direction) (*reportingv1.DeclineItemResponse, error) {
	return update(ctx, s.Desk, req, t, req.GetItemId(), "item.decline", func(c *command.Change, m M) (string, error) {
		head := t.Head(m)
		note, err := rules.DeclineItem(head.Standing, head.State, by(ctx), req.GetText(), c.Now)
		if err != nil {
			return "", err
		}
		list := notes(m)
		*list = append(*list, note)
		return "declined", nil
	}, func(m M) *reportingv1.DeclineItemResponse {
		return &reportingv1.DeclineItemResponse{Standing: t.Head(m).Standing}
	})
}
