package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry/internal/rules"
	"github.com/lianhu/lianhu/services/registry/internal/store"
)

// EndVisitPlan implements the contract.
func (s *Service) EndVisitPlan(ctx context.Context, q *registryv1.EndVisitPlanRequest) (*registryv1.EndVisitPlanResponse, error) {
	child, _, err := s.child(ctx, q.GetChildId(), actionVisit)
	if err != nil {
		return nil, err
	}
	caller := access.FromContext(ctx)
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Plans, store.PlanID(child.GetId()), func(c *command.Change, p *registryv1.VisitPlan) error {
		c.Happened(rules.Ended, s.District.TownshipUnit(p.GetDivision()))
		return rules.EndPlan(p, rules.Ending(caller.Unit, caller.Officer, q, timestamppb.New(c.Now)))
	}, func(p *registryv1.VisitPlan) *registryv1.EndVisitPlanResponse {
		return &registryv1.EndVisitPlanResponse{Standing: p.GetStanding(), State: p.GetState()}
	})
}
