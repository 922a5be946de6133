// Package follow acts when referral's feed moves: an accepted referral for a need that a programme serves opens an application, which
// hears later who the child is. It reads referral as this service and writes only here.
package follow

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// Referral is the name of the cursor. It never changes: a new name starts at the oldest event.
const Referral = "relief.referral"

type referrals struct {
	engine   *command.Engine
	district *district.District
	tables   *store.Tables
	read     referralv1.ReferralReadServiceClient
}

// New makes the followers of this service over a connection to referral.
func New(e *command.Engine, d *district.District, t *store.Tables, referral grpc.ClientConnInterface) []*feed.Follower {
	f := &referrals{e, d, t, referralv1.NewReferralReadServiceClient(referral)}
	return []*feed.Follower{{
		Name: Referral, Service: e.Service, DB: e.DB, Handle: f.handle,
		Open: func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
			stream, err := referralv1.NewReferralFeedServiceClient(referral).Subscribe(ctx, &referralv1.SubscribeRequest{Position: at})
			if err != nil {
				return nil, err
			}
			return func() (*feedv1.Batch, error) {
				got, err := stream.Recv()
				return got.GetBatch(), err
			}, nil
		},
	}}
}

// handle opens the application that an accepted referral asks for, and tells it who the child is when that is found out later.
func (f *referrals) handle(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	if ev.GetType() != "referral.accepted" && ev.GetType() != "referral.bound" {
		return feed.Skip
	}
	read, err := f.read.GetReferral(ctx, &referralv1.GetReferralRequest{ReferralId: ev.GetSubjectId()})
	if err != nil {
		return err
	}
	if ev.GetType() == "referral.bound" {
		return f.bind(ctx, call, read.GetReferral())
	}
	return f.open(ctx, call, read.GetReferral())
}

// open makes the application, if a programme serves the need.
func (f *referrals) open(ctx context.Context, call command.Call, referral *referralv1.Referral) error {
	p, ok := f.district.ProgrammeForNeed(referral.GetNeed(), calendar.Today(f.engine.Now()))
	if !ok {
		return feed.Skip
	}
	// A referral that was rejected and accepted again keeps the application it has.
	id := store.ApplicationID(referral.GetStanding().GetId())
	_, err := row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Applications, id)
	switch {
	case err == nil:
		return feed.Skip
	case !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND):
		return err
	}
	_, err = command.Create(ctx, f.engine, call, f.tables.Applications, func(c *command.Change) (*reliefv1.Application, error) {
		c.Happened("opened")
		return rules.OpenFor(f.district, p, id, referral, c.Now), nil
	}, answer)
	return err
}

// bind writes who the child is into an application that is not handed in yet. Later its beneficiary is what was decided on and paid for.
func (f *referrals) bind(ctx context.Context, call command.Call, referral *referralv1.Referral) error {
	id := store.ApplicationID(referral.GetStanding().GetId())
	_, err := command.Update(ctx, f.engine, call, f.tables.Applications, id, func(c *command.Change, a *reliefv1.Application) error {
		if !rules.Bind(a, referral.GetChildId()) {
			return feed.Skip
		}
		c.Happened("bound")
		return nil
	}, answer)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return feed.Skip
	}
	return err
}

// answer of a command that nobody waits for: where the item stands, kept with the request like any other.
func answer(a *reliefv1.Application) *custodyv1.Standing { return a.GetStanding() }
