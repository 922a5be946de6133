package command

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// An etag names one version: nothing else lets a change through, and what a stranger may not know is not said.
func FuzzEtag(f *testing.F) {
	f.Add("v1", int64(1))
	f.Add("v01", int64(1))
	f.Add("V1", int64(1))
	f.Add("v10", int64(36))
	f.Add("v1\x00", int64(1))
	f.Add("", int64(7))
	f.Fuzz(func(t *testing.T, etag string, version int64) {
		err := matchEtag(&specimenv1.ChangeTicketRequest{Etag: etag}, version, nil)
		if fits := etag == "" || etag == row.Etag(version); fits != (err == nil) || !fits && !fault.Is(err, faultv1.Reason_REASON_ETAG_MISMATCH) {
			t.Errorf("etag %q of version %d: %v", etag, version, err)
		}
		if etag != "" && err == nil && matchEtag(&specimenv1.ChangeTicketRequest{Etag: etag}, version+1, nil) == nil {
			t.Errorf("etag %q is that of two versions", etag)
		}
		if hidden := matchEtag(&specimenv1.ChangeTicketRequest{Etag: etag}, version, fault.NotFound()); !fault.Is(hidden, faultv1.Reason_REASON_NOT_FOUND) {
			t.Errorf("who may not see the row is told %v", hidden)
		}
	})
}

// The digest of a request does not depend on how it was encoded, and no two contents share one.
func FuzzCanonical(f *testing.F) {
	one, err := proto.Marshal(&specimenv1.ChangeTicketRequest{Id: "a", Number: "b", Labels: map[string]string{"k": "v"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one, one)
	f.Add(one, append(bytes.Clone(one), 0xfa, 0x07, 0x01, 'x')) // a field of the future
	f.Add([]byte{}, []byte{0x0a, 0x00})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, b := &specimenv1.ChangeTicketRequest{}, &specimenv1.ChangeTicketRequest{}
		if proto.Unmarshal(first, a) != nil || proto.Unmarshal(second, b) != nil {
			return
		}
		a.RequestId, a.ValidateOnly, b.RequestId, b.ValidateOnly = "", false, "", false
		encoded, err := proto.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		again := &specimenv1.ChangeTicketRequest{}
		if err := proto.Unmarshal(encoded, again); err != nil {
			t.Fatal(err)
		}
		again.RequestId, again.ValidateOnly = "another", true
		if !bytes.Equal(canonical(a), canonical(again)) {
			t.Error("the same content has two digests")
		}
		if bytes.Equal(canonical(a), canonical(b)) && !proto.Equal(a, b) {
			t.Error("two contents have one digest")
		}
	})
}
