//go:build !linux

package storm

import (
	"context"
	"errors"
	"math/rand/v2"
)

// Apart answers that there are no mount namespaces here.
func Apart() error { return errors.New("only Linux has mount namespaces") }

func (w *world) mountDisk(string) error { return Apart() }

func fullDisk() Fault {
	const kind = "full disk"
	return Fault{kind, func(_ context.Context, s *Storm, _ *rand.Rand) error {
		s.skip(kind, s.NoDisk)
		return nil
	}}
}
