package follow

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/registry/internal/rules"
)

// identify takes over who a reported child is. A number that is known binds the report to that child, and the binding keeps whom it named
// before. A number nobody has goes into the record that was made for the report; where that has another number already, or is one that the
// ledger's keepers made, the report gets a record of its own. Matter, holder and deadlines are not touched.
func (f *reports) identify(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	binding, err := row.Get(ctx, f.engine.DB, f.engine.Keys, f.tables.Bindings, ev.GetSubjectId())
	if err != nil {
		return err
	}
	_, provisional, err := f.described(ctx, binding.GetReportId(), binding.GetId())
	if err != nil {
		return err
	}
	number := provisional.GetPerson().GetIdNumber()
	known, err := f.known(ctx, number)
	if err != nil {
		return err
	}
	bound, early, err := f.tables.Record(ctx, f.engine.DB, f.engine.Keys, binding.GetChildId())
	if err != nil {
		return err
	}
	switch {
	case known.child != nil && known.child.GetId() != bound.GetId(), known.child == nil && number != "" && !takes(bound):
		return f.rebind(ctx, call, binding.GetId(), provisional)
	case early:
		return f.correct(ctx, call, bound.GetId(), provisional)
	}
	return f.complete(ctx, call, bound.GetId(), provisional)
}

// takes reports whether a record was made for a report and has no number yet.
func takes(c *registryv1.Child) bool {
	return c.GetOrigin() == registryv1.Origin_ORIGIN_REPORTED && c.GetPerson().GetIdNumber() == ""
}

// rebind lets the binding name the child that has the number, or a new record.
func (f *reports) rebind(ctx context.Context, call command.Call, binding string, p *reportingv1.ProvisionalChild) error {
	_, err := command.Update(ctx, f.engine, call, f.tables.Bindings, binding, func(c *command.Change, b *registryv1.Binding) error {
		r, err := f.known(ctx, p.GetPerson().GetIdNumber())
		if err != nil {
			return err
		}
		basis := registryv1.Binding_BASIS_ID_NUMBER
		if r.child == nil {
			r, basis = found{record(p, c.ID("child")), true}, registryv1.Binding_BASIS_NEW
		}
		b.EarlierChildIds, b.Basis, b.Division = append(b.EarlierChildIds, b.GetChildId()), basis, p.GetDivision()
		c.Happened("changed")
		return f.bindTo(c, b, r)
	}, func(*registryv1.Binding) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// correct takes over what is known now of a child that the ledger does not have yet.
func (f *reports) correct(ctx context.Context, call command.Call, child string, p *reportingv1.ProvisionalChild) error {
	_, err := command.Update(ctx, f.engine, call, f.tables.Early, child, func(c *command.Change, early *registryv1.Child) error {
		if proto.Equal(early.GetPerson(), p.GetPerson()) && early.GetDivision() == p.GetDivision() {
			return feed.Skip
		}
		early.Person, early.Division = proto.Clone(p.GetPerson()).(*personv1.Person), p.GetDivision()
		c.Happened("identified")
		return nil
	}, func(*registryv1.Child) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// complete fills in what a record of the ledger lacks that a report made: its number, or its birth date. Whatever else stands in it is corrected
// by those who keep the ledger.
func (f *reports) complete(ctx context.Context, call command.Call, child string, p *reportingv1.ProvisionalChild) error {
	_, err := command.Update(ctx, f.engine, call, f.tables.Children, child, func(c *command.Change, known *registryv1.Child) error {
		person := p.GetPerson()
		news := person.GetIdNumber() != "" || known.GetPerson().GetBirthDate() == "" && person.GetBirthDate() != ""
		if !takes(known) || !news {
			return feed.Skip
		}
		known.Person = proto.CloneOf(person)
		rules.Derive(known, calendar.Today(c.Now))
		c.Happened("updated", f.district.TownshipUnit(known.GetDivision()))
		return nil
	}, func(*registryv1.Child) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}
