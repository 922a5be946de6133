package feed

import (
	"testing"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// Whatever a reader sends as its token is refused by the one reason, or is the one spelling of a place this service gave out.
func FuzzToken(f *testing.F) {
	keys := tokenKeys(f, "registry")
	scope := [16]byte{9}
	made := place{feedID: uuid.UUID{1}, epoch: 2, seq: 3, scope: scope}.encode(keys)
	f.Add(made)
	f.Add(made + "=")
	f.Add(made[:40])
	f.Add("")
	f.Add("\n" + made)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := decode(keys, token, scope)
		if err != nil {
			if !fault.Is(err, faultv1.Reason_REASON_FEED_TOKEN_INVALID) {
				t.Errorf("refused by %v", err)
			}
			return
		}
		if p.encode(keys) != token {
			t.Error("one place has two tokens")
		}
	})
}
