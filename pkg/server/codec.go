package server

import (
	"errors"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec below
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
)

// ErrUnreadable is what a stream receives in place of bytes that are no message of its method. The stream lives on: its handler
// decides what is stored of what came before, and in which words it ends.
var ErrUnreadable = errors.New("server: the bytes are no message of the method")

// codec is protobuf's own, except that a message it cannot read is told to us and not to gRPC, which would end the call at once as INTERNAL,
// past every interceptor: of a stream before the handler has stored what it had received, of a unary call without a reason.
type codec struct{ encoding.CodecV2 }

// received is one message on its way into a stream.
type received struct {
	message    any
	unreadable error
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, stream := v.(*received)
	if stream {
		v = r.message
	}
	err := c.CodecV2.Unmarshal(data, v)
	m, ours := v.(proto.Message)
	switch {
	case err == nil:
	case stream:
		r.unreadable = fault.Invalid("message", "the bytes are no message of the method").Wrap(ErrUnreadable)
		if ours {
			r.unreadable = noMessage(notUTF8(m.ProtoReflect().Descriptor(), data.Materialize())).Wrap(ErrUnreadable)
		}
		return nil
	case ours:
		mark(m, notUTF8(m.ProtoReflect().Descriptor(), data.Materialize()))
		return nil
	}
	return err
}

// noMessage is the fault for bytes that cannot be read, because of the string at the path where one is known.
func noMessage(path string) *fault.Error {
	if path == "" {
		return fault.Invalid("message", "the bytes are no message of the method")
	}
	return fault.Invalid(path, "is not UTF-8")
}

// markField is a number that protobuf keeps for its implementations: no contract has a field of it.
const markField = protowire.Number(19077)

// mark empties the message of a unary call that could not be read, and notes so in it: gRPC reads the message before the first interceptor.
// Whoever sends the mark himself is refused by it.
func mark(m proto.Message, path string) {
	proto.Reset(m)
	m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, markField, protowire.BytesType), path))
}

// marked is the fault of a message that carries the mark; nil for any other.
func marked(m proto.Message) error {
	unknown := m.ProtoReflect().GetUnknown()
	number, kind, n := protowire.ConsumeTag(unknown)
	if n < 0 || number != markField || kind != protowire.BytesType {
		return nil
	}
	path, n := protowire.ConsumeString(unknown[n:])
	if n < 0 {
		path = ""
	}
	return noMessage(path)
}
