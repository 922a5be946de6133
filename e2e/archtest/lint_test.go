//go:build gate

package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLintSeesEveryArrow plants all violations that are imports in one scratch copy and runs the linter on it. It needs the built
// linter and a minute, so it runs in `make verify` only.
func TestLintSeesEveryArrow(t *testing.T) {
	t.Parallel()
	from := root(t)
	dir := scratch(t, read(t, from))
	for _, name := range []string{"go.work", "go.work.sum", "proto/go.sum", "pkg/go.sum", "services/go.sum", "e2e/go.sum", ".golangci.yml"} {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil && name != "go.work.sum" {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(content))
	}
	folders := map[string]bool{}
	for i, p := range planted {
		if !p.lint {
			continue
		}
		folder := filepath.Dir(filepath.FromSlash(p.path))
		write(t, filepath.Join(dir, folder, "planted"+string(rune('a'+i))+suffix(p.path)), p.code)
		folders["./"+filepath.ToSlash(folder)+"/"] = true
	}
	args := []string{"run", "--enable-only", "depguard", "--show-stats=false"}
	for folder := range folders {
		args = append(args, folder)
	}
	lint := exec.CommandContext(t.Context(), filepath.Join(from, ".bin", "golangci-lint"), args...)
	lint.Dir = dir
	lint.Env = append(os.Environ(), "GOLANGCI_LINT_CACHE="+t.TempDir())
	out, err := lint.CombinedOutput()
	if err == nil {
		t.Fatal("the linter passed a copy with every arrow drawn")
	}
	for i, p := range planted {
		name := filepath.ToSlash(filepath.Join(filepath.Dir(p.path), "planted"+string(rune('a'+i))+suffix(p.path)))
		if p.lint && !strings.Contains(string(out), name+":") {
			t.Errorf("%s, planted in %s, is not reported", p.arrow, name)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// suffix of a planted file: a test stays a test.
func suffix(name string) string {
	if strings.HasSuffix(name, "_test.go") {
		return "_test.go"
	}
	return ".go"
}
