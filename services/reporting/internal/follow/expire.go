// Package follow is what this service does without being asked: when a deadline passes, and when another service's feed moves.
package follow

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Service is the name of this service in calls, cursors and events.
const Service = "reporting"

// Expiries is what a passed deadline does to each kind of item.
func Expiries(e *command.Engine, t *store.Tables, d *district.District) []custody.Expiry {
	return []custody.Expiry{
		expiry(e, t.Reports, t.ReportItems(), d, rules.ExpireReport),
		expiry(e, t.Bulletins, t.BulletinItems(), d, rules.ExpireBulletin),
		expiry(e, t.Assessments, t.AssessmentItems(), d, rules.ExpireAssessment),
		expiry(e, t.Incidents, t.IncidentItems(), d, rules.ExpireIncident),
		expiry(e, t.Quarantine, t.QuarantineItems(), d, rules.ExpireQuarantined),
		expiry(e, t.Searches, t.SearchItems(), d, rules.ExpireSearch),
		expiry(e, t.Placements, t.PlacementItems(), d, rules.ExpirePlacement),
		expiry(e, t.Filings, t.FilingItems(), d, rules.ExpireFiling),
		expiry(e, t.Supervisions, t.SupervisionItems(), d, rules.ExpireSupervision),
	}
}

func expiry[M proto.Message](e *command.Engine, t *row.Table[M], source custody.Source, d *district.District, rule func(*district.District, M, time.Time) error) custody.Expiry {
	return custody.Expiry{Source: source, Expire: func(ctx context.Context, id string, version int64) error {
		call := custody.ExpiryCall(Service, t.Kind, id, version)
		_, err := command.Update(ctx, e, call, t, id, func(c *command.Change, m M) error {
			if head := t.Head(m); head.Version != version || !custody.Due(head.Standing, c.Now) {
				return custody.ErrNotDue
			}
			c.Happened("escalated")
			return rule(d, m, c.Now)
		}, func(M) *emptypb.Empty { return &emptypb.Empty{} })
		return err
	}}
}
