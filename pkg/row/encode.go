package row

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Encode turns a message into the arguments of its columns, in the order of Names. The message is not changed.
func (t *Table[M]) Encode(m M, keys *seal.Keys) ([]any, error) {
	args := make([]any, 0, len(t.columns)+len(t.values)+1+len(sealedColumns))
	rest := proto.Clone(m).ProtoReflect()
	for _, c := range t.columns {
		args = append(args, take(rest, c))
	}
	for _, c := range t.values {
		args = append(args, c.Value(m, keys))
	}
	clearEtag(rest, t.item)
	split, err := split(rest)
	if err != nil {
		return nil, err
	}
	body, err := marshal(split[accessv1.DataClass_DATA_CLASS_INTERNAL])
	if err != nil {
		return nil, err
	}
	if body == nil {
		body = []byte{}
	}
	args = append(args, body)
	place := seal.Place{Table: t.Name, ID: t.Head(m).ID}
	for _, s := range sealedColumns {
		plain, err := marshal(split[s.class])
		if err != nil {
			return nil, err
		}
		place.Class = s.class
		sealed, err := keys.Seal(place, plain)
		if err != nil {
			return nil, err
		}
		args = append(args, sealed)
	}
	return args, nil
}

// take reads a column's value and removes it from the message, so that it is stored once.
func take(m protoreflect.Message, c column) any {
	for _, field := range c.path[:len(c.path)-1] {
		if !m.Has(field) {
			return nil
		}
		m = m.Mutable(field).Message()
	}
	field := c.path[len(c.path)-1]
	value := m.Get(field)
	present := m.Has(field)
	m.Clear(field)
	switch field.Kind() {
	case protoreflect.StringKind:
		if value.String() == "" {
			return nil
		}
		return value.String()
	case protoreflect.BoolKind:
		return value.Bool()
	case protoreflect.EnumKind:
		return int32(value.Enum())
	case protoreflect.BytesKind:
		return value.Bytes()
	case protoreflect.MessageKind:
		if !present {
			return nil
		}
		return value.Message().Interface().(*timestamppb.Timestamp).AsTime()
	default:
		return value.Int()
	}
}

// clearEtag drops the etag, which is derived from the version.
func clearEtag(m protoreflect.Message, item bool) {
	if item {
		field := m.Descriptor().Fields().ByName("standing")
		if !m.Has(field) {
			return
		}
		m = m.Mutable(field).Message()
	}
	m.Clear(m.Descriptor().Fields().ByName("etag"))
}

func marshal(m protoreflect.Message) ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m.Interface())
}

// Decode builds the message from scanned destinations; see Destinations.
func (t *Table[M]) Decode(destinations []any, keys *seal.Keys) (M, error) {
	m := t.New()
	n := len(t.columns)
	id, _ := destinations[0].(**string)
	place := seal.Place{Table: t.Name}
	if id != nil && *id != nil {
		place.ID = **id
	}
	for i := range 1 + len(sealedColumns) {
		stored := *destinations[n+i].(*[]byte)
		if i > 0 {
			place.Class = sealedColumns[i-1].class
			opened, err := keys.Open(place, stored)
			if err != nil {
				return m, err
			}
			stored = opened
		}
		if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(stored, m); err != nil {
			return m, fmt.Errorf("row: %s %s: part %d does not decode", t.Name, place.ID, i)
		}
	}
	for i, c := range t.columns {
		put(m.ProtoReflect(), c, destinations[i])
	}
	t.stampEtag(m)
	if r := m.ProtoReflect(); t.item {
		fields := r.Descriptor().Fields()
		since := proto.CloneOf(r.Get(fields.ByName("update_time")).Message().Interface().(*timestamppb.Timestamp))
		clocks.Adopt(t.standing(r), r.Get(fields.ByName("overdue")).Bool(), since)
	}
	return m, nil
}

// Destinations makes the scan targets for the select list Read.
func (t *Table[M]) Destinations() []any {
	out := make([]any, 0, len(t.columns)+1+len(sealedColumns))
	for _, c := range t.columns {
		switch c.sqlType {
		case "boolean":
			out = append(out, new(*bool))
		case "integer", "bigint":
			out = append(out, new(*int64))
		case "timestamptz":
			out = append(out, new(*time.Time))
		case "bytea":
			out = append(out, new([]byte))
		default:
			out = append(out, new(*string))
		}
	}
	for range 1 + len(sealedColumns) {
		out = append(out, new([]byte))
	}
	return out
}

// put sets a column's value in the message; NULL leaves the field unset.
func put(m protoreflect.Message, c column, destination any) {
	field := c.path[len(c.path)-1]
	var value protoreflect.Value
	switch d := destination.(type) {
	case **bool:
		if *d == nil {
			return
		}
		value = protoreflect.ValueOfBool(**d)
	case **int64:
		if *d == nil {
			return
		}
		value = number(field, **d)
	case **time.Time:
		if *d == nil {
			return
		}
		value = protoreflect.ValueOfMessage(timestamppb.New(**d).ProtoReflect())
	case *[]byte:
		if *d == nil {
			return
		}
		value = protoreflect.ValueOfBytes(*d)
	case **string:
		if *d == nil {
			return
		}
		value = protoreflect.ValueOfString(**d)
	}
	descend(m, c.path[:len(c.path)-1]).Set(field, value)
}

func number(field protoreflect.FieldDescriptor, n int64) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	default:
		return protoreflect.ValueOfInt64(n)
	}
}

// newMessage makes an empty message of the generated type, so that its extensions and unknown fields behave.
func newMessage(descriptor protoreflect.MessageDescriptor) protoreflect.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		panic("row: " + string(descriptor.FullName()) + " is not linked in")
	}
	return kind.New()
}
