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

// Matters serves MatterService.
type Matters struct {
	reportingv1.UnimplementedMatterServiceServer
	*Desk
}

// IdentifyChild implements MatterService. The child's record changes, and the flags of its report; the registry hears of it and binds the child anew.
func (s *Matters) IdentifyChild(ctx context.Context, req *reportingv1.IdentifyChildRequest) (*reportingv1.IdentifyChildResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Children, req.GetProvisionalChildId(), "report.correct", func(c *command.Change, child *reportingv1.ProvisionalChild) (string, error) {
		if err := rules.IdentifyChild(child, by(ctx), req.GetPerson(), req.GetText(), c.Now); err != nil {
			return "", err
		}
		return "identified", s.flagFor(ctx, c, child)
	}, func(child *reportingv1.ProvisionalChild) *reportingv1.IdentifyChildResponse {
		return &reportingv1.IdentifyChildResponse{ProvisionalChildId: child.GetId(), Etag: child.GetEtag()}
	})
}

// DescribeChild implements MatterService.
func (s *Matters) DescribeChild(ctx context.Context, req *reportingv1.DescribeChildRequest) (*reportingv1.DescribeChildResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Children, req.GetProvisionalChildId(), "report.correct", func(c *command.Change, child *reportingv1.ProvisionalChild) (string, error) {
		if err := rules.DescribeChild(child, by(ctx), req, c.Now); err != nil {
			return "", err
		}
		return "corrected", s.flagFor(ctx, c, child)
	}, func(child *reportingv1.ProvisionalChild) *reportingv1.DescribeChildResponse {
		return &reportingv1.DescribeChildResponse{ProvisionalChildId: child.GetId(), Etag: child.GetEtag()}
	})
}

// AddChild implements MatterService. The command is the report's, so that a bulletin acknowledged meanwhile is noticed and no child is left out.
func (s *Matters) AddChild(ctx context.Context, req *reportingv1.AddChildRequest) (*reportingv1.AddChildResponse, error) {
	var added, assessment string
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.add_child", func(c *command.Change, r *reportingv1.Report) (string, error) {
		present, err := s.Tables.ChildrenOf(ctx, s.Engine.DB, s.Engine.Keys, r)
		if err != nil {
			return "", err
		}
		child, opened, err := rules.AddChild(s.District, r, present, by(ctx), req, c.ID("child"), c.ID("assessment"), c.Now)
		if err != nil {
			return "", err
		}
		added, assessment = child.GetId(), opened.GetStanding().GetId()
		if opened != nil {
			if err := command.Insert(c, s.Tables.Assessments, opened, "opened"); err != nil {
				return "", err
			}
		}
		running, err := s.searching(ctx, req.GetReportId())
		if err != nil {
			return "", err
		}
		for _, search := range running {
			if loaded := command.Remember(s.Tables.Searches, search); rules.FoundOut(search, child.GetId()) {
				if err := loaded.Update(c, "linked"); err != nil {
					return "", err
				}
				break
			}
		}
		return "child_added", command.Insert(c, s.Tables.Children, child, "created", r.GetStanding().GetHolder())
	}, func(r *reportingv1.Report) *reportingv1.AddChildResponse {
		return &reportingv1.AddChildResponse{Standing: r.GetStanding(), State: r.GetState(), ProvisionalChildId: added, AssessmentId: assessment}
	})
}

