package follow

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Registry follows the registry: a binding tells who a provisional child is.
func Registry(e *command.Engine, t *store.Tables, conn grpc.ClientConnInterface) *feed.Follower {
	events, reads := registryv1.NewRegistryFeedServiceClient(conn), registryv1.NewRegistryReadServiceClient(conn)
	return &feed.Follower{
		Name: Service + ".registry", Service: Service, DB: e.DB,
		Open: func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
			stream, err := events.Subscribe(ctx, &registryv1.SubscribeRequest{Position: at})
			if err != nil {
				return nil, err
			}
			return func() (*feedv1.Batch, error) {
				got, err := stream.Recv()
				return got.GetBatch(), err
			}, nil
		},
		Handle: func(ctx context.Context, ev *feedv1.Event, call command.Call) error {
			if ev.GetType() != "binding.created" && ev.GetType() != "binding.changed" {
				return feed.Skip
			}
			got, err := reads.GetBinding(ctx, &registryv1.GetBindingRequest{BindingId: ev.GetSubjectId()})
			if err != nil {
				return err
			}
			return bind(ctx, e, t, call, got.GetBinding())
		},
	}
}

// bind writes the child's id into the provisional child and everything of this service that tells of it. A child bound anew is brought up to
// date everywhere by the same command: no row here names whom the registry does not mean any more.
func bind(ctx context.Context, e *command.Engine, t *store.Tables, call command.Call, binding *registryv1.Binding) error {
	_, err := command.Update(ctx, e, call, t.Children, binding.GetId(), func(c *command.Change, child *reportingv1.ProvisionalChild) error {
		child.ChildId = binding.GetChildId()
		c.Happened("bound")
		report, err := row.Get(ctx, e.DB, e.Keys, t.Reports, child.GetMatterId())
		if err != nil {
			return err
		}
		loaded := command.Remember(t.Reports, report)
		rules.Bind(report, child.GetId(), binding.GetChildId())
		if err := loaded.Update(c, "bound"); err != nil {
			return err
		}
		if err := rebind(ctx, c, t.Bulletins, child, func(b *reportingv1.Bulletin) *string { return &b.ChildId }); err != nil {
			return err
		}
		return rebind(ctx, c, t.Assessments, child, func(a *reportingv1.Assessment) *string { return &a.ChildId })
	}, func(*reportingv1.ProvisionalChild) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// rebind writes the child's id into the rows of one kind that are about it.
func rebind[M interface {
	proto.Message
	GetProvisionalChildId() string
}](ctx context.Context, c *command.Change, t *row.Table[M], child *reportingv1.ProvisionalChild, childID func(M) *string) error {
	rows, err := store.OfReport(ctx, c.Engine.DB, c.Engine.Keys, t, child.GetMatterId())
	if err != nil {
		return err
	}
	for _, m := range rows {
		if m.GetProvisionalChildId() != child.GetId() {
			continue
		}
		loaded := command.Remember(t, m)
		*childID(m) = child.GetChildId()
		if err := loaded.Update(c, "bound"); err != nil {
			return err
		}
	}
	return nil
}

// Referral follows the referral service: a case that is open there closes the assessment here.
func Referral(e *command.Engine, t *store.Tables, conn grpc.ClientConnInterface) *feed.Follower {
	events, reads := referralv1.NewReferralFeedServiceClient(conn), referralv1.NewReferralReadServiceClient(conn)
	return &feed.Follower{
		Name: Service + ".referral", Service: Service, DB: e.DB,
		Open: func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
			stream, err := events.Subscribe(ctx, &referralv1.SubscribeRequest{Position: at})
			if err != nil {
				return nil, err
			}
			return func() (*feedv1.Batch, error) {
				got, err := stream.Recv()
				return got.GetBatch(), err
			}, nil
		},
		Handle: func(ctx context.Context, ev *feedv1.Event, call command.Call) error {
			if ev.GetType() != "case.opened" {
				return feed.Skip
			}
			got, err := reads.GetCase(ctx, &referralv1.GetCaseRequest{CaseId: ev.GetSubjectId()})
			if err != nil {
				return err
			}
			return handOver(ctx, e, t, call, got.GetSupportCase())
		},
	}
}

// handOver closes the assessment a case was made of. One that has been handed over already makes the event none of our business.
func handOver(ctx context.Context, e *command.Engine, t *store.Tables, call command.Call, opened *referralv1.Case) error {
	_, err := command.Update(ctx, e, call, t.Assessments, opened.GetAssessmentId(), func(c *command.Change, a *reportingv1.Assessment) error {
		c.Happened("handed_over")
		if !rules.HandOver(a, opened.GetStanding().GetId()) {
			return feed.Skip
		}
		return nil
	}, func(*reportingv1.Assessment) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}
