//go:build !twin_lawless_sweeper

package custody

import "context"

// fire makes a passed deadline take effect by the command rule.
func (s *Sweeper) fire(ctx context.Context, e Expiry, d due) error {
	return e.Expire(ctx, d.ID, d.Version)
}
