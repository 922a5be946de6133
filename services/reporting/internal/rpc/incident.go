package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Incidents serves IncidentService and IncidentReadService.
type Incidents struct {
	reportingv1.UnimplementedIncidentServiceServer
	reportingv1.UnimplementedIncidentReadServiceServer
	*Desk
}

// headOfIncident is where an incident stands for whoever asks. One without a division is the bureau's, also when it is closed and nobody holds it.
func (d *Desk) headOfIncident(i *reportingv1.Incident) row.Head {
	head := d.Tables.Incidents.Head(i)
	if head.Division == "" {
		head.Division = d.District.Code()
	}
	return head
}

// naming is a request about a life of a number.
type naming interface {
	proto.Message
	GetIncidentNumber() string
	GetLife() int32
}

// onIncident runs a rule on the incident that a request names.
func onIncident[A proto.Message](ctx context.Context, s *Incidents, req naming, action string, rule func(*command.Change, *reportingv1.Incident) (string, error), answer func(*custodyv1.Standing, reportingv1.Incident_State) A) (A, error) {
	incident, err := s.Tables.Incident(ctx, s.Engine.DB, s.Engine.Keys, req.GetIncidentNumber(), req.GetLife())
	if err != nil {
		var none A
		return none, err
	}
	return update(ctx, s.Desk, req, s.Tables.Incidents, incident.GetStanding().GetId(), action, rule, func(i *reportingv1.Incident) A {
		return answer(i.GetStanding(), i.GetState())
	})
}

// AcceptIncident implements IncidentService.
func (s *Incidents) AcceptIncident(ctx context.Context, req *reportingv1.AcceptIncidentRequest) (*reportingv1.AcceptIncidentResponse, error) {
	return onIncident(ctx, s, req, "incident.take", func(c *command.Change, i *reportingv1.Incident) (string, error) {
		return "accepted", rules.AcceptIncident(s.District, i, by(ctx), c.Now)
	}, func(standing *custodyv1.Standing, state reportingv1.Incident_State) *reportingv1.AcceptIncidentResponse {
		return &reportingv1.AcceptIncidentResponse{Standing: standing, State: state}
	})
}

// DeclineIncident implements IncidentService.
func (s *Incidents) DeclineIncident(ctx context.Context, req *reportingv1.DeclineIncidentRequest) (*reportingv1.DeclineIncidentResponse, error) {
	return onIncident(ctx, s, req, "incident.take", func(c *command.Change, i *reportingv1.Incident) (string, error) {
		return "declined", rules.DeclineIncident(s.District, i, by(ctx), req.GetText(), c.Now)
	}, func(standing *custodyv1.Standing, state reportingv1.Incident_State) *reportingv1.DeclineIncidentResponse {
		return &reportingv1.DeclineIncidentResponse{Standing: standing, State: state}
	})
}

// TransferIncident implements IncidentService.
func (s *Incidents) TransferIncident(ctx context.Context, req *reportingv1.TransferIncidentRequest) (*reportingv1.TransferIncidentResponse, error) {
	return onIncident(ctx, s, req, "incident.transfer", func(c *command.Change, i *reportingv1.Incident) (string, error) {
		return "offered", rules.TransferIncident(s.District, i, by(ctx), req.GetToUnit(), req.GetText(), c.Now)
	}, func(standing *custodyv1.Standing, state reportingv1.Incident_State) *reportingv1.TransferIncidentResponse {
		return &reportingv1.TransferIncidentResponse{Standing: standing, State: state}
	})
}

// EndIncident implements IncidentService.
func (s *Incidents) EndIncident(ctx context.Context, req *reportingv1.EndIncidentRequest) (*reportingv1.EndIncidentResponse, error) {
	return onIncident(ctx, s, req, "incident.end", func(c *command.Change, i *reportingv1.Incident) (string, error) {
		carriers, err := s.carriersOf(ctx, i)
		if err != nil {
			return "", err
		}
		return rules.EndIncident(s.District, i, by(ctx), req.GetGround(), req.GetText(), carriers, c.Now)
	}, func(standing *custodyv1.Standing, state reportingv1.Incident_State) *reportingv1.EndIncidentResponse {
		return &reportingv1.EndIncidentResponse{Standing: standing, State: state}
	})
}

// ListIncidents implements IncidentReadService.
func (s *Incidents) ListIncidents(ctx context.Context, req *reportingv1.ListIncidentsRequest) (*reportingv1.ListIncidentsResponse, error) {
	caller := access.FromContext(ctx)
	var divisions []string
	if req.GetDivision() != "" {
		today := calendar.Today(s.Engine.Now())
		if err := s.District.CheckFilter("division", req.GetDivision(), today); err != nil {
			return nil, err
		}
		divisions = s.District.DivisionsIn(req.GetDivision(), today)
	}
	size, scope, position, err := s.page(caller, req, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	var after *store.After
	if position != nil {
		if after, err = readAfter(position); err != nil {
			return nil, err
		}
	}
	found, err := s.Tables.ListIncidents(ctx, s.Engine.DB, s.Engine.Keys, caller.Scope("incident.read"), req, divisions, after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.ListIncidentsResponse{Incidents: found[:min(size, len(found))]}
	if len(found) > size {
		last := found[size-1]
		answer.NextPageToken = pagetoken.Make(s.Engine.Keys, scope, last.GetCreateTime().AsTime().Format(time.RFC3339Nano), last.GetStanding().GetId())
	}
	return answer, s.showIncidents(ctx, caller, answer.GetIncidents())
}

// showIncidents masks each incident as the caller may read that one, and records the looks.
func (s *Incidents) showIncidents(ctx context.Context, caller *access.Caller, incidents []*reportingv1.Incident) error {
	looks := make([]audit.Look, 0, len(incidents))
	for _, i := range incidents {
		rules.Recognise(s.District, i)
		head := s.headOfIncident(i)
		facts, err := s.factsOf(ctx, caller, "incident.read", head)
		if err != nil {
			return err
		}
		class := caller.Class("incident.read", facts)
		access.Mask(i, class)
		looks = append(looks, audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: "incident", Head: head})
	}
	return audit.Read(ctx, s.Engine, looks...)
}
