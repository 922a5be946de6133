package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Police serves PoliceReportService.
type Police struct {
	reportingv1.UnimplementedPoliceReportServiceServer
	*Desk
}

// OpenReport implements PoliceReportService: report, children and searches made, all or nothing. Police who find something themselves are kept in
// the vault like whoever reports.
func (s *Police) OpenReport(ctx context.Context, req *reportingv1.OpenReportRequest) (*reportingv1.OpenReportResponse, error) {
	caller := access.FromContext(ctx)
	call := command.CallFrom(ctx, req)
	call.Class = abuseDetail
	return command.Create(ctx, s.Engine, call, s.Tables.Reports, func(c *command.Change) (*reportingv1.Report, error) {
		report, children, err := rules.OpenReport(s.District, by(ctx), req, c.ID, c.Now)
		if err != nil {
			return nil, err
		}
		for _, child := range children {
			if err := command.Insert(c, s.Tables.Children, child, "created", report.GetStanding().GetHolder()); err != nil {
				return nil, err
			}
		}
		if err := s.seekAccepted(ctx, c, report); err != nil {
			return nil, err
		}
		c.Happened("opened")
		if req.GetValidateOnly() {
			return report, nil
		}
		return report, s.keepReporter(ctx, c, report.GetStanding().GetId(), &reportingv1.ReporterRecord{
			Unit: caller.Unit, System: caller.System, Officer: caller.Officer, ReceiveTime: timestamppb.New(c.Now),
		})
	}, func(r *reportingv1.Report) *reportingv1.OpenReportResponse {
		return &reportingv1.OpenReportResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// EndReport implements PoliceReportService. The caller must know of the report that goes on, too.
func (s *Police) EndReport(ctx context.Context, req *reportingv1.EndReportRequest) (*reportingv1.EndReportResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.end", func(c *command.Change, r *reportingv1.Report) (string, error) {
		if err := rules.EndReport(s.District, r, by(ctx), req, c.Now); err != nil {
			return "", err
		}
		if err := s.goesOn(ctx, req.GetOtherReportId()); err != nil {
			return "", err
		}
		if err := noneRunning(ctx, s.Desk, s.Tables.Filings, req.GetReportId(), func(x *reportingv1.Filing) bool {
			return x.GetState() != reportingv1.Filing_STATE_CLOSED
		}); err != nil {
			return "", err
		}
		return "ended", s.nobodyLookedAfter(ctx, req.GetReportId())
	}, func(r *reportingv1.Report) *reportingv1.EndReportResponse {
		return &reportingv1.EndReportResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// goesOn refuses a duplicate of a report that the caller may not know of or that has ended itself; none is fine.
func (s *Police) goesOn(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	other, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Reports, id)
	if err == nil {
		err = s.see(ctx, "report.read", s.Tables.Reports.Head(other))
	}
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) || err == nil && !rules.GoesOn(other) {
		return fault.Invalid("other_report_id", "is no report that goes on")
	}
	return err
}

// nobodyLookedAfter refuses to end a report while a child of it is searched for or placed.
func (s *Police) nobodyLookedAfter(ctx context.Context, report string) error {
	if err := noneRunning(ctx, s.Desk, s.Tables.Searches, report, func(x *reportingv1.Search) bool { return x.GetStanding().GetHolder() != "" }); err != nil {
		return err
	}
	return noneRunning(ctx, s.Desk, s.Tables.Placements, report, func(x *reportingv1.Placement) bool { return x.GetStanding().GetHolder() != "" })
}

// HandOverReport implements PoliceReportService.
func (s *Police) HandOverReport(ctx context.Context, req *reportingv1.HandOverReportRequest) (*reportingv1.HandOverReportResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.end", func(c *command.Change, r *reportingv1.Report) (string, error) {
		if err := rules.HandOverReport(s.District, r, by(ctx), req, c.Now); err != nil {
			return "", err
		}
		return "handed_over", s.nobodyLookedAfter(ctx, req.GetReportId())
	}, func(r *reportingv1.Report) *reportingv1.HandOverReportResponse {
		return &reportingv1.HandOverReportResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// Reporters serves ReporterService.
type Reporters struct {
	reportingv1.UnimplementedReporterServiceServer
	*Desk
}

// SupplementReport implements ReporterService. Like SubmitReport it is known under a pseudonym alone, and has a trace of its own.
func (s *Reporters) SupplementReport(ctx context.Context, req *reportingv1.SupplementReportRequest) (*reportingv1.SupplementReportResponse, error) {
	caller := access.FromContext(ctx)
	ctx, call, end := s.anonymous(ctx, "supplement", req)
	defer end()
	return command.Update(ctx, s.Engine, call, s.Tables.Reports, req.GetReportId(), func(c *command.Change, r *reportingv1.Report) error {
		mine, err := s.reported(ctx, r.GetStanding().GetId(), caller.Unit)
		if err != nil {
			return err
		}
		if err := caller.See("report.supplement", access.Facts{Reporter: mine}); err != nil {
			return err
		}
		present, err := s.Tables.ChildrenOf(ctx, s.Engine.DB, s.Engine.Keys, r)
		if err != nil {
			return err
		}
		added, err := rules.Supplement(s.District, r, present, req, c.ID, c.Now)
		if err != nil {
			return err
		}
		for _, child := range added {
			if err := command.Insert(c, s.Tables.Children, child, "created", r.GetStanding().GetHolder()); err != nil {
				return err
			}
		}
		rules.Flag(s.District, r, append(present, added...))
		c.Happened("supplemented")
		return nil
	}, func(r *reportingv1.Report) *reportingv1.SupplementReportResponse {
		return &reportingv1.SupplementReportResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}
