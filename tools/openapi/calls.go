package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The refusals that any call may meet; 413 and 415 are for those with a body, 412 for those that take a condition.
var refusals = []string{"400", "401", "403", "404", "406", "409", "429", "503", "default"}

var reasons = regexp.MustCompile(`\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b|\bNOT_FOUND\b`)

// operations adds to every call its name, headers, refusals, purposes and limits of parameters.
func (d *doc) operations() error {
	seen := map[string]protoreflect.FullName{}
	for _, c := range d.calls {
		if c.verb == "" {
			continue
		}
		op, err := d.operation(c)
		if err != nil {
			return err
		}
		id := area(c.method.FullName()) + string(c.method.Name())
		if other, taken := seen[id]; taken {
			return fmt.Errorf("%s and %s would both be called %s", other, c.method.FullName(), id)
		}
		seen[id] = c.method.FullName()
		op["operationId"] = id
		op["tags"] = []any{upper(area(c.method.FullName()))}
		op["summary"], op["description"] = summary(comment(c.method))
		op["x-lianhu-method"] = "/" + string(c.method.Parent().FullName()) + "/" + string(c.method.Name())
		op["x-lianhu-action"], op["x-lianhu-roles"] = c.action, list(c.roles)
		if _, said, ok := strings.Cut(fmt.Sprint(op["description"]), "Errors:"); ok {
			op["x-lianhu-reasons"] = list(reasons.FindAllString(said, -1))
		}
		d.parameters(op, c)
		answers(op, c)
	}
	return nil
}

func (d *doc) parameters(op object, c call) {
	old, _ := op["parameters"].([]any)
	var all []any
	for _, p := range old {
		parameter := p.(object)
		if field := fieldOf(c.method.Input(), fmt.Sprint(parameter["name"])); field != nil {
			parameter["name"] = field.JSONName()
			_, parameter["description"] = summary(comment(field))
			schema := parameter["schema"].(object)
			limit(schema, field, false)
			if needed(field) {
				parameter["required"] = true
			}
			parameter["example"] = d.sample(schema, field.JSONName(), 0, true)
		}
		all = append(all, parameter)
	}
	purposes := c.purposes
	if len(purposes) == 0 {
		for _, p := range d.table.Purposes {
			purposes = append(purposes, p.Code)
		}
	}
	all = append(all, object{
		"name": "Lianhu-Purpose", "in": "header", "required": true, "example": purposes[0], "schema": object{"type": "string", "enum": list(purposes)},
		"description": "Why the call is made. These purposes allow it by the access table of the default district; the table of another may differ.",
	})
	for _, name := range []string{"Matter", "Officer", "Contract"} {
		all = append(all, object{"$ref": "#/components/parameters/Lianhu" + name})
	}
	if c.method.Input().Fields().ByName("etag") != nil {
		all = append(all, object{"$ref": "#/components/parameters/IfMatch"})
	}
	op["parameters"] = all
}

// fieldOf finds the field of a parameter, which is spelt as JSON does in a query and as the contract does in a path.
func fieldOf(m protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := m.Fields().ByJSONName(name); field != nil {
		return field
	}
	return m.Fields().ByName(protoreflect.Name(name))
}

func answers(op object, c call) {
	responses := op["responses"].(object)
	good := responses["200"].(object)
	_, good["description"] = summary(fmt.Sprint(good["description"]))
	headers := object{"Lianhu-Correlation-Id": object{"$ref": "#/components/headers/CorrelationId"}}
	fields := c.method.Output().Fields()
	if fields.ByName("etag") != nil || fields.ByName("standing") != nil {
		headers["ETag"] = object{"$ref": "#/components/headers/ETag"}
	}
	good["headers"] = headers
	codes := slices.Clone(refusals)
	if op["requestBody"] != nil {
		codes = append(codes, "413", "415")
	}
	if c.method.Input().Fields().ByName("etag") != nil {
		codes = append(codes, "412")
	}
	for _, code := range codes {
		responses[code] = object{"$ref": "#/components/responses/Refusal" + upper(code)}
	}
}

func list(words []string) []any {
	out := make([]any, 0, len(words))
	for _, w := range words {
		if !slices.Contains(out, any(w)) {
			out = append(out, w)
		}
	}
	return out
}
