package rpc

import (
	"context"

	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// ResolveChild implements the contract. Ids alone are answered, to services that know one of them: there is no look at an identity to record.
func (s *Service) ResolveChild(ctx context.Context, q *registryv1.ResolveChildRequest) (*registryv1.ResolveChildResponse, error) {
	id, err := s.Tables.Resolve(ctx, s.Engine.DB, s.Engine.Keys, q.GetChildId())
	if err != nil {
		return nil, err
	}
	earlier, err := s.Tables.Earlier(ctx, s.Engine.DB, s.Engine.Keys, id)
	return &registryv1.ResolveChildResponse{ChildId: id, EarlierChildIds: earlier}, err
}
