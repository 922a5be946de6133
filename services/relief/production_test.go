package relief_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/service"
)

// newProduction starts the service as in production: by the machine's clock, with certificates of an authority that is not the
// development one.
func newProduction(t *testing.T) *house {
	t.Helper()
	h := &house{dir: t.TempDir(), district: districtDir}
	h.authority(t)
	h.furnish(t)
	h.address = h.start(t, service.Shared{DistrictDir: districtDir, Environment: "production"})
	return h
}

// authority puts a district's own authority where the house looks for one.
func (h *house) authority(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "District authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, URIs: []*url.URL{{Scheme: "spiffe", Host: domain}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ok(t, err)
	leaf := identity.Leaf{Key: key, DER: der}
	private, err := leaf.KeyPEM()
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(h.dir, "authority.pem"), append(leaf.CertificatePEM(), private...), 0o600))
}

// twoProgrammes is the district with a second programme, one that may be granted again and again, and for which no money is set aside.
func twoProgrammes(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "district")
	ok(t, os.CopyFS(dir, os.DirFS(districtDir)))
	file := filepath.Join(dir, "programmes.yaml")
	content, err := os.ReadFile(file)
	ok(t, err)
	more := `
  - code: care_month
    version: 1
    zh: 照料补贴
    en: Care allowance
    effective_from: 2026-01-29
    clock: templief.fast
    place: where_it_happened
    source: R5.6
    status: secondary
    limit: {standard: dibao_month, months: 1}
    facts:
      - {name: amount_fen, type: int, zh: 金额}
      - {name: limit_fen, type: int, zh: 限额}
    eligibility:
      - {id: amount, cel: 'amount_fen <= limit_fen', zh: 不超过限额, source: R5.6, status: secondary}
`
	ok(t, os.WriteFile(file, []byte(strings.TrimRight(string(content), "\n")+more), 0o600))
	return dir
}
