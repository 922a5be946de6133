package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// doc is the document in the making.
type doc struct {
	whole, schemas object
	files          *protoregistry.Files
	table          *table
	answered       map[string]bool // shapes that an answer holds
	calls          []call
}

// call is one method of the contract.
type call struct {
	method          protoreflect.MethodDescriptor
	action          string
	roles, purposes []string
	verb, path      string // empty for a stream
}

func (d *doc) complete() error {
	d.methods()
	if err := d.requests(); err != nil {
		return err
	}
	d.answered = d.reached("responses")
	d.shapes()
	if err := d.operations(); err != nil {
		return err
	}
	if err := d.renameAll(); err != nil {
		return err
	}
	d.head()
	d.examples()
	return nil
}

// methods lists the published methods in the order of their areas.
func (d *doc) methods() {
	for _, area := range []string{"reporting", "referral", "registry", "relief"} {
		var found []call
		d.files.RangeFilesByPackage(protoreflect.FullName("lianhu."+area+".v1"), func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				for j := range f.Services().Get(i).Methods().Len() {
					found = append(found, d.describe(f.Services().Get(i).Methods().Get(j)))
				}
			}
			return true
		})
		slices.SortFunc(found, func(a, b call) int { return strings.Compare(string(a.method.FullName()), string(b.method.FullName())) })
		d.calls = append(d.calls, found...)
	}
}

func (d *doc) describe(m protoreflect.MethodDescriptor) call {
	rule, _ := proto.GetExtension(m.Options(), accessv1.E_Rule).(*accessv1.MethodRule)
	c := call{method: m, action: rule.GetAction()}
	c.roles, c.purposes = d.table.allowed(c.action)
	switch http, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule); pattern := http.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		c.verb, c.path = "get", pattern.Get
	case *annotations.HttpRule_Post:
		c.verb, c.path = "post", pattern.Post
	case *annotations.HttpRule_Patch:
		c.verb, c.path = "patch", pattern.Patch
	}
	return c
}

// operation is what the document holds of a call so far.
func (d *doc) operation(c call) (object, error) {
	path, _ := d.whole["paths"].(object)[c.path].(object)
	op, _ := path[c.verb].(object)
	if op == nil {
		return nil, fmt.Errorf("%s: %s %q is not in the document", c.method.FullName(), c.verb, c.path)
	}
	return op, nil
}

// requests gives every request body a name of its own: generators make a type of it.
func (d *doc) requests() error {
	for _, c := range d.calls {
		if c.verb == "" {
			continue
		}
		op, err := d.operation(c)
		if err != nil {
			return err
		}
		if body, _ := op["requestBody"].(object); body != nil {
			content := body["content"].(object)["application/json"].(object)
			full := string(c.method.Input().FullName())
			if _, named := content["schema"].(object)["$ref"]; named {
				continue
			}
			shape := content["schema"].(object)
			shape["description"] = comment(c.method.Input())
			d.schemas[full] = shape
			content["schema"] = object{"$ref": refPrefix + full}
		}
	}
	return nil
}

// reached gives the shapes that one part of the operations refers to, and those that these refer to.
func (d *doc) reached(part string) map[string]bool {
	out := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if to, ok := v["$ref"].(string); ok {
				if name := strings.TrimPrefix(to, refPrefix); !out[name] {
					out[name] = true
					walk(d.schemas[name])
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	for _, calls := range d.whole["paths"].(object) {
		for _, op := range calls.(object) {
			walk(op.(object)[part])
		}
	}
	return out
}

// shapes adds to every shape what the contract says of its fields.
func (d *doc) shapes() {
	asked := d.reached("requestBody")
	for name, shape := range d.schemas {
		schema := shape.(object)
		_, text := summary(fmt.Sprint(schema["description"]))
		schema["description"] = text
		found, err := d.files.FindDescriptorByName(protoreflect.FullName(name))
		message, ok := found.(protoreflect.MessageDescriptor)
		properties, _ := schema["properties"].(object)
		if err != nil || !ok || properties == nil {
			continue
		}
		choice(schema, message)
		required := map[string]bool{}
		for key, property := range properties {
			field := message.Fields().ByJSONName(key)
			if field == nil {
				continue // one of the two ways to say a choice
			}
			p := property.(object)
			if _, text := summary(comment(field)); text != "" {
				p["description"] = text
			}
			limit(p, field, d.answered[name])
			if assigned(field) {
				p["readOnly"] = true
			}
			required[key] = d.answered[name] && !asked[name] && always(field) || needed(field) && (!d.answered[name] || always(field))
		}
		maps.DeleteFunc(required, func(_ string, yes bool) bool { return !yes })
		if len(required) > 0 {
			schema["required"] = slices.Sorted(maps.Keys(required))
		}
	}
}

// choiceKey is where a shape lists the fields of which at most one may be set.
const choiceKey = "x-lianhu-choice"

// choice says in words that at most one of some fields may be set. The schemas that say it in JSON Schema's way make no types that a person would
// use in most generators.
func choice(schema object, m protoreflect.MessageDescriptor) {
	for i := range m.Oneofs().Len() {
		oneof := m.Oneofs().Get(i)
		if oneof.IsSynthetic() {
			continue
		}
		for _, key := range []string{"oneOf", "allOf", "anyOf", "not"} {
			delete(schema, key)
		}
		var names []string
		properties := schema["properties"].(object)
		for j := range oneof.Fields().Len() {
			names = append(names, oneof.Fields().Get(j).JSONName())
			if properties[names[j]] == nil {
				panic("the generator left " + names[j] + " out of " + string(m.FullName()))
			}
		}
		schema[choiceKey] = list(names)
		schema["description"] = fmt.Sprintf("%s At most one of %s is set.", schema["description"], strings.Join(names, ", "))
	}
}

// renameAll gives shapes, references and paths their names.
func (d *doc) renameAll() error {
	rename(d.files, d.whole["paths"])
	rename(d.files, d.schemas)
	schemas := object{}
	for name, shape := range d.schemas {
		to := typeName(d.files, protoreflect.FullName(name))
		if schemas[to] != nil {
			return fmt.Errorf("two shapes would be called %s, one of them is %s", to, name)
		}
		schemas[to] = shape
	}
	d.schemas = schemas
	d.whole["components"].(object)["schemas"] = schemas
	paths := object{}
	for path, calls := range d.whole["paths"].(object) {
		paths[jsonPath(path)] = calls
	}
	d.whole["paths"] = paths
	return nil
}
