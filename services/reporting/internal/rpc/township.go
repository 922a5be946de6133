package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// IssueBulletin implements ReportingService: bulletin and report in one command on the report.
func (s *Commands) IssueBulletin(ctx context.Context, req *reportingv1.IssueBulletinRequest) (*reportingv1.IssueBulletinResponse, error) {
	var bulletin *reportingv1.Bulletin
	return update(ctx, s.Desk, req, s.Tables.Reports, req.GetReportId(), "bulletin.issue", func(c *command.Change, r *reportingv1.Report) (string, error) {
		b, err := rules.IssueBulletin(s.District, r, by(ctx), req, c.ID("bulletin"), c.Now)
		if err != nil {
			return "", err
		}
		bulletin = b
		return "notified", command.Insert(c, s.Tables.Bulletins, b, "issued")
	}, func(*reportingv1.Report) *reportingv1.IssueBulletinResponse {
		return &reportingv1.IssueBulletinResponse{Standing: bulletin.GetStanding(), State: bulletin.GetState()}
	})
}

// AcknowledgeBulletin implements ReportingService: bulletin closed, report closed and each child's assessment opened, all or nothing.
func (s *Commands) AcknowledgeBulletin(ctx context.Context, req *reportingv1.AcknowledgeBulletinRequest) (*reportingv1.AcknowledgeBulletinResponse, error) {
	answer := &reportingv1.AcknowledgeBulletinResponse{}
	return update(ctx, s.Desk, req, s.Tables.Bulletins, req.GetBulletinId(), "bulletin.acknowledge", func(c *command.Change, b *reportingv1.Bulletin) (string, error) {
		report, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Reports, b.GetReportId())
		if err != nil {
			return "", err
		}
		loaded := command.Remember(s.Tables.Reports, report)
		opened, err := rules.Acknowledge(s.District, b, report, by(ctx), c.ID, c.Now)
		if err != nil {
			return "", err
		}
		if err := loaded.Update(c, "closed", b.GetTownship()); err != nil {
			return "", err
		}
		if err := s.release(ctx, c, report); err != nil {
			return "", err
		}
		answer.AssessmentId, answer.AssessmentIds = report.GetAssessmentId(), nil
		for _, a := range opened {
			answer.AssessmentIds = append(answer.AssessmentIds, a.GetStanding().GetId())
			if err := command.Insert(c, s.Tables.Assessments, a, "opened", b.GetIssueUnit()); err != nil {
				return "", err
			}
		}
		return "acknowledged", nil
	}, func(b *reportingv1.Bulletin) *reportingv1.AcknowledgeBulletinResponse {
		answer.Standing, answer.State = b.GetStanding(), b.GetState()
		return answer
	})
}

// RecordAssessment implements ReportingService.
func (s *Commands) RecordAssessment(ctx context.Context, req *reportingv1.RecordAssessmentRequest) (*reportingv1.RecordAssessmentResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Assessments, req.GetAssessmentId(), "assessment.record", func(c *command.Change, a *reportingv1.Assessment) (string, error) {
		return "recorded", rules.RecordAssessment(s.District, a, by(ctx), req.GetFindings(), c.ID, c.Now)
	}, func(a *reportingv1.Assessment) *reportingv1.RecordAssessmentResponse {
		answer := &reportingv1.RecordAssessmentResponse{Standing: a.GetStanding(), State: a.GetState()}
		for _, f := range a.GetFindings()[len(a.GetFindings())-len(req.GetFindings()):] {
			answer.FindingIds = append(answer.FindingIds, f.GetId())
		}
		return answer
	})
}

// ConcludeAssessment implements ReportingService. The child is the one bound by now, so that those who follow know it.
func (s *Commands) ConcludeAssessment(ctx context.Context, req *reportingv1.ConcludeAssessmentRequest) (*reportingv1.ConcludeAssessmentResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Assessments, req.GetAssessmentId(), "assessment.conclude", func(c *command.Change, a *reportingv1.Assessment) (string, error) {
		child, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Children, a.GetProvisionalChildId())
		if err != nil {
			return "", err
		}
		return "concluded", rules.Conclude(s.District, a, by(ctx), req, child.GetChildId(), c.Now)
	}, func(a *reportingv1.Assessment) *reportingv1.ConcludeAssessmentResponse {
		return &reportingv1.ConcludeAssessmentResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}
