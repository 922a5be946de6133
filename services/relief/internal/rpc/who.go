package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
)

// who asks the registry, as this service, who a child is now. While the registry is away nothing is decided: the caller is told to come
// again.
func (s *Service) who(ctx context.Context) func(id string) (rules.Child, error) {
	return func(id string) (rules.Child, error) {
		if id == "" {
			return rules.Child{}, nil
		}
		got, err := s.Registry.ResolveChild(ctx, &registryv1.ResolveChildRequest{ChildId: id})
		switch {
		case status.Code(err) == codes.NotFound:
			return rules.Child{}, nil
		case err != nil && ctx.Err() != nil:
			return rules.Child{}, ctx.Err()
		case err != nil:
			return rules.Child{}, fault.New(faultv1.Reason_REASON_UNAVAILABLE, "the registry is away; repeat with the same request_id").RetryAfter(time.Second).Wrap(err)
		}
		return rules.Child{ID: got.GetChildId(), Earlier: got.GetEarlierChildIds()}, nil
	}
}

// seePlace refuses an application that the caller may not know of, where the village of the place counts as much as the township that
// decides.
func seePlace(ctx context.Context, a *reliefv1.Application, action string) error {
	s := a.GetStanding()
	place := a.GetPlaceDivision()
	if place == "" {
		place = a.GetDivision()
	}
	return access.FromContext(ctx).See(action, access.Facts{Holder: s.GetHolder(), OfferedTo: s.GetOfferedTo(), Division: place})
}
