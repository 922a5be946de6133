package storm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/e2e/fleet"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	"github.com/lianhu/lianhu/services/suite"
)

// replicas of each service and of the gateway.
const replicas = 2

// sources are the dispatch systems: each a certificate of its own.
var sources = [...]string{"dispatch", "dispatch-north", "dispatch-south"}

// world is the running suite with what a storm needs of it.
type world struct {
	*fleet.Fleet
	links    *links
	district *district.District
	places   []place
	clock    devclockv1.DevClockServiceClient
	begun    time.Time // business time when the suite was up

	// data is PostgreSQL's disk; empty when it has none of its own.
	data string

	mu     sync.Mutex
	conns  map[string]*grpc.ClientConn
	closer []func() error
	moved  time.Duration
}

// open starts the suite from the real binary, built with the tags of a twin or none, each link through the proxy.
func open(ctx context.Context, o Options) (w *world, err error) {
	w = &world{conns: map[string]*grpc.ClientConn{}}
	root, dir := o.Root, o.Dir
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	districtDir := filepath.Join(dir, "district")
	if err := moreSources(filepath.Join(root, "districts", "xinbei"), districtDir); err != nil {
		return w, err
	}
	if w.district, err = district.Load(districtDir); err != nil {
		return w, err
	}
	w.places = placesOf(w.district)
	if w.links, err = startLinks(ctx, root, dir); err != nil {
		return w, err
	}
	if o.NoDisk == "" {
		if err := w.mountDisk(dir); err != nil {
			return w, err
		}
	}
	var environment error
	w.Fleet, err = fleet.Start(ctx, fleet.Options{
		Root: root, Dir: dir, Replicas: replicas, District: districtDir, Tags: o.Twin,
		Environment: func(name string, _ int, env []string) []string {
			port, err := w.port(dir)
			for i := range env {
				if err == nil {
					env[i], err = w.links.database(name, env[i], port)
				}
				if err == nil {
					env[i], err = w.links.peers(env[i])
				}
			}
			environment = errors.Join(environment, err)
			return append(env, "LIANHU_TRACE_FILE=") // nobody reads the traces of a storm
		},
	})
	if err := errors.Join(err, environment); err != nil {
		return w, err
	}
	for i, address := range w.Layout.GRPC["gateway"] {
		if _, err := w.links.through("gateway-"+strconv.Itoa(i), address); err != nil {
			return w, err
		}
	}
	for _, system := range sources[1:] {
		if err := w.Home.CertifySystem("police", system); err != nil {
			return w, err
		}
	}
	conn, err := suite.DialClock(w.Home, w.Layout.Clock)
	if err != nil {
		return w, err
	}
	w.closer = append(w.closer, conn.Close)
	w.clock = devclockv1.NewDevClockServiceClient(conn)
	if w.begun, err = w.now(ctx); err != nil {
		return w, err
	}
	return w, w.durable(ctx)
}

// moreSources copies a district and lets it have several dispatch systems.
func moreSources(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	path := filepath.Join(to, "access.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	one := []byte("systems: [dispatch]")
	if !bytes.Contains(content, one) {
		return errors.New("storm: access.yaml does not name the dispatch system where it used to")
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(content, one, []byte("systems: ["+strings.Join(sources[:], ", ")+"]")), 0o600); err != nil {
		return err
	}
	return sharedIncidents(filepath.Join(to, "codes.yaml"))
}

// sharedIncidents lets each of the systems tell of every incident.
func sharedIncidents(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	one := []byte(`shared: ["police:dispatch"]`)
	if !bytes.Contains(content, one) {
		return errors.New("storm: codes.yaml does not say whose incidents are shared where it used to")
	}
	all := make([]string, len(sources))
	for i, system := range sources {
		all[i] = strconv.Quote("police:" + system)
	}
	return os.WriteFile(path, bytes.Replace(content, one, []byte("shared: ["+strings.Join(all, ", ")+"]"), 1), 0o600)
}

// durable refuses to count anything on a server that does not flush.
func (w *world) durable(ctx context.Context) error {
	var fsync, pages string
	err := w.inDatabase(ctx, "postgres", func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT current_setting('fsync'), current_setting('full_page_writes')").Scan(&fsync, &pages)
	})
	if err == nil && (fsync != "on" || pages != "on") {
		err = fmt.Errorf("storm: fsync is %s and full_page_writes is %s: what a crash loses would prove nothing", fsync, pages)
	}
	return err
}

