package door

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"slices"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// passed are the only metadata keys of a caller that reach a service. Everything else stays outside, so that no spelling of the
// principal, present or future, can be smuggled in.
var passed = [...]string{access.KeyPurpose, access.KeyMatter, access.KeyOfficer, access.KeyContract}

// Outgoing is the metadata that services get: who calls, by certificate, what the caller says of its call, and the id of the call.
// It returns fault IDENTITY_REQUIRED for a certificate that names no unit, and FIELD_INVALID for a key that is given twice.
func Outgoing(state tls.ConnectionState, trustDomain string, said map[string][]string, correlation string) (metadata.MD, error) {
	if len(state.VerifiedChains) == 0 {
		return nil, fault.New(faultv1.Reason_REASON_IDENTITY_REQUIRED, "present a client certificate of the suite")
	}
	leaf := state.VerifiedChains[0][0]
	who, err := identity.OfCertificate(leaf)
	if err != nil || who.TrustDomain != trustDomain || who.Unit == "" {
		return nil, fault.New(faultv1.Reason_REASON_IDENTITY_REQUIRED, "the certificate names no unit of this district").Wrap(err)
	}
	hash := sha256.Sum256(leaf.Raw)
	principal := &accessv1.Principal{Unit: who.Unit, System: who.System, Method: "mtls", CertificateHash: hex.EncodeToString(hash[:]), CertificateExpireTime: timestamppb.New(leaf.NotAfter)}
	out := metadata.MD{}
	for _, key := range passed {
		if err := access.Single(said, key); err != nil {
			return nil, err
		}
	}
	for name, values := range said {
		if key := strings.ToLower(name); slices.Contains(passed[:], key) {
			out.Set(key, values...)
		}
	}
	if officer := out.Get(access.KeyOfficer); len(officer) == 1 {
		principal.Officer = officer[0]
	}
	binary, err := proto.Marshal(principal)
	if err != nil {
		return nil, err
	}
	out.Set(access.KeyPrincipal, string(binary))
	out.Set(access.KeyCorrelation, correlation)
	return out, nil
}

// outgoing is Outgoing for a gRPC call.
func outgoing(ctx context.Context, trustDomain, correlation string) (metadata.MD, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, fault.New(faultv1.Reason_REASON_IDENTITY_REQUIRED, "the connection has no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil, fault.New(faultv1.Reason_REASON_IDENTITY_REQUIRED, "the connection is not TLS")
	}
	in, _ := metadata.FromIncomingContext(ctx)
	return Outgoing(info.State, trustDomain, in, correlation)
}
