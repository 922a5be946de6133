package fleet_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lianhu/lianhu/e2e/fleet"
	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/journey"
)

const root = "../.."

// The matter walks through two replicas of every service, each a process of its own; afterwards no promise is broken, every process
// ends as it should when asked, and the spans lead from the payment back to the report.
func TestAMatterWalksThroughSeparateProcesses(t *testing.T) {
	t.Parallel()
	f := start(t, fleet.Options{Root: root, Dir: folder(t), Replicas: 2})
	journeys, err := journey.LoadAll(filepath.Join(root, "e2e", "journeys"))
	if err != nil {
		t.Fatal(err)
	}
	world, closer, err := suite.NewWorld(f.Home, filepath.Join(root, "districts", "xinbei"), f.Gateway(), f.Layout.Clock, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closer()
	for _, j := range journeys {
		if _, err := j.Play(t.Context(), world); err != nil {
			t.Fatal(err)
		}
	}
	now, err := world.Advance(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := f.Suite.Promises(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Violations != 0 {
			t.Errorf("promise %d: %s %s: %d violations", c.Promise, c.Service, c.Name, c.Violations)
		}
	}
	closer()
	if err := f.Terminate(); err != nil {
		t.Error(err)
	}
	spans := readSpans(t, f)
	spans.everyReplicaWorked(t)
	spans.walkBack(t)
}

func start(t *testing.T, o fleet.Options) *fleet.Fleet {
	t.Helper()
	f, err := fleet.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// folder is one that PostgreSQL's own user may enter, unlike t.TempDir.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lianhu-fleet-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