func (w *world) port(dir string) (int, error) {
	content, err := os.ReadFile(filepath.Join(dir, "home", "postgres", "port"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}

// recovery bounds how long PostgreSQL may take to come back after it lost a process.
const recovery = 30 * time.Second

// inDatabase looks into a database as its administrator, past every proxy. Only faults and checkers do.
func (w *world) inDatabase(ctx context.Context, name string, do func(*pgx.Conn) error) error {
	password, err := os.ReadFile(w.Home.Path("postgres", "admin-password"))
	if err != nil {
		return err
	}
	port, err := os.ReadFile(w.Home.Path("postgres", "port"))
	if err != nil {
		return err
	}
	url := fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%s/%s?sslmode=disable", strings.TrimSpace(string(password)), strings.TrimSpace(string(port)), name)
	conn, err := pgx.Connect(ctx, url)
	for end := time.Now().Add(recovery); err != nil && ctx.Err() == nil && time.Now().Before(end); conn, err = pgx.Connect(ctx, url) {
		pause(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return do(conn)
}

// dial gives the connection of a unit to the gateway's replicas, through the proxy.
func (w *world) dial(unit string) (grpc.ClientConnInterface, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if conn, ok := w.conns[unit]; ok {
		return conn, nil
	}
	var addresses []string
	for i := range replicas {
		addresses = append(addresses, w.links.proxies["gateway-"+strconv.Itoa(i)].Listen)
	}
	conn, err := suite.DialGateway(w.Home, strings.Join(addresses, ";"), unit)
	if err == nil {
		w.conns[unit] = conn
	}
	return conn, err
}

// now is business time.
func (w *world) now(ctx context.Context) (time.Time, error) {
	answer, err := w.clock.Now(ctx, &devclockv1.NowRequest{})
	return answer.GetNow().AsTime(), err
}

// advance moves business time and waits until all that follows from it has happened.
func (w *world) advance(ctx context.Context, by time.Duration) (time.Time, error) {
	now, err := w.now(ctx)
	if err != nil {
		return now, err
	}
	answer, err := w.clock.Advance(ctx, &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_To{To: timestamppb.New(now.Add(by))}})
	return answer.GetNow().AsTime(), err
}

func (w *world) close() error {
	var errs []error
	for _, conn := range w.conns {
		errs = append(errs, conn.Close())
	}
	if w.Fleet != nil {
		errs = append(errs, w.Stop())
	}
	for _, c := range w.closer {
		errs = append(errs, c())
	}
	if w.links != nil {
		w.links.stop()
	}
	return errors.Join(errs...)
}

// place is a township with everybody who takes part in a matter there.
type place struct {
	division, village                 string // divisions
	school, station, township, hamlet string // units; hamlet is the village committee
	teacher, constable                string // officers
	supervisor, leader, director      string
}

// placesOf lists the townships that have a school.
func placesOf(d *district.District) (places []place) {
	first := func(unit string) string {
		for _, o := range d.OfficersOf(unit) {
			return o.ID
		}
		return ""
	}
	for _, u := range d.Units() {
		if u.Kind != district.KindSchool || slicesHave(places, u.Division) {
			continue
		}
		p := place{division: u.Division, school: u.ID, station: d.StationFor(u.Division), township: d.TownshipUnit(u.Division)}
		for _, v := range d.Divisions() {
			if unit := d.VillageUnit(v.Code); p.village == "" && unit != "" && d.TownshipOf(v.Code) == u.Division {
				p.village, p.hamlet = v.Code, unit
			}
		}
		officers := d.OfficersOf(p.township)
		if p.village == "" || len(officers) < 2 {
			continue
		}
		p.teacher, p.constable, p.director = first(p.school), first(p.station), first(p.hamlet)
		p.supervisor, p.leader = officers[0].ID, officers[1].ID
		places = append(places, p)
	}
	return places
}

func slicesHave(places []place, division string) bool {
	for _, p := range places {
		if p.division == division {
			return true
		}
	}
	return false
}

// today is a business day.
func today(now time.Time) string { return now.In(calendar.Zone()).Format(time.DateOnly) }
