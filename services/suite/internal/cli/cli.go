// Package cli is the `lianhu` command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/pkg/telemetry"
	"github.com/lianhu/lianhu/services/suite"
)

// Default addresses of the gateway in development.
const (
	defaultGRPC = "127.0.0.1:7443"
	defaultJSON = "127.0.0.1:7444"
)

// errBroken is why a demo ends with status 1 although everything ran.
var errBroken = errors.New("a promise is broken")

// Command is the whole command tree.
func Command() *cli.Command {
	return &cli.Command{
		Name:    "lianhu",
		Usage:   "joint protection of children across the units of a district",
		Version: service.BuildVersion() + ", contract " + service.ContractDigest("reporting")[:12],
		Action:  unknown,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "home", Value: ".lianhu", Usage: "folder for cluster, certificates and keys", Sources: cli.EnvVars("LIANHU_HOME")},
			&cli.StringFlag{Name: "district", Value: "districts/xinbei", Usage: "folder of the district package", Sources: cli.EnvVars("DISTRICT_DIR")},
		},
		Commands: []*cli.Command{
			upCommand(), runCommand(), demoCommand(),
			serveCommand(), migrateCommand(), feedCommand(), opsCommand(), promisesCommand(), dispatchCommand(), doctorCommand(), clockCommand(), downCommand(),
		},
	}
}

// unknown is the action of a command that holds others: without it a misspelt one would be taken for a topic of the help.
func unknown(_ context.Context, c *cli.Command) error {
	if name := c.Args().First(); name != "" {
		return fmt.Errorf("no command is called %q; %s --help lists them", name, c.FullName())
	}
	return cli.ShowSubcommandHelp(c)
}

func gatewayFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "grpc", Value: defaultGRPC, Usage: "address of the gateway for gRPC"},
		&cli.StringFlag{Name: "json", Value: defaultJSON, Usage: "address of the gateway for JSON over HTTPS"},
		&cli.StringFlag{Name: "admin-url", Usage: "administrator's URL of a PostgreSQL server to use instead of the embedded one", Sources: cli.EnvVars("LIANHU_ADMIN_URL")},
	}
}

func options(c *cli.Command, progress io.Writer) (suite.Options, error) {
	home, err := suite.OpenHome(c.String("home"))
	return suite.Options{
		Home: home, DistrictDir: c.String("district"), GRPC: c.String("grpc"), JSON: c.String("json"), AdminURL: c.String("admin-url"), Progress: progress,
	}, err
}

// quiet sends the log to a file of the home: on a terminal the timeline matters.
func quiet(home suite.Home) (closer func(), err error) {
	file, err := os.OpenFile(home.Path("lianhu.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	slog.SetDefault(telemetry.NewLogger(file, slog.LevelInfo))
	return func() { _ = file.Close() }, nil // a log line that is lost at the very end is lost
}

func upCommand() *cli.Command {
	return &cli.Command{
		Name: "up", Usage: "run all services on this machine until interrupted", Flags: gatewayFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			return start(ctx, c, false, func(_ context.Context, s *suite.Suite, o suite.Options) error {
				endpoints(c.Root().Writer, s, o.Home)
				return nil
			})
		},
	}
}

func runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "run all services, play whole matters, and stay up", Flags: append(gatewayFlags(), journeyFlag()),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := playable(c); err != nil {
				return err
			}
			return start(ctx, c, false, func(ctx context.Context, s *suite.Suite, o suite.Options) error {
				if err := play(ctx, c, s, o.Home); err != nil {
					return err
				}
				endpoints(c.Root().Writer, s, o.Home)
				return nil
			})
		},
	}
}

func demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "play whole matters, count the five promises, exit; the status tells",
		Flags: append(gatewayFlags(), journeyFlag()),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := playable(c); err != nil {
				return err
			}
			o, err := options(c, c.Root().Writer)
			if err != nil {
				return err
			}
			if _, ok := o.Home.Running(); ok {
				s, err := suite.Attach(ctx, o)
				if err != nil {
					return err
				}
				return play(ctx, c, s, o.Home)
			}
			return start(ctx, c, true, func(ctx context.Context, s *suite.Suite, o suite.Options) error {
				if err := play(ctx, c, s, o.Home); err != nil {
					return err
				}
				return suite.Stop()
			})
		},
	}
}

// start brings a suite up, calls ready when it answers, and keeps it until ctx is done or ready says stop.
func start(ctx context.Context, c *cli.Command, standStill bool, ready func(context.Context, *suite.Suite, suite.Options) error) (err error) {
	o, err := options(c, c.Root().Writer)
	if err != nil {
		return err
	}
	o.StandStill = standStill
	if r, ok := o.Home.Running(); ok {
		return fmt.Errorf("a suite is running here already (process %d, gRPC %s); stop it with: lianhu down", r.PID, r.GRPC)
	}
	closer, err := quiet(o.Home)
	if err != nil {
		return err
	}
	defer closer()
	s, err := suite.Prepare(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	return service.Traced(ctx, "lianhu", func(ctx context.Context) error {
		return s.Run(ctx, func(ctx context.Context) error { return ready(ctx, s, o) })
	})
}

func endpoints(w io.Writer, s *suite.Suite, home suite.Home) {
	_, _ = fmt.Fprintf(w, `
Lianhu is up.
  gRPC          %s
  JSON          https://%s   (/openapi.json)
  trust         %s
  certificates  %s   (one per unit; .p12 password: %s)
  log           %s
  stop          Ctrl-C, or: lianhu down
`, s.GRPC, s.JSON, home.Path("ca", "ca.pem"), home.Path("certificates"), suite.P12Password, home.Path("lianhu.log"))
}

func downCommand() *cli.Command {
	return &cli.Command{
		Name: "down", Usage: "stop the suite that runs from this home",
		Action: func(ctx context.Context, c *cli.Command) error {
			home, err := suite.OpenHome(c.String("home"))
			if err != nil {
				return err
			}
			bounded, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			return home.Down(bounded)
		},
	}
}
