package access

import (
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// A principal counts from the gateway alone, as it was written, and never makes a service of anybody.
func FuzzPrincipal(f *testing.F) {
	good, err := proto.Marshal(&accessv1.Principal{Unit: "court", System: "main", Officer: "court-1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, KeyPrincipal)
	f.Add([]byte{}, KeyPrincipal)
	f.Add([]byte{0xff}, "grpc-metadata-lianhu-principal-bin")
	f.Add(good, "Lianhu_Principal.Bin")
	f.Fuzz(func(t *testing.T, value []byte, key string) {
		md := metadata.MD{key: {string(value)}}
		claim, err := claimOf(identity.OfService("xinbei.test", Gateway), md)
		if err != nil && !fault.Is(err, faultv1.Reason_REASON_IDENTITY_REQUIRED) && !fault.Is(err, faultv1.Reason_REASON_FIELD_INVALID) {
			t.Errorf("refused by %v", err)
		}
		if key == KeyPrincipal && err == nil && (claim.Unit == "" || claim.Service != "") {
			t.Errorf("the principal became %+v", claim)
		}
		if stranger, err := claimOf(identity.OfUnit("xinbei.test", "court", "main"), md); err == nil && (stranger.Unit != "court" || stranger.System != "main" || stranger.Service != "") {
			t.Errorf("a unit became %+v", stranger)
		}
	})
}

// Purpose, matter and officer are read or refused as a field; nothing else comes of them.
func FuzzPurpose(f *testing.F) {
	f.Add("EMERGENCY_RESPONSE", "8d9a4f7e-3f6f-4c8e-9d52-0d6f6a5f7b01", "court-1", 1)
	f.Add("emergency_response", "", "", 1)
	f.Add("UNSPECIFIED", "{8d9a4f7e-3f6f-4c8e-9d52-0d6f6a5f7b01}", "\x00", 2)
	f.Add("ſ", "urn:uuid:8d9a4f7e-3f6f-4c8e-9d52-0d6f6a5f7b01", "", 0)
	f.Fuzz(func(t *testing.T, purpose, matter, officer string, times int) {
		md := metadata.MD{}
		for range min(max(times, 0), 3) {
			md.Append(KeyPurpose, purpose)
			md.Append(KeyMatter, matter)
			md.Append(KeyOfficer, officer)
		}
		claim, err := claimOf(identity.OfUnit("xinbei.test", "court", "main"), md)
		if err == nil {
			err = readPurpose(&claim, md)
		}
		if err != nil {
			if !fault.Is(err, faultv1.Reason_REASON_FIELD_INVALID) {
				t.Errorf("refused by %v", err)
			}
			return
		}
		if _, known := accessv1.Purpose_name[int32(claim.Purpose)]; !known || claim.Matter != "" && len(claim.Matter) != 36 || claim.Unit != "court" {
			t.Errorf("read as %+v", claim)
		}
	})
}
