package fleet_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/e2e/fleet"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/suite"
)

// A service that works by another edition of the district package shows it in its version, and the service that reads from it raises the
// alarm without being asked.
func TestTwoEditionsOfTheDistrictAreAnAlarm(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	other := filepath.Join(dir, "other-edition")
	if err := os.CopyFS(other, os.DirFS(filepath.Join(root, "districts", "xinbei"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(other, "district.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(content, []byte("version: 2026.1\n"), []byte("version: 2026.99\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, fleet.Options{Root: root, Dir: dir, Replicas: 1, Districts: map[string]string{"relief": other}})
	conn, err := suite.DialGateway(f.Home, f.Gateway(), "operations")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	one, two := versions(t, conn)
	if one.GetDistrictDigest() == two.GetDistrictDigest() || two.GetDistrictVersion() != "2026.99" {
		t.Errorf("referral works by %s, relief by %s", one.GetDistrictVersion(), two.GetDistrictVersion())
	}
	awaitLine(t, f.Process("referral", 0).Log, "the peer works by another district package")
	awaitLine(t, f.Process("relief", 0).Log, "the peer works by another district package")
	if log, err := os.ReadFile(f.Process("registry", 0).Log); err != nil || bytes.Contains(log, []byte("another district package")) {
		t.Errorf("registry, which agrees with its peer, raises an alarm, or its log cannot be read: %v", err)
	}
}

func versions(t *testing.T, conn grpc.ClientConnInterface) (referral, relief *accessv1.ServiceVersion) {
	t.Helper()
	one, err := referralv1.NewReferralReadServiceClient(conn).GetVersion(t.Context(), &referralv1.GetVersionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := reliefv1.NewReliefReadServiceClient(conn).GetVersion(t.Context(), &reliefv1.GetVersionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return one.GetVersion(), two.GetVersion()
}

// awaitLine waits for a text in a log.
func awaitLine(t *testing.T, path, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if log, err := os.ReadFile(path); err == nil && bytes.Contains(log, []byte(text)) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s never says %q", filepath.Base(path), text)
		case <-ticker.C:
		}
	}
}
