package gateway_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// spellings of the principal that a proxy on the way, or a reader of the metadata, could take for it.
var spellings = []string{
	"lianhu-principal-bin", "LIANHU-PRINCIPAL-BIN", "Lianhu-Principal", "lianhu_principal_bin", "lianhu.principal-bin",
	"grpc-metadata-lianhu-principal-bin", "Grpcgateway-Lianhu-Principal-Bin", "x-lianhu.principal-bin", "x-forwarded-lianhu-principal",
}

// A caller is whom its certificate names, whatever it says of itself.
func TestNobodyNamesThemselves(t *testing.T) {
	t.Parallel()
	seen := make(chan metadata.MD, 1)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		seen <- md
		return empty(method, s)
	}})
	forged, err := proto.Marshal(&accessv1.Principal{Unit: "procuratorate", System: "main"})
	ok(t, err)
	c, web := h.unit(t, township), h.browser(t, township)
	for _, key := range spellings {
		value := string(forged)
		if !strings.HasSuffix(strings.ToLower(key), "-bin") {
			value = "procuratorate"
		}
		for _, method := range []string{read, watch} {
			request, answer := []byte{}, []byte{}
			ok(t, c.Invoke(metadata.AppendToOutgoingContext(t.Context(), key, value, key, value), method, &request, &answer))
			principal(t, key, wait(t, seen, key))
		}
		status, _ := h.ask(t, web, http.MethodGet, "/v1/reporting/reports/x", "", http.Header{key: {"procuratorate", "procuratorate"}})
		if status != http.StatusOK {
			t.Errorf("%s over JSON: %d", key, status)
			continue
		}
		principal(t, key+" over JSON", wait(t, seen, key))
	}
}

// principal checks that a service hears of the township alone.
func principal(t *testing.T, name string, md metadata.MD) {
	t.Helper()
	var p accessv1.Principal
	if values := md.Get(access.KeyPrincipal); len(values) != 1 || proto.Unmarshal([]byte(values[0]), &p) != nil || p.GetUnit() != township || p.GetSystem() != "main" || p.GetCertificateHash() == "" || p.GetCertificateExpireTime().AsTime().Before(time.Now()) {
		t.Errorf("%s: the service hears of %v", name, &p)
	}
	for key := range md {
		if access.IsPrincipalKey(key) && key != access.KeyPrincipal {
			t.Errorf("%s: %s got through", name, key)
		}
	}
}

// Only certificates of this district that name a unit open the door, and only authorities it trusts are heard at all.
func TestACertificateThatNamesNoUnitIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": func(string, grpc.ServerStream) error {
		t.Error("it reached the service")
		return nil
	}})
	elsewhere := t.TempDir()
	other, err := identity.OpenAuthority(elsewhere, "tianning.test")
	ok(t, err)
	trusted, err := identity.OpenAuthority(t.TempDir(), "tianning.test")
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(h.dir, identity.RootsFile), slices.Concat(h.ca.RootsPEM(), trusted.RootsPEM()), 0o600))
	for name, k := range map[string]struct {
		by   *identity.Authority
		id   identity.Identity
		code codes.Code
	}{
		"a service":                 {h.ca, identity.OfService(domain, "registry"), codes.Unauthenticated},
		"the gateway":               {h.ca, identity.OfService(domain, "gateway"), codes.Unauthenticated},
		"a unit of another domain":  {trusted, identity.OfUnit("tianning.test", township, "main"), codes.Unauthenticated},
		"of an authority not known": {other, identity.OfUnit("tianning.test", township, "main"), codes.Unavailable},
	} {
		source := h.source(t, k.by, k.id)
		request, answer := []byte{}, []byte{}
		for _, method := range []string{read, watch} {
			err := h.as(t, source).Invoke(t.Context(), method, &request, &answer)
			if k.code == codes.Unauthenticated {
				refused(t, err, k.code, "IDENTITY_REQUIRED")
			} else if err == nil {
				t.Errorf("%s was let in", name)
			}
		}
		web := &http.Client{Transport: &http.Transport{TLSClientConfig: source.ClientTLS(identity.OfService(domain, "gateway"))}}
		t.Cleanup(web.CloseIdleConnections)
		if k.code == codes.Unauthenticated {
			h.refuses(t, web, http.MethodGet, "/v1/reporting/reports/x", "", http.StatusUnauthorized, "IDENTITY_REQUIRED")
			continue
		}
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.json+"/v1/reporting/reports/x", bytes.NewReader(nil))
		ok(t, err)
		if answer, err := web.Do(ask); err == nil {
			_ = answer.Body.Close()
			t.Errorf("%s was let in over JSON: %d", name, answer.StatusCode)
		}
	}
}
