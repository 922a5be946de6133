package postgres_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/internal/specimen"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/postgres"
)

// access names a database of this test alone.
func access(t *testing.T) postgres.Access {
	t.Helper()
	name := "setup_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	a := postgres.Access{Database: name, Owner: name + "_owner", App: name + "_app", OwnerPassword: postgres.Password(), AppPassword: postgres.Password()}
	admin := pgtest.Server(t)
	t.Cleanup(func() {
		for _, s := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "DROP ROLE IF EXISTS " + a.Owner, "DROP ROLE IF EXISTS " + a.App} {
			if err := statement(context.Background(), admin, s); err != nil {
				t.Error(err)
			}
		}
	})
	return a
}

func url(t *testing.T, database, user, password string) string {
	t.Helper()
	u, err := postgres.URL(pgtest.Server(t), database, user, password)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSetupAndMigrationMayRunTwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	a := access(t)
	var group errgroup.Group
	for range 3 {
		group.Go(func() error {
			if err := postgres.Ensure(t.Context(), pgtest.Server(t), a); err != nil {
				return err
			}
			return postgres.Migrate(t.Context(), url(t, a.Database, a.Owner, a.OwnerPassword), specimen.Migrations())
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(t.Context(), url(t, a.Database, a.App, a.AppPassword), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	have, err := postgres.SchemaVersion(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	want, err := postgres.LatestVersion(specimen.Migrations())
	if err != nil || have != want || want != 100 {
		t.Errorf("at version %d of %d: %v", have, want, err)
	}
}

func TestARoleCanReachItsOwnDatabaseOnlyAndNotItsSchema(t *testing.T) {
	t.Parallel()
	one, two := access(t), access(t)
	for _, a := range []postgres.Access{one, two} {
		if err := postgres.Ensure(t.Context(), pgtest.Server(t), a); err != nil {
			t.Fatal(err)
		}
		if err := postgres.Migrate(t.Context(), url(t, a.Database, a.Owner, a.OwnerPassword), specimen.Migrations()); err != nil {
			t.Fatal(err)
		}
	}
	if err := statement(t.Context(), url(t, two.Database, one.App, one.AppPassword), "SELECT 1"); err == nil {
		t.Error("a service's role can open another service's database")
	}
	own := url(t, one.Database, one.App, one.AppPassword)
	for _, forbidden := range []string{
		"CREATE TABLE mine ()", "DROP TABLE ticket", "UPDATE custody SET holder = 'x'", "DELETE FROM custody", "UPDATE audit SET unit = 'x'",
		"DELETE FROM audit", "UPDATE idempotency SET answer = ''", "DELETE FROM ticket", "UPDATE feed SET audience = '{}'",
	} {
		if err := statement(t.Context(), own, forbidden); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", forbidden, err)
		}
	}
}

func TestErrorsAreToldApartWithoutTheirValues(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t, specimen.Migrations())
	insert := `INSERT INTO note (id, version, create_time, update_time, trace, body) VALUES ('5e0d6d1e-43a5-4e39-8a0e-7d1f2bb4ad10', 1, now(), now(), '', '')`
	if _, err := db.Exec(t.Context(), insert); err != nil {
		t.Fatal(err)
	}
	_, err := db.Exec(t.Context(), insert)
	if got := postgres.Constraint(err); got != "note_pkey" {
		t.Errorf("constraint %q", got)
	}
	if clean := postgres.Sanitize(err).Error(); strings.Contains(clean, "5e0d6d1e") || !strings.Contains(clean, "23505") {
		t.Errorf("sanitized: %s", clean)
	}
	_, err = db.Exec(t.Context(), "SELECT 'secret-name'::uuid")
	if clean := postgres.Sanitize(err).Error(); strings.Contains(clean, "secret-name") {
		t.Errorf("sanitized: %s", clean)
	}
	conn, err := db.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	_, err = conn.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
	if !postgres.IsConnection(err) {
		t.Errorf("a killed backend: %v", err)
	}
	_, err = pgx.Connect(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	if !postgres.IsConnection(err) {
		t.Errorf("a refused connection: %v", err)
	}
	if !postgres.IsSerialization(&pgconn.PgError{Code: "40P01"}) || postgres.IsConnection(&pgconn.PgError{Code: "40P01"}) {
		t.Error("a deadlock is not told apart")
	}
}

func TestAMigrationWithoutANumberIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := postgres.LatestVersion(fstest.MapFS{"first.sql": {Data: []byte("SELECT 1")}}); err == nil {
		t.Error("accepted")
	}
}

func statement(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// A server that refuses to begin, for whatever reason of its own, is away. A wrong password is no such reason: it does not pass by itself.
func TestARefusalToBeginIsTheDatabaseAway(t *testing.T) {
	t.Parallel()
	for code, away := range map[string]bool{"XX000": true, "57P03": true, "53300": true, "28P01": false, "3D000": false} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				server := pgproto3.NewBackend(conn, conn)
				if _, err := server.ReceiveStartupMessage(); err == nil {
					server.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "could not write init file"})
					_ = server.Flush() // the client sees what became of it
				}
				_ = conn.Close()
			}
		}()
		_, err = pgx.Connect(t.Context(), "postgres://nobody@"+l.Addr().String()+"/none?sslmode=disable")
		if postgres.IsConnection(err) != away {
			t.Errorf("refused with %s: taken for away %v, want %v (%v)", code, !away, away, err)
		}
	}
}
