package reporting_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/service"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting"
)

const (
	domain   = "xinbei.test"
	district = "../../districts/xinbei"
)

func keyFile(t *testing.T, name, digit string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Repeat(digit, 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The whole process, as it runs in service: configured, over both databases, ready while the services it follows are away.
func TestTheServiceRunsAndSaysWhatItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority, err := identity.OpenAuthority(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	files := func(id identity.Identity, name string) identity.Files {
		leaf, err := authority.Issue(id, "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		files, err := leaf.Write(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	own := files(identity.OfService(domain, reporting.Name), "own")
	config := reporting.Config{
		Config: service.Config{
			DatabaseURL: pgtest.New(t, reporting.Migrations()).AppURL, Certificate: own.Certificate, Key: own.Key, Roots: own.Roots,
			RootKey: keyFile(t, "root", "7"), Peers: map[string]string{"registry": "127.0.0.1:1", "referral": "127.0.0.1:1"},
			Shared: service.Shared{DistrictDir: district, Environment: "development"},
		},
		VaultDatabaseURL: pgtest.New(t, reporting.VaultMigrations()).AppURL, VaultRootKey: keyFile(t, "vault", "9"),
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- reporting.Run(ctx, config, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	source, err := identity.Load(files(identity.OfUnit(domain, "civil_affairs", "main"), "caller"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial(listener.Addr().String(), client.Options{Identity: source, Peer: identity.OfService(domain, reporting.Name)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	waiting, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	health, err := grpc_health_v1.NewHealthClient(conn).Check(waiting, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", health, err)
	}
	got, err := reportingv1.NewReportingReadServiceClient(conn).GetVersion(waiting, &reportingv1.GetVersionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if v := got.GetVersion(); v.GetService() != reporting.Name || v.GetDistrictCode() != "320411" || len(v.GetContractDigest()) != 64 || v.GetSchemaVersion() < 101 {
		t.Errorf("version %v", v)
	}
}
