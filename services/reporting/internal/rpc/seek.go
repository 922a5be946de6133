package rpc

import (
	"context"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// seekNamespace of the ids of searches that begin with an incident: one incident begins one search, whatever is told of it later.
var seekNamespace = uuid.MustParse("0b7d5c1e-8f4a-5a55-9c7e-2d6b3e1f4a90")

func seekID(i *reportingv1.Incident) string {
	return uuid.NewSHA1(seekNamespace, []byte(i.GetStanding().GetId())).String()
}

// seek lets the search for a missing child begin with the incident that first tells of it, and follow its incident to the report, in the command
// that changes the incident.
func (d *Desk) seek(ctx context.Context, c *command.Change, incidents ...*reportingv1.Incident) error {
	ids := make([]string, len(incidents))
	for n, i := range incidents {
		ids[n] = seekID(i)
	}
	found, err := row.Select(ctx, d.Engine.DB, d.Engine.Keys, d.Tables.Searches, "WHERE id = ANY ($1::uuid[])", ids)
	if err != nil {
		return err
	}
	known := map[string]*reportingv1.Search{}
	for _, s := range found {
		known[s.GetStanding().GetId()] = s
	}
	for _, i := range incidents {
		s := known[seekID(i)]
		switch {
		case s != nil:
			loaded := command.Remember(d.Tables.Searches, s)
			if rules.Follow(s, i) {
				err = loaded.Update(c, "linked")
			}
		case rules.Missing(d.District, i):
			err = d.seekFor(ctx, c, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// seekFor begins the search of an incident, unless its report has one already.
func (d *Desk) seekFor(ctx context.Context, c *command.Change, i *reportingv1.Incident) error {
	if i.GetStanding().GetMatterId() != "" {
		running, err := d.searching(ctx, i.GetStanding().GetMatterId())
		if err != nil || len(running) > 0 {
			return err
		}
	}
	return command.Insert(c, d.Tables.Searches, rules.SeekFor(d.District, i, seekID(i), c.Now), "started")
}

// searching gives the searches under way for a report, oldest first.
func (d *Desk) searching(ctx context.Context, report string) ([]*reportingv1.Search, error) {
	searches, err := store.OfReport(ctx, d.Engine.DB, d.Engine.Keys, d.Tables.Searches, report)
	if err != nil {
		return nil, err
	}
	var running []*reportingv1.Search
	for _, s := range searches {
		if s.GetState() == reportingv1.Search_STATE_SEARCHING {
			running = append(running, s)
		}
	}
	return running, nil
}

// seekAccepted begins the searches that an accepted report calls for, in the command that changes the report.
func (d *Desk) seekAccepted(ctx context.Context, c *command.Change, r *reportingv1.Report) error {
	running, err := d.searching(ctx, r.GetStanding().GetId())
	if err != nil {
		return err
	}
	var first *command.Loaded[*reportingv1.Search]
	if len(running) > 0 {
		first = command.Remember(d.Tables.Searches, running[0])
	}
	begun, joined := rules.Seek(d.District, r, running, by(ctx), c.ID, c.Now)
	for _, s := range begun {
		if err := command.Insert(c, d.Tables.Searches, s, "started"); err != nil {
			return err
		}
	}
	if joined != nil {
		return first.Update(c, "linked")
	}
	return nil
}
