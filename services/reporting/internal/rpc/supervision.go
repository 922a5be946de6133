package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Supervisions serves SupervisionService and SupervisionReadService.
type Supervisions struct {
	reportingv1.UnimplementedSupervisionServiceServer
	reportingv1.UnimplementedSupervisionReadServiceServer
	*Desk
}

// AskReasons implements SupervisionService. The command is the filing's, so that two who ask at once notice each other.
func (s *Supervisions) AskReasons(ctx context.Context, req *reportingv1.AskReasonsRequest) (*reportingv1.AskReasonsResponse, error) {
	var supervision *reportingv1.Supervision
	return update(ctx, s.Desk, req, s.Tables.Filings, req.GetFilingId(), "filing.supervise", func(c *command.Change, f *reportingv1.Filing) (string, error) {
		made, err := rules.AskReasons(s.District, f, by(ctx), req.GetText(), c.ID("supervision"), c.Now)
		if err != nil {
			return "", err
		}
		if err := noneRunning(ctx, s.Desk, s.Tables.Supervisions, f.GetReportId(), func(x *reportingv1.Supervision) bool {
			return x.GetFilingId() == req.GetFilingId() && x.GetStanding().GetHolder() != ""
		}); err != nil {
			return "", err
		}
		supervision = made
		return "reasons_asked", command.Insert(c, s.Tables.Supervisions, supervision, "reasons_asked", rules.Procuratorate)
	}, func(*reportingv1.Filing) *reportingv1.AskReasonsResponse {
		return &reportingv1.AskReasonsResponse{Standing: supervision.GetStanding(), State: supervision.GetState()}
	}, rules.Procuratorate)
}

// StateReasons implements SupervisionService.
func (s *Supervisions) StateReasons(ctx context.Context, req *reportingv1.StateReasonsRequest) (*reportingv1.StateReasonsResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Supervisions, req.GetSupervisionId(), "filing.answer", func(c *command.Change, x *reportingv1.Supervision) (string, error) {
		return "reasons_stated", rules.StateReasons(s.District, x, by(ctx), req.GetText(), c.Now)
	}, func(x *reportingv1.Supervision) *reportingv1.StateReasonsResponse {
		return &reportingv1.StateReasonsResponse{Standing: x.GetStanding(), State: x.GetState()}
	}, rules.Procuratorate)
}

// AcceptReasons implements SupervisionService. The police unit hears of it, though nothing is asked of it any more.
func (s *Supervisions) AcceptReasons(ctx context.Context, req *reportingv1.AcceptReasonsRequest) (*reportingv1.AcceptReasonsResponse, error) {
	supervision, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Supervisions, req.GetSupervisionId())
	if err != nil {
		return nil, err
	}
	return update(ctx, s.Desk, req, s.Tables.Supervisions, req.GetSupervisionId(), "filing.supervise", func(c *command.Change, x *reportingv1.Supervision) (string, error) {
		return "reasons_accepted", rules.AcceptReasons(x, by(ctx), req.GetText(), c.Now)
	}, func(x *reportingv1.Supervision) *reportingv1.AcceptReasonsResponse {
		return &reportingv1.AcceptReasonsResponse{Standing: x.GetStanding(), State: x.GetState()}
	}, supervision.GetPoliceUnit())
}

// OrderFiling implements SupervisionService.
func (s *Supervisions) OrderFiling(ctx context.Context, req *reportingv1.OrderFilingRequest) (*reportingv1.OrderFilingResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Supervisions, req.GetSupervisionId(), "filing.supervise", func(c *command.Change, x *reportingv1.Supervision) (string, error) {
		return "filing_ordered", rules.OrderFiling(s.District, x, by(ctx), req.GetText(), c.Now)
	}, func(x *reportingv1.Supervision) *reportingv1.OrderFilingResponse {
		return &reportingv1.OrderFilingResponse{Standing: x.GetStanding(), State: x.GetState()}
	}, rules.Procuratorate)
}

// WithdrawSupervision implements SupervisionService. The police unit hears of it.
func (s *Supervisions) WithdrawSupervision(ctx context.Context, req *reportingv1.WithdrawSupervisionRequest) (*reportingv1.WithdrawSupervisionResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Supervisions, req.GetSupervisionId(), "filing.supervise", func(c *command.Change, x *reportingv1.Supervision) (string, error) {
		return "withdrawn", rules.WithdrawSupervision(x, by(ctx), req.GetText(), c.Now)
	}, func(x *reportingv1.Supervision) *reportingv1.WithdrawSupervisionResponse {
		return &reportingv1.WithdrawSupervisionResponse{Standing: x.GetStanding(), State: x.GetState()}
	}, rules.Procuratorate)
}

// FileAsOrdered implements SupervisionService: supervision closed and filing decided anew, all or nothing.
func (s *Supervisions) FileAsOrdered(ctx context.Context, req *reportingv1.FileAsOrderedRequest) (*reportingv1.FileAsOrderedResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Supervisions, req.GetSupervisionId(), "filing.answer", func(c *command.Change, x *reportingv1.Supervision) (string, error) {
		filing, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Filings, x.GetFilingId())
		if err != nil {
			return "", err
		}
		loaded := command.Remember(s.Tables.Filings, filing)
		if err := rules.FileAsOrdered(s.District, x, filing, by(ctx), req, c.Now); err != nil {
			return "", err
		}
		if err := noneRunning(ctx, s.Desk, s.Tables.Filings, x.GetReportId(), func(other *reportingv1.Filing) bool {
			return other.GetState() != reportingv1.Filing_STATE_CLOSED && other.GetKind() == filing.GetKind() && other.GetStanding().GetId() != x.GetFilingId()
		}); err != nil {
			return "", err
		}
		return "filed", loaded.Update(c, "filed_as_ordered", rules.Procuratorate)
	}, func(x *reportingv1.Supervision) *reportingv1.FileAsOrderedResponse {
		return &reportingv1.FileAsOrderedResponse{Standing: x.GetStanding(), State: x.GetState()}
	}, rules.Procuratorate)
}

// GetSupervision implements SupervisionReadService.
func (s *Supervisions) GetSupervision(ctx context.Context, req *reportingv1.GetSupervisionRequest) (*reportingv1.GetSupervisionResponse, error) {
	supervision, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Supervisions, req.GetSupervisionId())
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.GetSupervisionResponse{Supervision: supervision}
	return answer, s.show(ctx, "filing.read", "supervision", s.Tables.Supervisions.Head(supervision), answer)
}
