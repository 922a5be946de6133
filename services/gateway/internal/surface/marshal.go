package surface

import (
	"bytes"
	"strings"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// marshaler writes answers so that what is not there is absent: a message that is not set, which protobuf would write as null, and an enum
// that is not set, which it would write as `…_UNSPECIFIED`, as if that were a state. Numbers, flags, texts and lists are always there.
type marshaler struct{ *runtime.JSONPb }

func newMarshaler() *marshaler {
	return &marshaler{&runtime.JSONPb{
		MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true},
		// A misspelt field must not be taken for an absent one.
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
	}}
}

// Marshal implements runtime.Marshaler.
func (m *marshaler) Marshal(v any) ([]byte, error) {
	out, err := m.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	return withoutUnset(out), nil
}

// unset are the values that say of a field that it is not set, by the field's JSON name.
var unset = sync.OnceValue(func() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	var look func(messages protoreflect.MessageDescriptors)
	look = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			fields := messages.Get(i).Fields()
			for j := range fields.Len() {
				f := fields.Get(j)
				if f.Enum() == nil || f.IsList() || f.IsMap() || f.Enum().Values().ByNumber(0) == nil {
					continue
				}
				if out[f.JSONName()] == nil {
					out[f.JSONName()] = map[string]bool{}
				}
				out[f.JSONName()][string(f.Enum().Values().ByNumber(0).Name())] = true
			}
			look(messages.Get(i).Messages())
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		look(file.Messages())
		return true
	})
	return out
})

// withoutUnset drops the members of objects, in protobuf's own JSON, whose enum is not set. It reads the text once, token by token.
func withoutUnset(text []byte) []byte {
	out := bytes.NewBuffer(make([]byte, 0, len(text)))
	for i := 0; i < len(text); {
		if text[i] != '"' {
			out.WriteByte(text[i])
			i++
			continue
		}
		key := stringEnd(text, i)
		colon := skipSpace(text, key)
		if colon < len(text) && text[colon] == ':' {
			if value := skipSpace(text, colon+1); value < len(text) && text[value] == '"' {
				end := stringEnd(text, value)
				if unset()[string(text[i+1:key-1])][string(text[value+1:end-1])] {
					i = drop(text, end, out)
					continue
				}
			}
		}
		out.Write(text[i:key])
		i = key
	}
	return out.Bytes()
}

// drop leaves out a member that ends here, with the comma after it or, when it is the last, the one before.
func drop(text []byte, end int, out *bytes.Buffer) int {
	next := skipSpace(text, end)
	if next < len(text) && text[next] == ',' {
		return skipSpace(text, next+1)
	}
	if written := bytes.TrimRight(out.Bytes(), space); bytes.HasSuffix(written, []byte(",")) {
		out.Truncate(len(written) - 1)
	}
	return next
}

// stringEnd is the place after the string that begins here.
func stringEnd(text []byte, begin int) int {
	for i := begin + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// space is what JSON lets stand between its words.
const space = " \t\r\n"

func skipSpace(text []byte, i int) int {
	for i < len(text) && strings.IndexByte(space, text[i]) >= 0 {
		i++
	}
	return i
}
