package rpc

import (
	"context"
	"time"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Filings serves FilingService. The procuratorate hears of every step; the reporter of none: it asks for itself.
type Filings struct {
	reportingv1.UnimplementedFilingServiceServer
	*Desk
}

// OpenFiling implements FilingService. The command is the report's, so that a report that is handed over meanwhile is noticed.
func (s *Filings) OpenFiling(ctx context.Context, req *reportingv1.OpenFilingRequest) (*reportingv1.OpenFilingResponse, error) {
	var filing *reportingv1.Filing
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.file", func(c *command.Change, r *reportingv1.Report) (string, error) {
		made, err := rules.OpenFiling(s.District, r, by(ctx), req.GetKind(), c.ID("filing"))
		if err != nil {
			return "", err
		}
		if err := noneRunning(ctx, s.Desk, s.Tables.Filings, req.GetReportId(), func(x *reportingv1.Filing) bool {
			return x.GetState() != reportingv1.Filing_STATE_CLOSED && x.GetKind() == made.GetKind()
		}); err != nil {
			return "", err
		}
		filing = made
		return "filing_opened", command.Insert(c, s.Tables.Filings, filing, "opened", rules.Procuratorate)
	}, func(*reportingv1.Report) *reportingv1.OpenFilingResponse {
		return &reportingv1.OpenFilingResponse{Standing: filing.GetStanding(), State: filing.GetState()}
	})
}

// ExtendFiling implements FilingService.
func (s *Filings) ExtendFiling(ctx context.Context, req *reportingv1.ExtendFilingRequest) (*reportingv1.ExtendFilingResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Filings, req.GetFilingId(), "report.file", func(c *command.Change, f *reportingv1.Filing) (string, error) {
		return "extended", rules.ExtendFiling(s.District, f, by(ctx), req, c.Now)
	}, func(f *reportingv1.Filing) *reportingv1.ExtendFilingResponse {
		return &reportingv1.ExtendFilingResponse{Standing: f.GetStanding(), State: f.GetState()}
	}, rules.Procuratorate)
}

// DecideFiling implements FilingService.
func (s *Filings) DecideFiling(ctx context.Context, req *reportingv1.DecideFilingRequest) (*reportingv1.DecideFilingResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Filings, req.GetFilingId(), "report.file", func(c *command.Change, f *reportingv1.Filing) (string, error) {
		return "decided", rules.DecideFiling(s.District, f, by(ctx), req, c.Now)
	}, func(f *reportingv1.Filing) *reportingv1.DecideFilingResponse {
		return &reportingv1.DecideFilingResponse{Standing: f.GetStanding(), State: f.GetState()}
	}, rules.Procuratorate)
}

// GiveFeedback implements FilingService.
func (s *Filings) GiveFeedback(ctx context.Context, req *reportingv1.GiveFeedbackRequest) (*reportingv1.GiveFeedbackResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Filings, req.GetFilingId(), "report.file", func(c *command.Change, f *reportingv1.Filing) (string, error) {
		return "answered", rules.GiveFeedback(f, by(ctx), c.Now)
	}, func(f *reportingv1.Filing) *reportingv1.GiveFeedbackResponse {
		return &reportingv1.GiveFeedbackResponse{Standing: f.GetStanding(), State: f.GetState()}
	}, rules.Procuratorate)
}

// GiveProsecutionFeedback implements FilingService.
func (s *Filings) GiveProsecutionFeedback(ctx context.Context, req *reportingv1.GiveProsecutionFeedbackRequest) (*reportingv1.GiveProsecutionFeedbackResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Filings, req.GetFilingId(), "report.prosecute", func(c *command.Change, f *reportingv1.Filing) (string, error) {
		return "prosecution_told", rules.GiveProsecutionFeedback(f, c.Now)
	}, func(f *reportingv1.Filing) *reportingv1.GiveProsecutionFeedbackResponse {
		return &reportingv1.GiveProsecutionFeedbackResponse{Standing: f.GetStanding(), State: f.GetState()}
	}, rules.Procuratorate)
}

