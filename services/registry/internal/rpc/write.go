package rpc

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry/internal/rules"
	"github.com/lianhu/lianhu/services/registry/internal/store"
)

// callOf makes the command's call; what the ledger holds is identity.
func callOf(ctx context.Context, q proto.Message) command.Call {
	call := command.CallFrom(ctx, q)
	call.Class = accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY
	return call
}

// RegisterChild implements the contract.
func (s *Service) RegisterChild(ctx context.Context, q *registryv1.RegisterChildRequest) (*registryv1.RegisterChildResponse, error) {
	given := q.GetChild()
	if bad := s.District.CheckDivision("child.division", given.GetDivision(), s.today()); bad != nil {
		return nil, bad
	}
	if err := access.FromContext(ctx).See(actionRegister, access.Facts{Division: given.GetDivision()}); err != nil {
		return nil, err
	}
	return command.Create(ctx, s.Engine, callOf(ctx, q), s.Tables.Children, func(c *command.Change) (*registryv1.Child, error) {
		child := proto.Clone(given).(*registryv1.Child)
		for _, name := range assigned() {
			child.ProtoReflect().Clear(child.ProtoReflect().Descriptor().Fields().ByName(name))
		}
		child.Id, child.Origin = c.ID(""), registryv1.Origin_ORIGIN_REGISTERED
		if err := rules.CheckChild(s.District, child, s.today()); err != nil {
			return nil, err
		}
		c.Happened("registered", s.District.TownshipUnit(child.GetDivision()))
		plan := rules.OpenPlan(s.District, store.PlanID(child.GetId()), child, c.Now)
		return child, command.Insert(c, s.Tables.Plans, plan, rules.Opened)
	}, func(child *registryv1.Child) *registryv1.RegisterChildResponse {
		return &registryv1.RegisterChildResponse{ChildId: child.GetId(), Etag: child.GetEtag(), Version: child.GetVersion()}
	})
}

// assigned are the fields of a record that the server writes; what a caller sends in them does not count.
func assigned() []protoreflect.Name {
	return []protoreflect.Name{
		"id", "etag", "version", "matter_id", "create_time", "update_time", "statuses", "colour", "colour_time", "assessment_id", "origin",
	}
}

// UpdateChild implements the contract.
func (s *Service) UpdateChild(ctx context.Context, q *registryv1.UpdateChildRequest) (*registryv1.UpdateChildResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Children, q.GetChildId(), func(c *command.Change, child *registryv1.Child) error {
		f, err := s.facts(ctx, child)
		if err != nil {
			return err
		}
		if err := access.FromContext(ctx).See(actionUpdate, f); err != nil {
			return err
		}
		if err := overwrite(child, q.GetChild(), q.GetUpdateMask().GetPaths()); err != nil {
			return err
		}
		if err := rules.CheckChild(s.District, child, s.today()); err != nil {
			return err
		}
		c.Happened("updated", s.District.TownshipUnit(child.GetDivision()))
		return nil
	}, func(child *registryv1.Child) *registryv1.UpdateChildResponse {
		return &registryv1.UpdateChildResponse{ChildId: child.GetId(), Etag: child.GetEtag(), Version: child.GetVersion()}
	})
}

// overwrite sets the named fields of a record, whole. Where a child lives changes by a transfer, not by an update.
func overwrite(into, from *registryv1.Child, paths []string) error {
	if len(paths) == 0 {
		return fault.Invalid("update_mask", "names no field")
	}
	to, source := into.ProtoReflect(), from.ProtoReflect()
	for _, path := range paths {
		field := to.Descriptor().Fields().ByName(protoreflect.Name(path))
		if field == nil || path == "division" || slices.Contains(assigned(), protoreflect.Name(path)) {
			return fault.New(registryv1.Reason_REASON_MASK_FORBIDDEN, path+" cannot be updated", "field", "update_mask", "path", path).
				Field("update_mask", "names "+path)
		}
		if !source.Has(field) {
			to.Clear(field)
			continue
		}
		to.Set(field, source.Get(field))
	}
	return nil
}

// RecordGuardianship implements the contract.
func (s *Service) RecordGuardianship(ctx context.Context, q *registryv1.RecordGuardianshipRequest) (*registryv1.RecordGuardianshipResponse, error) {
	return command.Create(ctx, s.Engine, callOf(ctx, q), s.Tables.Guardianships, func(c *command.Change) (*registryv1.Guardianship, error) {
		child, _, err := s.child(ctx, q.GetChildId(), actionUpdate)
		if err != nil {
			return nil, err
		}
		g := &registryv1.Guardianship{
			Id: c.ID(""), MatterId: child.GetMatterId(), Division: child.GetDivision(), ChildId: child.GetId(), Slot: q.GetSlot(),
			Guardian: clone(q.GetGuardian()), GuardianUnit: q.GetGuardianUnit(), Relation: q.GetRelation(),
			From: q.GetFrom(), To: q.GetTo(), Ground: q.GetGround(), CourtPaper: q.GetCourtPaper(),
		}
		c.Happened("recorded", s.District.TownshipUnit(child.GetDivision()))
		if err := rules.CheckGuardianship(s.District, g, s.today()); err != nil {
			return nil, err
		}
		return g, rules.CheckFrom(child, g.GetFrom())
	}, func(g *registryv1.Guardianship) *registryv1.RecordGuardianshipResponse {
		return &registryv1.RecordGuardianshipResponse{GuardianshipId: g.GetId(), Etag: g.GetEtag(), Version: g.GetVersion()}
	})
}

