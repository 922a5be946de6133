package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/devclock"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/gateway"
	"github.com/lianhu/lianhu/services/referral"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/relief"
	"github.com/lianhu/lianhu/services/reporting"
	"github.com/lianhu/lianhu/services/suite"
)

// part makes the process of one service out of how it is configured and how it runs.
func part[C any](configure func() (C, error), run func(context.Context, C) error) func(context.Context) error {
	return func(ctx context.Context) error {
		config, err := configure()
		if err != nil {
			return err
		}
		return run(ctx, config)
	}
}

// parts are the processes of a suite, each configured by its environment.
func parts() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		registry.Name:  part(registry.ConfigFromEnv, func(ctx context.Context, c registry.Config) error { return registry.Run(ctx, c, nil) }),
		reporting.Name: part(reporting.ConfigFromEnv, func(ctx context.Context, c reporting.Config) error { return reporting.Run(ctx, c, nil) }),
		referral.Name:  part(referral.ConfigFromEnv, func(ctx context.Context, c referral.Config) error { return referral.Run(ctx, c, nil) }),
		relief.Name:    part(relief.ConfigFromEnv, func(ctx context.Context, c relief.Config) error { return relief.Run(ctx, c, nil) }),
		gateway.Name:   part(gateway.ConfigFromEnv, func(ctx context.Context, c gateway.Config) error { return gateway.Run(ctx, c, nil, nil) }),
		"clock":        serveClock,
	}
}

func serveCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "run one part of the suite, configured by its environment", ArgsUsage: "registry|reporting|referral|relief|gateway|clock",
		Description: "Variables begin with the part's name, for example REGISTRY_DATABASE_URL; docs/operating.md lists them.",
		Action: func(ctx context.Context, c *cli.Command) error {
			name := c.Args().First()
			run, ok := parts()[name]
			if !ok {
				return unknownPart(name)
			}
			return service.Traced(ctx, name, run)
		},
	}
}

func unknownPart(name string) error {
	var names []string
	for known := range parts() {
		names = append(names, known)
	}
	slices.Sort(names)
	return fmt.Errorf("no part is called %q; choose one of %v", name, names)
}

func migrateCommand() *cli.Command {
	return &cli.Command{
		Name: "migrate", Usage: "bring the database of one service to the newest version", ArgsUsage: "registry|reporting|referral|relief",
		Description: "The owner role's URL comes from <NAME>_OWNER_DATABASE_URL; for reporting also from VAULT_OWNER_DATABASE_URL.",
		Action: func(ctx context.Context, c *cli.Command) error {
			return suite.Migrate(ctx, c.Args().First())
		},
	}
}

// clockConfig is read from variables that begin with CLOCK_.
type clockConfig struct {
	Listen      string `env:"LISTEN" envDefault:"127.0.0.1:7445"`
	Certificate string `env:"CERTIFICATE_FILE,required"`
	Key         string `env:"KEY_FILE,required"`
	Roots       string `env:"ROOTS_FILE,required"`
	File        string `env:"FILE,required"`
	StandStill  bool   `env:"STAND_STILL"`
}

// serveClock runs the development clock as a process of its own.
func serveClock(ctx context.Context) error {
	var config clockConfig
	var shared service.Shared
	if err := service.ParseConfig("CLOCK", &config, &shared); err != nil {
		return err
	}
	if shared.Production() {
		return errors.New("the clock steers business time and is for development only; set LIANHU_ENVIRONMENT=development")
	}
	source, err := identity.Load(identity.Files{Certificate: config.Certificate, Key: config.Key, Roots: config.Roots})
	if err != nil {
		return err
	}
	clock, err := devclock.Open(devclock.Config{File: config.File, Running: !config.StandStill})
	if err != nil {
		return err
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", config.Listen)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return clock.Run(ctx) })
	group.Go(func() error { return suite.ServeClock(ctx, source, clock, listener) })
	return group.Wait()
}
