package access

import (
	"context"
	"crypto/x509"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// The metadata a call carries about its caller. KeyPrincipal is the gateway's alone. KeyDistrict comes back with the answer to another
// service: the digest of the district package that the answering one works by. KeyContract is the contract the caller was built from.
const (
	KeyPrincipal = "lianhu-principal-bin"
	KeyPurpose   = "lianhu-purpose"
	KeyMatter    = "lianhu-matter"
	KeyOfficer   = "lianhu-officer"
	KeyDistrict  = "lianhu-district"
	KeyContract  = "lianhu-contract"
	// KeyCorrelation names one call, in the answer and in the logs on its way. The gateway draws it; it says nothing of caller or content.
	KeyCorrelation = "lianhu-correlation-id"
)

// Gateway is the name of the service whose word about a caller counts.
const Gateway = "gateway"

// Gate finds out who calls.
type Gate struct {
	// District whose units and access table count. Nil where nothing but open methods is served.
	District *district.District
	// TrustDomain of the process; peers of another one are strangers.
	TrustDomain string
	// Now is business time: units open and close and officers come and go by it.
	Now func() time.Time
}

// Identify makes the caller of the call in ctx: the principal when the gateway sends one, else the peer itself.
//
// Errors: IDENTITY_REQUIRED, UNIT_UNKNOWN, OFFICER_UNKNOWN, FIELD_INVALID.
func (g *Gate) Identify(ctx context.Context) (*Caller, error) {
	from, leaf, err := g.peer(ctx)
	if err != nil {
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	claim, err := claimOf(from, md)
	if err != nil {
		return nil, err
	}
	if claim.CertificateExpires.IsZero() && from.Service != Gateway {
		claim.CertificateExpires = leaf.NotAfter
	}
	if err := readPurpose(&claim, md); err != nil {
		return nil, err
	}
	return NewCaller(g.District, claim, calendar.Today(g.Now()))
}

// Peer is the identity of the certificate on the other end of the connection.
//
// Errors: IDENTITY_REQUIRED.
func (g *Gate) Peer(ctx context.Context) (identity.Identity, error) {
	id, _, err := g.peer(ctx)
	return id, err
}

func (g *Gate) peer(ctx context.Context) (identity.Identity, *x509.Certificate, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return identity.Identity{}, nil, unidentified()
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	// Verified chains, not presented certificates: whoever configures a listener without verification admits nobody.
	if !ok || len(info.State.VerifiedChains) == 0 {
		return identity.Identity{}, nil, unidentified()
	}
	leaf := info.State.VerifiedChains[0][0]
	id, err := identity.OfCertificate(leaf)
	if err != nil || id.TrustDomain != g.TrustDomain {
		return identity.Identity{}, nil, unidentified()
	}
	return id, leaf, nil
}

func unidentified() error {
	return fault.New(faultv1.Reason_REASON_IDENTITY_REQUIRED, "the caller cannot be identified")
}

// claimOf decides whose word counts. A principal from anybody but the gateway is an attempt to be somebody else and is
// refused under every spelling, rather than ignored, so that it shows.
func claimOf(from identity.Identity, md metadata.MD) (Claim, error) {
	gateway := from.Service == Gateway
	for key := range md {
		if IsPrincipalKey(key) && !(gateway && key == KeyPrincipal) {
			return Claim{}, unidentified()
		}
	}
	if gateway && len(md.Get(KeyPrincipal)) > 0 {
		return principalClaim(md.Get(KeyPrincipal))
	}
	officer, err := single(md, KeyOfficer)
	return Claim{Unit: from.Unit, System: from.System, Service: from.Service, Officer: officer}, err
}

func principalClaim(values []string) (Claim, error) {
	var p accessv1.Principal
	if len(values) != 1 || proto.Unmarshal([]byte(values[0]), &p) != nil || p.GetUnit() == "" {
		return Claim{}, unidentified()
	}
	claim := Claim{Unit: p.GetUnit(), System: p.GetSystem(), Officer: p.GetOfficer()}
	if p.GetCertificateExpireTime() != nil {
		claim.CertificateExpires = p.GetCertificateExpireTime().AsTime()
	}
	return claim, nil
}

// IsPrincipalKey reports whether a metadata key or HTTP header is a spelling of KeyPrincipal, behind whatever prefix and
// with whatever separators a proxy or gateway on the way would turn into it. The gateway removes them from outside calls.
func IsPrincipalKey(key string) bool {
	return strings.Contains(plain(key), "lianhuprincipal")
}

var contractForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$`)

func readPurpose(claim *Claim, md metadata.MD) error {
	purpose, err := single(md, KeyPurpose)
	if err != nil {
		return err
	}
	if purpose != "" {
		number, ok := accessv1.Purpose_value["PURPOSE_"+strings.ToUpper(purpose)]
		if !ok {
			return fault.Invalid(KeyPurpose, "not one of the purposes of lianhu.access.v1.Purpose")
		}
		claim.Purpose = accessv1.Purpose(number)
	}
	if claim.Contract, err = single(md, KeyContract); err != nil {
		return err
	}
	if claim.Contract != "" && !contractForm.MatchString(claim.Contract) {
		return fault.Invalid(KeyContract, "not a version: 1 to 64 letters, digits, dots, plus and minus signs")
	}
	claim.Matter, err = single(md, KeyMatter)
	if err != nil {
		return err
	}
	if claim.Matter != "" && (uuid.Validate(claim.Matter) != nil || len(claim.Matter) != 36) {
		return fault.Invalid(KeyMatter, "not a UUID")
	}
	return nil
}

// single reads a key that may come once: with two values it would depend on the reader which of them counts.
func single(md metadata.MD, key string) (string, error) {
	if err := Single(md, key); err != nil {
		return "", err
	}
	values := md.Get(key)
	if len(values) == 0 {
		return "", nil
	}
	return values[0], nil
}

// Single refuses a key that is given more than once, or in another spelling than its own: `Grpc-Metadata-…`, with underscores, as `…-bin`.
// One reader would take the first, another the last, a third none, and the officer who acts would be lost on the way.
//
// Errors: FIELD_INVALID.
func Single(headers map[string][]string, key string) error {
	count := 0
	for name, values := range headers {
		switch lower := strings.ToLower(name); {
		case lower == key:
			count += len(values)
		case strings.Contains(plain(lower), plain(key)):
			return fault.Invalid(key, "given in another spelling; send it once, under this name")
		}
	}
	if count > 1 {
		return fault.Invalid(key, "given more than once")
	}
	return nil
}

// plain is a key without what proxies put between its words.
func plain(key string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(key))
}
