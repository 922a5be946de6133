package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Response serves ResponseService: what a response sets in motion beside the report.
type Response struct {
	reportingv1.UnimplementedResponseServiceServer
	*Desk
}

// noneRunning refuses a second item of a kind while one of it runs. Two that race meet the unique index instead, and the loser comes back here.
func noneRunning[M proto.Message](ctx context.Context, d *Desk, t *row.Table[M], report string, runs func(M) bool) error {
	items, err := store.OfReport(ctx, d.Engine.DB, d.Engine.Keys, t, report)
	if err != nil {
		return err
	}
	for _, item := range items {
		if runs(item) {
			return fault.New(reportingv1.Reason_REASON_UNDER_WAY, "the report has a "+t.Kind+" under way", "kind", t.Kind, "id", t.Head(item).ID)
		}
	}
	return nil
}

// StartSearch implements ResponseService: the measure on the report and the search, all or nothing.
func (s *Response) StartSearch(ctx context.Context, req *reportingv1.StartSearchRequest) (*reportingv1.StartSearchResponse, error) {
	var search *reportingv1.Search
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.measure", func(c *command.Change, r *reportingv1.Report) (string, error) {
		made, err := rules.StartSearch(s.District, r, by(ctx), req, c.ID("measure"), c.ID("search"), c.Now)
		if err != nil {
			return "", err
		}
		if err := noneRunning(ctx, s.Desk, s.Tables.Searches, req.GetReportId(), func(x *reportingv1.Search) bool {
			return x.GetState() == reportingv1.Search_STATE_SEARCHING && x.GetProvisionalChildId() == made.GetProvisionalChildId()
		}); err != nil {
			return "", err
		}
		search = made
		return "searched", command.Insert(c, s.Tables.Searches, search, "started")
	}, func(*reportingv1.Report) *reportingv1.StartSearchResponse {
		return &reportingv1.StartSearchResponse{Standing: search.GetStanding(), State: search.GetState()}
	})
}

// RecordSearch implements ResponseService.
func (s *Response) RecordSearch(ctx context.Context, req *reportingv1.RecordSearchRequest) (*reportingv1.RecordSearchResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Searches, req.GetSearchId(), "report.measure", func(c *command.Change, x *reportingv1.Search) (string, error) {
		return "recorded", rules.RecordSearch(s.District, x, by(ctx), req.GetText(), c.Now)
	}, func(x *reportingv1.Search) *reportingv1.RecordSearchResponse {
		return &reportingv1.RecordSearchResponse{Standing: x.GetStanding(), State: x.GetState()}
	})
}

// EndSearch implements ResponseService.
func (s *Response) EndSearch(ctx context.Context, req *reportingv1.EndSearchRequest) (*reportingv1.EndSearchResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Searches, req.GetSearchId(), "report.measure", func(c *command.Change, x *reportingv1.Search) (string, error) {
		return "ended", rules.EndSearch(x, by(ctx), req, c.Now)
	}, func(x *reportingv1.Search) *reportingv1.EndSearchResponse {
		return &reportingv1.EndSearchResponse{Standing: x.GetStanding(), State: x.GetState()}
	})
}

// RequestPlacement implements ResponseService: the pending measure on the report and the offer to civil affairs, all or nothing.
func (s *Response) RequestPlacement(ctx context.Context, req *reportingv1.RequestPlacementRequest) (*reportingv1.RequestPlacementResponse, error) {
	var placement *reportingv1.Placement
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.measure", func(c *command.Change, r *reportingv1.Report) (string, error) {
		made, err := rules.RequestPlacement(s.District, r, by(ctx), req, c.ID("measure"), c.ID("placement"), c.Now)
		if err != nil {
			return "", err
		}
		if err := s.oneCarer(ctx, made); err != nil {
			return "", err
		}
		placement = made
		return "placement_asked", command.Insert(c, s.Tables.Placements, placement, "requested")
	}, func(*reportingv1.Report) *reportingv1.RequestPlacementResponse {
		return &reportingv1.RequestPlacementResponse{Standing: placement.GetStanding(), State: placement.GetState()}
	})
}

// oneCarer refuses a placement of a child that is asked for or in care already.
func (s *Response) oneCarer(ctx context.Context, p *reportingv1.Placement) error {
	return noneRunning(ctx, s.Desk, s.Tables.Placements, p.GetReportId(), func(x *reportingv1.Placement) bool {
		running := x.GetState() == reportingv1.Placement_STATE_REQUESTED || x.GetState() == reportingv1.Placement_STATE_PLACED
		return running && x.GetProvisionalChildId() == p.GetProvisionalChildId()
	})
}

