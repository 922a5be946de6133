package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protopack"

	"github.com/lianhu/lianhu/pkg/fault"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// Bytes on a stream are a message or told to the stream as unreadable, never an end that gRPC words by itself; a message that is let through
// to a changing method has one spelling of a request id and no U+0000 or masked value anywhere.
func FuzzReceived(f *testing.F) {
	good, err := proto.Marshal(&specimenv1.ChangeTicketRequest{
		RequestId: "8d9a4f7e-3f6f-4c8e-9d52-0d6f6a5f7b01", Remark: "x", Labels: map[string]string{"k": "v"}, Lines: []*specimenv1.Line{{Seen: "s"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x0a, 0xff})
	f.Add([]byte(strings.Replace(string(good), "k", "\x00", 1)))
	f.Add(protopack.Message{protopack.Tag{Number: 1, Type: protopack.BytesType}, protopack.String("urn:uuid:8d9a4f7e-3f6f-4c8e-9d52-0d6f6a5f7b01")}.Marshal())
	c := codec{encoding.GetCodecV2("proto")}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &specimenv1.ChangeTicketRequest{}
		r := &received{message: m}
		if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw)}, r); err != nil {
			t.Fatalf("told to gRPC: %v", err)
		}
		if whole := proto.Unmarshal(raw, &specimenv1.ChangeTicketRequest{}) == nil; whole != (r.unreadable == nil) {
			t.Fatalf("unreadable: %v", r.unreadable)
		}
		if r.unreadable != nil {
			return
		}
		err := checkStrings("", m.ProtoReflect(), true)
		if err == nil {
			err = checkRequestID(m.ProtoReflect())
		}
		if err != nil {
			for _, reason := range []fault.Reason{
				faultv1.Reason_REASON_NUL_CHARACTER, faultv1.Reason_REASON_MASKED_VALUE, faultv1.Reason_REASON_REQUEST_ID_REQUIRED, faultv1.Reason_REASON_FIELD_INVALID,
			} {
				if fault.Is(err, reason) {
					return
				}
			}
			t.Fatalf("refused by %v", err)
		}
		if text := m.String(); strings.Contains(text, `\x00`) || strings.Contains(text, "※") || len(m.GetRequestId()) != 36 || strings.ToLower(m.GetRequestId())[8] != '-' {
			t.Errorf("let through: %s", text)
		}
	})
}

// A path is given for what protobuf refuses, and for nothing it takes.
func FuzzNotUTF8(f *testing.F) {
	f.Add([]byte{0x32, 0x01, 0xff})
	f.Add([]byte{0x42, 0x03, 0x12, 0x01, 0xff})
	f.Add([]byte{0x3a, 0x03, 0x0a, 0x01, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &specimenv1.ChangeTicketRequest{}
		path := notUTF8(m.ProtoReflect().Descriptor(), raw)
		if err := proto.Unmarshal(raw, m); path != "" && err == nil {
			t.Errorf("%q is said to be no UTF-8", path)
		} else if err != nil && strings.Contains(err.Error(), "UTF-8") && path == "" {
			t.Errorf("no path for %v", err)
		}
	})
}
