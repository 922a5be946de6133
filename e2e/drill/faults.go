package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/lianhu/lianhu/e2e/fleet"
)

// fault is one thing that goes wrong while updates are pushed.
type fault struct {
	name string
	do   func(ctx context.Context) error
}

// faults gives n of them in random order; each kind comes up before one comes again.
func faults(f *fleet.Fleet, wires []*wire, random *rand.Rand, n int) []fault {
	kinds := []fault{
		{"the line of one source is cut", func(context.Context) error {
			wires[random.IntN(len(wires))].cut()
			return nil
		}},
		{"all lines are cut", func(context.Context) error {
			for _, w := range wires {
				w.cut()
			}
			return nil
		}},
		{"a replica of reporting is killed and started again", func(ctx context.Context) error {
			replica := random.IntN(replicas)
			f.Process("reporting", replica).Kill()
			return f.Restart(ctx, "reporting", replica)
		}},
		{"all replicas of reporting are killed and started again", func(ctx context.Context) error {
			for replica := range replicas {
				f.Process("reporting", replica).Kill()
			}
			for replica := range replicas {
				if err := f.Restart(ctx, "reporting", replica); err != nil {
					return err
				}
			}
			return nil
		}},
		{"PostgreSQL is killed and started again", f.RestartDatabase},
		{"a replica of reporting is drained and started again", func(ctx context.Context) error {
			replica := random.IntN(replicas)
			if err := f.Process("reporting", replica).Terminate(); err != nil {
				return err
			}
			return f.Restart(ctx, "reporting", replica)
		}},
		{"a replica of the gateway is killed and started again", func(ctx context.Context) error {
			replica := random.IntN(replicas)
			f.Process("gateway", replica).Kill()
			return f.Restart(ctx, "gateway", replica)
		}},
	}
	var planned []fault
	for len(planned) < n {
		random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		planned = append(planned, kinds...)
	}
	return planned[:n]
}

// strike brings down the faults, spread evenly over the progress that the client reports, and says each. The client may send what lies a
// little ahead of the fault to come, so that updates are under way when it strikes. It returns when all have been or ctx is done.
func (d *drill) strike(ctx context.Context, planned []fault, reports <-chan progress, release func(share float64) error) error {
	const ahead = 3
	steps := len(planned) + 1
	for i, next := range planned {
		if err := release(min(1, float64(i+ahead)/float64(steps))); err != nil {
			return err
		}
		p, err := awaitProgress(ctx, reports, float64(i+1)/float64(steps))
		if err != nil {
			return err
		}
		d.say("%6d of %d updates are durable: %s", p.Certain, p.Total, next.name)
		if err := next.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", next.name, err)
		}
	}
	return release(1)
}

func awaitProgress(ctx context.Context, reports <-chan progress, share float64) (progress, error) {
	for {
		select {
		case <-ctx.Done():
			return progress{}, ctx.Err()
		case p := <-reports:
			if float64(p.Certain) >= share*float64(p.Total) {
				return p, nil
			}
		}
	}
}
