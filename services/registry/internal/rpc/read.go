package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry/internal/rules"
	"github.com/lianhu/lianhu/services/registry/internal/store"
)

// GetChild implements the contract.
func (s *Service) GetChild(ctx context.Context, q *registryv1.GetChildRequest) (*registryv1.GetChildResponse, error) {
	c, f, err := s.child(ctx, q.GetChildId(), actionRead)
	if err != nil {
		return nil, err
	}
	rules.Grow(c, s.today())
	return &registryv1.GetChildResponse{Child: c}, show(ctx, s, s.Tables.Children, f, c)
}

// FindChild implements the contract. The answer is INTERNAL, yet the look is one at an identity, so it is on record whatever else the
// caller may read of the child, and also when there was nothing to find: who asks for numbers at random shows.
func (s *Service) FindChild(ctx context.Context, q *registryv1.FindChildRequest) (*registryv1.FindChildResponse, error) {
	if _, err := rules.CheckNumber(q.GetIdNumber(), "id_number"); err != nil {
		return nil, err
	}
	caller := access.FromContext(ctx)
	look := audit.Look{
		Actor: command.ActorFrom(ctx), Method: caller.Method, Class: accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY, Kind: s.Tables.Children.Kind,
	}
	c, err := s.find(ctx, q.GetIdNumber())
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		if failed := audit.Read(ctx, s.Engine, look); failed != nil {
			return nil, failed
		}
	}
	if err != nil {
		return nil, err
	}
	look.Head = s.Tables.Children.Head(c)
	return &registryv1.FindChildResponse{ChildId: c.GetId(), Division: c.GetDivision()}, audit.Read(ctx, s.Engine, look)
}

// find gives the child with that number if the caller may learn where it is.
func (s *Service) find(ctx context.Context, number string) (*registryv1.Child, error) {
	caller := access.FromContext(ctx)
	c, err := s.Tables.FindByNumber(ctx, s.Engine.DB, s.Engine.Keys, number)
	if err == nil {
		return c, caller.See(actionFind, access.Facts{Division: c.GetDivision()})
	}
	if !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return nil, err
	}
	if c, err = s.Tables.FindEarlyByNumber(ctx, s.Engine.DB, s.Engine.Keys, number); err != nil {
		return nil, err
	}
	_, err = s.part(ctx, c, actionRead)
	return c, err
}

// ListChildren implements the contract.
func (s *Service) ListChildren(ctx context.Context, q *registryv1.ListChildrenRequest) (*registryv1.ListChildrenResponse, error) {
	filter := store.Filter{Colour: int32(q.GetColour()), Status: int32(q.GetStatus())}
	if q.GetStatus() == registryv1.StatusCode_STATUS_CODE_LEFT_BEHIND {
		filter.BornSince = rules.LeftBehindSince(s.today()).String()
	}
	if q.GetDivision() != "" {
		if bad := s.District.CheckFilter("division", q.GetDivision(), s.today()); bad != nil {
			return nil, bad
		}
		filter.Divisions = s.District.DivisionsIn(q.GetDivision(), s.today())
	}
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 2)
	if err != nil {
		return nil, err
	}
	from, err := page.After()
	if err != nil {
		return nil, err
	}
	children, err := s.Tables.ListChildren(ctx, s.Engine.DB, s.Engine.Keys, access.FromContext(ctx).Scope(actionRead), filter, from, page.Size+1)
	if err != nil {
		return nil, err
	}
	children, next := pagetoken.Show(page, children, func(c *registryv1.Child) []string { return pagetoken.TimeKey(c.GetCreateTime().AsTime(), c.GetId()) })
	for _, c := range children {
		rules.Grow(c, s.today())
		f, err := s.facts(ctx, c)
		if err != nil {
			return nil, err
		}
		if err := show(ctx, s, s.Tables.Children, f, c); err != nil {
			return nil, err
		}
	}
	return &registryv1.ListChildrenResponse{Children: children, NextPageToken: next}, nil
}

// GetBinding implements the contract. It tells of a report: the division of the child opens nothing.
func (s *Service) GetBinding(ctx context.Context, q *registryv1.GetBindingRequest) (*registryv1.GetBindingResponse, error) {
	b, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Bindings, q.GetBindingId())
	if err != nil {
		return nil, err
	}
	involved, err := store.InMatter(ctx, s.Engine.DB, access.FromContext(ctx).Unit, b.GetMatterId())
	if err != nil {
		return nil, err
	}
	f := access.Facts{Involved: involved}
	if err := access.FromContext(ctx).See(actionRead, f); err != nil {
		return nil, err
	}
	return &registryv1.GetBindingResponse{Binding: b}, show(ctx, s, s.Tables.Bindings, f, b)
}

// interval is what the lists of a child's intervals are sorted by.
type interval interface {
	proto.Message
	GetId() string
	GetFrom() string
}

