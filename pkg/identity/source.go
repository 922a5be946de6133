package identity

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are the PEM files of one process: its certificate with intermediates, its key, and the roots it trusts.
type Files struct {
	Certificate string
	Key         string
	Roots       string
}

// Source is the present certificate, key and roots of a process. Each handshake looks whether the files have changed
// and takes the new content, so renewing a certificate needs no restart; content that does not fit is logged and the
// last good one stays in use.
type Source struct {
	files    Files
	identity Identity

	mu     sync.Mutex
	seen   [3]stamp
	loaded *loaded
}

// stamp tells two states of a file apart.
type stamp struct {
	modified time.Time
	size     int64
}

type loaded struct {
	certificate tls.Certificate
	roots       *x509.CertPool
	rootList    []*x509.Certificate
	// server is shared by all handshakes of one state: session tickets survive between them and end with it.
	server map[string]*tls.Config
}

// Load reads the files. The identity of the certificate stays that of the process for its life.
func Load(files Files) (*Source, error) {
	s := &Source{files: files}
	seen, err := s.look()
	if err != nil {
		return nil, err
	}
	now, err := read(files)
	if err != nil {
		return nil, err
	}
	s.identity, err = OfCertificate(now.certificate.Leaf)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, files.Certificate)
	}
	s.seen, s.loaded = seen, now
	return s, nil
}

// Identity of the process.
func (s *Source) Identity() Identity { return s.identity }

// Check reports whether the certificate can be used now; a readiness check.
func (s *Source) Check() error {
	leaf := s.now().certificate.Leaf
	if at := time.Now(); at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
		return fmt.Errorf("identity: the certificate is valid from %s to %s", leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// Development reports whether the process has or trusts anything of a development authority.
func (s *Source) Development() bool {
	now := s.now()
	if IsDevelopment(now.certificate.Leaf) {
		return true
	}
	for _, root := range now.rootList {
		if IsDevelopment(root) {
			return true
		}
	}
	return false
}

// ErrDevelopment is why production does not start with certificates of the development authority.
var ErrDevelopment = errors.New("identity: a certificate of the development authority is refused in production")

// RefuseDevelopment answers ErrDevelopment when Development.
func (s *Source) RefuseDevelopment() error {
	if s.Development() {
		return ErrDevelopment
	}
	return nil
}

// ServerTLS is for a listener on which every client shows a certificate. protocols are what the listener speaks, such
// as h2.
func (s *Source) ServerTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.serverConfig(protocols), nil
		},
	}
}

func (s *Source) serverConfig(protocols []string) *tls.Config {
	now := s.now()
	key := fmt.Sprint(protocols)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.server[key] == nil {
		now.server[key] = &tls.Config{
			MinVersion:   tls.VersionTLS13,
			NextProtos:   protocols,
			Certificates: []tls.Certificate{now.certificate},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    now.roots,
		}
	}
	return now.server[key]
}

// ClientTLS is for connections to one peer, which is known by its identity and not by the name it was dialled under.
func (s *Source) ClientTLS(peer Identity) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &s.now().certificate, nil
		},
		// The names in the certificate do not count, so the library's own check is off and VerifyConnection, which
		// also runs for resumed sessions, takes its place.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return s.verify(state, peer)
		},
	}
}

func (s *Source) verify(state tls.ConnectionState, peer Identity) error {
	if len(state.PeerCertificates) == 0 {
		return ErrNoIdentity
	}
	options := x509.VerifyOptions{
		Roots:         s.now().roots,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, intermediate := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return fmt.Errorf("identity: verify the peer: %w", err)
	}
	got, err := OfCertificate(state.PeerCertificates[0])
	if err != nil {
		return err
	}
	if got != peer {
		return fmt.Errorf("identity: the peer is %s, not %s", got, peer)
	}
	return nil
}

// now answers what is in the files, or what was last good in them.
func (s *Source) now() *loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, err := s.look()
	if err == nil && seen == s.seen {
		return s.loaded
	}
	fresh, err := s.refresh(err)
	if err != nil {
		slog.Warn("identity: the changed certificate files cannot be used; the last good ones stay in use", "error", err)
		return s.loaded
	}
	s.seen, s.loaded = seen, fresh
	slog.Info("identity: certificate files read again", "not_after", fresh.certificate.Leaf.NotAfter)
	return fresh
}

func (s *Source) refresh(err error) (*loaded, error) {
	if err != nil {
		return nil, err
	}
	fresh, err := read(s.files)
	if err != nil {
		return nil, err
	}
	if id, err := OfCertificate(fresh.certificate.Leaf); err != nil || id != s.identity {
		return nil, fmt.Errorf("identity: %s is no longer a certificate of %s", s.files.Certificate, s.identity)
	}
	return fresh, nil
}

func (s *Source) look() (seen [3]stamp, err error) {
	for i, path := range []string{s.files.Certificate, s.files.Key, s.files.Roots} {
		info, err := os.Stat(path)
		if err != nil {
			return seen, fmt.Errorf("identity: %w", err)
		}
		seen[i] = stamp{info.ModTime(), info.Size()}
	}
	return seen, nil
}

func read(files Files) (*loaded, error) {
	certificate, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w", files.Certificate, err)
	}
	stored, err := os.ReadFile(files.Roots)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	out := &loaded{certificate: certificate, roots: x509.NewCertPool(), server: map[string]*tls.Config{}}
	for block, rest := pem.Decode(stored); block != nil; block, rest = pem.Decode(rest) {
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("identity: %s: %w", files.Roots, err)
		}
		out.roots.AddCert(root)
		out.rootList = append(out.rootList, root)
	}
	if len(out.rootList) == 0 {
		return nil, fmt.Errorf("identity: %s holds no certificate", files.Roots)
	}
	return out, nil
}
