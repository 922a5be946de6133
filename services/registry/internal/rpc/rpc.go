// Package rpc answers the calls of this service: it decides what the caller may see, hands the request to a rule inside a
// command, and answers from the row.
package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry/internal/store"
)

// Actions of the access table that the handlers decide on.
const (
	actionRead     = "child.read"
	actionRegister = "child.register"
	actionUpdate   = "child.update"
	actionCare     = "child.care_agreement"
	actionVisit    = "child.visit"
	actionFind     = "child.find"
	actionWork     = "work.list"
)

// Service answers all calls of the area.
type Service struct {
	registryv1.UnimplementedRegistryServiceServer
	registryv1.UnimplementedRegistryReadServiceServer
	registryv1.UnimplementedRegistryReferenceServiceServer
	registryv1.UnimplementedRegistryFeedServiceServer
	registryv1.UnimplementedRegistryOperationsServiceServer

	// Engine runs the commands.
	Engine *command.Engine
	// District with its divisions, units and clocks.
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

// facts are what the access decision needs to know of a child.
func (s *Service) facts(ctx context.Context, c *registryv1.Child) (access.Facts, error) {
	involved, err := store.Involved(ctx, s.Engine.DB, access.FromContext(ctx).Unit, c.GetId())
	return access.Facts{Division: c.GetDivision(), Involved: involved}, err
}

// child reads a child that the caller may know of by an action; otherwise fault NOT_FOUND. One that only a report knows so far is in no
// division's ledger: nothing but a part in the matter opens it.
func (s *Service) child(ctx context.Context, id, action string) (*registryv1.Child, access.Facts, error) {
	c, early, err := s.Tables.Record(ctx, s.Engine.DB, s.Engine.Keys, id)
	if err != nil {
		return nil, access.Facts{}, err
	}
	if early {
		f, err := s.part(ctx, c, action)
		return c, f, err
	}
	f, err := s.facts(ctx, c)
	if err != nil {
		return nil, f, err
	}
	return c, f, access.FromContext(ctx).See(action, f)
}

// part decides on a child that only a report knows so far. Not even the suite's other services see it by its id or number: what they were asked
// about it would tell who asked.
func (s *Service) part(ctx context.Context, c *registryv1.Child, action string) (access.Facts, error) {
	caller := access.FromContext(ctx)
	f, err := s.facts(ctx, c)
	if err != nil {
		return f, err
	}
	f.Division = ""
	if !f.Involved {
		return f, fault.NotFound()
	}
	return f, caller.See(action, f)
}

// conceal takes out of a record of the ledger what would tell who has no part in the matter that the child was reported, and when.
func conceal(caller *access.Caller, f access.Facts, m proto.Message) {
	if f.Involved || caller.Service != "" {
		return
	}
	switch m := m.(type) {
	case *registryv1.Child:
		m.MatterId, m.Origin, m.ColourTime, m.AssessmentId = "", registryv1.Origin_ORIGIN_UNSPECIFIED, nil, ""
	case *registryv1.VisitPlan:
		m.AssessmentId = ""
	}
}

// show masks messages about a child to what the caller may read, conceals where they came from, and records the look at each before the answer leaves.
func show[M proto.Message](ctx context.Context, s *Service, t *row.Table[M], f access.Facts, messages ...M) error {
	caller := access.FromContext(ctx)
	class := caller.Class(actionRead, f)
	var looks []audit.Look
	for _, m := range messages {
		looks = append(looks, audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: t.Kind, Head: t.Head(m)})
		access.Mask(m, class)
		conceal(caller, f, m)
	}
	return audit.Read(ctx, s.Engine, looks...)
}

// today is the day by business time.
func (s *Service) today() calendar.Date { return calendar.Today(s.Engine.Now()) }