// ofChild is a page of intervals of a child that the caller may read.
func ofChild[M interval](ctx context.Context, s *Service, t *row.Table[M], child, condition string, more []any, q pagetoken.Request) (rows []M, token string, err error) {
	_, f, err := s.child(ctx, child, actionRead)
	if err != nil {
		return nil, "", err
	}
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 2)
	if err != nil {
		return nil, "", err
	}
	var from *store.AfterDay
	if page.Key != nil {
		from = &store.AfterDay{Day: page.Key[0], ID: page.Key[1]}
	}
	rows, err = store.OfChild(ctx, s.Engine.DB, s.Engine.Keys, t, child, condition, more, from, page.Size+1)
	if err != nil {
		return nil, "", err
	}
	rows, token = pagetoken.Show(page, rows, func(m M) []string { return []string{m.GetFrom(), m.GetId()} })
	return rows, token, show(ctx, s, t, f, rows...)
}

// ListGuardianships implements the contract.
func (s *Service) ListGuardianships(ctx context.Context, q *registryv1.ListGuardianshipsRequest) (*registryv1.ListGuardianshipsResponse, error) {
	condition, more := "", []any(nil)
	if q.GetOnDay() != "" {
		if err := rules.CheckDay("on_day", q.GetOnDay()); err != nil {
			return nil, err
		}
		condition, more = "guardianship.days @> $2::date", []any{q.GetOnDay()}
	}
	rows, token, err := ofChild(ctx, s, s.Tables.Guardianships, q.GetChildId(), condition, more, q)
	return &registryv1.ListGuardianshipsResponse{Guardianships: rows, NextPageToken: token}, err
}

// ListCareAgreements implements the contract.
func (s *Service) ListCareAgreements(ctx context.Context, q *registryv1.ListCareAgreementsRequest) (*registryv1.ListCareAgreementsResponse, error) {
	rows, token, err := ofChild(ctx, s, s.Tables.Agreements, q.GetChildId(), "", nil, q)
	return &registryv1.ListCareAgreementsResponse{CareAgreements: rows, NextPageToken: token}, err
}

// ListVisits implements the contract.
func (s *Service) ListVisits(ctx context.Context, q *registryv1.ListVisitsRequest) (*registryv1.ListVisitsResponse, error) {
	c, f, err := s.child(ctx, q.GetChildId(), actionRead)
	if err != nil {
		return nil, err
	}
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 2)
	if err != nil {
		return nil, err
	}
	from, err := page.After()
	if err != nil {
		return nil, err
	}
	visits, err := store.ListVisits(ctx, s.Engine.DB, s.Engine.Keys, q.GetChildId(), from, page.Size+1)
	if err != nil {
		return nil, err
	}
	visits, next := pagetoken.Show(page, visits, func(v *registryv1.Visit) []string { return pagetoken.TimeKey(v.GetRecordTime().AsTime(), v.GetId()) })
	for _, v := range visits {
		access.Mask(v, access.FromContext(ctx).Class(actionRead, f))
	}
	return &registryv1.ListVisitsResponse{Visits: visits, NextPageToken: next}, show(ctx, s, s.Tables.Children, f, c)
}

// GetVisitPlan implements the contract.
func (s *Service) GetVisitPlan(ctx context.Context, q *registryv1.GetVisitPlanRequest) (*registryv1.GetVisitPlanResponse, error) {
	_, f, err := s.child(ctx, q.GetChildId(), actionRead)
	if err != nil {
		return nil, err
	}
	p, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Plans, store.PlanID(q.GetChildId()))
	if err != nil {
		return nil, err
	}
	return &registryv1.GetVisitPlanResponse{VisitPlan: p}, show(ctx, s, s.Tables.Plans, f, p)
}

// ListWork implements the contract.
func (s *Service) ListWork(ctx context.Context, q *registryv1.ListWorkRequest) (*registryv1.ListWorkResponse, error) {
	items, next, err := custody.Work(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Sources(), q)
	return &registryv1.ListWorkResponse{Items: items, NextPageToken: next}, err
}

// GetCustodyHistory implements the contract. Who may read the child may read the history of its plan, and so may who holds it.
func (s *Service) GetCustodyHistory(ctx context.Context, q *registryv1.GetCustodyHistoryRequest) (*registryv1.GetCustodyHistoryResponse, error) {
	p, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Plans, q.GetId())
	if err != nil {
		return nil, err
	}
	held := access.Facts{Holder: p.GetStanding().GetHolder(), OfferedTo: p.GetStanding().GetOfferedTo(), Division: p.GetDivision()}
	if access.FromContext(ctx).See(actionWork, held) != nil {
		if _, _, err := s.child(ctx, p.GetChildId(), actionRead); err != nil {
			return nil, err
		}
	}
	points, err := custody.History(ctx, s.Engine.DB, q.GetId())
	if err != nil {
		return nil, err
	}
	ran, err := custody.Clocks(ctx, s.Engine.DB, q.GetId())
	return &registryv1.GetCustodyHistoryResponse{Points: points, Clocks: ran}, err
}

// GetVersion implements the contract.
func (s *Service) GetVersion(ctx context.Context, _ *registryv1.GetVersionRequest) (*registryv1.GetVersionResponse, error) {
	version, err := s.Version(ctx)
	return &registryv1.GetVersionResponse{Version: version}, err
}
