package relief_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/devclock"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/pkg/service"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	"github.com/lianhu/lianhu/services/relief"
)

const (
	domain   = "xinbei.test"
	village  = "village/320411101201"
	township = "township/320411101000"
	lead     = "civil_affairs"
	finance  = "finance"

	// Officers of the district by what their titles allow.
	supervisor, leader = "township-320411101000-1", "township-320411101000-2"
	preparer           = "finance-2"
	first, second      = "finance-3", "civil_affairs-5"
	third              = "finance-4"

	// The programme and the township of the tests' money.
	programme, town = "templief_fast", "320411101000"
)

const districtDir = "../../districts/xinbei"

// TestMain keeps the services' call lines out of the tests' output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// house is the relief service over its own database, with referral played by the test and business time steered by the
// development clock.
type house struct {
	*source
	*registrar

	address      string
	clockAddress string
	db           *pgxpool.Pool
	owner        *pgxpool.Pool
	database     *pgtest.DB
	clock        devclockv1.DevClockServiceClient
	ca           *identity.Authority
	dir          string
	district     string
	rootKey      string
	desks        sync.Map
}

// newHouse starts it at 09:00 on an ordinary Monday.
func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseIn(t, districtDir)
}

// newHouseIn starts it by another district's data.
func newHouseIn(t *testing.T, district string) *house {
	t.Helper()
	h := &house{dir: t.TempDir(), district: district}
	h.furnish(t)
	h.clockAddress = h.startClock(t)
	h.address = h.replica(t)
	h.awaitMember(t)
	return h
}

// replica starts the service, or starts it once more, by the development clock.
func (h *house) replica(t *testing.T) (address string) {
	t.Helper()
	return h.start(t, service.Shared{DistrictDir: h.district, Environment: "development", DevClock: h.clockAddress})
}

// furnish makes everything but the service and its clock.
func (h *house) furnish(t *testing.T) {
	t.Helper()
	var err error
	h.ca, err = identity.OpenAuthority(h.dir, domain)
	ok(t, err)
	h.source = newSource(t, h)
	h.registrar = newRegistrar(t, h)
	h.rootKey = filepath.Join(h.dir, "root.key")
	ok(t, os.WriteFile(h.rootKey, []byte(hex.EncodeToString(bytes.Repeat([]byte{3}, 32))), 0o600))
	h.database = pgtest.New(t, relief.Migrations())
	h.db, h.owner = h.database.Open(t), h.database.OpenOwner(t)
	_, err = h.owner.Exec(t.Context(), "UPDATE feed_head SET feed_id = gen_random_uuid()") // clones of one template share it
	ok(t, err)
}

// start runs a replica of the service over the house's database.
func (h *house) start(t *testing.T, shared service.Shared) (address string) {
	t.Helper()
	files := h.files(t, identity.OfService(domain, "relief"))
	listener := listen(t)
	serve(t, func(ctx context.Context) error {
		return relief.Run(ctx, relief.Config{Config: service.Config{
			DatabaseURL: h.database.AppURL, Certificate: files.Certificate, Key: files.Key, Roots: files.Roots, RootKey: h.rootKey,
			Peers: map[string]string{"referral": h.referral, "registry": h.registrar.address}, Shared: shared,
		}}, listener)
	})
	return "passthrough:///" + listener.Addr().String()
}

func (h *house) startClock(t *testing.T) (address string) {
	t.Helper()
	clock, err := devclock.Open(devclock.Config{File: filepath.Join(h.dir, "clock.json"), Start: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)})
	ok(t, err)
	s, err := server.New(server.Config{
		Identity: h.identify(t, identity.OfService(domain, "devclock")), Now: time.Now, OpenActions: devclock.Actions(), Drain: []func(){clock.Drain},
	})
	ok(t, err)
	devclockv1.RegisterDevClockServiceServer(s, clock)
	listener := listen(t)
	serve(t, clock.Run)
	serve(t, func(ctx context.Context) error { return s.Serve(ctx, listener) })
	address = "passthrough:///" + listener.Addr().String()
	h.clock = devclockv1.NewDevClockServiceClient(h.dial(t, address, "devclock", identity.OfUnit(domain, "operations", "main")))
	return address
}

// awaitMember waits until the clock waits for the service.
func (h *house) awaitMember(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		now, err := h.clock.Now(ctx, &devclockv1.NowRequest{})
		ok(t, err)
		if now.GetMembers() > 0 {
			return
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	return listener
}

// serve runs something for the life of the test.
func serve(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var group errgroup.Group
	group.Go(func() error { return run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
}

func (h *house) now(t *testing.T) time.Time {
	t.Helper()
	now, err := h.clock.Now(t.Context(), &devclockv1.NowRequest{})
	ok(t, err)
	return now.GetNow().AsTime()
}

func (h *house) files(t *testing.T, id identity.Identity) identity.Files {
	t.Helper()
	leaf, err := h.ca.Issue(id, "127.0.0.1")
	ok(t, err)
	files, err := leaf.Write(h.dir, uuid.NewString())
	ok(t, err)
	return files
}

func (h *house) identify(t *testing.T, id identity.Identity) *identity.Source {
	t.Helper()
	loaded, err := identity.Load(h.files(t, id))
	ok(t, err)
	return loaded
}

// settle applies what referral has said and fires what is due.
func (h *house) settle(t *testing.T) {
	t.Helper()
	ok(t, h.sequencer.Drain(t.Context()))
	_, err := h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{}})
	ok(t, err)
}

// pass moves business time to an item's deadline and fires it.
func (h *house) pass(t *testing.T, s *custodyv1.Standing) {
	t.Helper()
	_, err := h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_To{To: s.GetDeadline()}})
	ok(t, err)
}

func (h *house) dial(t *testing.T, address, peer string, id identity.Identity) *grpc.ClientConn {
	t.Helper()
	connection, err := client.Dial(address, client.Options{
		Identity: h.identify(t, id), Peer: identity.OfService(domain, peer), AsService: id.Service != "", Timeout: 30 * time.Second,
	})
	ok(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