// AcceptPlacement implements ResponseService: the care and the measure that counts from now, all or nothing.
func (s *Response) AcceptPlacement(ctx context.Context, req *reportingv1.AcceptPlacementRequest) (*reportingv1.AcceptPlacementResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Placements, req.GetPlacementId(), "placement.take", func(c *command.Change, p *reportingv1.Placement) (string, error) {
		if p.GetState() == reportingv1.Placement_STATE_DECLINED {
			if err := s.oneCarer(ctx, p); err != nil {
				return "", err
			}
		}
		return "accepted", s.withReport(ctx, c, p.GetReportId(), "placed", func(r *reportingv1.Report) error {
			return rules.AcceptPlacement(s.District, p, r, by(ctx), req.GetCareUnit(), c.Now)
		})
	}, func(p *reportingv1.Placement) *reportingv1.AcceptPlacementResponse {
		return &reportingv1.AcceptPlacementResponse{Standing: p.GetStanding(), State: p.GetState()}
	})
}

// DeclinePlacement implements ResponseService.
func (s *Response) DeclinePlacement(ctx context.Context, req *reportingv1.DeclinePlacementRequest) (*reportingv1.DeclinePlacementResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Placements, req.GetPlacementId(), "placement.take", func(c *command.Change, p *reportingv1.Placement) (string, error) {
		return "declined", s.withReport(ctx, c, p.GetReportId(), "placement_declined", func(r *reportingv1.Report) error {
			return rules.DeclinePlacement(s.District, p, r, by(ctx), req.GetText(), c.Now)
		})
	}, func(p *reportingv1.Placement) *reportingv1.DeclinePlacementResponse {
		return &reportingv1.DeclinePlacementResponse{Standing: p.GetStanding(), State: p.GetState()}
	})
}

// WithdrawPlacement implements ResponseService.
func (s *Response) WithdrawPlacement(ctx context.Context, req *reportingv1.WithdrawPlacementRequest) (*reportingv1.WithdrawPlacementResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Placements, req.GetPlacementId(), "placement.withdraw", func(c *command.Change, p *reportingv1.Placement) (string, error) {
		return "withdrawn", s.withReport(ctx, c, p.GetReportId(), "placement_withdrawn", func(r *reportingv1.Report) error {
			return rules.WithdrawPlacement(p, r, by(ctx), req.GetText(), c.Now)
		})
	}, func(p *reportingv1.Placement) *reportingv1.WithdrawPlacementResponse {
		return &reportingv1.WithdrawPlacementResponse{Standing: p.GetStanding(), State: p.GetState()}
	})
}

// EndPlacement implements ResponseService.
func (s *Response) EndPlacement(ctx context.Context, req *reportingv1.EndPlacementRequest) (*reportingv1.EndPlacementResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Placements, req.GetPlacementId(), "placement.take", func(c *command.Change, p *reportingv1.Placement) (string, error) {
		return "ended", rules.EndPlacement(p, by(ctx), req.GetEnd(), req.GetText(), c.Now)
	}, func(p *reportingv1.Placement) *reportingv1.EndPlacementResponse {
		return &reportingv1.EndPlacementResponse{Standing: p.GetStanding(), State: p.GetState()}
	})
}

// withReport runs a rule on an item's report too, in the command of the item.
func (d *Desk) withReport(ctx context.Context, c *command.Change, id, what string, rule func(*reportingv1.Report) error) error {
	report, err := row.Get(ctx, d.Engine.DB, d.Engine.Keys, d.Tables.Reports, id)
	if err != nil {
		return err
	}
	loaded := command.Remember(d.Tables.Reports, report)
	if err := rule(report); err != nil {
		return err
	}
	if err := loaded.Update(c, what); err != nil {
		return err
	}
	return d.release(ctx, c, report)
}

// ResponseReads serves ResponseReadService.
type ResponseReads struct {
	reportingv1.UnimplementedResponseReadServiceServer
	*Desk
}

// GetSearch implements ResponseReadService.
func (s *ResponseReads) GetSearch(ctx context.Context, req *reportingv1.GetSearchRequest) (*reportingv1.GetSearchResponse, error) {
	search, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Searches, req.GetSearchId())
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.GetSearchResponse{Search: search}
	return answer, s.show(ctx, "report.read", "search", s.Tables.Searches.Head(search), answer)
}

// GetPlacement implements ResponseReadService.
func (s *ResponseReads) GetPlacement(ctx context.Context, req *reportingv1.GetPlacementRequest) (*reportingv1.GetPlacementResponse, error) {
	placement, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Placements, req.GetPlacementId())
	if err != nil {
		return nil, err
	}
	child, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Children, placement.GetProvisionalChildId())
	if err != nil {
		return nil, err
	}
	if s.see(ctx, "report.read", s.Tables.Placements.Head(placement)) != nil {
		child = minimum(child)
	}
	answer := &reportingv1.GetPlacementResponse{Placement: placement, Child: child}
	return answer, s.show(ctx, "placement.read", "placement", s.Tables.Placements.Head(placement), answer)
}

// minimum is what a unit that is asked to care for a child learns of it: who it is. School, times and earlier descriptions would tell of the report
// and of who made it (policy R3.8).
func minimum(child *reportingv1.ProvisionalChild) *reportingv1.ProvisionalChild {
	return &reportingv1.ProvisionalChild{
		Id: child.GetId(), Etag: child.GetEtag(), Version: child.GetVersion(), MatterId: child.GetMatterId(), Division: child.GetDivision(),
		Person: child.GetPerson(), ChildId: child.GetChildId(),
	}
}
