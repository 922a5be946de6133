//go:build !twin_noted_refusal

package command

import "context"

// refused tells a refusal as it is. Nothing is kept of it: when its cause is gone, the same request may come again and be done.
func refused(_ context.Context, _ *Change, refusal error) error { return refusal }
