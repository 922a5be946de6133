package rules

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// readJSON reads a payload and passes over fields that the contract does not have, as the binary form does. The library's own way of doing so
// would pass over values of enums as well, and what they say would be lost without anybody noticing.
func readJSON(raw []byte, content proto.Message) error {
	err := protojson.Unmarshal(raw, content)
	if err == nil {
		return nil
	}
	known, passed := passOver(raw, content.ProtoReflect().Descriptor())
	if !passed {
		return err
	}
	proto.Reset(content)
	return protojson.Unmarshal(known, content)
}

// passOver leaves out the members of a JSON object that a message does not have, in the messages inside it too, and tells whether there were
// any. What is no object stays as it is.
func passOver(raw json.RawMessage, d protoreflect.MessageDescriptor) (_ json.RawMessage, passed bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return raw, false
	}
	for name, value := range members {
		field := d.Fields().ByJSONName(name)
		if field == nil {
			field = d.Fields().ByTextName(name)
		}
		if field == nil {
			delete(members, name)
			passed = true
			continue
		}
		if field.Message() == nil || field.IsMap() {
			continue
		}
		known, some := passOverIn(value, field)
		members[name], passed = known, passed || some
	}
	known, err := json.Marshal(members)
	if err != nil {
		return raw, false
	}
	return known, passed
}

// passOverIn is passOver for the value of a field, which is one message or a list of them.
func passOverIn(value json.RawMessage, field protoreflect.FieldDescriptor) (_ json.RawMessage, passed bool) {
	if !field.IsList() {
		return passOver(value, field.Message())
	}
	var elements []json.RawMessage
	if json.Unmarshal(value, &elements) != nil {
		return value, false
	}
	for i := range elements {
		var some bool
		elements[i], some = passOver(elements[i], field.Message())
		passed = passed || some
	}
	known, err := json.Marshal(elements)
	if err != nil {
		return value, false
	}
	return known, passed
}

// UnknownFields reports whether an update holds fields that the contract does not have.
func UnknownFields(u Update) bool {
	if len(u.Envelope.ProtoReflect().GetUnknown()) > 0 {
		return true
	}
	if u.Envelope.GetPayloadFormat() == reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON {
		_, passed := passOver(u.Envelope.GetPayload(), u.Content.ProtoReflect().Descriptor())
		return passed
	}
	found := false
	_ = protorange.Range(u.Content.ProtoReflect(), func(values protopath.Values) error { // ends with an error only where the walk says so
		if m, ok := values.Index(-1).Value.Interface().(protoreflect.Message); ok && len(m.GetUnknown()) > 0 {
			found = true
		}
		return nil
	})
	return found
}
