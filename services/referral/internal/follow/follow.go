// Package follow acts when another service's feed moves: it opens a case for each concluded assessment and tells it
// who the child is, and delivers a referral when the relief it asked for is paid or refused. It reads the source as this
// service and writes only here.
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
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/referral/internal/rules"
	"github.com/lianhu/lianhu/services/referral/internal/store"
)

// Names of the cursors. They never change: a new name starts at the oldest event.
const (
	Reporting = "referral.reporting"
	Relief    = "referral.relief"
)

// deps is what both followers work with.
type deps struct {
	engine   *command.Engine
	district *district.District
	tables   *store.Tables
}

// New makes the followers of this service over connections to reporting and relief.
func New(e *command.Engine, d *district.District, t *store.Tables, reporting, relief grpc.ClientConnInterface) []*feed.Follower {
	shared := deps{e, d, t}
	assessments := &assessments{shared, reportingv1.NewReportingReadServiceClient(reporting)}
	applications := &applications{shared, reliefv1.NewReliefReadServiceClient(relief)}
	return []*feed.Follower{
		{
			Name: Reporting, Service: e.Service, DB: e.DB, Handle: assessments.handle,
			Open: func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
				stream, err := reportingv1.NewReportingFeedServiceClient(reporting).Subscribe(ctx, &reportingv1.SubscribeRequest{Position: at})
				return batches(stream, err)
			},
		},
		{
			Name: Relief, Service: e.Service, DB: e.DB, Handle: applications.handle,
			Open: func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
				stream, err := reliefv1.NewReliefFeedServiceClient(relief).Subscribe(ctx, &reliefv1.SubscribeRequest{Position: at})
				return batches(stream, err)
			},
		},
	}
}

// batches unwraps a feed's own response message.
func batches[R interface{ GetBatch() *feedv1.Batch }](stream interface{ Recv() (R, error) }, err error) (feed.Stream, error) {
	if err != nil {
		return nil, err
	}
	return func() (*feedv1.Batch, error) {
		answer, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return answer.GetBatch(), nil
	}, nil
}

type assessments struct {
	deps
	reporting reportingv1.ReportingReadServiceClient
}

// handle opens the case of a concluded assessment, and tells it who the child is when that is found out later.
func (f *assessments) handle(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	if ev.GetType() != "assessment.concluded" && ev.GetType() != "assessment.bound" {
		return feed.Skip
	}
	read, err := f.reporting.GetAssessment(ctx, &reportingv1.GetAssessmentRequest{AssessmentId: ev.GetSubjectId()})
	if err != nil {
		return err
	}
	if ev.GetType() == "assessment.bound" {
		return f.bind(ctx, call, read.GetAssessment())
	}
	return f.open(ctx, call, read.GetAssessment())
}

// open makes the case with a referral for each need. An assessment without needs opens nothing: reporting closes it by itself.
func (f *assessments) open(ctx context.Context, call command.Call, assessment *reportingv1.Assessment) error {
	if len(assessment.GetNeeds()) == 0 {
		return feed.Skip
	}
	// The same conclusion comes again under another position when reporting was restored; the case is there already.
	_, err := row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Cases, rules.CaseID(assessment.GetStanding().GetId()))
	switch {
	case err == nil:
		return feed.Skip
	case !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND):
		return err
	}
	_, err = command.Create(ctx, f.engine, call, f.tables.Cases, func(c *command.Change) (*referralv1.Case, error) {
		opened, referrals, err := rules.Open(f.district, assessment, c.Now)
		if err != nil {
			return nil, err
		}
		for _, r := range referrals {
			if err := command.Insert(c, f.tables.Referrals, r, rules.Offered, r.GetTownship()); err != nil {
				return nil, err
			}
		}
		c.Happened(rules.Opened, opened.GetTownship())
		return opened, nil
	}, answer)
	return err
}

// bind writes who the child is into the case and each of its referrals, in one command. An assessment that is not concluded yet has no case;
// the one it opens later knows the child.
func (f *assessments) bind(ctx context.Context, call command.Call, assessment *reportingv1.Assessment) error {
	id := rules.CaseID(assessment.GetStanding().GetId())
	_, err := command.Update(ctx, f.engine, call, f.tables.Cases, id, func(c *command.Change, opened *referralv1.Case) error {
		if !rules.Bind(opened, assessment.GetChildId()) {
			return feed.Skip
		}
		c.Happened(rules.Bound, opened.GetTownship())
		referrals, err := store.OfCase(ctx, f.engine.DB, f.engine.Keys, f.tables.Referrals, id)
		if err != nil {
			return err
		}
		for _, r := range referrals {
			loaded := command.Remember(f.tables.Referrals, r)
			r.ChildId = opened.GetChildId()
			if err := loaded.Update(c, rules.Bound, r.GetTownship()); err != nil {
				return err
			}
		}
		return nil
	}, answer)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return feed.Skip
	}
	return err
}

type applications struct {
	deps
	relief reliefv1.ReliefReadServiceClient
}

// handle delivers the referral that an application of relief settled. A referral that has been delivered otherwise, or given to
// somebody else meanwhile, stays as it is.
func (f *applications) handle(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	result := rules.Result{ApplicationID: ev.GetSubjectId(), Date: calendar.Today(ev.GetEventTime().AsTime()).String()}
	switch ev.GetType() {
	case "application.paid":
		result.Outcome, result.Note = referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED, "救助金已发放到账"
	case "application.refused":
		result.Outcome, result.Note = referralv1.DeliveryOutcome_DELIVERY_OUTCOME_NOT_ENTITLED, "救助申请未获批准"
	case "application.withdrawn":
		result.Outcome, result.Note = referralv1.DeliveryOutcome_DELIVERY_OUTCOME_NO_LONGER_NEEDED, "救助申请已撤回"
	default:
		return feed.Skip
	}
	read, err := f.relief.GetApplication(ctx, &reliefv1.GetApplicationRequest{ApplicationId: ev.GetSubjectId()})
	if err != nil {
		return err
	}
	if read.GetApplication().GetReferralId() == "" {
		return feed.Skip
	}
	_, err = command.Update(ctx, f.engine, call, f.tables.Referrals, read.GetApplication().GetReferralId(),
		func(c *command.Change, r *referralv1.Referral) error {
			if !rules.Serving(r) {
				return feed.Skip
			}
			what, err := rules.Deliver(f.district, r, rules.Act{Unit: r.GetStanding().GetHolder(), Now: c.Now}, result)
			if err != nil {
				return err
			}
			c.Happened(what, r.GetTownship())
			return nil
		}, func(r *referralv1.Referral) *custodyv1.Standing { return r.GetStanding() })
	return err
}

// answer of a command that nobody waits for: where the item stands, kept with the request like any other.
func answer(c *referralv1.Case) *custodyv1.Standing { return c.GetStanding() }
