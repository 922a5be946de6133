//go:build twin_lawless_sweeper

package custody

import (
	"context"
	"fmt"
)

// fire puts the deadline off past the command rule: no version, no point of custody, no event. The storm must catch it.
func (s *Sweeper) fire(ctx context.Context, e Expiry, d due) error {
	rows, err := s.db.Query(ctx, fmt.Sprintf("UPDATE %s SET deadline = deadline + interval '1 day', overdue = true WHERE id = $1::uuid", e.Table), d.ID)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}
