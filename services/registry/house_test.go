package registry_test

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
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/devclock"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/pkg/service"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry"
)

const (
	domain   = "xinbei.test"
	division = "320411101201"
	village  = "village/320411101201"
	township = "township/320411101000"
	lead     = "civil_affairs"
	station  = "police/320411101000"
	school   = "org/12320411710018221B"
)

const districtDir = "../../districts/xinbei"

// TestMain keeps the services' call lines out of the tests' output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

var xinbei = sync.OnceValues(func() (*district.District, error) { return district.Load(districtDir) })

// house is the registry over its own database, with reporting played by the test and business time steered by the development
// clock.
type house struct {
	*source

	address string
	db      *pgxpool.Pool
	owner   *pgxpool.Pool
	clock   devclockv1.DevClockServiceClient
	ca      *identity.Authority
	dir     string
	desks   sync.Map
}

// newHouse starts it at 09:00 on an ordinary Monday.
func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseOf(t, districtDir)
}

func newHouseOf(t *testing.T, districtDir string) *house {
	t.Helper()
	h := &house{dir: t.TempDir()}
	var err error
	h.ca, err = identity.OpenAuthority(h.dir, domain)
	ok(t, err)
	clock := h.startClock(t)
	h.source = newSource(t, h)
	keyFile := filepath.Join(h.dir, "root.key")
	ok(t, os.WriteFile(keyFile, []byte(hex.EncodeToString(bytes.Repeat([]byte{3}, 32))), 0o600))
	database := pgtest.New(t, registry.Migrations())
	h.db, h.owner = database.Open(t), database.OpenOwner(t)
	_, err = h.owner.Exec(t.Context(), "UPDATE feed_head SET feed_id = gen_random_uuid()") // clones of one template share it
	ok(t, err)
	files := h.files(t, identity.OfService(domain, "registry"))
	listener := listen(t)
	h.address = "passthrough:///" + listener.Addr().String()
	serve(t, func(ctx context.Context) error {
		return registry.Run(ctx, registry.Config{Config: service.Config{
			DatabaseURL: database.AppURL, Certificate: files.Certificate, Key: files.Key, Roots: files.Roots, RootKey: keyFile,
			Peers:  map[string]string{"reporting": h.reporting},
			Shared: service.Shared{DistrictDir: districtDir, Environment: "development", DevClock: clock},
		}}, listener)
	})
	h.awaitMember(t)
	return h
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
	if err != nil {
		t.Fatal(err)
	}
	files, err := leaf.Write(h.dir, uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (h *house) identify(t *testing.T, id identity.Identity) *identity.Source {
	t.Helper()
	loaded, err := identity.Load(h.files(t, id))
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// settle applies what the other services have said and fires what is due.
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

// later moves business time.
func (h *house) later(t *testing.T, by time.Duration) {
	t.Helper()
	_, err := h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{BySeconds: int64(by.Seconds())}})
	ok(t, err)
}

// desk is a unit with its typed clients.
type desk struct {
	registryv1.RegistryServiceClient
	read       registryv1.RegistryReadServiceClient
	feed       registryv1.RegistryFeedServiceClient
	operations registryv1.RegistryOperationsServiceClient
}

// at gives a unit's desk: service_unit or whatever else the district says it is.
func (h *house) at(t *testing.T, unit string) *desk {
	t.Helper()
	return h.as(t, identity.OfUnit(domain, unit, "main"))
}

func (h *house) as(t *testing.T, id identity.Identity) *desk {
	t.Helper()
	if known, ok := h.desks.Load(id.String()); ok {
		return known.(*desk)
	}
	connection := h.dial(t, h.address, "registry", id)
	d := &desk{
		registryv1.NewRegistryServiceClient(connection), registryv1.NewRegistryReadServiceClient(connection),
		registryv1.NewRegistryFeedServiceClient(connection), registryv1.NewRegistryOperationsServiceClient(connection),
	}
	h.desks.Store(id.String(), d)
	return d
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

func keeping(t *testing.T) context.Context {
	return client.For(t.Context(), accessv1.Purpose_PURPOSE_LEDGER_KEEPING)
}

func responding(t *testing.T) context.Context {
	return client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE)
}

func request() string { return uuid.NewString() }

// reasonOf gives the wire reason of a refusal, with its metadata.
func reasonOf(err error) (string, map[string]string) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == fault.Domain {
			return info.GetReason(), info.GetMetadata()
		}
	}
	return "", nil
}

func refused(t *testing.T, err error, want string) map[string]string {
	t.Helper()
	reason, metadata := reasonOf(err)
	if reason != want {
		t.Errorf("refused with %q (%v), want %s", reason, err, want)
	}
	return metadata
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
