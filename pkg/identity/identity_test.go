package identity_test

import (
	"errors"
	"testing"

	"github.com/lianhu/lianhu/pkg/identity"
)

func TestURIsThatNameSomebody(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]identity.Identity{
		"spiffe://xinbei.test/service/registry":                                     identity.OfService("xinbei.test", "registry"),
		"spiffe://xinbei.test/unit/civil_affairs/system/main":                       identity.OfUnit("xinbei.test", "civil_affairs", "main"),
		"spiffe://xinbei.test/unit/township/320411101000/system/main":               identity.OfUnit("xinbei.test", "township/320411101000", "main"),
		"spiffe://xinbei.test/unit/org/1232041171001137XA/system/school-management": identity.OfUnit("xinbei.test", "org/1232041171001137XA", "school-management"),
		"spiffe://xinbei.test/unit/system/system/system":                            identity.OfUnit("xinbei.test", "system", "system"),
	} {
		got, err := identity.Parse(uri)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
		if got.String() != uri {
			t.Errorf("%s comes back as %s", uri, got)
		}
	}
}

func TestURIsThatNameNobody(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"", "https://xinbei.test/service/registry", "spiffe:///service/registry", "spiffe://xinbei.test",
		"spiffe://xinbei.test/service", "spiffe://xinbei.test/service/", "spiffe://xinbei.test/service/a/b",
		"spiffe://xinbei.test/Service/registry", "spiffe://xinbei.test//service/registry",
		"spiffe://xinbei.test/unit/health", "spiffe://xinbei.test/unit/health/system", "spiffe://xinbei.test/unit//system/main",
		"spiffe://xinbei.test/unit/a/b/c/system/main", "spiffe://xinbei.test/unit/health/system/main/x",
		"spiffe://xinbei.test/unit/health/system/main?x=1", "spiffe://xinbei.test/unit/heal%74h/system/main",
		"spiffe://xinbei.test/unit/../service/registry", "spiffe://user@xinbei.test/service/registry",
		// A unit that would read like one of our own services.
		"spiffe://xinbei.test/unit/service/registry/system/main", "spiffe://xinbei.test/unit/service/system/main",
	} {
		if got, err := identity.Parse(uri); !errors.Is(err, identity.ErrNoIdentity) {
			t.Errorf("%s names %+v (%v)", uri, got, err)
		}
	}
}
