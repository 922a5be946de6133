package service

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/lianhu/lianhu/pkg/postgres"
)

// Config of one process. Every variable is read once, at start; one that is missing, malformed or misspelt stops it.
type Config struct {
	// DatabaseURL of the service's database, as its application role.
	DatabaseURL string `env:"DATABASE_URL,required"`
	// MaxConns of the pool.
	MaxConns int32 `env:"MAX_CONNS" envDefault:"10"`
	// ConnectTimeout is how long one connect to the database may take.
	ConnectTimeout time.Duration `env:"CONNECT_TIMEOUT" envDefault:"10s"`
	// StatementTimeout is how long one statement may run.
	StatementTimeout time.Duration `env:"STATEMENT_TIMEOUT" envDefault:"10s"`
	// Listen is the gRPC address.
	Listen string `env:"LISTEN" envDefault:":8443"`
	// HealthListen is the address of plaintext health checks, for whoever runs the process; empty means none.
	HealthListen string `env:"HEALTH_LISTEN"`
	// Certificate, Key and Roots are PEM files; they may be replaced while the process runs.
	Certificate string `env:"CERTIFICATE_FILE,required"`
	Key         string `env:"KEY_FILE,required"`
	Roots       string `env:"ROOTS_FILE,required"`
	// RootKey is the file of the key from which indexes, digests and tokens are derived; 64 hexadecimal digits.
	RootKey string `env:"ROOT_KEY_FILE,required"`
	// Peers are the addresses of the services read from, `name=address`, comma separated; an address is as for client.Target.
	Peers map[string]string `env:"PEERS" envKeyValSeparator:"="`
	// Shared is the same for all processes of a suite.
	Shared Shared `env:"-"`
}

// Shared is what all processes of a suite have in common; its variables carry no service's prefix.
type Shared struct {
	// DistrictDir is the folder of the district package.
	DistrictDir string `env:"DISTRICT_DIR,required"`
	// Environment is `production` or `development`; only the latter accepts the development authority and clock.
	Environment string `env:"LIANHU_ENVIRONMENT" envDefault:"production"`
	// DevClock is the address of the development clock; empty means the machine's time.
	DevClock string `env:"DEV_CLOCK_ADDR"`
}

// ownerDatabase is the setting of `lianhu migrate`, after the service's prefix.
const ownerDatabase = "OWNER_DATABASE_URL"

// Production reports whether real people's matters are handled here.
func (s Shared) Production() bool { return s.Environment != "development" }

// Database are the options of the process's pool of its own database.
func (c Config) Database(application string) postgres.Options {
	return postgres.Options{
		Application: application, MaxConns: c.MaxConns, ConnectTimeout: c.ConnectTimeout, StatementTimeout: c.StatementTimeout,
		RequireTLS: c.Shared.Production(),
	}
}

// ParseConfig reads the configuration of a service from the environment: variables `<PREFIX>_…` and the shared ones. Into may
// be a struct of the service's own that embeds Config. A variable with the prefix that no field takes is an error: it is a
// setting that somebody believes to be in force. What `lianhu migrate` takes for a service with a database is known here and not used, so that
// one file of settings serves both.
func ParseConfig[C any](prefix string, into *C, shared *Shared) error {
	prefix += "_"
	if err := env.ParseWithOptions(into, env.Options{Prefix: prefix}); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := env.Parse(shared); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if e := shared.Environment; e != "production" && e != "development" {
		return fmt.Errorf("configuration: LIANHU_ENVIRONMENT is %q; it is production or development", e)
	}
	if shared.Production() && shared.DevClock != "" {
		return fmt.Errorf("configuration: DEV_CLOCK_ADDR is for development only")
	}
	params, err := env.GetFieldParamsWithOptions(into, env.Options{Prefix: prefix})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	takes := func(name string) bool {
		return slices.ContainsFunc(params, func(p env.FieldParams) bool { return p.Key == name })
	}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		migrates := name == prefix+ownerDatabase && takes(prefix+"DATABASE_URL")
		if strings.HasPrefix(name, prefix) && !takes(name) && !migrates {
			return fmt.Errorf("configuration: %s is set, but there is no such setting", name)
		}
	}
	return nil
}
