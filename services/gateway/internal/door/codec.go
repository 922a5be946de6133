package door

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that raw falls back on
	"google.golang.org/grpc/mem"
)

// frame is one message as it travels: bytes nobody here looks into.
type frame struct{ bytes mem.BufferSlice }

// raw passes frames through untouched and leaves everything else, which is health and reflection, to protobuf's codec.
type raw struct{ encoding.CodecV2 }

func newCodec() raw { return raw{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (r raw) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		return f.bytes, nil // gRPC frees the buffers after sending; they were referenced in Unmarshal
	}
	return r.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (r raw) Unmarshal(data mem.BufferSlice, v any) error {
	if f, ok := v.(*frame); ok {
		data.Ref() // gRPC frees the buffers when Unmarshal returns
		f.bytes = data
		return nil
	}
	return r.CodecV2.Unmarshal(data, v)
}
