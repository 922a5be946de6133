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

// child reads a child that the caller may know of by an action; otherwise fault NOT_FOUND.
func (s *Service) child(ctx context.Context, id, action string) (*registryv1.Child, access.Facts, error) {
	c, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Children, id)
	if err != nil {
		return nil, access.Facts{}, err
	}
	f, err := s.facts(ctx, c)
	if err != nil {
		return nil, f, err
	}
	return c, f, access.FromContext(ctx).See(action, f)
}

// show masks messages about a child to what the caller may read and records the look at each before the answer leaves.
func show[M proto.Message](ctx context.Context, s *Service, t *row.Table[M], f access.Facts, messages ...M) error {
	caller := access.FromContext(ctx)
	class := caller.Class(actionRead, f)
	var looks []audit.Look
	for _, m := range messages {
		looks = append(looks, audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: t.Kind, Head: t.Head(m)})
		access.Mask(m, class)
	}
	return audit.Read(ctx, s.Engine, looks...)
}

// today is the day by business time.
func (s *Service) today() calendar.Date { return calendar.Today(s.Engine.Now()) }
