package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lianhu/lianhu/pkg/postgres/embedded"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
)

// Running is a suite that serves, as it is written down in its home.
type Running struct {
	// PID of the process.
	PID int `json:"pid"`
	// GRPC and JSON are the gateway's addresses, Clock the development clock's.
	GRPC  string `json:"grpc"`
	JSON  string `json:"json"`
	Clock string `json:"clock"`
}

// announce writes down that the suite serves; withdraw takes it back.
func (s *Suite) announce() (withdraw func(), err error) {
	path := s.options.Home.Path("running.json")
	content, err := json.Marshal(Running{os.Getpid(), s.GRPC, s.JSON, s.Clock})
	if err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(path) }, os.WriteFile(path, append(content, '\n'), 0o644)
}

// Running answers the suite that serves from this home; ok is false when none does.
func (h Home) Running() (r Running, ok bool) {
	content, err := os.ReadFile(h.Path("running.json"))
	if err != nil || json.Unmarshal(content, &r) != nil {
		return Running{}, false
	}
	return r, r.PID > 0 && !errors.Is(syscall.Kill(r.PID, 0), syscall.ESRCH)
}

// Down asks the suite of this home to stop and waits until it has, its PostgreSQL too: whoever starts the next one finds nothing of it.
func (h Home) Down(ctx context.Context) error {
	r, ok := h.Running()
	if !ok {
		return errors.New("no suite is running here")
	}
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", r.PID, err)
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, serving := h.Running()
		gone := errors.Is(syscall.Kill(r.PID, 0), syscall.ESRCH) // a server that outlives it was somebody else's
		if !serving && (gone || !embedded.Running(h.Path("postgres"))) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d has not stopped yet: %w", r.PID, ctx.Err())
		case <-ticker.C:
		}
	}
}

// Elsewhere answers a suite whose databases are all named by the variables of its services: one on a cluster, of which nothing is started
// and no home is needed. clock is the address of its development clock, empty in production. missing names the variables that are not set;
// while there are any, there is no suite. meant tells that some are set, and not as those that a home's own suite is given, with an owner's
// beside: whoever set them does not mean the suite of a home.
func Elsewhere(o Options, clock string) (s *Suite, missing []string, meant bool) {
	s = &Suite{options: o, Clock: clock, databases: map[string]urls{}}
	for _, db := range databases() {
		u := urls{app: os.Getenv(variable(db.name))}
		_, given := external(db.name)
		meant = meant || u.app != "" && !given
		if u.app == "" {
			missing = append(missing, variable(db.name))
		}
		s.databases[db.name] = u
	}
	if len(missing) > 0 {
		return nil, missing, meant
	}
	return s, nil, meant
}

// Attach answers a suite that serves from a home in another process, for its promises and its clock.
func Attach(ctx context.Context, o Options) (*Suite, error) {
	r, ok := o.Home.Running()
	if !ok {
		return nil, errors.New("no suite is running here; start one with: lianhu up")
	}
	if s, _, _ := Elsewhere(o, r.Clock); s != nil {
		s.GRPC, s.JSON = r.GRPC, r.JSON
		return s, nil
	}
	cluster, err := embedded.Start(ctx, embedded.Config{Dir: o.Home.Path("postgres")}) // it runs, so this only connects
	if err != nil {
		return nil, err
	}
	s := &Suite{options: o, GRPC: r.GRPC, JSON: r.JSON, Clock: r.Clock, databases: map[string]urls{}}
	for _, db := range databases() {
		u, given := external(db.name)
		if !given {
			if u, err = o.Home.create(ctx, cluster.AdminURL(), db.name); err != nil {
				return nil, err
			}
		}
		s.databases[db.name] = u
	}
	return s, nil
}

// Now asks the suite's clock for the business time. Without a development clock it is the machine's.
func (s *Suite) Now(ctx context.Context) (time.Time, error) {
	if s.Clock == "" {
		return time.Now(), nil
	}
	conn, err := DialClock(s.options.Home, s.Clock)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = conn.Close() }() // the answer is there already
	answer, err := devclockv1.NewDevClockServiceClient(conn).Now(ctx, &devclockv1.NowRequest{})
	return answer.GetNow().AsTime(), err
}

// NextRun numbers the runs of journeys in a home, from 1.
func (h Home) NextRun() (uint64, error) {
	path := h.Path("runs")
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	last, _ := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
	return last + 1, os.WriteFile(path, fmt.Appendln(nil, last+1), 0o644)
}
