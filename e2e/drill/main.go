// Command drill holds the suite to what it promises a dispatch system. A Node client that knows only the published contract pushes
// thousands of updates from four sources, with planted duplicates, disorder, gaps, conflicts and poison, while lines are cut and reporting, the
// gateway and PostgreSQL are killed and started again. Afterwards every incident must be what the client's own fold says, the
// quarantine must hold what was planted and nothing else, and no promise may be broken. `make dispatch-drill` runs it.
package main

import (
	"archive/zip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lianhu/lianhu/e2e/fleet"
)

// replicas of each service: faults leave one, so that some streams move and some wait.
const replicas = 2

// drill is one run.
type drill struct {
	root, proto                string
	seed                       uint64
	updates, incidents, faults int
	out                        io.Writer
}

func main() {
	var d drill
	flag.Uint64Var(&d.seed, "seed", uint64(time.Now().UnixNano())%1_000_000, "repeats the plan and the faults of an earlier drill")
	flag.StringVar(&d.root, "root", ".", "the repository's root")
	flag.StringVar(&d.proto, "proto", "dist/lianhu-proto.zip", "the published contract")
	short := flag.Bool("short", false, "fewer updates and faults")
	flag.Parse()
	d.updates, d.incidents, d.faults, d.out = 20_000, 3_000, 28, os.Stdout
	if *short {
		d.updates, d.incidents, d.faults = 4_000, 600, 7
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := d.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "dispatch drill: FAILED with seed %d: %v\n", d.seed, err)
		os.Exit(1)
	}
}

func (d *drill) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

func (d *drill) run(ctx context.Context) (err error) {
	d.say("dispatch drill: seed %d, %d updates of %d incidents from %d sources, %d faults", d.seed, d.updates, d.incidents, len(units), d.faults)
	dir, err := os.MkdirTemp("", "lianhu-drill-")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := d.start(ctx, dir)
	defer func() {
		if f != nil {
			err = errors.Join(err, f.Stop())
		}
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			d.say("the logs are in %s", dir)
		}
	}()
	if err != nil {
		return err
	}
	began := time.Now()
	c, wires, err := d.prepare(ctx, f, filepath.Join(dir, "proto"))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(d.seed, d.seed))
	found, err := d.push(ctx, c, faults(f, wires, random, d.faults))
	if err != nil {
		return err
	}
	d.say("pushed and read back in %s", time.Since(began).Round(time.Second))
	if err := d.judge(ctx, f, found); err != nil {
		return err
	}
	d.say("dispatch drill: passed")
	return nil
}

// start runs the suite.
func (d *drill) start(ctx context.Context, dir string) (*fleet.Fleet, error) {
	began := time.Now()
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's own user enters it
		return nil, err
	}
	if err := unpack(d.proto, filepath.Join(dir, "proto")); err != nil {
		return nil, err
	}
	f, err := fleet.Start(ctx, fleet.Options{Root: d.root, Dir: dir, Replicas: replicas})
	if err == nil {
		d.say("%d replicas of each part run after %s", replicas, time.Since(began).Round(time.Second))
	}
	return f, err
}

// unpack does what a partner does first.
func unpack(archive, to string) error {
	zipped, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	return errors.Join(os.CopyFS(to, zipped), zipped.Close())
}