// CorrectReport implements MatterService. With another residence everything of the report moves there, all or nothing.
func (s *Matters) CorrectReport(ctx context.Context, req *reportingv1.CorrectReportRequest) (*reportingv1.CorrectReportResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.correct", func(c *command.Change, r *reportingv1.Report) (string, error) {
		moved, err := rules.CorrectReport(s.District, r, by(ctx), req, c.Now)
		if err != nil {
			return "", err
		}
		children, err := s.Tables.ChildrenOf(ctx, s.Engine.DB, s.Engine.Keys, r)
		if err != nil {
			return "", err
		}
		rules.Flag(s.District, r, children)
		if moved {
			err = s.move(ctx, c, r, children, req.GetText())
		}
		return "corrected", err
	}, func(r *reportingv1.Report) *reportingv1.CorrectReportResponse {
		return &reportingv1.CorrectReportResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// StrikeSituation implements MatterService.
func (s *Matters) StrikeSituation(ctx context.Context, req *reportingv1.StrikeSituationRequest) (*reportingv1.StrikeSituationResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "report.measure", func(c *command.Change, r *reportingv1.Report) (string, error) {
		if err := rules.StrikeSituation(r, by(ctx), req.GetSituation(), req.GetText(), c.Now); err != nil {
			return "", err
		}
		return "situation_struck", s.flag(ctx, r)
	}, func(r *reportingv1.Report) *reportingv1.StrikeSituationResponse {
		return &reportingv1.StrikeSituationResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// StrikeFinding implements MatterService.
func (s *Matters) StrikeFinding(ctx context.Context, req *reportingv1.StrikeFindingRequest) (*reportingv1.StrikeFindingResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Assessments, req.GetAssessmentId(), "assessment.record", func(c *command.Change, a *reportingv1.Assessment) (string, error) {
		return "finding_struck", rules.StrikeFinding(s.District, a, by(ctx), req.GetFindingId(), req.GetText(), c.Now)
	}, func(a *reportingv1.Assessment) *reportingv1.StrikeFindingResponse {
		return &reportingv1.StrikeFindingResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}

// LinkIncident implements MatterService. The caller must know of the report, too: a link would tell of it.
func (s *Matters) LinkIncident(ctx context.Context, req *reportingv1.LinkIncidentRequest) (*reportingv1.LinkIncidentResponse, error) {
	incident, err := s.Tables.Incident(ctx, s.Engine.DB, s.Engine.Keys, req.GetIncidentNumber(), req.GetLife())
	if err != nil {
		return nil, err
	}
	return update(ctx, s.Desk, req, s.Tables.Incidents, incident.GetStanding().GetId(), "incident.link", func(c *command.Change, i *reportingv1.Incident) (string, error) {
		report, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Reports, req.GetReportId())
		if err != nil {
			return "", err
		}
		if err := s.see(ctx, "report.read", s.Tables.Reports.Head(report)); err != nil {
			return "", err
		}
		carriers, err := s.carriersOf(ctx, i, req.GetReportId())
		if err != nil {
			return "", err
		}
		what, err := rules.LinkIncident(s.District, i, by(ctx), req.GetReportId(), req.GetText(), carriers, c.Now)
		if err != nil {
			return "", err
		}
		keepCarrier(c, i, carriers)
		return what, s.seek(ctx, c, i)
	}, func(i *reportingv1.Incident) *reportingv1.LinkIncidentResponse {
		return &reportingv1.LinkIncidentResponse{Standing: i.GetStanding(), State: i.GetState()}
	})
}

// RaiseReport implements MatterService: incident linked, report, children and search made, all or nothing. Police who raise a report are kept in
// the vault like whoever reports.
func (s *Matters) RaiseReport(ctx context.Context, req *reportingv1.RaiseReportRequest) (*reportingv1.RaiseReportResponse, error) {
	incident, err := s.Tables.Incident(ctx, s.Engine.DB, s.Engine.Keys, req.GetIncidentNumber(), req.GetLife())
	if err != nil {
		return nil, err
	}
	caller := access.FromContext(ctx)
	var report *reportingv1.Report
	return update(ctx, s.Desk, req, s.Tables.Incidents, incident.GetStanding().GetId(), "incident.raise", func(c *command.Change, i *reportingv1.Incident) (string, error) {
		made, children, err := rules.RaiseReport(s.District, i, by(ctx), req, c.ID, c.Now)
		if err != nil {
			return "", err
		}
		for _, child := range children {
			if err := command.Insert(c, s.Tables.Children, child, "created", made.GetStanding().GetHolder()); err != nil {
				return "", err
			}
		}
		if err := s.seekRaised(ctx, c, i, made); err != nil {
			return "", err
		}
		if err := command.Insert(c, s.Tables.Reports, made, "raised"); err != nil {
			return "", err
		}
		report = made
		if req.GetValidateOnly() {
			return "linked", nil
		}
		return "linked", s.keepReporter(ctx, c, report.GetStanding().GetId(), &reportingv1.ReporterRecord{
			Unit: caller.Unit, System: caller.System, Officer: caller.Officer, ReceiveTime: timestamppb.New(c.Now),
		})
	}, func(i *reportingv1.Incident) *reportingv1.RaiseReportResponse {
		return &reportingv1.RaiseReportResponse{
			Standing: i.GetStanding(), State: i.GetState(), ReportStanding: report.GetStanding(), ReportState: report.GetState(),
		}
	})
}

// seekRaised lets the search of an incident go on as that of its new report, or begins the one the report calls for.
func (s *Matters) seekRaised(ctx context.Context, c *command.Change, i *reportingv1.Incident, r *reportingv1.Report) error {
	search, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Searches, seekID(i))
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return s.seekAccepted(ctx, c, r)
	}
	if err != nil {
		return err
	}
	loaded := command.Remember(s.Tables.Searches, search)
	if !rules.Follow(search, i) {
		return s.seekAccepted(ctx, c, r)
	}
	rules.Seek(s.District, r, []*reportingv1.Search{search}, by(ctx), c.ID, c.Now)
	return loaded.Update(c, "linked")
}

// UnlinkIncident implements MatterService.
func (s *Matters) UnlinkIncident(ctx context.Context, req *reportingv1.UnlinkIncidentRequest) (*reportingv1.UnlinkIncidentResponse, error) {
	incident, err := s.Tables.Incident(ctx, s.Engine.DB, s.Engine.Keys, req.GetIncidentNumber(), req.GetLife())
	if err != nil {
		return nil, err
	}
	return update(ctx, s.Desk, req, s.Tables.Incidents, incident.GetStanding().GetId(), "incident.link", func(c *command.Change, i *reportingv1.Incident) (string, error) {
		carriers, err := s.carriersOf(ctx, i)
		if err != nil {
			return "", err
		}
		what, err := rules.UnlinkIncident(s.District, i, req.GetReportId(), req.GetText(), carriers, c.Now)
		if err != nil {
			return "", err
		}
		keepCarrier(c, i, carriers)
		return what, s.seek(ctx, c, i)
	}, func(i *reportingv1.Incident) *reportingv1.UnlinkIncidentResponse {
		return &reportingv1.UnlinkIncidentResponse{Standing: i.GetStanding(), State: i.GetState()}
	})
}
