//go:build clients

package docs

import (
	"bytes"
	"context"
	"io/fs"
	"os/exec"
	"path/filepath"
	"testing"
)

// The archive as a C# vendor compiles it, with the line of its README: no file is written twice. `make clients` runs this test.
func TestTheExampleClientsCSharpIsWrittenWhole(t *testing.T) {
	archive, err := filepath.Abs(filepath.Join(root, "dist", "lianhu-proto.zip"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const line = `unzip -q "$0" && mkdir out && protoc -I . --csharp_out=out --csharp_opt=base_namespace= $(find . -name '*.proto')`
	command := exec.CommandContext(context.Background(), "bash", "-euo", "pipefail", "-c", line, archive)
	command.Dir = dir
	if said, err := command.CombinedOutput(); err != nil || len(bytes.TrimSpace(said)) > 0 {
		t.Fatalf("%v: %s", err, said)
	}
	contract, written := 0, 0
	count := func(suffix string, n *int) fs.WalkDirFunc {
		return func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && filepath.Ext(path) == suffix {
				*n++
			}
			return err
		}
	}
	for suffix, n := range map[string]*int{".proto": &contract, ".cs": &written} {
		if err := filepath.WalkDir(dir, count(suffix, n)); err != nil {
			t.Fatal(err)
		}
	}
	if contract == 0 || contract != written {
		t.Errorf("%d .proto files became %d .cs files", contract, written)
	}
}