// TransferForProsecution implements FilingService.
func (s *Filings) TransferForProsecution(ctx context.Context, req *reportingv1.TransferForProsecutionRequest) (*reportingv1.TransferForProsecutionResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Filings, req.GetFilingId(), "report.prosecute", func(c *command.Change, f *reportingv1.Filing) (string, error) {
		return "prosecuted", rules.TransferForProsecution(s.District, f, by(ctx), c.Now)
	}, func(f *reportingv1.Filing) *reportingv1.TransferForProsecutionResponse {
		return &reportingv1.TransferForProsecutionResponse{Standing: f.GetStanding(), State: f.GetState()}
	}, rules.Procuratorate)
}

// CorrectFiling implements FilingService.
func (s *Filings) CorrectFiling(ctx context.Context, req *reportingv1.CorrectFilingRequest) (*reportingv1.CorrectFilingResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Filings, req.GetFilingId(), "report.correct", func(c *command.Change, f *reportingv1.Filing) (string, error) {
		return "corrected", rules.CorrectFiling(f, by(ctx), req, c.Now)
	}, func(f *reportingv1.Filing) *reportingv1.CorrectFilingResponse {
		return &reportingv1.CorrectFilingResponse{Standing: f.GetStanding(), State: f.GetState()}
	}, rules.Procuratorate)
}

// FilingReads serves FilingReadService.
type FilingReads struct {
	reportingv1.UnimplementedFilingReadServiceServer
	*Reads
}

// GetFiling implements FilingReadService.
func (s *FilingReads) GetFiling(ctx context.Context, req *reportingv1.GetFilingRequest) (*reportingv1.GetFilingResponse, error) {
	filing, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Filings, req.GetFilingId())
	if err != nil {
		return nil, err
	}
	head := s.Tables.Filings.Head(filing)
	if err := s.see(ctx, "filing.read", head); err != nil {
		return nil, err
	}
	supervisions, err := s.Tables.SupervisionsOf(ctx, s.Engine.DB, s.Engine.Keys, filing)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.GetFilingResponse{Filing: filing, Supervisions: supervisions}
	return answer, s.show(ctx, "filing.read", "filing", head, answer)
}

// ListFilings implements FilingReadService.
func (s *FilingReads) ListFilings(ctx context.Context, req *reportingv1.ListFilingsRequest) (*reportingv1.ListFilingsResponse, error) {
	caller := access.FromContext(ctx)
	if req.GetDivision() != "" {
		if err := s.District.CheckFilter("division", req.GetDivision(), calendar.Today(s.Engine.Now())); err != nil {
			return nil, err
		}
	}
	size, scope, position, err := s.page(caller, req, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	var after *store.After
	if position != nil {
		if after, err = readAfter(position); err != nil {
			return nil, err
		}
	}
	visible := caller.Scope("filing.read")
	visible.All = visible.All || supervises(caller)
	filter := store.FilingFilter{Division: req.GetDivision(), Report: req.GetReportId(), Decision: req.GetDecision()}
	found, err := s.Tables.ListFilings(ctx, s.Engine.DB, s.Engine.Keys, visible, filter, after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.ListFilingsResponse{Filings: found[:min(size, len(found))]}
	if len(found) > size {
		last := found[size-1]
		answer.NextPageToken = pagetoken.Make(s.Engine.Keys, scope, last.GetCreateTime().AsTime().Format(time.RFC3339Nano), last.GetStanding().GetId())
	}
	looks := make([]audit.Look, 0, len(answer.GetFilings()))
	for _, filing := range answer.GetFilings() {
		head := s.Tables.Filings.Head(filing)
		facts, err := s.factsOf(ctx, caller, "filing.read", head)
		if err != nil {
			return nil, err
		}
		class := caller.Class("filing.read", facts)
		access.Mask(filing, class)
		looks = append(looks, audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: "filing", Head: head})
	}
	return answer, audit.Read(ctx, s.Engine, looks...)
}
