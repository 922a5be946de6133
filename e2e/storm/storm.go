// Package storm kills, cuts and floods the real suite while honest clients work with it, and counts what was lost, doubled or left to
// nobody. The suite runs as separate processes on a PostgreSQL that flushes; clients know its gateway and its contract alone. A seed fixes
// what each client asks and which fault strikes in which order; how they interleave is the machine's.
package storm

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// answerWithin bounds the wait for open answers once every fault is healed; then no answer is a finding.
const answerWithin = 45 * time.Second

// restWithin bounds the wait for everything to follow after the last answer; then a suite that does not rest is a finding.
const restWithin = 90 * time.Second

// twinPatience bounds both with a broken twin, which need not come to rest to be caught.
const twinPatience = 8 * time.Second

// Options of a storm.
type Options struct {
	// Root of the repository, Dir an empty folder for everything the storm writes.
	Root, Dir string
	// Seed of clients and faults.
	Seed uint64
	// Rounds of load, each checked at its end, and how long a round lasts at least; 0 is once through the plan of faults.
	Rounds int
	Round  time.Duration
	// Soak lets the first replica of everything live, and finds memory or backlog that grow from round to round.
	Soak bool
	// Plan of faults. After Limit only its kills are done; 0 is no limit.
	Plan  Plan
	Limit time.Duration
	// Twin is the build tag of a broken twin; empty is the release.
	Twin string
	// Break is done to the databases of a twin before the load, by name; Wanted are the checkers that are to find it. The first finding of
	// one of them ends the storm.
	Break  map[string]string
	Wanted []string
	// NoDisk says why PostgreSQL has no disk of the storm's own, which it could fill; empty when it is to have one.
	NoDisk string
	// Progress gets a line now and then; Terminal has it rewritten in place.
	Progress io.Writer
	Terminal bool
}

// Finding is a broken promise.
type Finding struct {
	// Checker that found it, named after the promise it guards.
	Checker string
	// Text for people.
	Text string
}

// Report of a storm.
type Report struct {
	// Acknowledged operations in all, and between the first and the last kill.
	Acknowledged, BetweenKills int
	// Refused operations in all.
	Refused int
	// Struck counts each kind of fault; NotRun says why a kind was not.
	Struck map[string]int
	NotRun map[string]string
	// Checked counts what each checker looked at.
	Checked map[string]int64
	// Levels of a soak, by round.
	Levels []Level
	// Findings, at most a few of each checker.
	Findings []Finding
}

// Storm is a running one.
type Storm struct {
	Options
	world     *world
	history   *history
	incidents *incidents

	// clients work, followers listen until after the last answer.
	clients, followers sync.WaitGroup
	following          context.Context

	// settled are the payments that each return file of the bank settles, by its digest; balances what each account held at the last check.
	settled  map[string][]string
	balances map[string]balance

	sources     []*source
	subscribers []*subscriber

	mu           sync.Mutex
	done         Report
	found        map[string]int
	lastKillAt   int // acknowledged operations at the last kill
	firstKillAt  int
	killed       bool
	clientsBegun int
}

// Run raises a storm and answers what it found. An error means that the storm itself could not be held.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	s := &Storm{Options: o, found: map[string]int{}, settled: map[string][]string{}, done: Report{Struck: map[string]int{}, NotRun: map[string]string{}, Checked: map[string]int64{}}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.tell("starting the suite")
	if s.world, err = open(ctx, o); err != nil {
		return nil, err
	}
	defer func() { _ = s.world.close() }() // what still runs is killed; the counting is over
	if s.history, err = newHistory(filepath.Join(o.Dir, "history.jsonl")); err != nil {
		return nil, err
	}
	defer func() {
		if closed := s.history.close(); err == nil {
			err = closed
		}
	}()
	for database, sql := range o.Break {
		if err := s.world.inDatabase(ctx, database, func(c *pgx.Conn) error { _, err := c.Exec(ctx, sql); return err }); err != nil {
			return nil, err
		}
	}
	s.incidents = &incidents{versions: map[string]int64{}}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { s.watch(watching) })
	defer watch.Wait()
	defer stop()
	following, unfollow := context.WithCancel(ctx)
	defer s.followers.Wait()
	defer unfollow()
	s.following = following
	s.follow()
	for round := range max(o.Rounds, 1) {
		if err := s.round(ctx, round); err != nil {
			return nil, err
		}
		if len(s.done.Findings) > 0 {
			break
		}
	}
	if o.Soak {
		s.flat()
	}
	s.done.Acknowledged, s.done.Refused = s.history.acknowledged(), s.history.counts[Refused]
	s.done.BetweenKills = s.lastKillAt - s.firstKillAt
	return &s.done, nil
}

