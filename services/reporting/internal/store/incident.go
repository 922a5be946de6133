package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Incident finds a life of a number, the last one for 0.
func (t *Tables) Incident(ctx context.Context, q row.Querier, keys *seal.Keys, number string, life int32) (*reportingv1.Incident, error) {
	return row.Find(ctx, q, keys, t.Incidents, "WHERE incident_number = $1 AND ($2 = 0 OR life = $2) ORDER BY life DESC LIMIT 1", number, life)
}

// Lives gives the lives of each of the numbers, the first one first.
func (t *Tables) Lives(ctx context.Context, q row.Querier, keys *seal.Keys, numbers []string) (map[string][]*reportingv1.Incident, error) {
	found, err := row.Select(ctx, q, keys, t.Incidents, "WHERE incident_number = ANY ($1) ORDER BY incident_number, life", numbers)
	if err != nil {
		return nil, err
	}
	lives := map[string][]*reportingv1.Incident{}
	for _, i := range found {
		lives[i.GetIncidentNumber()] = append(lives[i.GetIncidentNumber()], i)
	}
	return lives, nil
}

// Carriers reads what incidents must know of reports; those that do not exist are left out.
func (t *Tables) Carriers(ctx context.Context, q row.Querier, keys *seal.Keys, reports []string) (rules.Carriers, error) {
	carriers := rules.Carriers{}
	if len(reports) == 0 {
		return carriers, nil
	}
	found, err := row.Select(ctx, q, keys, t.Reports, "WHERE id = ANY ($1::uuid[])", reports)
	for _, r := range found {
		carriers[r.GetStanding().GetId()] = rules.CarrierOf(r)
	}
	return carriers, err
}

// Carried are the incidents that a report carries.
func (t *Tables) Carried(ctx context.Context, q row.Querier, keys *seal.Keys, report string) ([]*reportingv1.Incident, error) {
	return row.Select(ctx, q, keys, t.Incidents, "WHERE state = 2 AND matter_id = $1::uuid ORDER BY id", report)
}

// KeepCarrier lets the command fail and start again when the report that is to carry an incident changes meanwhile: it may end.
func KeepCarrier(c *command.Change, report string, carrier rules.Carrier) {
	c.Exec("SELECT 1 FROM report WHERE id = $1::uuid AND version = $2 FOR SHARE", report, carrier.Version)
}

// LeaveNone lets the command that ends a report fail and start again when an incident was left to the report meanwhile.
func LeaveNone(c *command.Change, report string) {
	c.Exec("SELECT 1 WHERE NOT EXISTS (SELECT FROM incident WHERE state = 2 AND matter_id = $1::uuid)", report)
}

// ListIncidents gives at most limit incidents within the scope, newest first; see the request for what narrows.
func (t *Tables) ListIncidents(ctx context.Context, q row.Querier, keys *seal.Keys, scope access.Scope, filter *reportingv1.ListIncidentsRequest, divisions []string, after *After, limit int) ([]*reportingv1.Incident, error) {
	where, args := scope.Where(t.Incidents.Name, false, 1)
	conditions := []string{where}
	add := func(format string, values ...any) {
		places := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			places[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(format, places...))
	}
	if filter.GetDivision() != "" {
		add("incident.division = ANY ($%d)", divisions)
	}
	if len(filter.GetStates()) > 0 {
		add("incident.state = ANY ($%d::integer[])", numbers(filter.GetStates()))
	}
	if filter.GetIncidentNumber() != "" {
		add("incident.incident_number = $%d", filter.GetIncidentNumber())
	}
	if filter.GetHolder() != "" {
		add("incident.holder = $%d", filter.GetHolder())
	}
	if after != nil {
		add("(incident.create_time, incident.id) < ($%d, $%d::uuid)", after.CreateTime, after.ID)
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t.Incidents, fmt.Sprintf("WHERE %s ORDER BY incident.create_time DESC, incident.id DESC LIMIT $%d",
		strings.Join(conditions, " AND "), len(args)), args...)
}
