package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/journey"
)

// journeys is the folder below which each journey has its own.
const journeys = "e2e/journeys"

func journeyFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "journey", Usage: "journey to play, by name below " + journeys + " or by the path of its folder; again for more; all of them without"}
}

// playable refuses journeys that cannot be read before anything is started for them.
func playable(c *cli.Command) error {
	_, err := journey.LoadAll(journeys, c.StringSlice("journey")...)
	return err
}

// play plays the journeys one after the other on a suite that answers, tells them as they happen, and counts the promises.
func play(ctx context.Context, c *cli.Command, s *suite.Suite, home suite.Home) error {
	w := c.Root().Writer
	all, err := journey.LoadAll(journeys, c.StringSlice("journey")...)
	if err != nil {
		return err
	}
	d, err := district.Load(c.String("district"))
	if err != nil {
		return err
	}
	seed, err := home.NextRun()
	if err != nil {
		return err
	}
	if seed > 1 {
		_, _ = fmt.Fprintf(w, "Run %d on this data: new people are invented.\n", seed)
	}
	placeholders(w, d)
	world, closer, err := s.World(seed)
	if err != nil {
		return err
	}
	defer closer()
	world.Told = func(t journey.Told) { tell(w, d, t) }
	for _, j := range all {
		_, _ = fmt.Fprintf(w, "\n%s · %s\n", j.ZH, j.EN)
		if _, err := j.Play(ctx, world); err != nil {
			return err
		}
	}
	now, err := world.Advance(ctx, 0)
	if err != nil {
		return err
	}
	counts, err := s.Promises(ctx, now)
	if err != nil {
		return err
	}
	return report(w, counts)
}

// placeholders names what nobody could confirm, so that no figure of the demo is taken for the district's.
func placeholders(w io.Writer, d *district.District) {
	count := map[string]int{}
	for _, p := range d.Placeholders() {
		count[p.File]++
	}
	for _, file := range slices.Sorted(maps.Keys(count)) {
		_, _ = fmt.Fprintf(w, "  placeholder, not confirmed by anybody: %d in %s; `lianhu doctor` lists them\n", count[file], file)
	}
}

// tell prints one line of the timeline.
func tell(w io.Writer, d *district.District, t journey.Told) {
	who := t.Step.As
	if unit, ok := d.Unit(who); ok {
		who = unit.ZH
	}
	if who == "" {
		who = "·"
	}
	_, _ = fmt.Fprintf(w, "%2d/%d  %s  %s  %s — %s\n", t.Number, t.Of, t.Now.In(calendar.Zone()).Format("01-02 15:04"), who, t.Step.ZH, t.Step.EN)
	if t.Refused != "" {
		_, _ = fmt.Fprintf(w, "       refused, as it must be: %s\n", t.Refused)
	}
	standing, _ := t.Answer["standing"].(map[string]any)
	if standing == nil {
		return
	}
	text := func(key string) string { s, _ := standing[key].(string); return s }
	state, _ := t.Answer["state"].(string)
	line := "       " + strings.TrimPrefix(state, "STATE_")
	if holder := text("holder"); holder != "" {
		line += ", held by " + holder
	} else {
		line += ", closed"
	}
	if to := text("offered_to"); to != "" {
		line += ", offered to " + to
	}
	if deadline, err := time.Parse(time.RFC3339, text("deadline")); err == nil {
		line += ", until " + deadline.In(calendar.Zone()).Format("01-02 15:04") + " (" + text("clock") + ")"
	}
	_, _ = fmt.Fprintln(w, line)
}

// report prints the counts by promise and fails when one is broken.
func report(w io.Writer, counts []suite.Counted) error {
	names := []string{"", "no unowned moment", "nothing lost, nothing twice", "no look without a reason", "every decision explains itself", "money adds up"}
	broken := false
	_, _ = fmt.Fprintln(w, "\nThe five promises, counted over all databases:")
	for number := 1; number < len(names); number++ {
		var checked, violations int64
		var culprits []string
		for _, c := range counts {
			if c.Promise != number {
				continue
			}
			checked += c.Checked
			violations += c.Violations
			if c.Violations > 0 {
				culprits = append(culprits, fmt.Sprintf("%s %s: %d", c.Service, c.Name, c.Violations))
				for _, where := range c.Where {
					culprits = append(culprits, "  "+where)
				}
			}
		}
		_, _ = fmt.Fprintf(w, "  %d  %-30s %d violations in %d checked\n", number, names[number], violations, checked)
		for _, culprit := range culprits {
			_, _ = fmt.Fprintln(w, "       ", culprit)
		}
		broken = broken || violations > 0
	}
	if broken {
		return errBroken
	}
	return nil
}
