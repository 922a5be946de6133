//go:build !twin_early_ack && !twin_hoarder

package command

import "context"

// acknowledge lets the answer leave when the effect is committed, never before.
func acknowledge(ctx context.Context, commit func(context.Context) error) error { return commit(ctx) }
