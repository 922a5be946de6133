package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// developmentMark stands in the subject of the development authority and thereby in the issuer of all it issues.
const developmentMark = "Lianhu development, never for production"

// Names of the authority's files in its folder. The first holds the private key too and is readable by its owner only;
// the second is what clients trust.
const (
	authorityFile = "authority.pem"
	RootsFile     = "ca.pem"
)

// How long development certificates live, and how far back they begin so that machines may disagree about the time.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 397 * 24 * time.Hour
	backdate      = 5 * time.Minute
)

// Authority is the development certificate authority of one folder.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	trustDomain string
}

// OpenAuthority loads the authority of a folder, or makes it there when there is none. Two processes that start at once
// end up with the same one.
func OpenAuthority(dir, trustDomain string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("identity: open the development authority: %w", err)
	}
	path := filepath.Join(dir, authorityFile)
	stored, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createAuthority(path, trustDomain); err != nil {
			return nil, fmt.Errorf("identity: make the development authority: %w", err)
		}
		stored, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: open the development authority: %w", err)
	}
	a, err := parseAuthority(stored)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w", path, err)
	}
	if a.trustDomain != trustDomain {
		return nil, fmt.Errorf("identity: %s is the authority of trust domain %q, not %q", path, a.trustDomain, trustDomain)
	}
	return a, writeWhole(filepath.Join(dir, RootsFile), a.RootsPEM(), 0o644)
}

func createAuthority(path, trustDomain string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Lianhu development authority", OrganizationalUnit: []string{developmentMark}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: trustDomain}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	leaf := Leaf{Key: key, DER: der}
	keyPEM, err := leaf.KeyPEM()
	if err != nil {
		return err
	}
	return linkNew(path, append(leaf.CertificatePEM(), keyPEM...))
}

func parseAuthority(stored []byte) (*Authority, error) {
	certificateBlock, rest := pem.Decode(stored)
	keyBlock, _ := pem.Decode(rest)
	if certificateBlock == nil || keyBlock == nil {
		return nil, errors.New("want a certificate and a key")
	}
	certificate, err := x509.ParseCertificate(certificateBlock.Bytes)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) || len(certificate.URIs) != 1 {
		return nil, errors.New("the key does not belong to the certificate")
	}
	return &Authority{certificate: certificate, key: key, trustDomain: certificate.URIs[0].Host}, nil
}

// Certificate of the authority.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// RootsPEM is what clients and servers trust.
func (a *Authority) RootsPEM() []byte { return Leaf{DER: a.certificate.Raw}.CertificatePEM() }

// Issue makes a certificate for an identity of the authority's trust domain, good for a client and a server. hosts are
// the DNS names and IP addresses under which clients that know no SPIFFE reach it.
func (a *Authority) Issue(id Identity, hosts ...string) (Leaf, error) {
	return a.IssueUntil(id, time.Now().Add(leafLife), hosts...)
}

// IssueUntil is Issue with an end of one's own, which may lie in the past.
func (a *Authority) IssueUntil(id Identity, end time.Time, hosts ...string) (Leaf, error) {
	if parsed, err := Parse(id.String()); err != nil || parsed != id || id.TrustDomain != a.trustDomain {
		return Leaf{}, fmt.Errorf("identity: %q is not an identity of %q", id, a.trustDomain)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Leaf{}, fmt.Errorf("identity: issue: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return Leaf{}, fmt.Errorf("identity: issue: %w", err)
	}
	uri, err := url.Parse(id.String())
	if err != nil {
		return Leaf{}, fmt.Errorf("identity: issue: %w", err)
	}
	begin := time.Now().Add(-backdate)
	if end.Before(begin) {
		begin = end.Add(-backdate)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: uri.Path},
		NotBefore:    begin,
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		URIs:         []*url.URL{uri},

		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Leaf{}, fmt.Errorf("identity: issue: %w", err)
	}
	return Leaf{Key: key, DER: der}, nil
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// IsDevelopment reports whether a certificate is the development authority or was issued by it.
func IsDevelopment(certificate *x509.Certificate) bool {
	return slices.Contains(certificate.Subject.OrganizationalUnit, developmentMark) ||
		slices.Contains(certificate.Issuer.OrganizationalUnit, developmentMark)
}
