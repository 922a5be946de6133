// Package postgres opens pools, migrates schemas and tells database errors apart. Everything a service knows about
// PostgreSQL beyond its own statements is here.
package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Limits of a connection, in PostgreSQL's spelling.
const (
	statementTimeout = "10s" // no statement of ours runs longer than a caller waits
	countTimeout     = "10min"
	idleTimeout      = "15s" // a transaction whose process hangs must not hold its locks
)

// Options of a pool.
type Options struct {
	// Application is shown in pg_stat_activity.
	Application string
	// MaxConns of the pool; 0 means 10.
	MaxConns int32
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
	config.ConnConfig.ConnectTimeout = 3 * time.Second
	config.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithDisableSQLStatementInAttributes())
	for name, value := range map[string]string{
		"application_name": o.Application, "timezone": "UTC", "synchronous_commit": synchronousCommit,
		"statement_timeout": statementTimeout, "idle_in_transaction_session_timeout": idleTimeout,
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
