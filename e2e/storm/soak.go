package storm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/e2e/fleet"
)

// backlogEvery is how often the backlog is looked at under load.
const backlogEvery = 2 * time.Second

// Level is what the suite has gathered by the end of a round.
type Level struct {
	// Acknowledged operations of the round.
	Acknowledged int
	// Memory (bytes resident, at rest) of the first replica of each service, which a soak lets live.
	Memory map[string]int64
	// Backlog counts changes that wait for the feed and events that wait for a follower, over all services: half of the time it was no
	// higher than Median.
	Median, Most int64
	// Rest is how long everything took to follow after the last answer.
	Rest time.Duration
}

// gather looks at the backlog until ctx ends and gives what it saw. A database that is away has no backlog to tell of.
func (s *Storm) gather(ctx context.Context) (seen []int64) {
	for pause(ctx, backlogEvery); ctx.Err() == nil; pause(ctx, backlogEvery) {
		if n, err := s.backlog(ctx); err == nil {
			seen = append(seen, n)
		}
	}
	return seen
}

// backlog counts what waits at this moment.
func (s *Storm) backlog(ctx context.Context) (n int64, err error) {
	heads := map[string]int64{} // of a feed, by its id
	through := map[string][]int64{}
	for _, area := range areas {
		err := s.world.inDatabase(ctx, "lianhu_"+area, func(c *pgx.Conn) error {
			var id string
			var head, waiting int64
			if err := c.QueryRow(ctx, "SELECT feed_id::text, seq, (SELECT count(*) FROM outbox) FROM feed_head").Scan(&id, &head, &waiting); err != nil {
				return err
			}
			heads[id] = head
			n += waiting
			rows, err := c.Query(ctx, "SELECT feed_id::text, through FROM follower WHERE feed_id IS NOT NULL")
			if err != nil {
				return err
			}
			var of string
			var position int64
			_, err = pgx.ForEachRow(rows, []any{&of, &position}, func() error {
				through[of] = append(through[of], position)
				return nil
			})
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	for feed, positions := range through {
		for _, p := range positions {
			n += max(0, heads[feed]-p)
		}
	}
	return n, nil
}

// level notes what the suite has gathered when a round has come to rest.
func (s *Storm) level(acknowledged int, rest time.Duration, backlog []int64) error {
	l := Level{Acknowledged: acknowledged, Memory: map[string]int64{}, Rest: rest}
	if slices.Sort(backlog); len(backlog) > 0 {
		l.Median, l.Most = backlog[len(backlog)/2], backlog[len(backlog)-1]
	}
	for _, name := range fleet.Services {
		bytes, err := resident(s.world.Process(name, 0).ID())
		if err != nil {
			return err
		}
		l.Memory[name] = bytes
	}
	s.done.Levels = append(s.done.Levels, l)
	return nil
}

// resident reads a process's memory.
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kilobytes, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("storm: the kernel does not tell a process's memory")
}

// How much the last third of a soak's rounds may have more than the third before it: more than noise, less than a leak that matters in a week.
const (
	memoryGrowth, memorySlack = 1.15, 8 << 20 // bytes
	lagGrowth, lagSlack       = 2.0, 100      // changes and events
)

// flat holds the last third of the rounds against the third before it; the first third warms up.
func (s *Storm) flat() {
	third := len(s.done.Levels) / 3
	if third == 0 {
		return
	}
	mean := func(levels []Level, of func(Level) int64) (sum float64) {
		for _, l := range levels {
			sum += float64(of(l)) / float64(len(levels))
		}
		return sum
	}
	grown := func(what string, growth, slack float64, of func(Level) int64) {
		n := len(s.done.Levels)
		before, after := mean(s.done.Levels[n-2*third:n-third], of), mean(s.done.Levels[n-third:], of)
		if after > before*growth+slack {
			s.report("soak.flat", fmt.Sprintf("%s has grown from %.0f to %.0f", what, before, after))
		}
		s.checked("soak.flat", 1)
	}
	for _, name := range fleet.Services {
		grown("the memory of "+name, memoryGrowth, memorySlack, func(l Level) int64 { return l.Memory[name] })
	}
	grown("the backlog", lagGrowth, lagSlack, func(l Level) int64 { return l.Median })
}
