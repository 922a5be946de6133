package server

import (
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// notUTF8 gives the path of the first string on the wire that is no UTF-8, which protobuf's own error does not; empty when there is none.
func notUTF8(m protoreflect.MessageDescriptor, wire []byte) string {
	met := map[protowire.Number]int{} // how many values of a repeated field came before
	for len(wire) > 0 {
		number, kind, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return ""
		}
		wire = wire[n:]
		if n = protowire.ConsumeFieldValue(number, kind, wire); n < 0 {
			return ""
		}
		value, _ := protowire.ConsumeBytes(wire[:n]) // empty for other kinds of value
		wire = wire[n:]
		field := m.Fields().ByNumber(number)
		if field == nil || kind != protowire.BytesType {
			continue
		}
		path := string(field.Name())
		if field.IsList() {
			path += "[" + strconv.Itoa(met[number]) + "]"
			met[number]++
		}
		switch {
		case field.Message() != nil:
			if inner := notUTF8(field.Message(), value); inner != "" {
				if field.IsMap() {
					return path // the key stays out of it: it is content
				}
				return path + "." + inner
			}
		case field.Kind() == protoreflect.StringKind && !utf8.Valid(value):
			return path
		}
	}
	return ""
}
