//go:build !twin_hasty_follower

package feed

import (
	"context"

	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// apply has the handler's effect and the cursor's move in one transaction: either both happened or neither.
func (f *Follower) apply(ctx context.Context, p *pass, ev *feedv1.Event, to mark) error {
	return f.handle(ctx, ev, requestID(p.at, f.Name, ev.GetSeq()), f.move(p, to))
}
