package surface

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lianhu/lianhu/pkg/fault"
)

// JSON knows a field by two names, `birthDate` and `birth_date`, and takes both. Refusals name a field as the caller did, and by the first
// name where it did not.

// names are the JSON names of the contract's fields by both spellings: a key that is not among them is content.
var names = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		collect(file.Messages(), out)
		return true
	})
	return out
})

func collect(messages protoreflect.MessageDescriptors, out map[string]string) {
	for i := range messages.Len() {
		fields := messages.Get(i).Fields()
		for j := range fields.Len() {
			json := fields.Get(j).JSONName()
			out[string(fields.Get(j).Name())], out[json] = json, json
		}
		collect(messages.Get(i).Messages(), out)
	}
}

// known tells whether all of a path are names of the contract.
func known(path string) bool {
	for part := range strings.SplitSeq(path, ".") {
		if names()[part] == "" {
			return false
		}
	}
	return true
}

var segment = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_]*)((?:\[[^\]]*\])?)$`)

// spelt gives a path of the contract as the caller spells it. What is no path of the contract stays.
func (c *call) spelt(path string) string {
	if _, asked := c.query[path]; asked {
		return path
	}
	var sent any
	if json.Unmarshal(c.body, &sent) != nil {
		sent = nil
	}
	parts := strings.Split(path, ".")
	for i, part := range parts {
		found := segment.FindStringSubmatch(part)
		if found == nil || names()[found[1]] == "" {
			return strings.Join(parts, ".")
		}
		name := found[1]
		object, _ := sent.(map[string]any)
		inner, given := object[name]
		if _, asked := c.query[name]; !given && !asked {
			name = names()[name]
			inner = object[name]
		}
		var index int
		if list, ok := inner.([]any); ok {
			if n, _ := fmt.Sscanf(found[2], "[%d]", &index); n == 1 && index < len(list) {
				inner = list[index]
			}
		}
		parts[i], sent = name+found[2], inner
	}
	return strings.Join(parts, ".")
}

// respell names the fields of a refusal as the caller does: in its text, in ErrorInfo and in BadRequest.
func (c *call) respell(s *status.Status) *status.Status {
	out := proto.CloneOf(s.Proto())
	for i, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if field, ok := d.GetMetadata()["field"]; ok {
				d.Metadata["field"] = c.spelt(field)
				out.Message = strings.Replace(out.GetMessage(), field+":", d.Metadata["field"]+":", 1)
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				v.Field = c.spelt(v.GetField())
			}
		default:
			continue
		}
		if packed, err := anypb.New(detail.(proto.Message)); err == nil {
			out.Details[i] = packed
		}
	}
	return status.FromProto(out)
}

// parameters looks at the query: each parameter is a field of the request, under one of its names, and stands nowhere else.
func (c *call) parameters() error {
	met := map[protoreflect.FullName]string{}
	for _, key := range slices.Sorted(maps.Keys(c.query)) {
		field, err := parameter(c.route.method.Input(), key)
		if err != nil {
			return err
		}
		if c.route.body || c.route.inPath[string(field.Name())] && !strings.Contains(key, ".") {
			return fault.Invalid(key, "is no parameter here: it stands in the body or in the path")
		}
		if other, twice := met[field.FullName()]; twice && strings.Count(other, ".") == strings.Count(key, ".") {
			return fault.Invalid(key, "is given under two names")
		}
		met[field.FullName()] = key
	}
	return nil
}

// parameter finds the field that a key of the query names.
func parameter(m protoreflect.MessageDescriptor, key string) (protoreflect.FieldDescriptor, error) {
	parts := strings.Split(key, ".")
	for i, part := range parts {
		field := m.Fields().ByName(protoreflect.Name(part))
		if field == nil {
			field = m.Fields().ByJSONName(part)
		}
		last := i == len(parts)-1
		switch {
		case field == nil || !last && (field.Message() == nil || field.IsList() || field.IsMap()):
			if slices.ContainsFunc(parts, func(p string) bool { return !fieldLike.MatchString(p) }) || len(key) > 64 {
				key = "query" // may be content
			}
			return nil, fault.Invalid(key, "is no parameter of this method")
		case last:
			return field, nil
		}
		m = field.Message()
	}
	return nil, fault.Invalid("query", "a parameter has no name")
}
