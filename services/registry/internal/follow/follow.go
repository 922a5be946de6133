// Package follow acts when reporting's feed moves: it finds or makes the ledger record of a reported child and binds it, and takes
// over who an unknown one turns out to be, and the colour of a concluded assessment. It reads reporting as this service and writes only here.
package follow

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
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
	case "provisional_child.identified":
		return f.identify(ctx, ev, call)
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

// bind finds a reported child in the ledger by its identity number, or makes a record, and binds the report's provisional
// child to it. The station gets the rights that come from the matter.
func (f *reports) bind(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	report, provisional, err := f.described(ctx, ev.GetMatterId(), ev.GetSubjectId())
	if err != nil {
		return err
	}
	// The same child comes again under another position when reporting was restored; the binding is there already.
	_, err = row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Bindings, provisional.GetId())
	switch {
	case err == nil:
		return feed.Skip
	case !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND):
		return err
	}
	_, err = command.Create(ctx, f.engine, call, f.tables.Bindings, func(c *command.Change) (*registryv1.Binding, error) {
		b := &registryv1.Binding{
			Id: provisional.GetId(), MatterId: report.GetStanding().GetMatterId(), Division: provisional.GetDivision(),
			ReportId: report.GetStanding().GetId(), Basis: registryv1.Binding_BASIS_ID_NUMBER,
		}
		child, err := f.known(ctx, provisional.GetPerson().GetIdNumber())
		if err != nil {
			return nil, err
		}
		if child == nil {
			child = f.record(provisional, c)
			b.Basis = registryv1.Binding_BASIS_NEW
			if err := command.Insert(c, f.tables.Children, child, "reported", f.district.TownshipUnit(child.GetDivision())); err != nil {
				return nil, err
			}
		}
		b.ChildId = child.GetId()
		if holder := report.GetStanding().GetHolder(); holder != "" {
			c.Exec(store.Grant(), b.GetMatterId(), holder, c.Now)
		}
		c.Happened("created")
		return b, nil
	}, func(*registryv1.Binding) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// identify takes over who a reported child is. A number the ledger knows binds the report to that child, and the binding keeps whom it named
// before; a number nobody has goes into the record that was made for the report. Matter, holder and deadlines are not touched.
func (f *reports) identify(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	binding, err := row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Bindings, ev.GetSubjectId())
	if err != nil {
		return err
	}
	_, provisional, err := f.described(ctx, binding.GetReportId(), binding.GetId())
	if err != nil {
		return err
	}
	person := provisional.GetPerson()
	known, err := f.known(ctx, person.GetIdNumber())
	switch {
	case err != nil:
		return err
	case known == nil:
		_, err = command.Update(ctx, f.engine, call, f.tables.Children, binding.GetChildId(), func(c *command.Change, child *registryv1.Child) error {
			if child.GetPerson().GetIdNumber() != "" || child.GetOrigin() != registryv1.Origin_ORIGIN_REPORTED {
				return feed.Skip // a child of the ledger is corrected by those who keep the ledger
			}
			child.Person = proto.CloneOf(person)
			rules.Derive(child, calendar.Today(c.Now))
			c.Happened("identified", f.district.TownshipUnit(child.GetDivision()))
			return nil
		}, func(*registryv1.Child) *emptypb.Empty { return &emptypb.Empty{} })
		return err
	case known.GetId() == binding.GetChildId():
		return feed.Skip
	}
	_, err = command.Update(ctx, f.engine, call, f.tables.Bindings, binding.GetId(), func(c *command.Change, b *registryv1.Binding) error {
		b.EarlierChildIds = append(b.EarlierChildIds, b.GetChildId())
		b.ChildId, b.Basis = known.GetId(), registryv1.Binding_BASIS_ID_NUMBER
		c.Happened("changed")
		return nil
	}, func(*registryv1.Binding) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// known gives the ledger's child with that identity number, nil when there is none or no number.
func (f *reports) known(ctx context.Context, number string) (*registryv1.Child, error) {
	if number == "" {
		return nil, nil
	}
	child, err := f.tables.FindByNumber(ctx, f.engine.DB, f.engine.Keys, number)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return nil, nil
	}
	return child, err
}

// record makes the ledger record of a child that only a report knows so far.
func (f *reports) record(p *reportingv1.ProvisionalChild, c *command.Change) *registryv1.Child {
	child := &registryv1.Child{
		Id: store.ChildID(p.GetId()), MatterId: p.GetMatterId(), Division: p.GetDivision(),
		Person: proto.Clone(p.GetPerson()).(*personv1.Person), Origin: registryv1.Origin_ORIGIN_REPORTED,
	}
	if p.GetSchoolUnit() != "" {
		child.Schooling = &registryv1.Schooling{SchoolUnit: p.GetSchoolUnit()}
	}
	rules.Derive(child, calendar.Today(c.Now))
	return child
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
		return f.plan(ctx, c, child, assessment.GetStanding().GetMatterId())
	}, func(*registryv1.Child) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// plan opens the child's visit plan, or changes the one it has.
func (f *reports) plan(ctx context.Context, c *command.Change, child *registryv1.Child, matter string) error {
	id := store.PlanID(child.GetId())
	p, err := row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Plans, id)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return command.Insert(c, f.tables.Plans, rules.OpenPlan(f.district, id, child, matter, c.Now), rules.Opened)
	}
	if err != nil {
		return err
	}
	loaded := command.Remember(f.tables.Plans, p)
	rules.Grade(f.district, p, child, c.Now)
	return loaded.Update(c, rules.Graded)
}
