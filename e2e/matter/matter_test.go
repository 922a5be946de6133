// Package matter plays whole matters through the gateway of a suite on real PostgreSQL.
package matter

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/journey"
)

const root = "../.."

// prepare brings a suite up in a home of its own, on a PostgreSQL server of its own: a suite's databases have fixed names.
func prepare(t *testing.T) (*suite.Suite, suite.Home) {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "lianhu-e2e-"+strings.ToLower(rand.Text()[:8]))
	home, err := suite.OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := suite.Prepare(t.Context(), suite.Options{
		Home: home, DistrictDir: filepath.Join(root, "districts", "xinbei"), GRPC: "127.0.0.1:0", JSON: "127.0.0.1:0", StandStill: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, home
}

// run serves the suite while the test does something with it.
func run(t *testing.T, s *suite.Suite, do func(ctx context.Context) error) {
	t.Helper()
	err := s.Run(t.Context(), func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		return suite.Stop()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// play plays every journey and answers the variables of the first, which is living-alone.
func play(ctx context.Context, s *suite.Suite, seed uint64) (map[string]any, time.Time, error) {
	journeys, err := journey.LoadAll(filepath.Join(root, "e2e", "journeys"))
	if err != nil {
		return nil, time.Time{}, err
	}
	world, closer, err := s.World(seed)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer closer()
	var vars map[string]any
	for _, j := range journeys {
		played, err := j.Play(ctx, world)
		if err != nil {
			return nil, time.Time{}, err
		}
		if vars == nil {
			vars = played
		}
	}
	now, err := world.Advance(ctx, 0)
	return vars, now, err
}

// The matter walks from the school's report to the paid relief and the visit, twice on the same data with other people;
// afterwards no promise is broken, and each violation that is planted is counted.
func TestAMatterWalksThroughTheWholeHouse(t *testing.T) {
	s, home := prepare(t)
	run(t, s, func(ctx context.Context) error {
		first, _, err := play(ctx, s, 1)
		if err != nil {
			return err
		}
		second, now, err := play(ctx, s, 2)
		if err != nil {
			return err
		}
		if first["child_id"] == second["child_id"] || first["matter"] == second["matter"] {
			t.Error("the second run is about the first one's child")
		}
		if broken := violations(ctx, t, s, now); len(broken) != 0 {
			t.Errorf("broken promises: %v", broken)
		}
		return plantAndCount(ctx, t, s, home, now)
	})
}

func violations(ctx context.Context, t *testing.T, s *suite.Suite, now time.Time) map[int][]string {
	t.Helper()
	counts, err := s.Promises(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	checked, broken := map[int]int64{}, map[int][]string{}
	for _, c := range counts {
		checked[c.Promise] += c.Checked
		if c.Violations != 0 {
			broken[c.Promise] = append(broken[c.Promise], c.Service+" "+c.Name)
		}
	}
	for promise := 1; promise <= 5; promise++ {
		if checked[promise] == 0 {
			t.Errorf("nothing was checked for promise %d", promise)
		}
	}
	return broken
}

// planted are violations that no service could make, one for each promise.
func planted() []struct {
	promise       int
	database, sql string
} {
	return []struct {
		promise       int
		database, sql string
	}{
		{1, "referral", "DELETE FROM custody WHERE item = (SELECT id FROM referral LIMIT 1) AND version = 2"},
		{2, "reporting", "DELETE FROM feed WHERE seq = 2"},
		{2, "referral", "UPDATE follower SET covered = covered - 3 WHERE name = 'referral.reporting'"},
		{3, "registry", "UPDATE audit SET purpose = 0 WHERE id = (SELECT min(id) FROM audit WHERE NOT effect AND class >= 3)"},
		{4, "relief", "DELETE FROM decision"},
		{5, "relief", "UPDATE budget_account SET paid_fen = paid_fen + 1 WHERE id = (SELECT budget_account_id FROM payment LIMIT 1)"},
	}
}

func plantAndCount(ctx context.Context, t *testing.T, s *suite.Suite, home suite.Home, now time.Time) error {
	t.Helper()
	for _, p := range planted() {
		if err := asAdministrator(ctx, home, "lianhu_"+p.database, p.sql); err != nil {
			return fmt.Errorf("plant a violation of promise %d: %w", p.promise, err)
		}
		if broken := violations(ctx, t, s, now); len(broken[p.promise]) == 0 {
			t.Errorf("a violation of promise %d in %s was not counted", p.promise, p.database)
		}
	}
	return nil
}

// asAdministrator does what no role of a service may.
func asAdministrator(ctx context.Context, home suite.Home, database, sql string) error {
	conn, err := connect(ctx, home, database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

func connect(ctx context.Context, home suite.Home, database string) (*pgx.Conn, error) {
	port, err := os.ReadFile(home.Path("postgres", "port"))
	if err != nil {
		return nil, err
	}
	password, err := os.ReadFile(home.Path("postgres", "admin-password"))
	if err != nil {
		return nil, err
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", strings.TrimSpace(string(password))),
		Host: "127.0.0.1:" + strings.TrimSpace(string(port)), Path: database,
	}
	return pgx.Connect(ctx, u.String())
}
