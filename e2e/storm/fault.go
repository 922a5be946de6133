package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Plan lists the faults of one pass, by lane: a lane strikes one at a time, the lanes beside each other. Each is shuffled by the seed.
type Plan [][]Fault

// Fault is something that is done to the suite and healed again before Strike returns.
type Fault struct {
	// Kind for the list at the end.
	Kind string
	// Strike does it.
	Strike func(ctx context.Context, s *Storm, r *rand.Rand) error
}

// Whole is every kind of fault, kills n times for each service, the gateway and PostgreSQL. Kills come first: what a short storm has no time
// for is something else, and said.
func Whole(n int) Plan {
	processes := func(names ...string) (lane []Fault) {
		for range n {
			for _, name := range names {
				lane = append(lane, Kill(name))
			}
		}
		for _, name := range names {
			lane = append(lane, hold(name))
		}
		return append(lane, roll(names...))
	}
	var database, links []Fault
	for range n {
		database = append(database, KillDatabase(), killBackend())
	}
	for range n {
		database, links = append(database, stopBackend()), append(links, jump())
	}
	for _, kind := range []string{"reset", "cut", "half-open", "delay"} {
		links = append(links, link(kind, "gateway-"), link(kind, "service-"), link(kind, "database-"))
	}
	return Plan{processes("registry", "reporting", "referral"), processes("relief", "gateway"), append(database, fullDisk(), holdDatabase(), snapshot()), append(links, foreign())}
}

// strike runs the plan, again and again until the round's time is over.
func (s *Storm) strike(ctx context.Context, r *rand.Rand) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	end := time.Now().Add(s.Round)
	errs := make(chan error, len(s.Plan))
	for _, lane := range s.Plan {
		random := rand.New(rand.NewPCG(r.Uint64(), r.Uint64())) //nolint:gosec // a seeded plan needs no secrecy
		go func() { errs <- s.lane(ctx, lane, random, end) }()
	}
	var all []error
	for range s.Plan {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// lane strikes its faults one after the other: in their order first, so that the kills are done, later in any order.
func (s *Storm) lane(ctx context.Context, lane []Fault, r *rand.Rand, end time.Time) error {
	for pass := 0; ; pass++ {
		order := r.Perm(len(lane))
		if pass == 0 {
			slices.Sort(order)
		}
		for _, i := range order {
			f := lane[i]
			if s.late() && !strings.HasPrefix(f.Kind, "kill") {
				s.skip(f.Kind, "no time was left")
				continue
			}
			pause(ctx, time.Duration(300+r.IntN(700))*time.Millisecond)
			if err := f.Strike(ctx, s, r); err != nil {
				return fmt.Errorf("storm: %s: %w", f.Kind, err)
			}
		}
		if !time.Now().Before(end) {
			return nil
		}
	}
}

// late reports whether a short storm has no time for more than its kills.
func (s *Storm) late() bool { return s.Limit > 0 && s.history.now() > s.Limit }

// skip notes that a kind of fault was not run, and why.
func (s *Storm) skip(kind, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done.Struck[kind] == 0 {
		s.done.NotRun[kind] = why
	}
}

// Kill ends a replica by SIGKILL and starts it again.
func Kill(name string) Fault {
	kind := "kill " + name
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		replica := s.mortal(r)
		s.struck(kind, strconv.Itoa(replica))
		s.world.Process(name, replica).Kill()
		pause(ctx, time.Duration(r.IntN(500))*time.Millisecond)
		return s.restart(ctx, name, replica)
	}}
}

// mortal draws a replica that may end. In a soak the first one lives, so that what it gathers is seen.
func (s *Storm) mortal(r *rand.Rand) int {
	if s.Soak {
		return 1 + r.IntN(replicas-1)
	}
	return r.IntN(replicas)
}

// restart starts a replica again. It may have to wait for a database that another lane has taken away.
func (s *Storm) restart(ctx context.Context, name string, replica int) (err error) {
	for range 3 {
		if err = s.world.Restart(ctx, name, replica); err == nil || ctx.Err() != nil {
			return err
		}
		s.world.Process(name, replica).Kill()
	}
	return err
}

// hold stops a replica's process for a while: it is there and does nothing.
func hold(name string) Fault {
	kind := "stop " + name
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		replica := r.IntN(replicas)
		s.struck(kind, strconv.Itoa(replica))
		p := s.world.Process(name, replica)
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		pause(ctx, time.Duration(1500+r.IntN(3000))*time.Millisecond)
		return p.Signal(syscall.SIGCONT)
	}}
}

// roll restarts every replica of some services in the orderly way of an upgrade, under load.
func roll(names ...string) Fault {
	const kind = "rolling restart"
	return Fault{kind, func(ctx context.Context, s *Storm, _ *rand.Rand) error {
		s.struck(kind, strings.Join(names, " "))
		for _, name := range names {
			for replica := range replicas {
				if s.Soak && replica == 0 {
					continue
				}
				s.checked("restart.graceful", 1)
				if err := s.world.Process(name, replica).Terminate(); err != nil {
					s.report("restart.graceful", err.Error())
				}
				if err := s.restart(ctx, name, replica); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

// KillDatabase ends PostgreSQL, all of its processes at once, by SIGKILL, and starts it again.
func KillDatabase() Fault {
	const kind = "kill postgresql"
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		s.struck(kind, "")
		if err := s.world.Suite.KillDatabase(); err != nil {
			return err
		}
		pause(ctx, time.Duration(r.IntN(1000))*time.Millisecond)
		return s.world.Suite.StartDatabase(ctx)
	}}
}

// holdDatabase stops the postmaster: whoever is connected works on, nobody new comes in.
func holdDatabase() Fault {
	const kind = "stop postmaster"
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		pid, err := s.world.postmaster()
		if err != nil {
			return err
		}
		s.struck(kind, "")
		return stopFor(ctx, pid, time.Duration(1000+r.IntN(2000))*time.Millisecond)
	}}
}

// killBackend ends one server process of PostgreSQL, upon which it throws out all the others and recovers.
func killBackend() Fault {
	const kind = "kill backend"
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		pid, err := s.world.backend(ctx, r)
		if err != nil || pid == 0 {
			return err
		}
		s.struck(kind, "")
		return ignoreGone(syscall.Kill(pid, syscall.SIGKILL))
	}}
}

