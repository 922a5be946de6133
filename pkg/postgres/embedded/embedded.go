// Package embedded runs a private PostgreSQL cluster on this machine: for `lianhu up`, and for tests. It is PostgreSQL's own
// server with fsync on, not a replacement for it. It never deletes data: what it cannot use, it refuses.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/loopback"
	"github.com/lianhu/lianhu/pkg/postgres"
)

// adminUser is the cluster's superuser.
const adminUser = "postgres"

// startWithin bounds start-up; recovery after a crash is part of it. endWithin bounds the wait for a server of somebody else that is ending.
const (
	startWithin = 60 * time.Second
	endWithin   = 30 * time.Second
)

// ErrVersion is returned when a data directory belongs to another major version of PostgreSQL.
var ErrVersion = errors.New("the data directory belongs to another version of PostgreSQL")

// Config says where a cluster lives.
type Config struct {
	// Dir holds the cluster, its password and its log. Everything in it belongs to this package.
	Dir string
	// Binaries is the folder of initdb and postgres; empty means Find.
	Binaries string
	// Port on 127.0.0.1; 0 means the one used last time, or a free one.
	Port int
	// Settings are further server settings, for example fsync=off for a cluster that outlives nothing.
	Settings map[string]string
	// Progress gets a line for each step that takes time; nil means silence.
	Progress io.Writer
}

// Cluster is a running server.
type Cluster struct {
	admin   string
	port    int
	process *os.Process
	ended   chan struct{}
}

// AdminURL is the superuser's URL of the database `postgres`.
func (c *Cluster) AdminURL() string { return c.admin }

// Port is where the server listens on 127.0.0.1.
func (c *Cluster) Port() int { return c.port }

// Ended is closed when the server has ended, wanted or not. It is nil for a server that somebody else started.
func (c *Cluster) Ended() <-chan struct{} { return c.ended }

// Start makes the cluster if there is none, and starts it. A server that already runs on the directory is used and left
// alone by Stop. It returns ErrVersion, changing nothing, when the directory belongs to another version.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	bin := cfg.Binaries
	if bin == "" {
		found, err := Find(ctx, cfg.Progress)
		if err != nil {
			return nil, err
		}
		bin = found
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("embedded: make %s: %w", cfg.Dir, err)
	}
	password, err := secret(filepath.Join(cfg.Dir, "admin-password"))
	if err != nil {
		return nil, err
	}
	if c := attach(ctx, cfg, password); c != nil {
		return c, nil
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if err := initialise(ctx, cfg, bin, password, user); err != nil {
		return nil, err
	}
	return launch(ctx, cfg, bin, password, user)
}

// dataDir is PostgreSQL's own folder inside Dir.
func dataDir(dir string) string { return filepath.Join(dir, "data") }

// Running reports whether a server runs on a directory.
func Running(dir string) bool {
	_, ok := running(dir)
	return ok
}

