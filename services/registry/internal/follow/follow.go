// Package follow acts when reporting's feed moves: it finds a reported child in the ledger, or makes a record that stays out of it, and binds
// the report to it; takes over who an unknown one turns out to be; lets the record into the ledger when the township has acknowledged the
// bulletin; and takes over the colour of a concluded assessment. It reads reporting as this service and writes only here.
package follow

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/registry/internal/rules"
	"github.com/lianhu/lianhu/services/registry/internal/store"
)

// Reporting is the name of the cursor. It never changes: a new name starts at the oldest event.
const Reporting = "registry.reporting"

// reports is what the follower works with.
type reports struct {
	engine   *command.Engine
	district *district.District
	tables   *store.Tables
	read     reportingv1.ReportingReadServiceClient
}

// New makes the followers of this service over a connection to reporting.
func New(e *command.Engine, d *district.District, t *store.Tables, reporting grpc.ClientConnInterface) []*feed.Follower {
	f := &reports{e, d, t, reportingv1.NewReportingReadServiceClient(reporting)}
	return []*feed.Follower{{
		Name: Reporting, Service: e.Service, DB: e.DB, Handle: f.handle,
		Open: func(ctx context.Context, at *feedv1.Position) (feed.Stream, error) {
			stream, err := reportingv1.NewReportingFeedServiceClient(reporting).Subscribe(ctx, &reportingv1.SubscribeRequest{Position: at})
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

func (f *reports) handle(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	switch ev.GetType() {
	case "provisional_child.created":
		return f.bind(ctx, ev, call)
	case "provisional_child.identified", "provisional_child.corrected":
		return f.identify(ctx, ev, call)
	case "bulletin.acknowledged":
		return f.release(ctx, ev, call)
	case "assessment.concluded":
		return f.grade(ctx, ev, call)
	}
	return feed.Skip
}

// described reads a report and the child of it that a subject is about. A report is the first item of its matter and has the matter's id.
func (f *reports) described(ctx context.Context, report, child string) (*reportingv1.Report, *reportingv1.ProvisionalChild, error) {
	read, err := f.read.GetReport(ctx, &reportingv1.GetReportRequest{ReportId: report})
	if err != nil {
		return nil, nil, err
	}
	for _, p := range read.GetChildren() {
		if p.GetId() == child {
			return read.GetReport(), p, nil
		}
	}
	return nil, nil, fault.NotFound()
}

// grade takes over the colour of an assessment: the child's, and with it when it is visited next.
func (f *reports) grade(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	read, err := f.read.GetAssessment(ctx, &reportingv1.GetAssessmentRequest{AssessmentId: ev.GetSubjectId()})
	if err != nil {
		return err
	}
	assessment := read.GetAssessment()
	binding, err := row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Bindings, assessment.GetProvisionalChildId())
	if err != nil {
		return err
	}
	_, err = command.Update(ctx, f.engine, call, f.tables.Children, binding.GetChildId(), func(c *command.Change, child *registryv1.Child) error {
		if child.GetAssessmentId() == assessment.GetStanding().GetId() {
			return feed.Skip
		}
		child.Colour, child.ColourTime, child.AssessmentId = assessment.GetColour(), ev.GetEventTime(), assessment.GetStanding().GetId()
		c.Happened("graded", f.district.TownshipUnit(child.GetDivision()))
		if township := assessment.GetTownship(); township != "" {
			c.Exec(store.Grant(), assessment.GetStanding().GetMatterId(), township, c.Now)
		}
		return f.plan(ctx, c, child)
	}, func(*registryv1.Child) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// plan opens the child's visit plan, or changes the one it has. The plan is the ledger's and names no matter: who visits the child learns
// that it is to be visited, not from which report that came.
func (f *reports) plan(ctx context.Context, c *command.Change, child *registryv1.Child) error {
	id := store.PlanID(child.GetId())
	p, err := row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Plans, id)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return command.Insert(c, f.tables.Plans, rules.OpenPlan(f.district, id, child, c.Now), rules.Opened)
	}
	if err != nil {
		return err
	}
	loaded := command.Remember(f.tables.Plans, p)
	rules.Grade(f.district, p, child, c.Now)
	return loaded.Update(c, rules.Graded)
}
