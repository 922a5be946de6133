package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is the path in front of every folder of the house.
const module = "github.com/lianhu/lianhu/"

// source is one file of the house.
type source struct {
	path    string // from the root, slash separated
	content string
	file    *ast.File // of a Go file
	imports []string
}

// folder the file lies in.
func (s source) folder() string { return path.Dir(s.path) }

// test reports whether the file is a test.
func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// in reports whether the file lies in a folder or below it; a part of the pattern may be `*`.
func (s source) in(pattern string) bool {
	parts, have := strings.Split(pattern, "/"), strings.Split(s.folder(), "/")
	if len(have) < len(parts) {
		return false
	}
	for i, part := range parts {
		if part != "*" && part != have[i] {
			return false
		}
	}
	return true
}

// generated reports whether nobody writes the file by hand.
func (s source) generated() bool { return s.file != nil && ast.IsGenerated(s.file) }

// imports reports whether the file imports a package or one below it, and which.
func (s source) importsAny(prefixes ...string) (string, bool) {
	for _, imported := range s.imports {
		for _, prefix := range prefixes {
			if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
				return imported, true
			}
		}
	}
	return "", false
}

// house is a tree of sources.
type house struct {
	fset    *token.FileSet
	sources []source
}

// goFiles are the Go files somebody wrote by hand.
func (h house) goFiles() []source {
	var files []source
	for _, s := range h.sources {
		if s.file != nil && !s.generated() {
			files = append(files, s)
		}
	}
	return files
}

// ignored are folders of things that are built, fetched or run, never written.
var ignored = map[string]bool{".git": true, ".bin": true, ".lianhu": true, "dist": true, "third_party": true, "node_modules": true, "bin": true, "obj": true}

// readable are the endings of the files that are judged; a file without an ending counts too.
var readable = map[string]bool{
	"": true, ".go": true, ".mod": true, ".proto": true, ".sql": true, ".md": true, ".yaml": true, ".yml": true, ".sh": true, ".csv": true, ".json": true,
}

// read reads the tree under root.
func read(t *testing.T, root string) house {
	t.Helper()
	h := house{fset: token.NewFileSet()}
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if ignored[entry.Name()] {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || !readable[path.Ext(name)] {
			return nil
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		s := source{path: name, content: string(content)}
		if strings.HasSuffix(name, ".go") {
			if s.file, err = parser.ParseFile(h.fset, name, content, parser.ParseComments|parser.SkipObjectResolution); err != nil {
				return err
			}
			for _, spec := range s.file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				s.imports = append(s.imports, imported)
			}
		}
		h.sources = append(h.sources, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.sources) == 0 {
		t.Fatalf("nothing to judge under %s", root)
	}
	return h
}

// root is the folder of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.work")); err != nil {
		t.Fatal(err)
	}
	return dir
}
