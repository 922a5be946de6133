// Command storm raises a storm over the suite and exits 0 when every promise was kept:
//
//	storm [-seed N] [-short | -soak DURATION | -twin TAG | -twins]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lianhu/lianhu/e2e/storm"
)

// roundLength of a storm that is no short one, soakRound that of a soak.
const roundLength, soakRound = 10 * time.Minute, 5 * time.Minute

// diskFor is how long a disk in memory lasts.
const diskFor = time.Hour

// shortLimit is when a short storm leaves out what is no kill, so that it ends within its two minutes.
const shortLimit = 60 * time.Second

func main() {
	noDisk := storm.Apart()
	if err := interruptible(os.Args[1:], noDisk); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

func interruptible(args []string, noDisk error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, args, noDisk, os.Stdout, os.Stderr)
}

func run(ctx context.Context, args []string, noDisk error, out, progress io.Writer) error {
	flags := flag.NewFlagSet("storm", flag.ContinueOnError)
	seed := flags.Uint64("seed", 0, "seed of clients and faults; 0 draws one")
	short := flags.Bool("short", false, "once through the plan of faults, within two minutes")
	soak := flags.Duration("soak", 0, "go on for so long, in rounds of five minutes, and hold memory and backlog to their level")
	twin := flags.String("twin", "", "raise the storm over this broken twin, which must be caught")
	list := flags.Bool("twins", false, "list the twins")
	keep := flags.Bool("keep", false, "keep history and logs of a storm that found nothing, too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *list {
		_, err := fmt.Fprintln(out, strings.Join(storm.TwinTags(), "\n"))
		return err
	}
	if *seed == 0 {
		*seed = rand.Uint64() >> 1
	}
	dir, err := os.MkdirTemp("", "lianhu-storm-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's own user must get in
		return err
	}
	o := storm.Options{Root: ".", Dir: dir, Seed: *seed, Rounds: 1, Plan: storm.Whole(3), Progress: progress, Terminal: terminal(progress)}
	if noDisk != nil {
		o.NoDisk = noDisk.Error()
	}
	replay := fmt.Sprintf("make storm SEED=%d", *seed)
	switch {
	case *twin != "":
		return catch(ctx, o, *twin, out)
	case *short:
		o.Limit = shortLimit
		replay += " SHORT=1"
	case *soak > 0:
		o.Soak, o.Rounds, o.Round = true, max(1, int(*soak/soakRound)), min(soakRound, *soak)
		if *soak > diskFor {
			o.NoDisk = "a disk in memory has no room for more than " + diskFor.String()
		}
		replay += " SOAK=" + soak.String()
	default:
		o.Round = roundLength
	}
	report, err := storm.Run(ctx, o)
	if err != nil {
		return fmt.Errorf("%w\nhistory and logs: %s\nagain: %s", err, dir, replay)
	}
	tell(out, report)
	if len(report.Findings) > 0 {
		return fmt.Errorf("%d findings\nhistory and logs: %s\nagain: %s", len(report.Findings), dir, replay)
	}
	_, _ = fmt.Fprintf(out, "ok: every promise kept (seed %d)\n", *seed)
	if *keep {
		_, _ = fmt.Fprintln(out, "history and logs:", dir)
		return nil
	}
	return os.RemoveAll(dir)
}

// tell lists what was done, what was looked at and what was found.
func tell(out io.Writer, r *storm.Report) {
	_, _ = fmt.Fprintf(out, "\n%d operations acknowledged, %d of them between the first and the last kill; %d refused\n", r.Acknowledged, r.BetweenKills, r.Refused)
	for _, kind := range r.Kinds() {
		if why, ok := r.NotRun[kind]; ok {
			_, _ = fmt.Fprintf(out, "  NOT RUN  %s: %s\n", kind, why)
			continue
		}
		_, _ = fmt.Fprintf(out, "  %7d  %s\n", r.Struck[kind], kind)
	}
	var names []string
	for name := range r.Checked {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		_, _ = fmt.Fprintf(out, "  checked %8d  %s\n", r.Checked[name], name)
	}
	for i, l := range r.Levels {
		_, _ = fmt.Fprintf(out, "  round %2d  %6d acknowledged; backlog %d half of the time, %d at most; at rest after %.1f s; memory MiB:", i+1, l.Acknowledged, l.Median, l.Most, l.Rest.Seconds())
		for _, name := range slices.Sorted(maps.Keys(l.Memory)) {
			_, _ = fmt.Fprintf(out, " %s %d", name, l.Memory[name]>>20)
		}
		_, _ = fmt.Fprintln(out)
	}
	for _, f := range r.Findings {
		_, _ = fmt.Fprintf(out, "  FOUND  %s: %s\n", f.Checker, f.Text)
	}
}

// catch raises a short storm over a twin and fails when its checker finds nothing.
func catch(ctx context.Context, o storm.Options, tag string, out io.Writer) error {
	twin, ok := storm.FindTwin(tag)
	if !ok {
		return fmt.Errorf("no twin is called %q; there are %s", tag, strings.Join(storm.TwinTags(), ", "))
	}
	o.Plan, o.Break, o.Wanted = twin.Plan, twin.Break, twin.Caught
	if !twin.Schema {
		o.Twin = twin.Tag
	}
	if twin.Rounds > 0 {
		o.Soak, o.Rounds = true, twin.Rounds
	}
	begun := time.Now()
	report, err := storm.Run(ctx, o)
	if err != nil {
		return errors.Join(err, fmt.Errorf("history and logs: %s", o.Dir))
	}
	for _, f := range report.Findings {
		if slices.Contains(twin.Caught, f.Checker) {
			_, _ = fmt.Fprintf(out, "caught  %s in %.0f s by %s: %s\n", tag, time.Since(begun).Seconds(), f.Checker, f.Text)
			return os.RemoveAll(o.Dir)
		}
	}
	tell(out, report)
	return fmt.Errorf("the twin %s was not caught by any of %s (seed %d, history and logs: %s)", tag, strings.Join(twin.Caught, ", "), o.Seed, o.Dir)
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
