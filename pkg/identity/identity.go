// Package identity says who is on the other end of a connection. An identity is the one SPIFFE URI of a certificate: a
// system of a unit, or a service of the suite. The package also keeps the certificates of a running process fresh and
// holds the development authority, which production refuses.
package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Identity is either a service of the suite or a system of a unit, never both.
type Identity struct {
	// TrustDomain the identity belongs to; identities of different domains are strangers.
	TrustDomain string
	// Service is the name of a service of the suite; empty for a unit.
	Service string
	// Unit is the id of the unit, such as civil_affairs or township/320411101000; empty for a service.
	Unit string
	// System of the unit that holds the certificate.
	System string
}

// ErrNoIdentity is answered for certificates and URIs that name nobody.
var ErrNoIdentity = errors.New("identity: not an identity of the suite")

// ours is the first part of the unit ids of our own services; a unit certificate that used it would pass for one.
const ours = "service"

// OfService makes the identity of a service.
func OfService(trustDomain, name string) Identity {
	return Identity{TrustDomain: trustDomain, Service: name}
}

// OfUnit makes the identity of a system of a unit.
func OfUnit(trustDomain, unit, system string) Identity {
	return Identity{TrustDomain: trustDomain, Unit: unit, System: system}
}

// Parse reads spiffe://<domain>/service/<name> or spiffe://<domain>/unit/<unit>/system/<system>, where a unit may hold
// one slash. Anything else, escapes and empty parts included, is ErrNoIdentity.
func Parse(uri string) (Identity, error) {
	id, err := spiffeid.FromString(uri)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrNoIdentity, err)
	}
	domain := id.TrustDomain().Name()
	part := strings.Split(strings.TrimPrefix(id.Path(), "/"), "/")
	switch {
	case len(part) == 2 && part[0] == "service":
		return OfService(domain, part[1]), nil
	case len(part) == 4 && part[0] == "unit" && part[2] == "system" && part[1] != ours,
		len(part) == 5 && part[0] == "unit" && part[3] == "system" && part[1] != ours:
		return OfUnit(domain, strings.Join(part[1:len(part)-2], "/"), part[len(part)-1]), nil
	}
	return Identity{}, ErrNoIdentity
}

// String is the SPIFFE URI.
func (i Identity) String() string {
	if i.Service != "" {
		return "spiffe://" + i.TrustDomain + "/service/" + i.Service
	}
	return "spiffe://" + i.TrustDomain + "/unit/" + i.Unit + "/system/" + i.System
}

// OfCertificate reads the identity of a certificate that has been verified. A certificate with several URIs names
// nobody: which of them counts would depend on who looks.
func OfCertificate(certificate *x509.Certificate) (Identity, error) {
	if certificate == nil || len(certificate.URIs) != 1 {
		return Identity{}, ErrNoIdentity
	}
	return Parse(certificate.URIs[0].String())
}

// DaysLeft counts the whole days of machine time until a certificate ends; 0 when it has ended.
func DaysLeft(expires time.Time) int32 {
	return int32(max(0, time.Until(expires)/(24*time.Hour)))
}