// EndGuardianship implements the contract.
func (s *Service) EndGuardianship(ctx context.Context, q *registryv1.EndGuardianshipRequest) (*registryv1.EndGuardianshipResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Guardianships, q.GetGuardianshipId(), func(c *command.Change, g *registryv1.Guardianship) error {
		if _, _, err := s.child(ctx, g.GetChildId(), actionUpdate); err != nil {
			return err
		}
		c.Happened("ended", s.District.TownshipUnit(g.GetDivision()))
		return rules.EndGuardianship(g, q.GetTo(), s.today())
	}, func(g *registryv1.Guardianship) *registryv1.EndGuardianshipResponse {
		return &registryv1.EndGuardianshipResponse{GuardianshipId: g.GetId(), Etag: g.GetEtag(), Version: g.GetVersion()}
	})
}

// RecordCareAgreement implements the contract.
func (s *Service) RecordCareAgreement(ctx context.Context, q *registryv1.RecordCareAgreementRequest) (*registryv1.RecordCareAgreementResponse, error) {
	return command.Create(ctx, s.Engine, callOf(ctx, q), s.Tables.Agreements, func(c *command.Change) (*registryv1.CareAgreement, error) {
		child, _, err := s.child(ctx, q.GetChildId(), actionCare)
		if err != nil {
			return nil, err
		}
		a := &registryv1.CareAgreement{
			Id: c.ID(""), MatterId: child.GetMatterId(), Division: child.GetDivision(), ChildId: child.GetId(), Carer: clone(q.GetCarer()),
			Relation: q.GetRelation(), Ground: q.GetGround(), From: q.GetFrom(), To: q.GetTo(), ChildHeard: q.GetChildHeard(), NoticeUnits: q.GetNoticeUnits(),
		}
		c.Happened("recorded", append([]string{s.District.TownshipUnit(child.GetDivision())}, memberUnits(q.GetNoticeUnits())...)...)
		if err := rules.CheckCare(s.District, child, a, q.GetCarerBars(), s.today()); err != nil {
			return nil, err
		}
		return a, rules.CheckFrom(child, a.GetFrom())
	}, func(a *registryv1.CareAgreement) *registryv1.RecordCareAgreementResponse {
		return &registryv1.RecordCareAgreementResponse{CareAgreementId: a.GetId(), Etag: a.GetEtag(), Version: a.GetVersion()}
	})
}

// memberUnits leaves out reporting organisations: a school in an audience would tell who reported (policy R3.8).
func memberUnits(units []string) []string {
	return slices.DeleteFunc(slices.Clone(units), func(unit string) bool { return len(unit) > 4 && unit[:4] == "org/" })
}

// EndCareAgreement implements the contract.
func (s *Service) EndCareAgreement(ctx context.Context, q *registryv1.EndCareAgreementRequest) (*registryv1.EndCareAgreementResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Agreements, q.GetCareAgreementId(), func(c *command.Change, a *registryv1.CareAgreement) error {
		if _, _, err := s.child(ctx, a.GetChildId(), actionCare); err != nil {
			return err
		}
		c.Happened("ended", s.District.TownshipUnit(a.GetDivision()))
		return rules.EndCare(a, q.GetGround(), c.Now)
	}, func(a *registryv1.CareAgreement) *registryv1.EndCareAgreementResponse {
		return &registryv1.EndCareAgreementResponse{CareAgreementId: a.GetId(), Etag: a.GetEtag(), Version: a.GetVersion()}
	})
}

// RecordVisit implements the contract.
func (s *Service) RecordVisit(ctx context.Context, q *registryv1.RecordVisitRequest) (*registryv1.RecordVisitResponse, error) {
	caller := access.FromContext(ctx)
	child, _, err := s.child(ctx, q.GetChildId(), actionVisit)
	if err != nil {
		return nil, err
	}
	plan := store.PlanID(child.GetId())
	if _, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Plans, plan); fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return nil, fault.New(registryv1.Reason_REASON_VISIT_PLAN_MISSING, "the child is not visited by plan")
	}
	var visit *registryv1.Visit
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Plans, plan, func(c *command.Change, p *registryv1.VisitPlan) error {
		visit = &registryv1.Visit{
			Id: c.ID("visit"), MatterId: p.GetStanding().GetMatterId(), ChildId: child.GetId(), VisitPlanId: plan, VisitTime: q.GetVisitTime(),
			Way: q.GetWay(), Unit: caller.Unit, Officer: caller.Officer, ChildSeen: q.GetChildSeen(), GuardianshipGrade: q.GetGuardianshipGrade(),
			Text: q.GetText(), RecordTime: timestamppb.New(c.Now),
		}
		if err := rules.Visit(s.District, p, visit, c.Now); err != nil {
			return err
		}
		args, err := store.VisitArgs(s.Engine.Keys, visit)
		if err != nil {
			return err
		}
		c.Exec(store.InsertVisit(), args...)
		c.Happened(rules.Visited, s.District.TownshipUnit(p.GetDivision()))
		return nil
	}, func(p *registryv1.VisitPlan) *registryv1.RecordVisitResponse {
		return &registryv1.RecordVisitResponse{Standing: p.GetStanding(), State: p.GetState(), VisitId: visit.GetId()}
	})
}

func clone[M proto.Message](m M) M {
	if !m.ProtoReflect().IsValid() {
		return m
	}
	return proto.Clone(m).(M)
}
