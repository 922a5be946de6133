//go:build twin_hasty_follower

package feed

import (
	"context"

	"github.com/lianhu/lianhu/pkg/command"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// apply moves the cursor first and has the effect afterwards, or never. The storm must catch it.
func (f *Follower) apply(ctx context.Context, p *pass, ev *feedv1.Event, to mark) error {
	if err := execOne(ctx, f.DB, f.move(p, to)); err != nil {
		return err
	}
	return f.handle(ctx, ev, requestID(p.at, f.Name, ev.GetSeq()), command.Statement{SQL: "SELECT 1"})
}