// stopBackend holds one server process, with whatever locks and open transaction it has.
func stopBackend() Fault {
	const kind = "stop backend"
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		pid, err := s.world.backend(ctx, r)
		if err != nil || pid == 0 {
			return err
		}
		s.struck(kind, "")
		return stopFor(ctx, pid, time.Duration(300+r.IntN(1500))*time.Millisecond)
	}}
}

func stopFor(ctx context.Context, pid int, d time.Duration) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return ignoreGone(err)
	}
	pause(ctx, d)
	return ignoreGone(syscall.Kill(pid, syscall.SIGCONT))
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

func (w *world) postmaster() (int, error) {
	content, err := os.ReadFile(w.Home.Path("postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	return strconv.Atoi(first)
}

// backend picks a server process of a service; 0 when there is none just now.
func (w *world) backend(ctx context.Context, r *rand.Rand) (pid int, err error) {
	err = w.inDatabase(ctx, "postgres", func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE datname LIKE 'lianhu%' AND pid <> pg_backend_pid() ORDER BY backend_start")
		if err != nil {
			return err
		}
		pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err == nil && len(pids) > 0 {
			pid = pids[r.IntN(len(pids))]
		}
		return err
	})
	return pid, err
}

// link spoils one of the links whose name begins so, and mends it again.
func link(how, prefix string) Fault {
	kind := how + " " + strings.TrimSuffix(prefix, "-") + " link"
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		p := s.world.links.pick(prefix, r)
		s.struck(kind, p.Name)
		mend := func() error { return p.RemoveToxic(how) }
		var err error
		switch how {
		case "cut":
			err, mend = p.Disable(), p.Enable
		case "delay":
			_, err = p.AddToxic(how, "latency", "downstream", 1, toxiproxy.Attributes{"latency": 20 + r.IntN(150), "jitter": 20})
		case "half-open": // nothing passes any more and nobody is told
			_, err = p.AddToxic(how, "timeout", "downstream", 1, toxiproxy.Attributes{"timeout": 0})
		case "reset": // in the middle of a message
			_, err = p.AddToxic(how, "limit_data", "downstream", 1, toxiproxy.Attributes{"bytes": 500 + r.IntN(20_000)})
		}
		if err != nil {
			return err
		}
		pause(ctx, time.Duration(1000+r.IntN(2500))*time.Millisecond)
		return mend()
	}}
}

// pick draws a proxy whose name begins so.
func (l *links) pick(prefix string, r *rand.Rand) *toxiproxy.Proxy {
	var names []string
	for name := range l.proxies {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the seed picks the same one again
	return l.proxies[names[r.IntN(len(names))]]
}

// foreign holds a writing transaction open in a database that is none of the suite's.
func foreign() Fault {
	return held("foreign transaction", "postgres", "SELECT pg_current_xact_id()", pgx.ReadCommitted)
}

// snapshot holds a repeatable-read snapshot open in a service's database.
func snapshot() Fault {
	return held("held snapshot", "lianhu_reporting", "SELECT count(*) FROM feed", pgx.RepeatableRead)
}

func held(kind, database, sql string, level pgx.TxIsoLevel) Fault {
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		s.struck(kind, "")
		err := s.world.inDatabase(ctx, database, func(c *pgx.Conn) error {
			tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
			pause(ctx, time.Duration(3000+r.IntN(3000))*time.Millisecond)
			return nil
		})
		return err
	}}
}

// jump moves business time forward by some hours. It does not wait for members that are down; the end of the round does.
func jump() Fault {
	const kind = "jump of business time"
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		by := time.Duration(1+r.IntN(30)) * time.Hour
		if s.world.moved += by; s.world.moved > 40*24*time.Hour { // a soak does not outlast the years that have budgets
			by = time.Hour
		}
		s.struck(kind, by.String())
		bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := s.world.advance(bounded, by)
		if ctx.Err() == nil && (bounded.Err() != nil || status.Code(err) == codes.DeadlineExceeded) {
			return nil // time has moved; who was down follows later
		}
		return err
	}}
}

// settle waits until every process is up and everything has followed.
func (s *Storm) settle(ctx context.Context) (time.Time, error) {
	bounded, cancel := context.WithTimeout(ctx, s.patience(restWithin))
	defer cancel()
	for {
		now, err := s.world.advance(bounded, 0)
		if err == nil {
			return now, nil
		}
		if bounded.Err() != nil { // a finding like any other: what is stored is looked at all the same
			s.report("suite.rests", fmt.Sprintf("healed, it does not come to rest: %v", err))
			return s.world.now(ctx)
		}
		pause(bounded, time.Second)
	}
}
