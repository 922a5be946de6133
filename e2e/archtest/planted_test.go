package archtest

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planted is one violation of each arrow: the file that draws it and which arrow must be named. Lint says whether depguard, which
// sees imports only, must refuse it as well.
var planted = []struct {
	arrow, path, code string
	lint              bool
}{
	{"a service imports another service", "services/relief/internal/follow/planted.go",
		"package follow\n\nimport _ \"github.com/lianhu/lianhu/services/reporting\"\n", true},
	{"a service imports another service", "services/referral/internal/rpc/planted_test.go",
		"package rpc\n\nimport _ \"github.com/lianhu/lianhu/services/registry\"\n", true},
	{"a service imports another service", "services/registry/planted.go",
		"package registry\n\nimport _ \"github.com/lianhu/lianhu/services/suite\"\n", true},
	{"a service imports another service", "services/gateway/planted.go",
		"package gateway\n\nimport _ \"github.com/lianhu/lianhu/services/relief\"\n", true},
	{"pkg imports a service", "pkg/feed/planted.go",
		"package feed\n\nimport _ \"github.com/lianhu/lianhu/services/reporting\"\n", true},
	{"pkg imports an area's contract", "pkg/access/planted.go",
		"package access\n\nimport _ \"github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1\"\n", true},
	{"rules touch the outside", "services/relief/internal/rules/planted.go",
		"package rules\n\nimport _ \"github.com/jackc/pgx/v5\"\n", true},
	{"rules touch the outside", "services/registry/internal/rules/planted.go",
		"package rules\n\nimport _ \"google.golang.org/grpc/codes\"\n", true},
	{"rules touch the outside", "services/reporting/internal/rules/planted.go",
		"package rules\n\nimport _ \"net/http\"\n", true},
	{"rules touch the outside", "services/referral/internal/rules/planted.go",
		"package rules\n\nimport _ \"os\"\n", true},
	{"rules read a clock", "services/referral/internal/rules/planted.go",
		"package rules\n\nimport \"time\"\n\nvar planted = time.Now\n", false},
	{"rpc contains SQL", "services/registry/internal/rpc/planted.go",
		"package rpc\n\nconst planted = `\n\tSELECT id FROM child`\n", false},
	{"rpc contains SQL", "services/reporting/internal/rpc/planted.go",
		"package rpc\n\nvar planted = \"DELETE FROM report\"\n", false},
	{"store imports grpc", "services/relief/internal/store/planted.go",
		"package store\n\nimport _ \"google.golang.org/grpc\"\n", true},
	{"a service reads another's database", "services/referral/internal/store/migrations/09999_planted.sql",
		"-- +goose Up\nCREATE SERVER other OPTIONS (dbname 'lianhu_relief');\n", false},
	{"a service reads another's database", "services/registry/internal/store/planted.go",
		"package store\n\nconst planted = \"REPORTING_DATABASE_URL\"\n", false},
	{"the gateway opens a database", "services/gateway/internal/door/planted.go",
		"package door\n\nimport _ \"github.com/jackc/pgx/v5/pgxpool\"\n", true},
	{"the gateway opens a database", "services/gateway/planted.go",
		"package gateway\n\nimport _ \"database/sql\"\n", true},
	{"more than one service's face outside the suite", "e2e/planted/planted_test.go",
		"package planted\n\nimport (\n\t_ \"github.com/lianhu/lianhu/services/referral\"\n\t_ \"github.com/lianhu/lianhu/services/relief\"\n)\n", false},
}

// scratch copies the house, without what is not a source, into a folder of the test.
func scratch(t *testing.T, h house) string {
	t.Helper()
	dir := t.TempDir()
	for _, s := range h.sources {
		write(t, filepath.Join(dir, filepath.FromSlash(s.path)), s.content)
	}
	return dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryArrowIsSeenWhenDrawn plants each violation in a scratch copy of the house and wants that arrow, and no other, to be named
// with the planted place.
func TestEveryArrowIsSeenWhenDrawn(t *testing.T) {
	t.Parallel()
	clean := read(t, root(t))
	clean.sources = slices.DeleteFunc(clean.sources, func(s source) bool {
		return s.generated() || s.file == nil && !strings.HasSuffix(s.path, ".sql")
	})
	proven := map[string]bool{}
	for _, p := range planted {
		proven[p.arrow] = true
		t.Run(p.arrow+"/"+p.path, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t, clean)
			write(t, filepath.Join(dir, filepath.FromSlash(p.path)), p.code)
			h := read(t, dir)
			for _, a := range never {
				seen := slices.ContainsFunc(a.find(h), func(found string) bool { return strings.HasPrefix(found, place(p.arrow, p.path)) })
				if seen != (a.name == p.arrow) {
					t.Errorf("never: %s: named = %v, planted was: %s", a.name, seen, p.arrow)
				}
			}
		})
	}
	for _, a := range never {
		if !proven[a.name] {
			t.Errorf("no violation of %q is planted: nobody has seen it fail", a.name)
		}
	}
}

// place is what a finding begins with: the file, or the folder where the whole package is judged.
func place(arrow, file string) string {
	if arrow == "more than one service's face outside the suite" {
		return path.Dir(file) + ":"
	}
	return file + ":"
}
