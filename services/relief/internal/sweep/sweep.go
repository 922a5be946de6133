// Package sweep fires the deadlines of applications, payments and batches through the same command path as every other change.
package sweep

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// Expiries says what a passed deadline does to each kind of item.
func Expiries(e *command.Engine, d *district.District, t *store.Tables) []custody.Expiry {
	sources := t.Sources()
	return []custody.Expiry{
		{Source: sources[0], Expire: expire(e, d, t.Applications)},
		{Source: sources[1], Expire: expire(e, d, t.Payments)},
		{Source: sources[2], Expire: expire(e, d, t.Batches)},
	}
}

type item interface {
	proto.Message
	GetStanding() *custodyv1.Standing
}

func expire[M item](e *command.Engine, d *district.District, t *row.Table[M]) func(context.Context, string, int64) error {
	return func(ctx context.Context, id string, version int64) error {
		call := custody.ExpiryCall(e.Service, t.Kind, id, version)
		_, err := command.Update(ctx, e, call, t, id, func(c *command.Change, m M) error {
			if m.GetStanding().GetVersion() != version || !custody.Due(m.GetStanding(), c.Now) {
				return custody.ErrNotDue
			}
			c.Happened(rules.Expire(d, m.GetStanding(), c.Now))
			return nil
		}, func(m M) *custodyv1.Standing { return m.GetStanding() })
		return err
	}
}
