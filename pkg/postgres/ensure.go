package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// appGroup is the role that migrations grant to; every application role is a member. Databases stay apart by CONNECT.
const appGroup = "lianhu_app"

// Access names a database and its two roles.
type Access struct {
	// Database, for example `lianhu_registry`.
	Database string
	// Owner may change the schema; App may not.
	Owner, App string
	// OwnerPassword and AppPassword are set each time Ensure runs.
	OwnerPassword, AppPassword string
}

// Ensure makes roles and database as they should be, over the administrator's URL. It may run any number of times and
// from several processes at once.
func Ensure(ctx context.Context, adminURL string, a Access) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("postgres: connect as administrator: %w", Sanitize(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	// CREATE ROLE and CREATE DATABASE have no IF NOT EXISTS that holds in a race.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('lianhu ensure'))"); err != nil {
		return fmt.Errorf("postgres: wait for another setup: %w", Sanitize(err))
	}
	if err := ensureRoles(ctx, conn, a); err != nil {
		return err
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", a.Database).Scan(&there); err != nil {
		return Sanitize(err)
	}
	database, owner, app := quote(a.Database), quote(a.Owner), quote(a.App)
	if !there {
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8'", database, owner)); err != nil {
			return fmt.Errorf("postgres: create database %s: %w", a.Database, Sanitize(err))
		}
	}
	for _, s := range []string{
		fmt.Sprintf("REVOKE ALL ON DATABASE %s FROM PUBLIC", database),
		fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s, %s", database, owner, app),
	} {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("postgres: grant on %s: %w", a.Database, Sanitize(err))
		}
	}
	return nil
}

func ensureRoles(ctx context.Context, conn *pgx.Conn, a Access) error {
	roles := []struct{ name, options string }{
		{appGroup, "NOLOGIN"},
		{a.Owner, "LOGIN PASSWORD " + literal(a.OwnerPassword)},
		{a.App, "LOGIN PASSWORD " + literal(a.AppPassword)},
	}
	for _, r := range roles {
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", r.name).Scan(&there); err != nil {
			return Sanitize(err)
		}
		verb := "CREATE"
		if there {
			verb = "ALTER"
		}
		if _, err := conn.Exec(ctx, fmt.Sprintf("%s ROLE %s %s", verb, quote(r.name), r.options)); err != nil {
			return fmt.Errorf("postgres: role %s: %w", r.name, Sanitize(err))
		}
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("GRANT %s TO %s", appGroup, quote(a.App))); err != nil {
		return fmt.Errorf("postgres: grant to %s: %w", a.App, Sanitize(err))
	}
	return nil
}

// URL gives the address of a database for a role, on the server of another URL.
func URL(serverURL, database, user, password string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return "", fmt.Errorf("postgres: the server URL is not usable")
	}
	u.User, u.Path = url.UserPassword(user, password), "/"+database
	return u.String(), nil
}

// Password makes a new password of 26 letters and digits.
func Password() string { return rand.Text() }

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
