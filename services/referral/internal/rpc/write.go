package rpc

import (
	"context"

	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	"github.com/lianhu/lianhu/services/referral/internal/rules"
	"github.com/lianhu/lianhu/services/referral/internal/store"
)

// AcceptReferral implements the contract.
func (s *Service) AcceptReferral(ctx context.Context, q *referralv1.AcceptReferralRequest) (*referralv1.AcceptReferralResponse, error) {
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "referral.accept", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Accept(s.District, r, act)
	}, func(r *referralv1.Referral) *referralv1.AcceptReferralResponse {
		return &referralv1.AcceptReferralResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// DeclineReferral implements the contract.
func (s *Service) DeclineReferral(ctx context.Context, q *referralv1.DeclineReferralRequest) (*referralv1.DeclineReferralResponse, error) {
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "referral.decline", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Decline(s.District, r, act, q.GetGrounds(), q.GetNote())
	}, func(r *referralv1.Referral) *referralv1.DeclineReferralResponse {
		return &referralv1.DeclineReferralResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// WithdrawReferral implements the contract.
func (s *Service) WithdrawReferral(ctx context.Context, q *referralv1.WithdrawReferralRequest) (*referralv1.WithdrawReferralResponse, error) {
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "referral.withdraw", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Withdraw(r, act, q.GetGrounds(), q.GetNote())
	}, func(r *referralv1.Referral) *referralv1.WithdrawReferralResponse {
		return &referralv1.WithdrawReferralResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// RecordProgress implements the contract.
func (s *Service) RecordProgress(ctx context.Context, q *referralv1.RecordProgressRequest) (*referralv1.RecordProgressResponse, error) {
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "referral.progress", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Progress(r, act, q.GetHappenDate(), q.GetNote())
	}, func(r *referralv1.Referral) *referralv1.RecordProgressResponse {
		return &referralv1.RecordProgressResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// DeliverReferral implements the contract.
func (s *Service) DeliverReferral(ctx context.Context, q *referralv1.DeliverReferralRequest) (*referralv1.DeliverReferralResponse, error) {
	result := rules.Result{Outcome: q.GetOutcome(), Date: q.GetDeliverDate(), Note: q.GetNote()}
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "referral.deliver", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Deliver(s.District, r, act, result)
	}, func(r *referralv1.Referral) *referralv1.DeliverReferralResponse {
		return &referralv1.DeliverReferralResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// ConfirmReferral implements the contract.
func (s *Service) ConfirmReferral(ctx context.Context, q *referralv1.ConfirmReferralRequest) (*referralv1.ConfirmReferralResponse, error) {
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "referral.confirm", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Confirm(r, act, q.GetNote())
	}, func(r *referralv1.Referral) *referralv1.ConfirmReferralResponse {
		return &referralv1.ConfirmReferralResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// RejectDelivery implements the contract.
func (s *Service) RejectDelivery(ctx context.Context, q *referralv1.RejectDeliveryRequest) (*referralv1.RejectDeliveryResponse, error) {
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "referral.confirm", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Reject(s.District, r, act, q.GetNote())
	}, func(r *referralv1.Referral) *referralv1.RejectDeliveryResponse {
		return &referralv1.RejectDeliveryResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// AssignReferral implements the contract.
func (s *Service) AssignReferral(ctx context.Context, q *referralv1.AssignReferralRequest) (*referralv1.AssignReferralResponse, error) {
	return change(ctx, s, s.Tables.Referrals, q.GetReferralId(), q, "case.plan", func(r *referralv1.Referral, act rules.Act) (string, error) {
		return rules.Assign(s.District, r, act, q.GetUnit(), q.GetNote())
	}, func(r *referralv1.Referral) *referralv1.AssignReferralResponse {
		return &referralv1.AssignReferralResponse{Standing: r.GetStanding(), State: r.GetState()}
	})
}

// ReviewCase implements the contract.
func (s *Service) ReviewCase(ctx context.Context, q *referralv1.ReviewCaseRequest) (*referralv1.ReviewCaseResponse, error) {
	return change(ctx, s, s.Tables.Cases, q.GetCaseId(), q, "case.plan", func(c *referralv1.Case, act rules.Act) (string, error) {
		return rules.Review(s.District, c, act, q.GetNote())
	}, func(c *referralv1.Case) *referralv1.ReviewCaseResponse {
		return &referralv1.ReviewCaseResponse{Standing: c.GetStanding(), State: c.GetState()}
	})
}

// CloseCase implements the contract.
func (s *Service) CloseCase(ctx context.Context, q *referralv1.CloseCaseRequest) (*referralv1.CloseCaseResponse, error) {
	return change(ctx, s, s.Tables.Cases, q.GetCaseId(), q, "case.close", func(c *referralv1.Case, act rules.Act) (string, error) {
		open, err := store.OpenReferrals(ctx, s.Engine.DB, c.GetStanding().GetId())
		if err != nil {
			return "", err
		}
		return rules.Close(c, act, open, q.GetNote())
	}, func(c *referralv1.Case) *referralv1.CloseCaseResponse {
		return &referralv1.CloseCaseResponse{Standing: c.GetStanding(), State: c.GetState()}
	})
}
