package server

import (
	"errors"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec below
	"google.golang.org/grpc/mem"
)

// ErrUnreadable is what a stream receives in place of bytes that are no message of its method. The stream lives on: its handler
// decides what is stored of what came before, and in which words it ends.
var ErrUnreadable = errors.New("server: the bytes are no message of the method")

// codec is protobuf's own, except that a message a stream cannot read is told to the stream and not to gRPC, which would end it at once
// with a status of its own, past every interceptor and before the handler has stored what it had received.
type codec struct{ encoding.CodecV2 }

// received is one message on its way into a stream.
type received struct {
	message    any
	unreadable error
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*received)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	r.unreadable = c.CodecV2.Unmarshal(data, r.message)
	return nil
}
