//go:build openapi_clients

package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/services/suite"
)

// The OpenAPI document as two vendors use it: a linter has nothing to say of it, and what generators make of it for TypeScript and for Java
// compiles and makes a call. `make clients` runs this test.
func TestTheExampleClientsGeneratedFromTheOpenAPIDocumentCall(t *testing.T) {
	folder := filepath.Join(root, "e2e", "clients", "openapi")
	dist := func(name string) string { return filepath.Join(root, "dist", name) }
	said, err := exec.CommandContext(t.Context(), filepath.Join(folder, "build.sh"), dist("openapi.json"), dist("openapi-3.0.json")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	dir, err := os.MkdirTemp("", "lianhu-openapi-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's own user enters it
		t.Fatal(err)
	}
	home, err := suite.OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := suite.Prepare(t.Context(), suite.Options{Home: home, DistrictDir: filepath.Join(root, "districts", "xinbei"), GRPC: "127.0.0.1:0", JSON: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	files := home.Unit("youth_league")
	jars := "out/java"
	for _, jar := range []string{"jackson-core", "jackson-databind", "jackson-annotations", "jsr305", "geronimo-annotation-1.3-spec"} {
		jars += ":/usr/share/java/" + jar + ".jar"
	}
	err = s.Run(t.Context(), func(ctx context.Context) error {
		for language, command := range map[string][]string{
			"typescript": {"node", "out/work.js", "https://" + s.JSON, files.Roots, files.Certificate, files.Key},
			"java":       {"java", "-cp", jars, "Work", "https://" + s.JSON, files.Roots, strings.TrimSuffix(files.Key, ".key") + ".p12"},
		} {
			run := exec.CommandContext(ctx, command[0], command[1:]...)
			run.Dir = folder
			if said, err := run.CombinedOutput(); err != nil || string(said) != language+": 0 on the list\n" {
				return fmt.Errorf("%s: %w\n%s", language, err, said)
			}
		}
		return suite.Stop()
	})
	if err != nil {
		t.Fatal(err)
	}
}
