package storm

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// Each twin has its tag in the code and each tag in the code its twin, so that none is forgotten and none comes in unseen.
func TestEveryTwinIsInTheCode(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "grep", "-hoE", "^//go:build twin_[a-z_]+", "--", "*.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		found = append(found, strings.TrimSpace(strings.TrimPrefix(line, "//go:build ")))
	}
	slices.Sort(found)
	want := builds()
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Compact(found)); diff != "" {
		t.Errorf("the twins (-want) and the tags in the code (+got):\n%s", diff)
	}
	for _, twin := range twins() {
		if len(twin.Caught) == 0 || len(twin.Plan) == 0 || twin.Schema && len(twin.Break) == 0 {
			t.Errorf("%s: nothing is said to catch it, no fault brings it out, or nothing is broken", twin.Tag)
		}
	}
}

// builds are the tags of twins that are broken in their code.
func builds() (tags []string) {
	for _, twin := range twins() {
		if !twin.Schema {
			tags = append(tags, twin.Tag)
		}
	}
	return tags
}

// What is released holds no file of a twin, and with a tag it would: the test can tell the two apart.
func TestTheReleaseHoldsNoTwin(t *testing.T) {
	t.Parallel()
	if files := twinFiles(t, ""); len(files) != 0 {
		t.Errorf("the release is built from %v", files)
	}
	for _, tag := range builds() {
		if files := twinFiles(t, tag); len(files) == 0 {
			t.Errorf("with the tag %s nothing changes", tag)
		}
	}
}

// twinFiles lists the files of twins that the commands are built from.
func twinFiles(t *testing.T, tags string) (files []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", tags, "-deps", "-f",
		`{{if not .Standard}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}`, "./services/...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if file := strings.TrimSpace(line); strings.HasSuffix(file, "_twin.go") {
			files = append(files, filepath.Base(file))
		}
	}
	return files
}
