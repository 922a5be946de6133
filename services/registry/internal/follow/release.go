package follow

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/feed"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/registry/internal/store"
)

// What happened to a binding; the second halves of its event types.
const (
	released = "released"
	changed  = "changed"
)

// release lets the children of a matter into the ledger, all of them at once: the township has acknowledged the bulletin and works with them from
// now on. It has a part in the matter then. A matter whose bindings are released already has nothing left to do.
func (f *reports) release(ctx context.Context, ev *feedv1.Event, call command.Call) error {
	read, err := f.read.GetBulletin(ctx, &reportingv1.GetBulletinRequest{BulletinId: ev.GetSubjectId()})
	if err != nil {
		return err
	}
	bindings, err := f.tables.OfMatter(ctx, f.engine.DB, f.engine.Keys, ev.GetMatterId())
	if err != nil {
		return err
	}
	if len(bindings) == 0 {
		return feed.Skip
	}
	_, err = command.Update(ctx, f.engine, call, f.tables.Bindings, bindings[0].GetId(), func(c *command.Change, first *registryv1.Binding) error {
		if first.GetReleaseTime() != nil {
			return feed.Skip
		}
		if township := read.GetBulletin().GetTownship(); township != "" {
			c.Exec(store.Grant(), ev.GetMatterId(), township, c.Now)
		}
		t := &telling{reports: f, matter: ev.GetMatterId(), touched: map[string]string{first.GetId(): released}, entered: map[string]bool{}}
		if err := t.tell(ctx, c, first); err != nil {
			return err
		}
		rest, err := f.tables.OfMatter(ctx, f.engine.DB, f.engine.Keys, ev.GetMatterId())
		if err != nil {
			return err
		}
		for _, b := range rest {
			if err := t.tellFurther(ctx, c, b); err != nil {
				return err
			}
		}
		c.Happened(t.touched[first.GetId()])
		return nil
	}, func(*registryv1.Binding) *emptypb.Empty { return &emptypb.Empty{} })
	return err
}

// telling is one matter's release: what happened to each binding it has dealt with, and which children have entered the ledger.
type telling struct {
	*reports
	matter  string
	touched map[string]string
	entered map[string]bool
}

// tellFurther is tell for a binding that the command did not begin with.
func (t *telling) tellFurther(ctx context.Context, c *command.Change, b *registryv1.Binding) error {
	if t.touched[b.GetId()] != "" {
		return nil
	}
	loaded := command.Remember(t.tables.Bindings, b)
	t.touched[b.GetId()] = released
	if err := t.tell(ctx, c, b); err != nil {
		return err
	}
	return loaded.Update(c, t.touched[b.GetId()])
}

// tell marks a binding as told and lets its child into the ledger. Where a village has registered the same child meanwhile, knowing nothing of the
// report, there is one record and it is the village's: the binding, and every other that names the early one, names that one now.
func (t *telling) tell(ctx context.Context, c *command.Change, b *registryv1.Binding) error {
	b.ReleaseTime = timestamppb.New(c.Now)
	child, early, err := t.tables.Record(ctx, t.engine.DB, t.engine.Keys, b.GetChildId())
	if err != nil || !early || t.entered[child.GetId()] {
		return err
	}
	t.entered[child.GetId()] = true
	known, err := t.known(ctx, child.GetPerson().GetIdNumber())
	if err != nil {
		return err
	}
	if known.child == nil || known.early {
		return t.enter(c, child, t.matter)
	}
	c.Exec(store.LeaveEarly(), child.GetId(), child.GetVersion())
	t.point(b, known.child.GetId())
	others, err := t.tables.NamingChild(ctx, t.engine.DB, t.engine.Keys, child.GetId())
	if err != nil {
		return err
	}
	for _, other := range others {
		if t.touched[other.GetId()] != "" {
			continue
		}
		loaded := command.Remember(t.tables.Bindings, other)
		t.point(other, known.child.GetId())
		if other.GetMatterId() == t.matter {
			other.ReleaseTime = timestamppb.New(c.Now)
		}
		if err := loaded.Update(c, changed); err != nil {
			return err
		}
	}
	return nil
}

// point lets a binding name another child and keeps whom it named before.
func (t *telling) point(b *registryv1.Binding, child string) {
	b.EarlierChildIds = append(b.EarlierChildIds, b.GetChildId())
	b.ChildId, b.Basis = child, registryv1.Binding_BASIS_ID_NUMBER
	t.touched[b.GetId()] = changed
}
