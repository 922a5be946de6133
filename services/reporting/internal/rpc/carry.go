package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/command"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// release lets go of the incidents that a report carried, in the command that ends it. A report that goes on keeps them.
func (d *Desk) release(ctx context.Context, c *command.Change, report *reportingv1.Report) error {
	if report.GetStanding().GetHolder() != "" {
		return nil
	}
	id := report.GetStanding().GetId()
	carried, err := d.Tables.Carried(ctx, d.Engine.DB, d.Engine.Keys, id)
	if err != nil {
		return err
	}
	for _, i := range carried {
		loaded := command.Remember(d.Tables.Incidents, i)
		carriers, err := d.Tables.Carriers(ctx, d.Engine.DB, d.Engine.Keys, rules.LinkedReports(i))
		if err != nil {
			return err
		}
		what := rules.Release(d.District, i, report, carriers, c.Now)
		if err := loaded.Update(c, what); err != nil {
			return err
		}
		keepCarrier(c, i, carriers)
	}
	store.LeaveNone(c, id)
	return nil
}

// keepCarrier guards the report that carries an incident from now on.
func keepCarrier(c *command.Change, i *reportingv1.Incident, carriers rules.Carriers) {
	report := i.GetStanding().GetMatterId()
	if carrier, ok := carriers[report]; ok && i.GetState() == reportingv1.Incident_STATE_LINKED {
		store.KeepCarrier(c, report, carrier)
	}
}

// carriersOf reads the reports that an incident is linked to, and one more that it is about to be.
func (d *Desk) carriersOf(ctx context.Context, i *reportingv1.Incident, more ...string) (rules.Carriers, error) {
	return d.Tables.Carriers(ctx, d.Engine.DB, d.Engine.Keys, append(rules.LinkedReports(i), more...))
}
