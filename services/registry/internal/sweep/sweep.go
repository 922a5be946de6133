// Package sweep fires the deadlines of visit plans through the same command path as every other change.
package sweep

import (
	"context"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry/internal/rules"
	"github.com/lianhu/lianhu/services/registry/internal/store"
)

// Expiries says what a passed deadline does.
func Expiries(e *command.Engine, d *district.District, t *store.Tables) []custody.Expiry {
	return []custody.Expiry{{
		Source: t.Sources()[0],
		Expire: func(ctx context.Context, id string, version int64) error {
			call := custody.ExpiryCall(e.Service, t.Plans.Kind, id, version)
			_, err := command.Update(ctx, e, call, t.Plans, id, func(c *command.Change, p *registryv1.VisitPlan) error {
				if p.GetStanding().GetVersion() != version || !custody.Due(p.GetStanding(), c.Now) {
					return custody.ErrNotDue
				}
				rules.Expire(d, p, c.Now)
				c.Happened(rules.Escalated)
				return nil
			}, func(p *registryv1.VisitPlan) *custodyv1.Standing { return p.GetStanding() })
			return err
		},
	}}
}
