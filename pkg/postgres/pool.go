// Package postgres opens pools, migrates schemas and tells database errors apart. Everything a service knows about
// PostgreSQL beyond its own statements is here.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What Options leave open.
const (
	connectTimeout   = 10 * time.Second // a server that everybody comes back to at once takes seconds to let one in
	statementTimeout = 10 * time.Second // no statement of ours runs longer than a caller waits
)

// Limits of a connection, in PostgreSQL's spelling.
const (
	countTimeout = "10min"
	idleTimeout  = "15s" // a transaction whose process hangs must not hold its locks
)

// Options of a pool.
type Options struct {
	// Application is shown in pg_stat_activity.
	Application string
	// MaxConns of the pool; 0 means 10.
	MaxConns int32
	// ConnectTimeout is how long one connect may take; 0 means 10 s.
	ConnectTimeout time.Duration
	// StatementTimeout is how long one statement may run; 0 means 10 s.
	StatementTimeout time.Duration
	// RequireTLS refuses a URL that would also connect without TLS, except to this machine itself.
	RequireTLS bool
	// ReadOnly sessions change nothing, whatever their role may do, and have countTimeout for a statement: they look through whole tables, once
	// and without anybody who would try again, so they are also patient in connecting.
	ReadOnly bool
}

// Open makes a pool. It does not connect: a service starts while its database is away and reports not ready. Sessions run
// in UTC with synchronous_commit on, whatever the role's defaults: an acknowledged effect must be on disk.
func Open(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: the database URL is not usable") // pgx would repeat it, password included
	}
	config.MaxConns = o.MaxConns
	if config.MaxConns == 0 {
		config.MaxConns = 10
	}
	if o.RequireTLS && !onlyTLS(config.ConnConfig) {
		return nil, errors.New("postgres: the database URL allows a connection without TLS: set sslmode to require, verify-ca or verify-full")
	}
	config.ConnConfig.ConnectTimeout = cmp.Or(o.ConnectTimeout, connectTimeout)
	config.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithDisableSQLStatementInAttributes())
	for name, value := range map[string]string{
		"application_name": o.Application, "timezone": "UTC", "synchronous_commit": synchronousCommit,
		"statement_timeout": milliseconds(cmp.Or(o.StatementTimeout, statementTimeout)), "idle_in_transaction_session_timeout": idleTimeout,
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	if o.ReadOnly {
		config.ConnConfig.ConnectTimeout = 30 * time.Second
		config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
		config.ConnConfig.RuntimeParams["statement_timeout"] = countTimeout
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: make the pool: %w", Sanitize(err))
	}
	return pool, nil
}

// onlyTLS reports whether every way the URL allows is encrypted or stays on this machine. `prefer`, which is what a URL without sslmode
// means, tries a second connection without TLS after each failed one.
func onlyTLS(c *pgx.ConnConfig) bool {
	if c.TLSConfig == nil && !onThisMachine(c.Host) {
		return false
	}
	return !slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil && !onThisMachine(f.Host) })
}

// onThisMachine reports whether a host of a URL is a socket's folder or an address that no network reaches.
func onThisMachine(host string) bool {
	return strings.HasPrefix(host, "/") || host == "localhost" || net.ParseIP(host).IsLoopback()
}

// milliseconds is a duration in PostgreSQL's spelling.
func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
