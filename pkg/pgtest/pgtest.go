// Package pgtest gives each test a real PostgreSQL database of its own, migrated, and opened with the same roles and
// rights as in service. A migrated template is made once and cloned.
//
// The server is the one named by LIANHU_TEST_POSTGRES (an administrator's URL; `pgrun` sets it for a whole run), else a private
// one of the test process. Private servers run without fsync: these databases do not outlive their test, and durability
// has tests of its own.
package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/postgres/embedded"
)

// Variable is the environment variable that names the server for tests.
const Variable = "LIANHU_TEST_POSTGRES"

// Settings of a server whose databases outlive nothing.
func Settings() map[string]string {
	return map[string]string{"fsync": "off", "full_page_writes": "off", "max_connections": "400"}
}

// server starts the private server once for the process. It dies with it.
var server = sync.OnceValues(func() (string, error) {
	if named := os.Getenv(Variable); named != "" {
		return named, nil
	}
	sweep()
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the server may run as another user
		return "", err
	}
	cluster, err := embedded.Start(context.Background(), embedded.Config{Dir: dir, Settings: Settings()})
	if err != nil {
		return "", err
	}
	return cluster.AdminURL(), nil
})

const prefix = "lianhu-pgtest-"

// sweep removes what private servers of test processes that are gone have left behind.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range left {
		info, err := os.Stat(dir)
		if err == nil && time.Since(info.ModTime()) > time.Hour && !embedded.Running(dir) {
			_ = os.RemoveAll(dir) // another process may be faster
		}
	}
}

// Server is the administrator's URL of the server for tests.
func Server(t testing.TB) string {
	t.Helper()
	url, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Passwords of the roles are those of throw-away databases on the machine's own address.
const password = "test-database"

// DB is one test's database.
type DB struct {
	// Name of the database.
	Name string
	// OwnerURL may change the schema, AppURL has the rights of a service.
	OwnerURL, AppURL string
}

// New makes a migrated database that is dropped when the test ends.
func New(t testing.TB, migrations fs.FS) *DB {
	t.Helper()
	admin := Server(t)
	template, err := template(t.Context(), admin, migrations)
	if err != nil {
		t.Fatalf("pgtest: make the template: %v", err)
	}
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := run(t.Context(), admin, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER lianhu_test_owner", name, template)); err != nil {
		t.Fatalf("pgtest: clone: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := run(ctx, admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: drop: %v", err)
		}
	})
	db := &DB{Name: name}
	for user, url := range map[string]*string{"lianhu_test_owner": &db.OwnerURL, "lianhu_test_app": &db.AppURL} {
		if *url, err = postgres.URL(admin, name, user, password); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// Open gives a pool with the rights of a service, closed when the test ends.
func (db *DB) Open(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.WithoutCancel(t.Context()), db.AppURL, postgres.Options{Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// OpenOwner gives a pool with the rights of the schema's owner, for tests that plant what a service could not write.
func (db *DB) OpenOwner(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.WithoutCancel(t.Context()), db.OwnerURL, postgres.Options{Application: "test owner", MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Database is New and Open in one.
func Database(t testing.TB, migrations fs.FS) *pgxpool.Pool {
	t.Helper()
	return New(t, migrations).Open(t)
}

// template makes the migrated database that clones come from, once for each content of migrations, among all test processes.
func template(ctx context.Context, admin string, migrations fs.FS) (string, error) {
	name, err := contentName(migrations)
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('lianhu pgtest'))"); err != nil {
		return "", err
	}
	var ready bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", name).Scan(&ready); err != nil || ready {
		return name, err
	}
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name); err != nil { // one that was not finished
		return "", err
	}
	access := postgres.Access{Database: name, Owner: "lianhu_test_owner", App: "lianhu_test_app", OwnerPassword: password, AppPassword: password}
	if err := postgres.Ensure(ctx, admin, access); err != nil {
		return "", err
	}
	owner, err := postgres.URL(admin, name, access.Owner, password)
	if err != nil {
		return "", err
	}
	if err := postgres.Migrate(ctx, owner, migrations); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true")
	return name, err
}

func contentName(migrations fs.FS) (string, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range names {
		content, err := fs.ReadFile(migrations, name)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%s %d\n", name, len(content))
		h.Write(content)
	}
	return "template_" + hex.EncodeToString(h.Sum(nil)[:12]), nil
}

func run(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}
