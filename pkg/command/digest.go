package command

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// canonical writes a request as bytes that depend on its content alone. Protobuf's own encoding is not stable between
// versions and languages, and a retry may come through another replica. The fields request_id and validate_only of the
// request itself are left out: they do not change what is asked for.
func canonical(request proto.Message) []byte {
	if request == nil {
		return nil
	}
	var out bytes.Buffer
	walk(&out, request.ProtoReflect(), true)
	return out.Bytes()
}

func walk(out *bytes.Buffer, m protoreflect.Message, top bool) {
	var fields []protoreflect.FieldDescriptor
	m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !top || field.Name() != "request_id" && field.Name() != "validate_only" {
			fields = append(fields, field)
		}
		return true
	})
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number()) - int(b.Number()) })
	for _, field := range fields {
		number(out, uint64(field.Number()))
		value := m.Get(field)
		switch {
		case field.IsList():
			number(out, uint64(value.List().Len()))
			for i := range value.List().Len() {
				scalar(out, field, value.List().Get(i))
			}
		case field.IsMap():
			walkMap(out, field, value.Map())
		default:
			scalar(out, field, value)
		}
	}
	number(out, 0) // no field has number 0: the end of the message
	chunk(out, m.GetUnknown())
}

func walkMap(out *bytes.Buffer, field protoreflect.FieldDescriptor, m protoreflect.Map) {
	entries := make([][]byte, 0, m.Len())
	m.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		var entry bytes.Buffer
		scalar(&entry, field.MapKey(), key.Value())
		scalar(&entry, field.MapValue(), value)
		entries = append(entries, entry.Bytes())
		return true
	})
	slices.SortFunc(entries, bytes.Compare)
	number(out, uint64(len(entries)))
	for _, entry := range entries {
		chunk(out, entry)
	}
}

func scalar(out *bytes.Buffer, field protoreflect.FieldDescriptor, value protoreflect.Value) {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		walk(out, value.Message(), false)
	case protoreflect.StringKind:
		chunk(out, []byte(value.String()))
	case protoreflect.BytesKind:
		chunk(out, value.Bytes())
	case protoreflect.BoolKind:
		if value.Bool() {
			number(out, 1)
			return
		}
		number(out, 0)
	case protoreflect.EnumKind:
		number(out, uint64(value.Enum()))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		number(out, math.Float64bits(value.Float()))
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		number(out, value.Uint())
	default:
		number(out, uint64(value.Int()))
	}
}

func number(out *bytes.Buffer, n uint64) {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], n)
	out.Write(raw[:])
}

// chunk writes bytes with their length in front, so that neighbours cannot be shifted into each other.
func chunk(out *bytes.Buffer, b []byte) {
	number(out, uint64(len(b)))
	out.Write(b)
}
