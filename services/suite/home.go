package suite

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
)

// TrustDomain of the development authority.
const TrustDomain = "xinbei.lianhu.test"

// P12Password opens the .p12 files of the development certificates. They are worth nothing outside this machine.
const P12Password = "lianhu"

// Home is the folder in which a development suite keeps everything: cluster, authority, certificates, keys, clock.
type Home struct{ dir string }

// OpenHome makes the folder if it is not there.
func OpenHome(dir string) (Home, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return Home{}, err
	}
	h := Home{full}
	// PostgreSQL, which may run as another user, has to get through the home; into the folders with keys nobody else has to look.
	if err := os.MkdirAll(full, 0o755); err != nil {
		return Home{}, fmt.Errorf("make %s: %w", full, err)
	}
	for _, folder := range []string{h.Path(partnersFolder), h.Path(servicesFolder), h.Path("keys")} {
		if err := errors.Join(os.MkdirAll(folder, 0o700), os.Chmod(folder, 0o700)); err != nil {
			return Home{}, fmt.Errorf("make %s: %w", folder, err)
		}
	}
	return h, nil
}

// The certificates and keys that partners are handed, and those of the suite's own services, which nobody is.
const (
	partnersFolder = "certificates"
	servicesFolder = "services"
	servicePrefix  = "service-"
)

// sweep removes the services' keys of a home made when they lay among the partners'; new ones are issued.
func (h Home) sweep() error {
	stray, err := filepath.Glob(h.Path(partnersFolder, servicePrefix+"*"))
	for _, name := range stray {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// Path of something in the home.
func (h Home) Path(parts ...string) string {
	return filepath.Join(append([]string{h.dir}, parts...)...)
}

// fileName turns an identity's name into a file's.
func fileName(name string) string { return strings.ReplaceAll(name, "/", "-") }

// Service gives the certificate files of a service.
func (h Home) Service(name string) identity.Files { return h.files(servicePrefix + name) }

// Unit gives the certificate files of a unit's system `main`.
func (h Home) Unit(unit string) identity.Files { return h.System(unit, "main") }

// System gives the certificate files of a system of a unit; those of `main` carry the unit's name alone.
func (h Home) System(unit, system string) identity.Files {
	if system != "main" {
		unit += "-" + system
	}
	return h.files(fileName(unit))
}

func (h Home) files(name string) identity.Files {
	folder := folderOf(name)
	return identity.Files{Certificate: h.Path(folder, name+".pem"), Key: h.Path(folder, name+".key"), Roots: h.Path("ca", identity.RootsFile)}
}

func folderOf(name string) string {
	if strings.HasPrefix(name, servicePrefix) {
		return servicesFolder
	}
	return partnersFolder
}

// services that hold a certificate of their own.
var services = [...]string{"registry", "reporting", "referral", "relief", "gateway", "devclock"}

// hosts under which the suite is reached on its own machine.
var hosts = [...]string{"localhost", "127.0.0.1", "::1"}

// Certify opens the development authority and issues what is missing: one certificate for each service and, as PEM and .p12,
// one for each unit of the district.
func (h Home) Certify(d *district.District) error {
	authority, err := identity.OpenAuthority(h.Path("ca"), TrustDomain)
	if err = errors.Join(err, h.sweep()); err != nil {
		return err
	}
	for _, name := range services {
		if err := h.issue(authority, servicePrefix+name, identity.OfService(TrustDomain, name)); err != nil {
			return err
		}
	}
	for _, unit := range d.Units() {
		if err := h.issue(authority, fileName(unit.ID), identity.OfUnit(TrustDomain, unit.ID, "main")); err != nil {
			return err
		}
	}
	return h.issue(authority, "police-dispatch", identity.OfUnit(TrustDomain, "police", "dispatch"))
}

// CertifySystem issues the certificate of one more system of a unit; Unit gives its files as those of `<unit>-<system>`.
func (h Home) CertifySystem(unit, system string) error {
	authority, err := identity.OpenAuthority(h.Path("ca"), TrustDomain)
	if err != nil {
		return err
	}
	return h.issue(authority, fileName(unit)+"-"+system, identity.OfUnit(TrustDomain, unit, system))
}

func (h Home) issue(authority *identity.Authority, name string, id identity.Identity) error {
	if files := h.files(name); valid(files) {
		return nil
	}
	leaf, err := authority.Issue(id, hosts[:]...)
	if err != nil {
		return err
	}
	if _, err := leaf.Write(h.Path(folderOf(name)), name); err != nil {
		return err
	}
	if id.Service != "" {
		return nil
	}
	certificate, err := x509.ParseCertificate(leaf.DER)
	if err != nil {
		return err
	}
	p12, err := pkcs12.Modern.Encode(leaf.Key, certificate, nil, P12Password)
	if err != nil {
		return fmt.Errorf("make %s.p12: %w", name, err)
	}
	return os.WriteFile(h.Path(partnersFolder, name+".p12"), p12, 0o600)
}

// valid reports whether a certificate is there and still good.
func valid(files identity.Files) bool {
	source, err := identity.Load(files)
	return err == nil && source.Check() == nil
}

// secret gives the content of a file of 64 hexadecimal digits, made at random the first time.
func (h Home) secret(name string) (path string, err error) {
	path = h.Path("keys", name)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return path, os.WriteFile(path, []byte(hex.EncodeToString(key)+"\n"), 0o600)
}

// text reads a secret made by secret.
func text(path string) (string, error) {
	content, err := os.ReadFile(path)
	return strings.TrimSpace(string(content)), err
}
