package embedded_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/postgres/embedded"
)

// dir makes a folder that the account running PostgreSQL may enter.
func dir(t *testing.T) string {
	t.Helper()
	d, err := os.MkdirTemp("", "lianhu-embedded-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d) })
	if err := os.Chmod(d, 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

func start(t *testing.T, d string) *embedded.Cluster {
	t.Helper()
	c, err := embedded.Start(t.Context(), embedded.Config{Dir: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *embedded.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func query(t *testing.T, c *embedded.Cluster, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var got string
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return got
}

func TestDataSurvivesARestartAndTheServerIsDurableAndSilent(t *testing.T) {
	t.Parallel()
	d := dir(t)
	first := start(t, d)
	query(t, first, "CREATE TABLE kept AS SELECT 'here' AS word; ")
	for setting, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "log_error_verbosity": "terse", "log_min_error_statement": "panic"} {
		if got := query(t, first, "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %s", setting, got)
		}
	}
	stop(t, first)
	second := start(t, d)
	if second.Port() != first.Port() {
		t.Errorf("the port moved from %d to %d", first.Port(), second.Port())
	}
	if got := query(t, second, "SELECT word FROM kept"); got != "here" {
		t.Errorf("got %q", got)
	}
}

func TestAServerThatRunsIsUsedAndLeftAlone(t *testing.T) {
	t.Parallel()
	d := dir(t)
	first := start(t, d)
	second, err := embedded.Start(t.Context(), embedded.Config{Dir: d})
	if err != nil {
		t.Fatal(err)
	}
	if second.AdminURL() != first.AdminURL() {
		t.Error("a second server was started on one directory")
	}
	stop(t, second)
	if got := query(t, first, "SELECT 'alive'"); got != "alive" {
		t.Error("stopping the second handle stopped the first one's server")
	}
}

func TestACrashIsRecoveredFrom(t *testing.T) {
	t.Parallel()
	d := dir(t)
	first := start(t, d)
	query(t, first, "CREATE TABLE kept AS SELECT 'here' AS word")
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.Ended()
	if got := query(t, start(t, d), "SELECT word FROM kept"); got != "here" {
		t.Errorf("got %q", got)
	}
}

// onWaiting calls back when Start says that it waits.
type onWaiting func()

func (f onWaiting) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "waiting") {
		f()
	}
	return len(line), nil
}

// `lianhu down` and at once `lianhu run`: the old server takes no more connections and still holds the directory.
func TestAServerThatIsEndingIsWaitedFor(t *testing.T) {
	t.Parallel()
	d := dir(t)
	first := start(t, d)
	query(t, first, "CREATE TABLE kept AS SELECT 'here' AS word")
	last, err := pgx.Connect(t.Context(), first.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(d, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(content), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil { // it ends when the last client has gone
		t.Fatal(err)
	}
	for {
		refused, err := pgx.Connect(t.Context(), first.AdminURL())
		if err != nil {
			break
		}
		_ = refused.Close(t.Context())
	}
	waited := false
	second, err := embedded.Start(t.Context(), embedded.Config{Dir: d, Progress: onWaiting(func() { waited = true; _ = last.Close(t.Context()) })})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, second) })
	if got := query(t, second, "SELECT word FROM kept"); got != "here" || !waited {
		t.Errorf("got %q, waited %t", got, waited)
	}
}

func TestADirectoryOfAnotherVersionIsRefusedAndNotTouched(t *testing.T) {
	t.Parallel()
	d := dir(t)
	data := filepath.Join(d, "data")
	if err := os.MkdirAll(filepath.Join(data, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(data, "base", "1")
	for path, content := range map[string]string{filepath.Join(data, "PG_VERSION"): "12\n", precious: "rows"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := embedded.Start(t.Context(), embedded.Config{Dir: d})
	if !errors.Is(err, embedded.ErrVersion) || !strings.Contains(err.Error(), "version 12") || !strings.Contains(err.Error(), embedded.BinVariable) {
		t.Errorf("got %v", err)
	}
	if content, err := os.ReadFile(precious); err != nil || string(content) != "rows" {
		t.Errorf("the data was touched: %v", err)
	}
}

func TestAFolderWithoutProgramsIsNamedInTheError(t *testing.T) {
	empty := t.TempDir()
	t.Setenv(embedded.BinVariable, empty)
	_, err := embedded.Find(t.Context(), os.Stderr)
	if err == nil || !strings.Contains(err.Error(), empty) {
		t.Errorf("got %v", err)
	}
}
