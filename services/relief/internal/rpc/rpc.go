// Package rpc answers the calls of this service: it decides what the caller may see, hands the request to a rule inside a
// command, and answers from the row.
package rpc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// Actions of the access table that the handlers decide on.
const (
	actionSubmit  = "application.submit"
	actionDecide  = "application.decide_fast"
	actionRead    = "application.read"
	actionPayment = "budget.payment"
	actionBudget  = "budget.read"
	actionReturn  = "application.return"
	actionEnd     = "application.withdraw"
	actionWork    = "work.list"
)

// Service answers all calls of the area.
type Service struct {
	reliefv1.UnimplementedReliefServiceServer
	reliefv1.UnimplementedReliefReadServiceServer
	reliefv1.UnimplementedReliefFeedServiceServer
	reliefv1.UnimplementedReliefOperationsServiceServer

	// Engine runs the commands.
	Engine *command.Engine
	// District with its programmes, budgets and bank.
	District *district.District
	// Tables of the store.
	Tables *store.Tables
	// Feed serves the area's changes.
	Feed *feed.Server
	// Followers whose parked events an operator can retry.
	Followers []*feed.Follower
	// Registry says who a child is now.
	Registry registryv1.RegistryReadServiceClient
	// Production refuses to pay on amounts nobody has confirmed.
	Production bool
	// Repairs mends items whose custody is broken.
	Repairs *custody.Repairs
	// Version says what is running.
	Version func(ctx context.Context) (*accessv1.ServiceVersion, error)
}

// callOf makes the command's call; an application holds identity.
func callOf(ctx context.Context, q proto.Message) command.Call {
	call := command.CallFrom(ctx, q)
	call.Class = accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY
	return call
}

func act(ctx context.Context, now time.Time) rules.Act {
	caller := access.FromContext(ctx)
	return rules.Act{Unit: caller.Unit, Officer: caller.Officer, Now: now}
}

func (s *Service) today() calendar.Date { return calendar.Today(s.Engine.Now()) }

// facts are what the access decision needs to know of a row; a plain record has no holder.
func facts[M proto.Message](t *row.Table[M], m M) access.Facts {
	head := t.Head(m)
	return access.Facts{Holder: head.Standing.GetHolder(), OfferedTo: head.Standing.GetOfferedTo(), Division: head.Division}
}

// see refuses a row that the caller may not know of by an action: fault NOT_FOUND.
func see[M proto.Message](ctx context.Context, t *row.Table[M], m M, action string) error {
	return access.FromContext(ctx).See(action, facts(t, m))
}

// read gives a row that the caller may know of by an action, masked to what it may read, and puts the look on record.
func read[M proto.Message](ctx context.Context, s *Service, t *row.Table[M], id, action string) (M, error) {
	m, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, t, id)
	if err == nil {
		err = see(ctx, t, m, action)
	}
	if err != nil {
		var none M
		return none, err
	}
	return m, show(ctx, s, t, action, m)
}

// show masks rows for the caller and puts the looks on record before the answer leaves.
func show[M proto.Message](ctx context.Context, s *Service, t *row.Table[M], action string, rows ...M) error {
	caller := access.FromContext(ctx)
	var looks []audit.Look
	for _, m := range rows {
		class := caller.Class(action, facts(t, m))
		looks = append(looks, audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: t.Kind, Head: t.Head(m)})
		access.Mask(m, class)
	}
	return audit.Read(ctx, s.Engine, looks...)
}

type created interface {
	proto.Message
	GetCreateTime() *timestamppb.Timestamp
}

// list is a page of rows in the caller's scope that pass the filters.
func list[M created](ctx context.Context, s *Service, t *row.Table[M], action string, filters []store.Filter, q pagetoken.Request) ([]M, string, error) {
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 2)
	if err != nil {
		return nil, "", err
	}
	after, err := page.After()
	if err != nil {
		return nil, "", err
	}
	condition, args := access.FromContext(ctx).Scope(action).Where(t.Name, !t.IsItem(), 1)
	rows, err := store.List(ctx, s.Engine.DB, s.Engine.Keys, t, condition, args, filters, after, page.Size+1)
	if err != nil {
		return nil, "", err
	}
	rows, token := pagetoken.Show(page, rows, func(m M) []string { return pagetoken.TimeKey(m.GetCreateTime().AsTime(), t.Head(m).ID) })
	return rows, token, show(ctx, s, t, action, rows...)
}

// lines gives the payments of a batch in the order of their lines.
func (s *Service) lines(ctx context.Context, batch string) ([]*reliefv1.Payment, error) {
	payments, err := row.Select(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Payments, "WHERE batch_id = $1::uuid", batch)
	slices.SortFunc(payments, func(a, b *reliefv1.Payment) int { return int(a.GetLineNumber() - b.GetLineNumber()) })
	return payments, err
}

// visibleIn reports, by nil or fault NOT_FOUND, whether a table has an item that the caller may read or has on its work list.
func visibleIn[M proto.Message](ctx context.Context, s *Service, t *row.Table[M], id, action string) error {
	m, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, t, id)
	if err != nil {
		return err
	}
	if see(ctx, t, m, actionWork) == nil {
		return nil
	}
	return see(ctx, t, m, action)
}
