package rpc

import (
	"context"
	"slices"
	"time"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Reads serves ReportingReadService.
type Reads struct {
	reportingv1.UnimplementedReportingReadServiceServer
	*Desk
}

// GetReport implements ReportingReadService.
func (s *Reads) GetReport(ctx context.Context, req *reportingv1.GetReportRequest) (*reportingv1.GetReportResponse, error) {
	report, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Reports, req.GetReportId())
	if err != nil {
		return nil, err
	}
	head := s.Tables.Reports.Head(report)
	if err := s.see(ctx, "report.read", head); err != nil {
		return nil, err
	}
	rules.Children(report)
	children, err := s.Tables.ChildrenOf(ctx, s.Engine.DB, s.Engine.Keys, report)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.GetReportResponse{Report: report, Child: first(children), Children: children, Groups: rules.Groups(s.District, report)}
	id := report.GetStanding().GetId()
	if answer.Searches, err = store.OfReport(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Searches, id); err != nil {
		return nil, err
	}
	if answer.Placements, err = store.OfReport(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Placements, id); err != nil {
		return nil, err
	}
	if answer.Filings, err = store.OfReport(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Filings, id); err != nil {
		return nil, err
	}
	return answer, s.show(ctx, "report.read", "report", head, answer)
}

// first is the child a report names first, for callers that know one child only; nil when there is none.
func first(children []*reportingv1.ProvisionalChild) *reportingv1.ProvisionalChild {
	if len(children) == 0 {
		return nil
	}
	return children[0]
}

// ListReports implements ReportingReadService.
func (s *Reads) ListReports(ctx context.Context, req *reportingv1.ListReportsRequest) (*reportingv1.ListReportsResponse, error) {
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
	visible := caller.Scope("report.read")
	visible.All = visible.All || supervises(caller)
	found, err := s.Tables.ListReports(ctx, s.Engine.DB, s.Engine.Keys, visible, req.GetDivision(), req.GetStates(), after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.ListReportsResponse{Reports: found[:min(size, len(found))]}
	if len(found) > size {
		last := found[size-1]
		answer.NextPageToken = pagetoken.Make(s.Engine.Keys, scope, last.GetCreateTime().AsTime().Format(time.RFC3339Nano), last.GetStanding().GetId())
	}
	return answer, s.showReports(ctx, caller, answer.GetReports())
}

// showReports masks each report as the caller may read that one, and records the looks.
func (s *Reads) showReports(ctx context.Context, caller *access.Caller, reports []*reportingv1.Report) error {
	looks := make([]audit.Look, 0, len(reports))
	for _, report := range reports {
		head := s.Tables.Reports.Head(report)
		facts, err := s.factsOf(ctx, caller, "report.read", head)
		if err != nil {
			return err
		}
		class := caller.Class("report.read", facts)
		access.Mask(report, class)
		looks = append(looks, audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: "report", Head: head})
	}
	return audit.Read(ctx, s.Engine, looks...)
}

// GetReportStatus implements ReportingReadService. Only the vault knows whose report it is, and it answers yes or no. Nothing
// is recorded here: a row with the caller's unit beside the report would tell who reported.
func (s *Reads) GetReportStatus(ctx context.Context, req *reportingv1.GetReportStatusRequest) (*reportingv1.GetReportStatusResponse, error) {
	caller := access.FromContext(ctx)
	report, err := s.findReport(ctx, req)
	if err != nil {
		return nil, err
	}
	mine, err := s.reported(ctx, report.GetStanding().GetId(), caller.Unit)
	if err != nil {
		return nil, err
	}
	if err := caller.See("report.status", access.Facts{Reporter: mine}); err != nil {
		return nil, err
	}
	assessments, err := store.OfReport(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Assessments, report.GetStanding().GetId())
	if err != nil {
		return nil, err
	}
	filings, err := store.OfReport(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Filings, report.GetStanding().GetId())
	if err != nil {
		return nil, err
	}
	points, err := custody.History(ctx, s.Engine.DB, report.GetStanding().GetId())
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.GetReportStatusResponse{
		ReportId: report.GetStanding().GetId(), Receipt: rules.Receipt(report, points[0].GetHolder()),
		AcceptTime: report.GetAcceptTime(), ResponseCloseTime: report.GetResponseCloseTime(), Filings: rules.Feedback(filings),
	}
	answer.Progress, answer.ResponsibleUnit = rules.Progress(report, assessments)
	return answer, nil
}

