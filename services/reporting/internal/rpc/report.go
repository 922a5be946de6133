package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Commands serves ReportingService.
type Commands struct {
	reportingv1.UnimplementedReportingServiceServer
	*Desk
}

// SubmitReport implements ReportingService. Nothing but the vault learns who reported, and the report's id follows from the pseudonym. What the
// accepted request says counts.
func (s *Commands) SubmitReport(ctx context.Context, req *reportingv1.SubmitReportRequest) (*reportingv1.SubmitReportResponse, error) {
	caller := access.FromContext(ctx)
	ctx, call, end := s.anonymous(ctx, "submit", req)
	defer end()
	return command.Create(ctx, s.Engine, call, s.Tables.Reports, func(c *command.Change) (*reportingv1.Report, error) {
		if err := rules.CheckSubmission(s.District, req, c.Now); err != nil {
			return nil, err
		}
		report, children := rules.NewReport(s.District, req, c.ID, c.Now)
		for _, child := range children {
			if err := command.Insert(c, s.Tables.Children, child, "created", report.GetStanding().GetHolder()); err != nil {
				return nil, err
			}
		}
		c.Happened("submitted")
		if req.GetValidateOnly() {
			return report, nil
		}
		return report, s.keepReporter(ctx, c, report.GetStanding().GetId(), &reportingv1.ReporterRecord{
			Unit: caller.Unit, System: caller.System, Officer: caller.Officer, Reporter: req.GetReporter(), ReceiveTime: timestamppb.New(c.Now),
		})
	}, func(r *reportingv1.Report) *reportingv1.SubmitReportResponse {
		return &reportingv1.SubmitReportResponse{Standing: r.GetStanding(), State: r.GetState(), Receipt: rules.Receipt(r, r.GetStanding().GetHolder())}
	})
}

// AcceptReport implements ReportingService.
func (s *Commands) AcceptReport(ctx context.Context, req *reportingv1.AcceptReportRequest) (*reportingv1.AcceptReportResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.accept", func(c *command.Change, r *reportingv1.Report) (string, error) {
		if err := rules.Accept(s.District, r, by(ctx), c.Now); err != nil {
			return "", err
		}
		return "accepted", s.seekAccepted(ctx, c, r)
	}, func(r *reportingv1.Report) *reportingv1.AcceptReportResponse {
		return &reportingv1.AcceptReportResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// TransferReport implements ReportingService.
func (s *Commands) TransferReport(ctx context.Context, req *reportingv1.TransferReportRequest) (*reportingv1.TransferReportResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.transfer", func(c *command.Change, r *reportingv1.Report) (string, error) {
		return "offered", rules.Transfer(s.District, r, by(ctx), req.GetToUnit(), req.GetText(), c.Now)
	}, func(r *reportingv1.Report) *reportingv1.TransferReportResponse {
		return &reportingv1.TransferReportResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// DeclineTransfer implements ReportingService.
func (s *Commands) DeclineTransfer(ctx context.Context, req *reportingv1.DeclineTransferRequest) (*reportingv1.DeclineTransferResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.transfer", func(c *command.Change, r *reportingv1.Report) (string, error) {
		return "declined", rules.Decline(s.District, r, by(ctx), req.GetText(), c.Now)
	}, func(r *reportingv1.Report) *reportingv1.DeclineTransferResponse {
		return &reportingv1.DeclineTransferResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// AddSituation implements ReportingService.
func (s *Commands) AddSituation(ctx context.Context, req *reportingv1.AddSituationRequest) (*reportingv1.AddSituationResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.measure", func(c *command.Change, r *reportingv1.Report) (string, error) {
		if err := rules.AddSituation(s.District, r, by(ctx), req.GetSituation(), req.GetText(), c.Now); err != nil {
			return "", err
		}
		if err := s.flag(ctx, r); err != nil {
			return "", err
		}
		return "situation_added", s.seekAccepted(ctx, c, r)
	}, func(r *reportingv1.Report) *reportingv1.AddSituationResponse {
		return &reportingv1.AddSituationResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// RecordMeasure implements ReportingService.
func (s *Commands) RecordMeasure(ctx context.Context, req *reportingv1.RecordMeasureRequest) (*reportingv1.RecordMeasureResponse, error) {
	var id string
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.measure", func(c *command.Change, r *reportingv1.Report) (string, error) {
		id = c.ID("measure")
		return "measured", rules.RecordMeasure(s.District, r, by(ctx), req, id, c.Now)
	}, func(r *reportingv1.Report) *reportingv1.RecordMeasureResponse {
		return &reportingv1.RecordMeasureResponse{Standing: r.GetStanding(), State: r.GetState(), MeasureId: id}
	})
}

// StrikeMeasure implements ReportingService.
func (s *Commands) StrikeMeasure(ctx context.Context, req *reportingv1.StrikeMeasureRequest) (*reportingv1.StrikeMeasureResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.measure", func(c *command.Change, r *reportingv1.Report) (string, error) {
		return "struck", rules.StrikeMeasure(r, by(ctx), req.GetMeasureId(), req.GetText(), c.Now)
	}, func(r *reportingv1.Report) *reportingv1.StrikeMeasureResponse {
		return &reportingv1.StrikeMeasureResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// WaiveMeasure implements ReportingService.
func (s *Commands) WaiveMeasure(ctx context.Context, req *reportingv1.WaiveMeasureRequest) (*reportingv1.WaiveMeasureResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.waive", func(c *command.Change, r *reportingv1.Report) (string, error) {
		return "waived", rules.Waive(s.District, r, by(ctx), req, c.Now)
	}, func(r *reportingv1.Report) *reportingv1.WaiveMeasureResponse {
		return &reportingv1.WaiveMeasureResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// CloseResponse implements ReportingService.
func (s *Commands) CloseResponse(ctx context.Context, req *reportingv1.CloseResponseRequest) (*reportingv1.CloseResponseResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.close", func(c *command.Change, r *reportingv1.Report) (string, error) {
		return "response_closed", rules.CloseResponse(s.District, r, by(ctx), req.GetNoChildText(), c.Now)
	}, func(r *reportingv1.Report) *reportingv1.CloseResponseResponse {
		return &reportingv1.CloseResponseResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}
