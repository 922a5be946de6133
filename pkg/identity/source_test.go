package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/identity"
)

const domain = "xinbei.test"

func authority(t *testing.T) (*identity.Authority, string) {
	t.Helper()
	dir := t.TempDir()
	a, err := identity.OpenAuthority(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func source(t *testing.T, a *identity.Authority, dir, name string, id identity.Identity) *identity.Source {
	t.Helper()
	leaf, err := a.Issue(id, "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	files, err := leaf.Write(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// handshake lets a client and a server meet over a real connection; it answers what each of them saw.
func handshake(t *testing.T, server, client *tls.Config) (peer *x509.Certificate, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		plain, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		connection := tls.Server(plain, server)
		defer connection.Close()
		err = connection.Handshake()
		if err == nil {
			peer = connection.ConnectionState().PeerCertificates[0]
			_, err = connection.Write([]byte("x"))
		}
		done <- err
	}()
	connection, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err == nil {
		_, err = connection.Read(make([]byte, 1)) // in TLS 1.3 a server's refusal arrives with the first read
		connection.Close()
	}
	return peer, <-done, err
}

func TestTheAuthorityIsMadeOnceAndKeptPrivate(t *testing.T) {
	t.Parallel()
	a, dir := authority(t)
	again, err := identity.OpenAuthority(dir, domain)
	if err != nil || !again.Certificate().Equal(a.Certificate()) {
		t.Fatalf("another authority, %v", err)
	}
	if _, err := a.Issue(identity.OfService(domain, "registry")); err != nil {
		t.Fatal(err)
	}
	source(t, a, dir, "registry", identity.OfService(domain, "registry"))
	for _, name := range []string{"authority.pem", "registry.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	roots, err := os.ReadFile(filepath.Join(dir, identity.RootsFile))
	if err != nil || strings.Contains(string(roots), "PRIVATE KEY") {
		t.Errorf("roots hold a key, or %v", err)
	}
	if _, err := identity.OpenAuthority(dir, "other.test"); err == nil {
		t.Error("opened as the authority of another trust domain")
	}
}

func TestManyProcessesMakeOneAuthority(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made := make(chan *identity.Authority)
	for range 8 {
		go func() {
			a, err := identity.OpenAuthority(dir, domain)
			if err != nil {
				t.Error(err)
			}
			made <- a
		}()
	}
	first := <-made
	for range 7 {
		if other := <-made; first == nil || other == nil || !other.Certificate().Equal(first.Certificate()) {
			t.Error("two authorities in one folder")
		}
	}
}

func TestTheAuthorityIssuesOnlyForItsDomain(t *testing.T) {
	t.Parallel()
	a, _ := authority(t)
	for _, id := range []identity.Identity{
		identity.OfService("other.test", "registry"), identity.OfUnit(domain, "service/registry", "main"), identity.OfUnit(domain, "", "main"), {TrustDomain: domain},
	} {
		if _, err := a.Issue(id); err == nil {
			t.Errorf("issued for %+v", id)
		}
	}
}

func TestBothSidesKnowEachOther(t *testing.T) {
	t.Parallel()
	a, dir := authority(t)
	registry := identity.OfService(domain, "registry")
	server, client := source(t, a, dir, "registry", registry), source(t, a, dir, "health", identity.OfUnit(domain, "health", "main"))
	peer, serverErr, clientErr := handshake(t, server.ServerTLS("h2"), client.ClientTLS(registry))
	if serverErr != nil || clientErr != nil {
		t.Fatalf("server %v, client %v", serverErr, clientErr)
	}
	if got, err := identity.OfCertificate(peer); err != nil || got != client.Identity() {
		t.Errorf("server saw %v, %v", got, err)
	}
	if _, _, clientErr := handshake(t, server.ServerTLS("h2"), client.ClientTLS(identity.OfService(domain, "relief"))); clientErr == nil {
		t.Error("a client took the registry for the relief service")
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	a, dir := authority(t)
	other, otherDir := authority(t)
	registry := identity.OfService(domain, "registry")
	server := source(t, a, dir, "registry", registry)
	client := source(t, a, dir, "health", identity.OfUnit(domain, "health", "main"))

	if _, _, err := handshake(t, source(t, other, otherDir, "registry", registry).ServerTLS("h2"), client.ClientTLS(registry)); err == nil {
		t.Error("a client trusts a server of a foreign authority")
	}
	stranger := source(t, other, otherDir, "health", identity.OfUnit(domain, "health", "main"))
	configuration := stranger.ClientTLS(registry)
	configuration.VerifyConnection = nil // the stranger itself trusts everybody
	if _, serverErr, _ := handshake(t, server.ServerTLS("h2"), configuration); serverErr == nil {
		t.Error("a server trusts a client of a foreign authority")
	}
	bare := &tls.Config{InsecureSkipVerify: true}
	if _, serverErr, _ := handshake(t, server.ServerTLS("h2"), bare); serverErr == nil {
		t.Error("a server serves a client without a certificate")
	}
	old := client.ClientTLS(registry)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, serverErr, _ := handshake(t, server.ServerTLS("h2"), old); serverErr == nil {
		t.Error("a server speaks TLS 1.2")
	}
}

func TestARenewedCertificateIsUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	a, dir := authority(t)
	registry := identity.OfService(domain, "registry")
	server, client := source(t, a, dir, "registry", registry), source(t, a, dir, "health", identity.OfUnit(domain, "health", "main"))
	serving, dialling := server.ServerTLS("h2"), client.ClientTLS(registry)
	if _, _, err := handshake(t, serving, dialling); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	leaf, err := a.IssueUntil(client.Identity(), end)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Write(dir, "health"); err != nil {
		t.Fatal(err)
	}
	peer, _, err := handshake(t, serving, dialling)
	if err != nil || !peer.NotAfter.Equal(end) {
		t.Fatalf("the server saw a certificate until %v, %v", peer.NotAfter, err)
	}
	// Damaged or foreign content is not taken over.
	if err := os.WriteFile(filepath.Join(dir, "health.pem"), []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if peer, _, err := handshake(t, serving, dialling); err != nil || !peer.NotAfter.Equal(end) {
		t.Errorf("after damage: until %v, %v", peer.NotAfter, err)
	}
	foreign, err := a.Issue(identity.OfUnit(domain, "education", "main"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Write(dir, "health"); err != nil {
		t.Fatal(err)
	}
	if peer, _, err := handshake(t, serving, dialling); err != nil || peer.URIs[0].String() != client.Identity().String() {
		t.Errorf("the process became %v, %v", peer.URIs, err)
	}
}

func TestAnExpiredCertificateIsNotReady(t *testing.T) {
	t.Parallel()
	a, dir := authority(t)
	id := identity.OfService(domain, "registry")
	s := source(t, a, dir, "registry", id)
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	leaf, err := a.IssueUntil(id, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Write(dir, "registry"); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err == nil {
		t.Error("an expired certificate counts as ready")
	}
}

func TestProductionRefusesTheDevelopmentAuthority(t *testing.T) {
	t.Parallel()
	a, dir := authority(t)
	s := source(t, a, dir, "registry", identity.OfService(domain, "registry"))
	if err := s.RefuseDevelopment(); !errors.Is(err, identity.ErrDevelopment) {
		t.Errorf("got %v", err)
	}
	if !identity.IsDevelopment(a.Certificate()) || identity.IsDevelopment(&x509.Certificate{}) {
		t.Error("the mark does not tell the authorities apart")
	}
}

func TestACertificateWithTwoNamesNamesNobody(t *testing.T) {
	t.Parallel()
	one, _ := url.Parse("spiffe://xinbei.test/service/registry")
	two, _ := url.Parse("spiffe://xinbei.test/unit/health/system/main")
	if _, err := identity.OfCertificate(&x509.Certificate{URIs: []*url.URL{two, one}}); !errors.Is(err, identity.ErrNoIdentity) {
		t.Errorf("got %v", err)
	}
}
