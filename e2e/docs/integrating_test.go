// Package docs holds the documents to what they say: the commands they show are run, and what is generated is compared.
package docs

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/services/suite"
)

const root = "../.."

// example is one block of shell commands of a document and, where the next block shows it, what they print.
type example struct {
	guide    string
	line     int
	commands string
	printed  string
}

var fences = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// examples reads the blocks of shell commands of a document, `sh` or other kinds; a `text` block right after one is what it prints.
func examples(document string, kinds ...string) (out []example) {
	end, taken := 0, false // taken: the block before is one of ours
	for _, at := range fences.FindAllStringSubmatchIndex(document, -1) {
		kind, content := document[at[2]:at[3]], document[at[4]:at[5]]
		switch {
		case slices.Contains(kinds, kind):
			out = append(out, example{line: 1 + strings.Count(document[:at[0]], "\n"), commands: content})
		case kind == "text" && taken && strings.TrimSpace(document[end:at[0]]) == "":
			out[len(out)-1].printed = content
		}
		end, taken = at[1], slices.Contains(kinds, kind)
	}
	return out
}

// shows reports the first line of what a document shows that is not printed. Lines come in the order shown; `…` stands for anything.
// Blanks do not count: protobuf's JSON sets them differently from one build to the next, on purpose.
func shows(shown, printed string) (missing string) {
	printed = strings.ReplaceAll(printed, " ", "")
	for line := range strings.Lines(shown) {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.ReplaceAll(strings.TrimSpace(line), " ", "")), "…", ".*")
		at := regexp.MustCompile(pattern).FindStringIndex(printed)
		if at == nil {
			return line
		}
		printed = printed[at[1]:]
	}
	return ""
}

func TestTheCommandsOfTheGuidesWork(t *testing.T) {
	walk(t, workplace(t), []string{"integrating.md", "dispatch.md"}, "sh")
}

// walk runs the commands of guides one after the other against a suite.
func walk(t *testing.T, dir string, guides []string, kinds ...string) {
	t.Helper()
	var all []example
	for _, guide := range guides {
		document, err := os.ReadFile(filepath.Join(root, "docs", guide))
		if err != nil {
			t.Fatal(err)
		}
		found := examples(string(document), kinds...)
		if len(found) < 4 {
			t.Fatalf("only %d examples were found in %s", len(found), guide)
		}
		for _, e := range found {
			e.guide = guide
			all = append(all, e)
		}
	}
	home, err := suite.OpenHome(filepath.Join(dir, ".lianhu"))
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
	_, port, _ := net.SplitHostPort(s.GRPC)
	addresses := strings.NewReplacer("127.0.0.1:7443", s.GRPC, "localhost:7443", "localhost:"+port, "127.0.0.1:7444", s.JSON, "/tmp/", dir+"/")
	err = s.Run(t.Context(), func(ctx context.Context) error {
		for _, e := range all {
			if err := e.run(ctx, dir, addresses); err != nil {
				return err
			}
		}
		return suite.Stop()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// run runs the commands as a reader would who pastes them; only the addresses are this test's own.
func (e example) run(ctx context.Context, dir string, addresses *strings.Replacer) error {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", addresses.Replace(e.commands))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, ".bin")+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("docs/%s, line %d: %w\n%s", e.guide, e.line, err, out)
	}
	if missing := shows(e.printed, string(out)); missing != "" {
		return fmt.Errorf("docs/%s, line %d: the output shown is not printed: %s\n%s", e.guide, e.line, missing, out)
	}
	return nil
}

// workplace is a folder with what the repository's root has after `make run` and `make tools`: the commands and a home to be.
func workplace(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lianhu-docs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's own user enters it
		t.Fatal(err)
	}
	build(t, root, filepath.Join(dir, ".bin", "lianhu"), "./services/suite/cmd/lianhu")
	build(t, filepath.Join(root, "tools", "grpcurl"), filepath.Join(dir, ".bin", "grpcurl"), "github.com/fullstorydev/grpcurl/cmd/grpcurl")
	return dir
}

func build(t *testing.T, dir, to, what string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", to, what)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if strings.HasPrefix(what, "./services") {
		cmd.Env = os.Environ()
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", what, err, out)
	}
}

func TestAWrongExampleIsSeen(t *testing.T) {
	t.Parallel()
	got := examples("# A\n\n```bash\nfalse\n```\n\n```sh\necho one\necho two\n```\n\n```text\none\nthree\n```\n\nText\n\n```text\nalone\n```\n", "sh")
	if len(got) != 1 || got[0].line != 7 || got[0].printed != "one\nthree\n" {
		t.Fatalf("examples %+v", got)
	}
	if missing := shows(got[0].printed, "one\ntwo\n"); missing != "three\n" {
		t.Errorf("missing is %q", missing)
	}
	if missing := shows("a … c\n", "x a b c"); missing != "" {
		t.Errorf("missing is %q, want nothing", missing)
	}
	if err := (example{commands: "false"}).run(t.Context(), t.TempDir(), strings.NewReplacer()); err == nil {
		t.Error("a command that fails passes")
	}
}
