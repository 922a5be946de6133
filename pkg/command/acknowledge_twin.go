//go:build twin_early_ack

package command

import "context"

// acknowledge lets the answer leave while the effect is still being committed. The storm must catch it.
func acknowledge(ctx context.Context, commit func(context.Context) error) error {
	go func() { _ = commit(context.WithoutCancel(ctx)) }()
	return nil
}
