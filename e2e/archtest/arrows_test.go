package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// areas are the services with a contract and a database of their own.
var areas = []string{"registry", "reporting", "referral", "relief"}

// faces are the services one package may import one of; only the suite imports several.
var faces = append(slices.Clone(areas), "gateway")

// databases are the names by which a service's database is known, in settings and in SQL. Whoever names another's reads it.
var databases = map[string][]string{
	"registry":  {"lianhu_registry", "REGISTRY_DATABASE"},
	"reporting": {"lianhu_reporting", "lianhu_vault", "REPORTING_DATABASE", "REPORTING_VAULT"},
	"referral":  {"lianhu_referral", "REFERRAL_DATABASE"},
	"relief":    {"lianhu_relief", "RELIEF_DATABASE"},
}

// an arrow must never be drawn. It finds who drew it.
type arrow struct {
	name string
	find func(house) []string
}

// drawn says one violation so that its reader need not look up the rule.
func drawn(s source, format string, args ...any) string {
	return s.path + ": " + fmt.Sprintf(format, args...)
}

// each applies a judgement to every file written by hand.
func each(judge func(source) (string, bool)) func(house) []string {
	return func(h house) []string {
		var found []string
		for _, s := range h.goFiles() {
			if what, bad := judge(s); bad {
				found = append(found, drawn(s, "%s", what))
			}
		}
		return found
	}
}

// never lists the arrows.
var never = []arrow{
	{"a service imports another service", each(otherService)},
	{"pkg imports a service", each(func(s source) (string, bool) {
		imported, bad := s.importsAny(module + "services")
		return "imports " + imported, bad && s.in("pkg")
	})},
	{"pkg imports an area's contract", each(func(s source) (string, bool) {
		imported, bad := s.importsAny(below(module+"proto/gen/lianhu/", areas)...)
		return "imports " + imported, bad && s.in("pkg")
	})},
	{"rules touch the outside", each(func(s source) (string, bool) {
		imported, bad := s.importsAny("github.com/jackc/pgx", "google.golang.org/grpc", "database/sql", "net", "os")
		return "imports " + imported, bad && s.in("services/*/internal/rules")
	})},
	{"rules read a clock", each(func(s source) (string, bool) {
		return "uses the clock of the machine", s.in("services/*/internal/rules") && !s.test() && readsClock(s.file)
	})},
	{"rpc contains SQL", each(func(s source) (string, bool) {
		statement, bad := sqlIn(s.file)
		return "contains " + statement, bad && s.in("services/*/internal/rpc") && !s.test()
	})},
	{"store imports grpc", each(func(s source) (string, bool) {
		imported, bad := s.importsAny("google.golang.org/grpc")
		return "imports " + imported, bad && s.in("services/*/internal/store")
	})},
	{"a service reads another's database", otherDatabase},
	{"the gateway opens a database", each(func(s source) (string, bool) {
		imported, bad := s.importsAny("github.com/jackc/pgx", "database/sql", module+"pkg/postgres")
		return "imports " + imported, bad && s.in("services/gateway")
	})},
	{"more than one service's face outside the suite", severalFaces},
}

// below puts a prefix in front of each name.
func below(prefix string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = prefix + name
	}
	return paths
}

// serviceOf names the service a file belongs to, or nothing.
func serviceOf(s source) string {
	parts := strings.Split(s.path, "/")
	if len(parts) < 3 || parts[0] != "services" || !slices.Contains(faces, parts[1]) {
		return ""
	}
	return parts[1]
}

func otherService(s source) (string, bool) {
	own := serviceOf(s)
	others := slices.DeleteFunc(append(slices.Clone(faces), "suite"), func(name string) bool { return name == own })
	imported, bad := s.importsAny(below(module+"services/", others)...)
	return "imports " + imported, bad && own != ""
}

// readsClock finds time.Now, time.Since and time.Until, called or passed on.
func readsClock(file *ast.File) bool {
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, ok := selector.X.(*ast.Ident)
		if ok && from.Name == "time" && slices.Contains([]string{"Now", "Since", "Until"}, selector.Sel.Name) {
			found = true
		}
		return true
	})
	return found
}

// sqlIn finds a string that begins like a statement. Prose such as "select a unit" is lower case.
func sqlIn(file *ast.File) (string, bool) {
	found := ""
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		word, _, _ := strings.Cut(strings.TrimSpace(strings.Trim(literal.Value, "`\"")), " ")
		word, _, _ = strings.Cut(word, "\n")
		if slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, word) && word != strings.Trim(literal.Value, "`\"") {
			found = "the SQL statement " + word + " …"
		}
		return true
	})
	return found, found != ""
}

func otherDatabase(h house) []string {
	var found []string
	for _, s := range h.sources {
		own := serviceOf(s)
		if own == "" || s.test() || s.generated() || (s.file == nil && !strings.HasSuffix(s.path, ".sql")) {
			continue
		}
		for service, names := range databases {
			for _, name := range names {
				if service != own && strings.Contains(s.content, name) {
					found = append(found, drawn(s, "names %s, the database of %s", name, service))
				}
			}
		}
	}
	return found
}

// severalFaces looks at whole packages with their tests: two files of one package that import one face each are one reader of two.
func severalFaces(h house) []string {
	seen := map[string][]string{}
	for _, s := range h.goFiles() {
		if s.in("services/suite") {
			continue
		}
		for _, face := range faces {
			if _, ok := s.importsAny(module + "services/" + face); ok && !slices.Contains(seen[s.folder()], face) {
				seen[s.folder()] = append(seen[s.folder()], face)
			}
		}
	}
	var found []string
	for folder, imported := range seen {
		if len(imported) > 1 {
			slices.Sort(imported)
			found = append(found, folder+": imports the faces of "+strings.Join(imported, ", "))
		}
	}
	return found
}

func TestNoArrowIsDrawn(t *testing.T) {
	t.Parallel()
	h := read(t, root(t))
	for _, a := range never {
		for _, found := range a.find(h) {
			t.Errorf("never: %s: %s", a.name, found)
		}
	}
}