func (s *Reads) findReport(ctx context.Context, req *reportingv1.GetReportStatusRequest) (*reportingv1.Report, error) {
	if (req.GetReportId() == "") == (req.GetReceiptNumber() == "") {
		return nil, fault.Invalid("report_id", "give report_id or receipt_number, not both")
	}
	if req.GetReportId() != "" {
		return row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Reports, req.GetReportId())
	}
	return row.Find(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Reports, "WHERE receipt_number = $1", req.GetReceiptNumber())
}

// GetBulletin implements ReportingReadService.
func (s *Reads) GetBulletin(ctx context.Context, req *reportingv1.GetBulletinRequest) (*reportingv1.GetBulletinResponse, error) {
	bulletin, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Bulletins, req.GetBulletinId())
	if err != nil {
		return nil, err
	}
	head := s.Tables.Bulletins.Head(bulletin)
	if err := s.see(ctx, "bulletin.read", head); err != nil {
		return nil, err
	}
	report, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Reports, bulletin.GetReportId())
	if err != nil {
		return nil, err
	}
	children, err := s.Tables.ChildrenOf(ctx, s.Engine.DB, s.Engine.Keys, report)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.GetBulletinResponse{Bulletin: bulletin, Child: first(children), Children: children}
	return answer, s.show(ctx, "bulletin.read", "bulletin", head, answer)
}

// GetAssessment implements ReportingReadService.
func (s *Reads) GetAssessment(ctx context.Context, req *reportingv1.GetAssessmentRequest) (*reportingv1.GetAssessmentResponse, error) {
	assessment, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Assessments, req.GetAssessmentId())
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.GetAssessmentResponse{Assessment: assessment}
	return answer, s.show(ctx, "assessment.read", "assessment", s.Tables.Assessments.Head(assessment), answer)
}

// GetIncident implements ReportingReadService.
func (s *Reads) GetIncident(ctx context.Context, req *reportingv1.GetIncidentRequest) (*reportingv1.GetIncidentResponse, error) {
	incident, err := s.Tables.Incident(ctx, s.Engine.DB, s.Engine.Keys, req.GetIncidentNumber(), req.GetLife())
	if err != nil {
		return nil, err
	}
	rules.Recognise(s.District, incident)
	answer := &reportingv1.GetIncidentResponse{Incident: incident}
	return answer, s.show(ctx, "incident.read", "incident", s.headOfIncident(incident), answer)
}

// ListWork implements ReportingReadService.
func (s *Reads) ListWork(ctx context.Context, req *reportingv1.ListWorkRequest) (*reportingv1.ListWorkResponse, error) {
	items, next, err := custody.Work(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Items(), req)
	return &reportingv1.ListWorkResponse{Items: items, NextPageToken: next}, err
}

// GetCustodyHistory implements ReportingReadService. Whoever stands in the history may read it.
func (s *Reads) GetCustodyHistory(ctx context.Context, req *reportingv1.GetCustodyHistoryRequest) (*reportingv1.GetCustodyHistoryResponse, error) {
	caller := access.FromContext(ctx)
	points, err := custody.History(ctx, s.Engine.DB, req.GetId())
	if err != nil {
		return nil, err
	}
	facts := access.Facts{}
	for _, p := range points {
		if slices.Contains([]string{p.GetHolder(), p.GetOfferedTo()}, caller.Unit) {
			facts.Holder = caller.Unit
		}
	}
	if err := caller.See("work.list", facts); err != nil {
		return nil, err
	}
	ran, err := custody.Clocks(ctx, s.Engine.DB, req.GetId())
	return &reportingv1.GetCustodyHistoryResponse{Points: points, Clocks: ran}, err
}

// GetVersion implements ReportingReadService.
func (s *Reads) GetVersion(ctx context.Context, _ *reportingv1.GetVersionRequest) (*reportingv1.GetVersionResponse, error) {
	version, err := s.Version(ctx)
	return &reportingv1.GetVersionResponse{Version: version}, err
}