// running reads which port the server on a directory listens on. Where the system does not tell a process's name, one with the number of a
// dead server is taken for it; whoever connects finds out.
func running(dir string) (port int, ok bool) {
	content, err := os.ReadFile(filepath.Join(dataDir(dir), "postmaster.pid"))
	if err != nil {
		return 0, false // none, or not readable to us: starting will tell
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) < 4 {
		return 0, false
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(lines[0]))
	port, _ = strconv.Atoi(strings.TrimSpace(lines[3]))
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	other := err == nil && strings.TrimSpace(string(name)) != "postgres"
	return port, pid > 0 && !other && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// attach connects to a server that already runs on the directory; nil if there is none. One that is ending, or has only just begun, is waited
// for: a second server beside it would be refused.
func attach(ctx context.Context, cfg Config, password string) *Cluster {
	bounded, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for told := false; ; told = true {
		port, ok := running(cfg.Dir)
		if !ok {
			return nil
		}
		c := &Cluster{admin: adminURL(port, password), port: port}
		if answers(bounded, c.admin) == nil {
			return c
		}
		if !told {
			_, _ = fmt.Fprintln(cfg.Progress, "waiting for the PostgreSQL that is ending in", dataDir(cfg.Dir))
		}
		select {
		case <-bounded.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// initialise runs initdb in a new directory and checks the version of an old one.
func initialise(ctx context.Context, cfg Config, bin, password string, user *account) error {
	have, err := os.ReadFile(filepath.Join(dataDir(cfg.Dir), "PG_VERSION"))
	if err == nil {
		want, err := Version(ctx, bin)
		if err != nil {
			return err
		}
		if major := strings.TrimSpace(string(have)); major != want {
			return fmt.Errorf("embedded: %w: %s holds version %s, the server in %s is version %s; "+
				"point LIANHU_POSTGRES_BIN at a version %s, or give an empty directory; nothing was changed",
				ErrVersion, dataDir(cfg.Dir), major, bin, want, major)
		}
		return nil
	}
	_, _ = fmt.Fprintln(cfg.Progress, "making a PostgreSQL cluster in", dataDir(cfg.Dir))
	if err := os.Mkdir(dataDir(cfg.Dir), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("embedded: make the data directory: %w", err)
	}
	if err := user.own(dataDir(cfg.Dir)); err != nil {
		return err
	}
	secretFile, err := os.CreateTemp("", "lianhu-pw")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(secretFile.Name()) }()
	if _, err := secretFile.WriteString(password + "\n"); err != nil {
		return err
	}
	if err := errors.Join(secretFile.Close(), user.own(secretFile.Name())); err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", dataDir(cfg.Dir), "-U", adminUser, "--pwfile="+secretFile.Name(),
		"--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if output, err := user.run(initdb); err != nil {
		return fmt.Errorf("embedded: initdb: %w\n%s%s", err, output, user.hint(cfg.Dir))
	}
	return nil
}

// launch starts the server as a child that dies with this process, and waits until it answers.
func launch(ctx context.Context, cfg Config, bin, password string, user *account) (*Cluster, error) {
	port, err := choosePort(cfg)
	if err != nil {
		return nil, err
	}
	logPath := filepath.Join(cfg.Dir, "postgres.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embedded: open the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	server := exec.Command(filepath.Join(bin, "postgres"), append([]string{"-D", dataDir(cfg.Dir)}, settings(cfg, port)...)...)
	server.Stdout, server.Stderr = log, log
	c := &Cluster{admin: adminURL(port, password), port: port, ended: make(chan struct{})}
	if c.process, err = user.start(server, c.ended); err != nil {
		return nil, fmt.Errorf("embedded: start the server: %w%s", err, user.hint(cfg.Dir))
	}
	deadline, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := c.await(deadline); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("embedded: the server did not come up: %w; the end of %s:\n%s%s",
			err, logPath, tail(logPath), user.hint(cfg.Dir)), c.Stop(stop))
	}
	return c, nil
}

// settings make the server durable, local and silent about content.
func settings(cfg Config, port int) []string {
	values := map[string]string{
		"listen_addresses": "127.0.0.1", "port": strconv.Itoa(port), "unix_socket_directories": "",
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		"log_error_verbosity": "terse", "log_min_messages": "warning", "log_min_error_statement": "panic", // a failing statement may hold people's data
		"max_connections": "200", "shared_buffers": "128MB", "max_wal_size": "1GB", "timezone": "UTC", "log_timezone": "UTC",
	}
	for name, value := range cfg.Settings {
		values[name] = value
	}
	args := make([]string, 0, 2*len(values))
	for name, value := range values {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

// await returns when the server answers.
func (c *Cluster) await(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if answers(ctx, c.admin) == nil {
			return nil
		}
		select {
		case <-c.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Stop shuts the server down in an orderly way: clients are cut off, everything is written, recovery is not needed. A server
// that somebody else started is left alone.
func (c *Cluster) Stop(ctx context.Context) error {
	if c.process == nil {
		return nil
	}
	_ = c.process.Signal(syscall.SIGINT) // fast shutdown; an error means it has ended
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		_ = c.process.Signal(syscall.SIGQUIT)
		<-c.ended
		return fmt.Errorf("embedded: the server did not stop in time and was cut off: %w", ctx.Err())
	}
}

// Kill ends the server and all of its children at once, by a signal that none of them sees; the next start recovers. For drills. The
// operating system and what it has yet to write to disk live on, unlike in a power cut.
func (c *Cluster) Kill() error {
	if c.process == nil {
		return errors.New("embedded: somebody else started the server")
	}
	// Held still first, so that it neither forks another child nor sees the first one die.
	if err := c.process.Signal(syscall.SIGSTOP); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return fmt.Errorf("embedded: hold the server: %w", err)
	}
	for _, pid := range append(children(c.process.Pid), c.process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("embedded: kill the server: %w", err)
		}
	}
	<-c.ended
	return nil
}

// choosePort prefers the port asked for, then the one used before, then any free one.
func choosePort(cfg Config) (int, error) {
	file := filepath.Join(cfg.Dir, "port")
	if cfg.Port != 0 {
		return cfg.Port, nil
	}
	if content, err := os.ReadFile(file); err == nil {
		if port, err := strconv.Atoi(strings.TrimSpace(string(content))); err == nil && free(port) {
			return port, nil
		}
	}
	l, err := loopback.Listen()
	if err != nil {
		return 0, fmt.Errorf("embedded: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, errors.Join(l.Close(), os.WriteFile(file, []byte(strconv.Itoa(port)), 0o600))
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func adminURL(port int, password string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/postgres?sslmode=disable", adminUser, password, port)
}

// secret reads the password kept in a file, making one the first time.
func secret(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("embedded: read the password: %w", err)
	}
	password := postgres.Password()
	return password, os.WriteFile(path, []byte(password+"\n"), 0o600)
}

// tail is the end of a log.
func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(content[max(0, len(content)-1000):])
}
