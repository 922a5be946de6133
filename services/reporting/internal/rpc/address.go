package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/command"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Bulletins serves BulletinService.
type Bulletins struct {
	reportingv1.UnimplementedBulletinServiceServer
	*Desk
}

// DeclineBulletin implements BulletinService. The issuer hears of it, also when the lead office holds the bulletin by now.
func (s *Bulletins) DeclineBulletin(ctx context.Context, req *reportingv1.DeclineBulletinRequest) (*reportingv1.DeclineBulletinResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Bulletins, req.GetBulletinId(), "bulletin.acknowledge", func(c *command.Change, b *reportingv1.Bulletin) (string, error) {
		return "declined", rules.DeclineBulletin(s.District, b, by(ctx), req.GetText(), c.Now)
	}, func(b *reportingv1.Bulletin) *reportingv1.DeclineBulletinResponse {
		return &reportingv1.DeclineBulletinResponse{Standing: b.GetStanding(), State: b.GetState()}
	})
}

// ReaddressBulletin implements BulletinService.
func (s *Bulletins) ReaddressBulletin(ctx context.Context, req *reportingv1.ReaddressBulletinRequest) (*reportingv1.ReaddressBulletinResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Bulletins, req.GetBulletinId(), "bulletin.address", func(c *command.Change, b *reportingv1.Bulletin) (string, error) {
		return "readdressed", rules.Readdress(s.District, b, by(ctx), req.GetToUnit(), req.GetText(), c.Now)
	}, func(b *reportingv1.Bulletin) *reportingv1.ReaddressBulletinResponse {
		return &reportingv1.ReaddressBulletinResponse{Standing: b.GetStanding(), State: b.GetState()}
	})
}

// RecallBulletin implements BulletinService: bulletin closed and report back with its holder, all or nothing.
func (s *Bulletins) RecallBulletin(ctx context.Context, req *reportingv1.RecallBulletinRequest) (*reportingv1.RecallBulletinResponse, error) {
	answer := &reportingv1.RecallBulletinResponse{}
	return update(ctx, s.Desk, req, s.Tables.Bulletins, req.GetBulletinId(), "bulletin.recall", func(c *command.Change, b *reportingv1.Bulletin) (string, error) {
		return "recalled", s.withReport(ctx, c, b.GetReportId(), "recalled", func(r *reportingv1.Report) error {
			answer.ReportStanding = r.GetStanding()
			err := rules.RecallBulletin(s.District, b, r, by(ctx), req.GetText(), c.Now)
			answer.ReportState = r.GetState()
			return err
		})
	}, func(b *reportingv1.Bulletin) *reportingv1.RecallBulletinResponse {
		answer.Standing, answer.State = b.GetStanding(), b.GetState()
		return answer
	})
}

// Assessments serves AssessmentService.
type Assessments struct {
	reportingv1.UnimplementedAssessmentServiceServer
	*Desk
}

// OfferAssessment implements AssessmentService.
func (s *Assessments) OfferAssessment(ctx context.Context, req *reportingv1.OfferAssessmentRequest) (*reportingv1.OfferAssessmentResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Assessments, req.GetAssessmentId(), "assessment.transfer", func(c *command.Change, a *reportingv1.Assessment) (string, error) {
		return "offered", rules.OfferAssessment(s.District, a, by(ctx), req.GetToUnit(), req.GetText(), c.Now)
	}, func(a *reportingv1.Assessment) *reportingv1.OfferAssessmentResponse {
		return &reportingv1.OfferAssessmentResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}

// AcceptAssessment implements AssessmentService.
func (s *Assessments) AcceptAssessment(ctx context.Context, req *reportingv1.AcceptAssessmentRequest) (*reportingv1.AcceptAssessmentResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Assessments, req.GetAssessmentId(), "assessment.transfer", func(c *command.Change, a *reportingv1.Assessment) (string, error) {
		return "accepted", rules.AcceptAssessment(s.District, a, by(ctx), c.Now)
	}, func(a *reportingv1.Assessment) *reportingv1.AcceptAssessmentResponse {
		return &reportingv1.AcceptAssessmentResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}

// DeclineAssessment implements AssessmentService.
func (s *Assessments) DeclineAssessment(ctx context.Context, req *reportingv1.DeclineAssessmentRequest) (*reportingv1.DeclineAssessmentResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Assessments, req.GetAssessmentId(), "assessment.transfer", func(c *command.Change, a *reportingv1.Assessment) (string, error) {
		return "declined", rules.DeclineAssessment(s.District, a, by(ctx), req.GetText(), c.Now)
	}, func(a *reportingv1.Assessment) *reportingv1.DeclineAssessmentResponse {
		return &reportingv1.DeclineAssessmentResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}

// EndAssessment implements AssessmentService.
func (s *Assessments) EndAssessment(ctx context.Context, req *reportingv1.EndAssessmentRequest) (*reportingv1.EndAssessmentResponse, error) {
	return update(ctx, s.Desk, req, s.Tables.Assessments, req.GetAssessmentId(), "assessment.end", func(c *command.Change, a *reportingv1.Assessment) (string, error) {
		return "ended", rules.EndAssessment(s.District, a, by(ctx), req, c.Now)
	}, func(a *reportingv1.Assessment) *reportingv1.EndAssessmentResponse {
		return &reportingv1.EndAssessmentResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}
