// Package rpc answers the calls of this service: it decides what the caller may see, hands the request to a rule inside a
// command, and answers from the row.
package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	"github.com/lianhu/lianhu/services/referral/internal/rules"
	"github.com/lianhu/lianhu/services/referral/internal/store"
)

// Actions of the access table that the handlers decide on beside those of the methods.
const (
	actionCaseRead     = "case.read"
	actionReferralRead = "referral.read"
	actionWork         = "work.list"
)

// Service answers all calls of the area.
type Service struct {
	referralv1.UnimplementedReferralServiceServer
	referralv1.UnimplementedReferralReadServiceServer
	referralv1.UnimplementedReferralFeedServiceServer
	referralv1.UnimplementedReferralOperationsServiceServer

	// Engine runs the commands.
	Engine *command.Engine
	// District routes needs and sets clocks.
	District *district.District
	// Tables of the store.
	Tables *store.Tables
	// Feed serves the area's changes.
	Feed *feed.Server
	// Followers whose parked events an operator can retry.
	Followers []*feed.Follower
	// Repairs mends items whose custody is broken.
	Repairs *custody.Repairs
	// Version says what is running.
	Version func(ctx context.Context) (*accessv1.ServiceVersion, error)
}

// item is what cases and referrals have in common.
type item interface {
	proto.Message
	GetStanding() *custodyv1.Standing
	GetDivision() string
	GetTownship() string
	GetCreateTime() *timestamppb.Timestamp
}

// facts are what the access decision needs of an item; involved says whether the caller's unit has a grant for its matter.
func facts(m item, involved bool) access.Facts {
	return access.Facts{
		Holder: m.GetStanding().GetHolder(), OfferedTo: m.GetStanding().GetOfferedTo(), Division: m.GetDivision(), Involved: involved,
	}
}

// see refuses an item that the caller may not know of by any of the actions.
func (s *Service) see(ctx context.Context, m item, actions ...string) error {
	caller := access.FromContext(ctx)
	involved, err := store.Involved(ctx, s.Engine.DB, caller.Unit, m.GetStanding().GetMatterId())
	if err != nil {
		return err
	}
	for _, action := range actions {
		if caller.See(action, facts(m, involved[m.GetStanding().GetMatterId()])) == nil {
			return nil
		}
	}
	return fault.NotFound()
}

// change runs a rule on an item that the caller may know of by that action.
func change[M item, A proto.Message](ctx context.Context, s *Service, t *row.Table[M], id string, request proto.Message, action string,
	rule func(M, rules.Act) (string, error), answer func(M) A,
) (A, error) {
	caller := access.FromContext(ctx)
	call := command.CallFrom(ctx, request)
	call.Class = accessv1.DataClass_DATA_CLASS_PERSONAL
	return command.Update(ctx, s.Engine, call, t, id, func(c *command.Change, m M) error {
		if err := s.see(ctx, m, action); err != nil {
			return err
		}
		what, err := rule(m, rules.Act{Unit: caller.Unit, Officer: caller.Officer, Now: c.Now})
		if err != nil {
			return err
		}
		c.Happened(what, m.GetTownship())
		return nil
	}, answer)
}