// round loads the suite while the faults strike, lets everything come to rest, and checks.
func (s *Storm) round(ctx context.Context, round int) error {
	load, calm := context.WithCancel(ctx)
	defer calm()
	answers, giveUp := context.WithCancel(ctx)
	defer giveUp()
	before := s.history.acknowledged()
	s.load(load, answers)
	var backlog []int64
	var gathering sync.WaitGroup
	if s.Soak {
		gathering.Go(func() { backlog = s.gather(load) })
	}
	if err := s.strike(ctx, rand.New(rand.NewPCG(s.Seed, uint64(1000+round)))); err != nil { //nolint:gosec // a seeded plan needs no secrecy
		return err
	}
	s.tell("waiting for the last answers")
	calm()
	timer := time.AfterFunc(s.patience(answerWithin), giveUp)
	s.clients.Wait()
	timer.Stop()
	gathering.Wait()
	resting := s.history.now()
	now, err := s.settle(ctx)
	if err != nil {
		return err
	}
	if s.Soak {
		if err := s.level(s.history.acknowledged()-before, s.history.now()-resting, backlog); err != nil {
			return err
		}
	}
	s.tell("checking")
	return s.check(ctx, now)
}

// patience is how long to wait for what should happen within d.
func (s *Storm) patience(d time.Duration) time.Duration {
	if len(s.Wanted) > 0 {
		return min(d, twinPatience)
	}
	return d
}

// caught reports whether a checker that is to find the twin has done so.
func (s *Storm) caught() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.Wanted, func(checker string) bool { return s.found[checker] > 0 })
}

// load starts the clients.
func (s *Storm) load(load, answers context.Context) {
	begin := func(name string, n int, work func(*Storm, *actor)) {
		for i := range n {
			a := s.actor(load, answers, fmt.Sprintf("%s-%d", name, i))
			s.clients.Go(func() { work(s, a) })
		}
	}
	begin("matters", 6, matters)
	begin("applications", 3, applications)
	begin("batches", 2, batches)
	begin("children", 4, children)
	if len(s.sources) > 0 { // a later round: each system goes on with the numbers it has
		for _, c := range s.sources {
			c.resume(s.actor(load, answers, c.name))
		}
		return
	}
	for _, system := range sources {
		s.sources = append(s.sources, dispatch(s, s.actor(load, answers, "source-"+system), system))
	}
}

// follow starts the subscribers: whole feeds as units see them, and some by type or kind.
func (s *Storm) follow() {
	begin := func(area, unit string, filter *feedv1.Filter) {
		a := s.actor(s.following, s.following, "subscriber-"+area+"-"+unit)
		s.subscribers = append(s.subscribers, subscribe(s, a, area, unit, filter))
	}
	for _, p := range s.world.places[:min(3, len(s.world.places))] {
		begin("reporting", p.station, nil)
		begin("reporting", p.township, &feedv1.Filter{SubjectKinds: []string{"assessment"}})
		begin("referral", p.township, nil)
		begin("relief", p.township, nil)
		begin("registry", p.hamlet, nil)
	}
	begin("relief", "finance", &feedv1.Filter{SubjectKinds: []string{"payment", "batch"}})
	begin("referral", "youth_league", &feedv1.Filter{Types: []string{"referral.accepted", "referral.delivered"}})
}

// actor makes a client with numbers of its own.
func (s *Storm) actor(load, answers context.Context, name string) *actor {
	s.clientsBegun++
	random := rand.New(rand.NewPCG(s.Seed, uint64(s.clientsBegun))) //nolint:gosec // a seeded client needs no secrecy
	return &actor{name: name, dial: s.world.dial, told: s.history, working: load, ctx: answers, random: random}
}

// report notes a broken promise; of many of one kind only the first few are kept.
func (s *Storm) report(checker, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found[checker]++
	if s.found[checker] <= 3 {
		s.done.Findings = append(s.done.Findings, Finding{checker, text})
	}
}

// checked counts what a checker has looked at.
func (s *Storm) checked(checker string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done.Checked[checker] += n
}

// struck notes that a fault strikes.
func (s *Storm) struck(kind, what string) {
	acknowledged := s.history.acknowledged()
	s.history.fault(strings.TrimSpace(kind + " " + what))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done.Struck[kind]++
	delete(s.done.NotRun, kind)
	if strings.HasPrefix(kind, "kill") {
		if !s.killed {
			s.killed, s.firstKillAt = true, acknowledged
		}
		s.lastKillAt = acknowledged
	}
}

// tell writes a line of progress.
func (s *Storm) tell(text string) {
	if s.Progress == nil {
		return
	}
	if s.Terminal {
		_, _ = fmt.Fprintf(s.Progress, "\r\033[K%s", text)
		return
	}
	_, _ = fmt.Fprintln(s.Progress, text)
}

// watch tells how the storm goes: each second on a terminal, else each half minute.
func (s *Storm) watch(ctx context.Context) {
	every := 30 * time.Second
	if s.Terminal {
		every = time.Second
	}
	for ctx.Err() == nil {
		pause(ctx, every)
		s.mu.Lock()
		faults := 0
		for _, n := range s.done.Struck {
			faults += n
		}
		findings := len(s.done.Findings)
		s.mu.Unlock()
		if ctx.Err() == nil {
			s.tell(fmt.Sprintf("%4.0fs  %d acknowledged  %d faults  %d findings", s.history.now().Seconds(), s.history.acknowledged(), faults, findings))
		}
	}
}

// Kinds lists the kinds of faults of a report, those that were not run included.
func (r *Report) Kinds() []string {
	kinds := map[string]bool{}
	for kind := range r.Struck {
		kinds[kind] = true
	}
	for kind := range r.NotRun {
		kinds[kind] = true
	}
	var out []string
	for kind := range kinds {
		out = append(out, kind)
	}
	slices.Sort(out)
	return out
}
