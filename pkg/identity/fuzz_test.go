package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/pkg/identity"
)

// A URI names one identity, whose URI it is, and nobody else's; a unit never passes for a service.
func FuzzIdentity(f *testing.F) {
	for _, s := range []string{
		"spiffe://xinbei.test/service/relief", "spiffe://xinbei.test/unit/police/320411101000/system/main", "spiffe://xinbei.test/unit/service/relief/system/main",
		"spiffe://xinbei.test/unit//system/", "spiffe://xinbei.test/unit/a%2fb/system/main", "SPIFFE://x/service/y", "https://x/service/y", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := identity.Parse(s)
		if err != nil {
			if !errors.Is(err, identity.ErrNoIdentity) {
				t.Errorf("refused by %v", err)
			}
			return
		}
		again, err := identity.Parse(id.String())
		if err != nil || again != id {
			t.Errorf("%q became %v, %v", s, again, err)
		}
		if (id.Service == "") == (id.Unit == "") || strings.HasPrefix(id.Unit, "service/") || id.TrustDomain == "" {
			t.Errorf("%q names %+v", s, id)
		}
	})
}
