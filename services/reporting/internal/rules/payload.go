package rules

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// unknownMost is how many names that the contract does not have are kept on an incident, each cut to unknownLong.
const unknownMost, unknownLong = 20, 60

// errForeign is what a payload is that gives no field of the contract: somebody else's document, or nothing. Read as a content it would
// clear all that is known of the incident.
var errForeign = errors.New("no field of the contract is given")

// decode reads the payload of an update in either form.
func decode(u *reportingv1.IncidentUpdate, content proto.Message) error {
	if u.GetPayloadFormat() == reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON {
		if err := readJSON(u.GetPayload(), content); err != nil {
			return err
		}
		if len(given(u)) == 0 {
			return errForeign
		}
		return nil
	}
	if err := proto.Unmarshal(u.GetPayload(), content); err != nil {
		return err
	}
	some := false
	content.ProtoReflect().Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		some = true
		return false
	})
	if !some {
		return errForeign
	}
	return nil
}

// readJSON reads a payload and passes over fields that the contract does not have, as the binary form does. The library's own way of doing so
// would pass over values of enums as well, and what they say would be lost without anybody noticing.
func readJSON(raw []byte, content proto.Message) error {
	err := protojson.Unmarshal(raw, content)
	if err == nil {
		return nil
	}
	known, passed := passOver(raw, content.ProtoReflect().Descriptor())
	if len(passed) == 0 {
		return err
	}
	proto.Reset(content)
	return protojson.Unmarshal(known, content)
}

// fieldOf finds a field by a name in JSON, in either spelling of the contract.
func fieldOf(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := d.Fields().ByJSONName(name); field != nil {
		return field
	}
	return d.Fields().ByTextName(name)
}

// passOver leaves out the members of a JSON object that a message does not have, in the messages inside it too, and gives their paths. What is
// no object stays as it is.
func passOver(raw json.RawMessage, d protoreflect.MessageDescriptor) (_ json.RawMessage, passed []string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return raw, nil
	}
	for name, value := range members {
		field := fieldOf(d, name)
		if field == nil {
			delete(members, name)
			passed = append(passed, name)
			continue
		}
		if field.Message() == nil || field.IsMap() {
			continue
		}
		known, some := passOverIn(value, field)
		members[name] = known
		for _, inside := range some {
			passed = append(passed, name+"."+inside)
		}
	}
	known, err := json.Marshal(members)
	if err != nil {
		return raw, nil
	}
	slices.Sort(passed)
	return known, passed
}

// passOverIn is passOver for the value of a field, which is one message or a list of them.
func passOverIn(value json.RawMessage, field protoreflect.FieldDescriptor) (_ json.RawMessage, passed []string) {
	if !field.IsList() {
		return passOver(value, field.Message())
	}
	var elements []json.RawMessage
	if json.Unmarshal(value, &elements) != nil {
		return value, nil
	}
	for i := range elements {
		var some []string
		elements[i], some = passOver(elements[i], field.Message())
		passed = append(passed, some...)
	}
	known, err := json.Marshal(elements)
	if err != nil {
		return value, nil
	}
	return known, passed
}

// given are the fields of the contract that a JSON payload names with a value, by their names in the contract. null is no value.
func given(u *reportingv1.IncidentUpdate) map[string]bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(u.GetPayload(), &members) != nil {
		return nil
	}
	names := map[string]bool{}
	for name, value := range members {
		if field := fieldOf((&reportingv1.IncidentContent{}).ProtoReflect().Descriptor(), name); field != nil && string(value) != "null" {
			names[string(field.Name())] = true
		}
	}
	return names
}

// unknownNames are the names in a JSON payload that the contract does not have.
func unknownNames(u *reportingv1.IncidentUpdate) []string {
	if u.GetPayloadFormat() != reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON {
		return nil
	}
	_, names := passOver(u.GetPayload(), (&reportingv1.IncidentContent{}).ProtoReflect().Descriptor())
	return names
}

// said tells which fields of the content an update says; nil means all of them. One with a name that the contract does not have says only
// those it names: the unknown one may be a misspelt one, and what it means must not be cleared. A status is always said, as an absent one means open,
// which is the one that loses no child.
func said(u *reportingv1.IncidentUpdate) map[string]bool {
	if !slices.ContainsFunc(unknownNames(u), func(name string) bool { return !strings.Contains(name, ".") }) {
		return nil
	}
	names := given(u)
	names["status"] = true
	return names
}

// shortened are names as they are kept on an incident.
func shortened(names []string) []string {
	var short []string
	for _, name := range names[:min(unknownMost, len(names))] {
		if runes := []rune(name); len(runes) > unknownLong {
			name = string(runes[:unknownLong])
		}
		short = append(short, strings.ReplaceAll(name, "\x00", ""))
	}
	return short
}

// UnknownFields reports whether an update holds fields that the contract does not have.
func UnknownFields(u Update) bool {
	if len(u.Envelope.ProtoReflect().GetUnknown()) > 0 || len(unknownNames(u.Envelope)) > 0 {
		return true
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
