package follow

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
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

// found is a record of a child, and whether the ledger has it yet.
type found struct {
	child *registryv1.Child
	early bool
}

// bind finds a reported child by its identity number, or makes a record, and binds the report's provisional child to it. The ledger is not
// touched: a child it knows stays as it is, one it does not know stays out of it until the bulletin. The station gets the rights that come
// from the matter.
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
		if told(report, provisional.GetId()) {
			b.ReleaseTime = timestamppb.New(c.Now)
		}
		r, err := f.known(ctx, provisional.GetPerson().GetIdNumber())
		if err != nil {
			return nil, err
		}
		if r.child == nil {
			r, b.Basis = found{record(provisional, store.ChildID(provisional.GetId())), true}, registryv1.Binding_BASIS_NEW
		}
		if err := f.bindTo(c, b, r); err != nil {
			return nil, err
		}
		if holder := report.GetStanding().GetHolder(); holder != "" {
			c.Exec(store.Grant(), b.GetMatterId(), holder, c.Now)
		}
		c.Happened("created")
		return b, nil
	}, func(*registryv1.Binding) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// told reports whether the township assesses a child of a report: then it was told of it, by the bulletin or because the child was found later.
func told(r *reportingv1.Report, provisional string) bool {
	for _, entry := range r.GetChildren() {
		if entry.GetProvisionalChildId() == provisional {
			return entry.GetAssessmentId() != ""
		}
	}
	return r.GetProvisionalChildId() == provisional && r.GetAssessmentId() != ""
}

// bindTo lets a binding name a record. One that the ledger does not have is kept apart, or enters the ledger when the matter has been told.
func (f *reports) bindTo(c *command.Change, b *registryv1.Binding, r found) error {
	b.ChildId = r.child.GetId()
	switch {
	case !r.early:
		return nil
	case b.GetReleaseTime() != nil:
		return f.enter(c, r.child, b.GetMatterId())
	case r.child.GetVersion() == 0:
		return command.Insert(c, f.tables.Early, r.child, "entered")
	}
	return nil
}

// known gives the record with that identity number, the ledger's first; no child when there is none or no number.
func (f *reports) known(ctx context.Context, number string) (found, error) {
	if number == "" {
		return found{}, nil
	}
	child, err := f.tables.FindByNumber(ctx, f.engine.DB, f.engine.Keys, number)
	if !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return found{child: child}, err
	}
	child, err = f.tables.FindEarlyByNumber(ctx, f.engine.DB, f.engine.Keys, number)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return found{}, nil
	}
	return found{child, true}, err
}

// record makes the record of a child that only a report knows so far. What the report says of the school stays in the report: in the ledger it
// would point at who reported (policy R3.8).
func record(p *reportingv1.ProvisionalChild, id string) *registryv1.Child {
	return &registryv1.Child{
		Id: id, MatterId: p.GetMatterId(), Division: p.GetDivision(),
		Person: proto.Clone(p.GetPerson()).(*personv1.Person), Origin: registryv1.Origin_ORIGIN_REPORTED,
	}
}

// enter lets a record into the ledger, as new as one that a village registers: its version, times and statuses begin here.
func (f *reports) enter(c *command.Change, early *registryv1.Child, matter string) error {
	child := proto.CloneOf(early)
	child.Version, child.Etag, child.MatterId, child.CreateTime, child.UpdateTime, child.Statuses = 0, "", "", nil, nil, nil
	rules.Derive(child, calendar.Today(c.Now))
	if early.GetVersion() > 0 {
		c.Exec(store.LeaveEarly(), early.GetId(), early.GetVersion())
	}
	c.Exec(store.Release(), child.GetId(), matter, c.Now)
	return command.Insert(c, f.tables.Children, child, "registered", f.district.TownshipUnit(child.GetDivision()))
}
