package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	"github.com/lianhu/lianhu/services/referral/internal/rules"
	"github.com/lianhu/lianhu/services/referral/internal/store"
)

// GetCase implements the contract.
func (s *Service) GetCase(ctx context.Context, q *referralv1.GetCaseRequest) (*referralv1.GetCaseResponse, error) {
	c, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Cases, q.GetCaseId())
	if err != nil {
		return nil, err
	}
	if err := show(ctx, s, s.Tables.Cases, actionCaseRead, c); err != nil {
		return nil, err
	}
	return &referralv1.GetCaseResponse{SupportCase: c}, nil
}

// GetReferral implements the contract.
func (s *Service) GetReferral(ctx context.Context, q *referralv1.GetReferralRequest) (*referralv1.GetReferralResponse, error) {
	r, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Referrals, q.GetReferralId())
	if err != nil {
		return nil, err
	}
	err = show(ctx, s, s.Tables.Referrals, actionReferralRead, r)
	if left, asked := rules.Tombstone(r, access.FromContext(ctx).Unit); asked && fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return &referralv1.GetReferralResponse{Referral: left}, audit.Read(ctx, s.Engine, audit.Look{
			Actor: command.ActorFrom(ctx), Method: access.FromContext(ctx).Method, Class: accessv1.DataClass_DATA_CLASS_PERSONAL,
			Kind: s.Tables.Referrals.Kind, Head: s.Tables.Referrals.Head(r),
		})
	}
	if err != nil {
		return nil, err
	}
	return &referralv1.GetReferralResponse{Referral: r}, nil
}

// ListCases implements the contract.
func (s *Service) ListCases(ctx context.Context, q *referralv1.ListCasesRequest) (*referralv1.ListCasesResponse, error) {
	filter := store.Filter{State: int32(q.GetState()), MatterID: q.GetMatterId()}
	if q.GetDivision() != "" {
		if bad := s.District.CheckFilter("division", q.GetDivision(), calendar.Today(s.Engine.Now())); bad != nil {
			return nil, bad
		}
		filter.Divisions = s.District.DivisionsIn(q.GetDivision(), calendar.Today(s.Engine.Now()))
	}
	cases, next, err := list(ctx, s, s.Tables.Cases, actionCaseRead, filter, q)
	if err != nil {
		return nil, err
	}
	return &referralv1.ListCasesResponse{Cases: cases, NextPageToken: next}, nil
}

// ListReferrals implements the contract.
func (s *Service) ListReferrals(ctx context.Context, q *referralv1.ListReferralsRequest) (*referralv1.ListReferralsResponse, error) {
	filter := store.Filter{State: int32(q.GetState()), MatterID: q.GetMatterId(), CaseID: q.GetCaseId(), Need: q.GetNeed()}
	referrals, next, err := list(ctx, s, s.Tables.Referrals, actionReferralRead, filter, q)
	if err != nil {
		return nil, err
	}
	return &referralv1.ListReferralsResponse{Referrals: referrals, NextPageToken: next}, nil
}

// show masks rows for the caller and puts the look on record; NOT_FOUND when one of them is not the caller's to know.
func show[M item](ctx context.Context, s *Service, t *row.Table[M], action string, rows ...M) error {
	caller := access.FromContext(ctx)
	matters := make([]string, len(rows))
	for i, m := range rows {
		matters[i] = m.GetStanding().GetMatterId()
	}
	involved, err := store.Involved(ctx, s.Engine.DB, caller.Unit, matters...)
	if err != nil {
		return err
	}
	looks := make([]audit.Look, len(rows))
	for i, m := range rows {
		known := facts(m, involved[matters[i]])
		if err := caller.See(action, known); err != nil {
			return err
		}
		class := caller.Class(action, known)
		access.Mask(m, class)
		looks[i] = audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: t.Kind, Head: t.Head(m)}
	}
	return audit.Read(ctx, s.Engine, looks...)
}

func list[M item](ctx context.Context, s *Service, t *row.Table[M], action string, filter store.Filter, q pagetoken.Request) (rows []M, next string, err error) {
	caller := access.FromContext(ctx)
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 2)
	if err != nil {
		return nil, "", err
	}
	after, err := page.After()
	if err != nil {
		return nil, "", err
	}
	rows, err = store.List(ctx, s.Engine.DB, s.Engine.Keys, t, caller.Scope(action), filter, after, page.Size+1)
	if err != nil {
		return nil, "", err
	}
	rows, next = pagetoken.Show(page, rows, func(m M) []string { return pagetoken.TimeKey(m.GetCreateTime().AsTime(), m.GetStanding().GetId()) })
	return rows, next, show(ctx, s, t, action, rows...)
}

// ListWork implements the contract.
func (s *Service) ListWork(ctx context.Context, q *referralv1.ListWorkRequest) (*referralv1.ListWorkResponse, error) {
	items, next, err := custody.Work(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Sources(), q)
	return &referralv1.ListWorkResponse{Items: items, NextPageToken: next}, err
}

// GetCustodyHistory implements the contract. Who may read the item may read its history, and so may whoever has it on the work
// list without being able to read it.
func (s *Service) GetCustodyHistory(ctx context.Context, q *referralv1.GetCustodyHistoryRequest) (*referralv1.GetCustodyHistoryResponse, error) {
	if err := s.seeItem(ctx, q.GetId()); err != nil {
		return nil, err
	}
	points, err := custody.History(ctx, s.Engine.DB, q.GetId())
	if err != nil {
		return nil, err
	}
	ran, err := custody.Clocks(ctx, s.Engine.DB, q.GetId())
	return &referralv1.GetCustodyHistoryResponse{Points: points, Clocks: ran}, err
}

func (s *Service) seeItem(ctx context.Context, id string) error {
	r, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Referrals, id)
	if err == nil {
		return s.see(ctx, r, actionWork, actionReferralRead)
	}
	if !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return err
	}
	c, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Cases, id)
	if err != nil {
		return err
	}
	return s.see(ctx, c, actionWork, actionCaseRead)
}

// GetVersion implements the contract.
func (s *Service) GetVersion(ctx context.Context, _ *referralv1.GetVersionRequest) (*referralv1.GetVersionResponse, error) {
	version, err := s.Version(ctx)
	if err != nil {
		return nil, err
	}
	return &referralv1.GetVersionResponse{Version: version}, nil
}
