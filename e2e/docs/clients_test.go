//go:build clients

package docs

import (
	"os"
	"path/filepath"
	"testing"
)

// The guide's first connection, up to the last of the example clients, as a vendor pastes it. `make clients` runs this test: it takes Node with
// npm, a JDK and protoc, which `make test` does without.
func TestTheExampleClientsConnectAsTheGuideSays(t *testing.T) {
	dir := workplace(t)
	for from, to := range map[string]string{"dist": "dist", "e2e": "e2e", ".bin/buf": ".bin/buf"} {
		full, err := filepath.Abs(filepath.Join(root, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(full, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	walk(t, dir, []string{"dispatch.md"}, "sh", "bash")
}
