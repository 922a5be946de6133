package name

import (
	"strconv"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/pkg/fault"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Apply brings the names of a message to their written form, by the rule its contract gives each (lianhu.access.v1.name).
//
// Errors: FIELD_INVALID with the path of the field.
func Apply(m proto.Message) error { return apply("", m.ProtoReflect()) }

func apply(path string, m protoreflect.Message) (err error) {
	if !holdsNames(m.Descriptor()) {
		return nil
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		at := string(field.Name())
		if path != "" {
			at = path + "." + at
		}
		switch {
		case field.IsMap():
		case field.IsList() && field.Message() != nil:
			for i := 0; i < value.List().Len() && err == nil; i++ {
				err = apply(at+"["+strconv.Itoa(i)+"]", value.List().Get(i).Message())
			}
		case field.Message() != nil:
			err = apply(at, value.Message())
		case field.Kind() == protoreflect.StringKind && !field.IsList():
			err = applyTo(at, m, field, value.String())
		}
		return err == nil
	})
	return err
}

func applyTo(path string, m protoreflect.Message, field protoreflect.FieldDescriptor, given string) error {
	rule := RuleOf(field)
	if rule == accessv1.NameRule_NAME_RULE_UNSPECIFIED {
		return nil
	}
	if rule == accessv1.NameRule_NAME_RULE_PERSON {
		written := Canonical(given)
		if written != given {
			m.Set(field, protoreflect.ValueOfString(written))
		}
		given = written
	}
	if err := Check(given); err != nil {
		return fault.Invalid(path, err.Error())
	}
	return nil
}

// RuleOf is the rule that the contract gives a field.
func RuleOf(field protoreflect.FieldDescriptor) accessv1.NameRule {
	rule, _ := proto.GetExtension(field.Options(), accessv1.E_Name).(accessv1.NameRule)
	return rule
}

// known remembers which messages hold names, so that the others cost one look.
var known sync.Map // full name → bool

func holdsNames(m protoreflect.MessageDescriptor) bool {
	if found, ok := known.Load(m.FullName()); ok {
		return found.(bool)
	}
	found := search(m, map[protoreflect.FullName]bool{})
	known.Store(m.FullName(), found)
	return found
}

func search(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[m.FullName()] {
		return false
	}
	seen[m.FullName()] = true
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		if RuleOf(field) != accessv1.NameRule_NAME_RULE_UNSPECIFIED || field.Message() != nil && search(field.Message(), seen) {
			return true
		}
	}
	return false
}
