package suite_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/services/suite"
)

// A partner is handed files out of the folder of certificates; the services' own keys do not lie there, and nobody else may look into either. A
// home made before that is put right.
func TestThePartnersKeysAndTheServicesKeysLieApart(t *testing.T) {
	t.Parallel()
	d, err := district.Load(filepath.Join("..", "..", "districts", "xinbei"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stray := filepath.Join(dir, "certificates", "service-gateway.key")
	if err := os.Mkdir(filepath.Dir(stray), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	home, err := suite.OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := home.Certify(d); err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(home.Unit("civil_affairs").Key) == filepath.Dir(home.Service("gateway").Key) {
		t.Error("a partner's key lies beside the gateway's")
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if secret := strings.HasSuffix(path, ".key") || strings.HasSuffix(path, ".p12"); secret && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		if entry.IsDir() && path != dir && filepath.Base(path) != "ca" && info.Mode().Perm() != 0o700 {
			t.Errorf("folder %s: mode %v", path, info.Mode())
		}
		if strings.HasPrefix(filepath.Base(path), "service-") && filepath.Dir(path) == filepath.Dir(stray) {
			t.Errorf("%s is still among the partners'", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
