package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// ListWork implements the contract.
func (s *Service) ListWork(ctx context.Context, q *reliefv1.ListWorkRequest) (*reliefv1.ListWorkResponse, error) {
	items, next, err := custody.Work(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Sources(), q)
	return &reliefv1.ListWorkResponse{Items: items, NextPageToken: next}, err
}

// GetCustodyHistory implements the contract: for who may read the item, and for who has it on the work list.
func (s *Service) GetCustodyHistory(ctx context.Context, q *reliefv1.GetCustodyHistoryRequest) (*reliefv1.GetCustodyHistoryResponse, error) {
	if err := s.seeItem(ctx, q.GetId()); err != nil {
		return nil, err
	}
	points, err := custody.History(ctx, s.Engine.DB, q.GetId())
	if err != nil {
		return nil, err
	}
	ran, err := custody.Clocks(ctx, s.Engine.DB, q.GetId())
	return &reliefv1.GetCustodyHistoryResponse{Points: points, Clocks: ran}, err
}

func (s *Service) seeItem(ctx context.Context, id string) error {
	for _, visible := range []func() error{
		func() error { return visibleIn(ctx, s, s.Tables.Applications, id, actionRead) },
		func() error { return visibleIn(ctx, s, s.Tables.Payments, id, actionPayment) },
		func() error { return visibleIn(ctx, s, s.Tables.Batches, id, actionPayment) },
	} {
		if err := visible(); !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
			return err
		}
	}
	return fault.NotFound()
}

// GetVersion implements the contract.
func (s *Service) GetVersion(ctx context.Context, _ *reliefv1.GetVersionRequest) (*reliefv1.GetVersionResponse, error) {
	version, err := s.Version(ctx)
	return &reliefv1.GetVersionResponse{Version: version}, err
}
