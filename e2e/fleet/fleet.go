// Package fleet runs the suite as it runs in production: every part a process of its own, started from the real binary by its environment
// alone, several replicas of each, mutual TLS between them, on a PostgreSQL server of the fleet's own. Only the development clock and
// authority make it a test's.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/lianhu/lianhu/pkg/loopback"
	"github.com/lianhu/lianhu/services/suite"
)

// Services are the five parts of which there are replicas.
var Services = [...]string{"registry", "reporting", "referral", "relief", "gateway"}

// Options of a fleet.
type Options struct {
	// Root of the repository.
	Root string
	// Dir is an empty folder which the fleet may fill.
	Dir string
	// Replicas of each service.
	Replicas int
	// District is the folder of the district package; empty means districts/xinbei.
	District string
	// Tags the command is built with; empty is the release.
	Tags string
	// Environment changes what a process is told, for example to lead a link through a proxy. Nil changes nothing.
	Environment func(name string, replica int, env []string) []string
	// Districts are folders of another district package for some services, by name: a rollout that has gone half way.
	Districts map[string]string
}

// Fleet is the running processes.
type Fleet struct {
	// Home with the certificates.
	Home suite.Home
	// Layout of the addresses.
	Layout suite.Layout
	// Suite counts promises and opens worlds.
	Suite *suite.Suite

	options   Options
	binary    string
	mu        sync.Mutex // of processes, which a drill may restart at the same time
	processes map[string]*Process
}

// Start builds the command, makes databases and certificates, and starts every process. It returns when all of them are ready.
// The processes are killed when ctx is done.
func Start(ctx context.Context, o Options) (f *Fleet, err error) {
	f = &Fleet{options: o, binary: filepath.Join(o.Dir, "lianhu"), processes: map[string]*Process{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Stop())
		}
	}()
	if err := f.build(ctx); err != nil {
		return f, err
	}
	if f.Home, err = suite.OpenHome(filepath.Join(o.Dir, "home")); err != nil {
		return f, err
	}
	if f.Layout, err = layout(o.Replicas); err != nil {
		return f, err
	}
	f.Suite, err = suite.Provision(ctx, suite.Options{Home: f.Home, DistrictDir: cmp.Or(o.District, filepath.Join(o.Root, "districts", "xinbei")), StandStill: true})
	if err != nil {
		return f, err
	}
	if err := f.start(ctx, "clock", 0); err != nil {
		return f, err
	}
	for _, name := range Services {
		for replica := range o.Replicas {
			if err := f.start(ctx, name, replica); err != nil {
				return f, err
			}
		}
	}
	return f, f.awaitReady(ctx)
}

func (f *Fleet) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", f.options.Tags, "-o", f.binary, "./services/suite/cmd/lianhu")
	cmd.Dir = f.options.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build lianhu: %w\n%s", err, out)
	}
	return nil
}

// layout takes free ports of this machine. They are given back before the processes take them.
func layout(replicas int) (suite.Layout, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close() // gives the port back
		}
	}()
	take := func(n int) (addresses []string, err error) {
		for range n {
			l, err := loopback.Listen()
			if err != nil {
				return nil, err
			}
			held = append(held, l)
			addresses = append(addresses, l.Addr().String())
		}
		return addresses, nil
	}
	l := suite.Layout{GRPC: map[string][]string{}}
	for _, name := range Services {
		addresses, err := take(replicas)
		if err != nil {
			return l, err
		}
		l.GRPC[name] = addresses
	}
	rest, err := take(replicas + 1)
	if err != nil {
		return l, err
	}
	l.JSON, l.Clock = rest[:replicas], rest[replicas]
	return l, nil
}

// Gateway is the address of all the gateway's replicas, as for client.Target.
func (f *Fleet) Gateway() string { return strings.Join(f.Layout.GRPC["gateway"], ";") }

// Process answers one replica.
func (f *Fleet) Process(name string, replica int) *Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.processes[name+"-"+strconv.Itoa(replica)]
}

// TraceFiles lists the files of spans that the processes write.
func (f *Fleet) TraceFiles() ([]string, error) {
	return filepath.Glob(filepath.Join(f.options.Dir, "*.trace"))
}

func (f *Fleet) start(ctx context.Context, name string, replica int) error {
	env, err := f.Suite.Environment(f.Layout, name, replica)
	if err != nil {
		return err
	}
	if dir, ok := f.options.Districts[name]; ok {
		env = append(env, "DISTRICT_DIR="+dir) // the last one counts
	}
	id := name + "-" + strconv.Itoa(replica)
	env = append(env, "PATH="+os.Getenv("PATH"), "LIANHU_TRACE_FILE="+filepath.Join(f.options.Dir, id+".trace"))
	if f.options.Environment != nil {
		env = f.options.Environment(name, replica, env)
	}
	p, err := launch(ctx, f.binary, []string{"serve", name}, env, filepath.Join(f.options.Dir, id+".log"))
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.processes[id] = p
	return nil
}

// Restart starts a replica again that has ended, at the address it had, and returns when it is ready. The process outlives ctx, which bounds
// the wait only: Stop ends it.
func (f *Fleet) Restart(ctx context.Context, name string, replica int) error {
	if err := f.start(context.WithoutCancel(ctx), name, replica); err != nil {
		return err
	}
	return f.Suite.AwaitPart(ctx, name, f.Layout.GRPC[name][replica])
}

// RestartDatabase kills PostgreSQL under all services and starts it again.
func (f *Fleet) RestartDatabase(ctx context.Context) error {
	if err := f.Suite.KillDatabase(); err != nil {
		return err
	}
	return f.Suite.StartDatabase(ctx)
}

func (f *Fleet) awaitReady(ctx context.Context) error {
	for _, name := range Services {
		for _, address := range f.Layout.GRPC[name] {
			if err := f.Suite.AwaitPart(ctx, name, address); err != nil {
				return err
			}
		}
	}
	return nil
}

// Terminate asks every process to stop as Kubernetes does and waits until all have. It returns the first that did not end well.
func (f *Fleet) Terminate() error {
	var errs []error
	for _, name := range [...]string{"gateway", "registry", "reporting", "referral", "relief", "clock"} { // the clock last: the others ask it
		for replica := range f.options.Replicas {
			if p := f.Process(name, replica); p != nil {
				errs = append(errs, p.Terminate())
			}
		}
	}
	return errors.Join(errs...)
}

// Stop kills what still runs and stops the database.
func (f *Fleet) Stop() error {
	for _, p := range f.processes {
		p.Kill()
	}
	if f.Suite == nil {
		return nil
	}
	return f.Suite.Close(context.Background())
}
