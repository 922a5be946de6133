// Package command runs the `lianhu` binary as a person does: by its arguments, its output and its exit status.
package command

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/services/suite"
)

const root = "../.."

// terminal is a folder with a home, from which the binary is called.
type terminal struct {
	binary, dir string
	// environment holds variables beside the test's own.
	environment []string
}

func open(t *testing.T) terminal {
	t.Helper()
	dir, err := os.MkdirTemp("", "lianhu-command-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's own user enters it
		t.Fatal(err)
	}
	return terminal{binary: binary, dir: dir}
}

// binary is the command, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lianhu-built-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "lianhu")
	cmd := exec.Command("go", "build", "-o", binary, "./services/suite/cmd/lianhu")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// call gives what a command printed, both streams, and its exit status.
func (x terminal) call(t *testing.T, args ...string) (printed string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), x.binary, append([]string{"--home", filepath.Join(x.dir, "home")}, args...)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), x.environment...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func wants(t *testing.T, printed string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(printed, text) {
			t.Errorf("%q is not printed:\n%s", text, printed)
		}
	}
}

// The demo plays the matter on an empty folder, again on its own data with other people, and says by its status whether a promise is
// broken.
func TestTheDemoTellsByItsStatus(t *testing.T) {
	t.Parallel()
	x := open(t)
	ports := []string{"--grpc", "127.0.0.1:0", "--json", "127.0.0.1:0"}
	demo := append([]string{"demo"}, ports...)
	printed, status := x.call(t, demo...)
	if status != 0 {
		t.Fatalf("status %d:\n%s", status, printed)
	}
	wants(t, printed, "71/71", "59/59", "no unowned moment", "money adds up", "0 violations", "placeholder, not confirmed by anybody")
	if strings.ContainsRune(printed, '\x1b') || strings.ContainsRune(printed, '\r') {
		t.Error("output off a terminal holds control characters")
	}
	if printed, status = x.call(t, demo...); status != 0 {
		t.Fatalf("second run: status %d:\n%s", status, printed)
	}
	wants(t, printed, "Run 2 on this data: new people are invented.")
	x.plant(t, "lianhu_relief", "DELETE FROM decision")
	if printed, status = x.call(t, demo...); status != 1 {
		t.Errorf("status %d over a broken promise", status)
	}
	wants(t, printed, "every decision explains itself", "relief decision", "a promise is broken")
	if printed, status = x.call(t, append([]string{"doctor"}, ports...)...); status != 0 {
		t.Errorf("the doctor ends with %d", status)
	}
	wants(t, printed, "digest", "certificates", "placeholder", "disk")
}

// plant changes the data behind the services' back, as the administrator.
func (x terminal) plant(t *testing.T, database, sql string) {
	t.Helper()
	home, err := suite.OpenHome(filepath.Join(x.dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := suite.Provision(t.Context(), suite.Options{Home: home, DistrictDir: filepath.Join(root, "districts", "xinbei")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	read := func(name string) string {
		content, err := os.ReadFile(home.Path("postgres", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(content))
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", read("admin-password")), Host: "127.0.0.1:" + read("port"), Path: database}
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal("the administrator cannot connect")
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// Every command explains itself and refuses what it does not know, saying what would be right.
func TestEveryCommandHelpsAndRefuses(t *testing.T) {
	t.Parallel()
	x := open(t)
	for _, command := range [][]string{{}, {"up"}, {"run"}, {"demo"}, {"serve"}, {"migrate"}, {"feed"}, {"feed", "tail"}, {"ops"}, {"ops", "parked"}, {"ops", "retry"}, {"ops", "repair"}, {"ops", "quarantine"}, {"ops", "replay"}, {"ops", "reject"}, {"ops", "close-gap"}, {"promises"}, {"doctor"}, {"down"}} {
		printed, status := x.call(t, append(command, "--help")...)
		if status != 0 || !strings.Contains(printed, "USAGE") {
			t.Errorf("lianhu %s --help: status %d:\n%s", strings.Join(command, " "), status, printed)
		}
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"serve", "registri"}, "choose one of"},
		{[]string{"serv"}, `no command is called "serv"`},
		{[]string{"dispatch", "push", "--target", "gateway", os.DevNull}, "give HOST:PORT"},
		{[]string{"serve", "registry"}, "REGISTRY_DATABASE_URL"},
		{[]string{"migrate", "gateway"}, "choose registry"},
		{[]string{"migrate", "relief"}, "RELIEF_OWNER_DATABASE_URL"},
		{[]string{"down"}, "no suite is running here"},
		{[]string{"feed", "tail", "relief"}, "start one with: lianhu up"},
		{[]string{"ops", "parked", "relieve"}, "choose registry"},
		{[]string{"ops", "retry", "relief"}, "start one with: lianhu up"},
		{[]string{"ops", "repair", "relief", "--grounds", "boredom"}, "neither holder_gone nor deadline_stuck"},
		{[]string{"promises"}, "start one with: lianhu up"},
		{[]string{"promises"}, "set also REGISTRY_DATABASE_URL, REPORTING_DATABASE_URL, REPORTING_VAULT_DATABASE_URL"},
		{[]string{"ops", "parked", "relief", "--cert", "x"}, "give all three"},
		{[]string{"feed", "tail", "relief", "--grpc", "127.0.0.1:1", "--as", "nobody"}, "those there are lie in"},
		{[]string{"demo", "--journey", "e2e/journeys/none"}, "none"},
		{[]string{"--district", "districts/nowhere", "up"}, "DISTRICT_DIR"},
		{[]string{"up", "--grpc", taken(t), "--json", "127.0.0.1:0"}, "--grpc"},
	} {
		printed, status := x.call(t, c.args...)
		if status == 0 || !strings.Contains(printed, c.says) {
			t.Errorf("lianhu %s: status %d, want a refusal that says %q:\n%s", strings.Join(c.args, " "), status, c.says, printed)
		}
	}
	x.environment = []string{"RELIEF_DATABASE_URL=postgres://nobody@127.0.0.1:1/none"}
	if printed, status := x.call(t, "promises"); status != 2 || !strings.Contains(printed, "set these too, or none") {
		t.Errorf("some databases of a suite elsewhere: status %d\n%s", status, printed)
	}
}

// taken is an address at which somebody else listens already.
func taken(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}
