package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/urfave/cli/v3"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/postgres/embedded"
	"github.com/lianhu/lianhu/services/suite"
)

// leastDisk is the free space below which the doctor warns, in bytes.
const leastDisk = 2 << 30

// maxClockDifference between this process and PostgreSQL before the doctor warns.
const maxClockDifference = 2 * time.Second

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "look at clock, PostgreSQL, disk, certificates, ports and district, and say what is not right",
		Flags: gatewayFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			o, err := options(c, io.Discard)
			if err != nil {
				return err
			}
			d := &doctor{w: c.Root().Writer}
			d.district(o.DistrictDir)
			d.disk(o.Home)
			d.certificates(o.Home)
			d.postgres(ctx, o)
			d.ports(ctx, o)
			if d.wrong > 0 {
				return fmt.Errorf("%d findings need attention", d.wrong)
			}
			return nil
		},
	}
}

// doctor writes findings; wrong counts those that keep the suite from working.
type doctor struct {
	w     io.Writer
	wrong int
}

func (d *doctor) line(mark, format string, args ...any) {
	_, _ = fmt.Fprintf(d.w, "%-5s %s\n", mark, fmt.Sprintf(format, args...))
}

func (d *doctor) ok(format string, args ...any)   { d.line("ok", format, args...) }
func (d *doctor) warn(format string, args ...any) { d.line("warn", format, args...) }
func (d *doctor) fail(format string, args ...any) {
	d.wrong++
	d.line("FAIL", format, args...)
}

func (d *doctor) district(dir string) {
	loaded, err := district.Load(dir)
	if err != nil {
		d.fail("district: %v", err)
		return
	}
	d.ok("district %s %s, digest %s", loaded.ZH(), loaded.Version(), loaded.Digest()[:16])
	for _, p := range loaded.Placeholders() {
		d.warn("placeholder: %s (%s); production refuses to pay on it", p.What, p.File)
	}
	d.ok("%d lengths and amounts are the district's own defaults, not law", len(loaded.Defaults()))
	for _, warning := range loaded.Warnings(calendar.Today(time.Now())) {
		d.warn("district: %s", warning)
	}
}

func (d *doctor) disk(home suite.Home) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(home.Path(), &stat); err != nil {
		d.fail("disk: %v", err)
		return
	}
	free := stat.Bavail * uint64(stat.Bsize) //nolint:gosec // a block size is positive
	if free < leastDisk {
		d.fail("disk: %d MiB free in %s; PostgreSQL stops when it is full", free>>20, home.Path())
		return
	}
	d.ok("disk: %d MiB free", free>>20)
}

func (d *doctor) certificates(home suite.Home) {
	paths, err := filepath.Glob(home.Path("certificates", "*.pem"))
	if err != nil || len(paths) == 0 {
		d.warn("certificates: none yet; `lianhu up` makes them")
		return
	}
	bad := 0
	for _, path := range paths {
		base := strings.TrimSuffix(path, ".pem")
		source, err := identity.Load(identity.Files{Certificate: path, Key: base + ".key", Roots: home.Path("ca", identity.RootsFile)})
		if err == nil {
			err = source.Check()
		}
		if err != nil {
			bad++
			d.fail("certificate %s: %v", filepath.Base(path), err)
		}
	}
	d.ok("certificates: %d of %d are good", len(paths)-bad, len(paths))
}

func (d *doctor) postgres(ctx context.Context, o suite.Options) {
	bin, err := embedded.Find(ctx, d.w)
	if err != nil {
		d.fail("%v", err)
		return
	}
	version, err := embedded.Version(ctx, bin)
	if err != nil {
		d.fail("%v", err)
		return
	}
	d.ok("PostgreSQL %s in %s", version, bin)
	url := o.AdminURL
	if url == "" && embedded.Running(o.Home.Path("postgres")) {
		cluster, err := embedded.Start(ctx, embedded.Config{Dir: o.Home.Path("postgres")})
		if err != nil {
			d.fail("%v", err)
			return
		}
		url = cluster.AdminURL()
	}
	if url == "" {
		d.ok("PostgreSQL is not running now")
		return
	}
	if err := d.settings(ctx, url); err != nil {
		d.fail("PostgreSQL: %v", err)
	}
}

// settings compares what durability and silence depend on, and the two clocks.
func (d *doctor) settings(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return errors.New("the server does not answer")
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for name, want := range map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "log_error_verbosity": "terse"} {
		var have string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&have); err != nil {
			return err
		}
		if have != want {
			d.fail("PostgreSQL: %s is %s; it must be %s", name, have, want)
			continue
		}
		d.ok("PostgreSQL: %s is %s", name, have)
	}
	var theirs time.Time
	if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&theirs); err != nil {
		return err
	}
	if apart := time.Since(theirs).Abs(); apart > maxClockDifference {
		d.fail("clock: PostgreSQL's clock is %s away from this machine's", apart.Round(time.Millisecond))
		return nil
	}
	d.ok("clock: PostgreSQL's and this machine's agree")
	return nil
}

func (d *doctor) ports(ctx context.Context, o suite.Options) {
	if r, ok := o.Home.Running(); ok {
		d.ok("ports: a suite is running here: gRPC %s, JSON %s", r.GRPC, r.JSON)
		return
	}
	var config net.ListenConfig
	for _, address := range []string{o.GRPC, o.JSON} {
		l, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			d.fail("port: %v; choose another with --grpc and --json", err)
			continue
		}
		_ = l.Close()
		d.ok("port %s is free", address)
	}
}
