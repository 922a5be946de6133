package row

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// sealedColumns are the columns of the classes above INTERNAL, lowest first. REPORTER_IDENTITY has none on purpose: it
// lives in the vault and may not enter any other row.
var sealedColumns = []struct {
	name  string
	class accessv1.DataClass
}{
	{"sealed_personal", accessv1.DataClass_DATA_CLASS_PERSONAL},
	{"sealed_minor_identity", accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY},
	{"sealed_abuse_detail", accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL},
}

const highest = accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL

// parts maps a class to the part of a message that has it; PUBLIC counts as INTERNAL.
type parts map[accessv1.DataClass]protoreflect.Message

// split distributes a message over its classes. The class of a value is the maximum along its path; a repeated field
// is kept whole in the highest class it contains, and what nobody knows goes to the highest class.
func split(m protoreflect.Message) (parts, error) {
	out := parts{}
	if err := splitInto(m, accessv1.DataClass_DATA_CLASS_INTERNAL, out, m.Descriptor(), nil); err != nil {
		return nil, err
	}
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		part := out.get(highest, m.Descriptor())
		part.SetUnknown(append(part.GetUnknown(), unknown...))
	}
	return out, nil
}

func (p parts) get(class accessv1.DataClass, root protoreflect.MessageDescriptor) protoreflect.Message {
	class = max(class, accessv1.DataClass_DATA_CLASS_INTERNAL)
	if p[class] == nil {
		p[class] = newMessage(root)
	}
	return p[class]
}

// splitInto walks m, which sits at path below the root message, and puts each leaf where its class belongs.
func splitInto(m protoreflect.Message, inherited accessv1.DataClass, out parts, root protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor) error {
	var failed error
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		class := max(inherited, ClassOf(field))
		nested := field.Kind() == protoreflect.MessageKind && !field.IsList() && !field.IsMap() && !isLeaf(field.Message())
		if !nested {
			class = max(class, classWithin(field))
		}
		if class == accessv1.DataClass_DATA_CLASS_REPORTER_IDENTITY {
			failed = fmt.Errorf("row: %s may only be kept in the reporter vault", field.FullName())
			return false
		}
		if !nested {
			descend(out.get(class, root), path).Set(field, cloneValue(field, value))
			return true
		}
		below := append(path[:len(path):len(path)], field)
		if unknown := value.Message().GetUnknown(); len(unknown) > 0 || isEmpty(value.Message()) {
			target := class
			if len(unknown) > 0 {
				target = max(class, classOfMessage(field.Message(), nil))
			}
			part := descend(out.get(target, root), below)
			part.SetUnknown(append(part.GetUnknown(), unknown...))
		}
		failed = splitInto(value.Message(), class, out, root, below)
		return failed == nil
	})
	return failed
}

// descend opens the nested messages of a path.
func descend(m protoreflect.Message, path []protoreflect.FieldDescriptor) protoreflect.Message {
	for _, field := range path {
		m = m.Mutable(field).Message()
	}
	return m
}

// ClassOf is the class a field declares.
func ClassOf(field protoreflect.FieldDescriptor) accessv1.DataClass {
	class, _ := proto.GetExtension(field.Options(), accessv1.E_Class).(accessv1.DataClass)
	return class
}

// classWithin is the highest class inside a repeated or map field of messages.
func classWithin(field protoreflect.FieldDescriptor) accessv1.DataClass {
	if field.IsMap() {
		return ClassOf(field) // a map's own class counts for its content
	}
	if field.Message() == nil || isLeaf(field.Message()) {
		return ClassOf(field)
	}
	return classOfMessage(field.Message(), nil)
}

func classOfMessage(message protoreflect.MessageDescriptor, seen []protoreflect.FullName) accessv1.DataClass {
	class := accessv1.DataClass_DATA_CLASS_UNSPECIFIED
	for _, name := range seen {
		if name == message.FullName() {
			return class // a recursive shape adds nothing new
		}
	}
	seen = append(seen, message.FullName())
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		class = max(class, ClassOf(field))
		if field.Message() != nil && !field.IsMap() && !isLeaf(field.Message()) {
			class = max(class, classOfMessage(field.Message(), seen))
		}
	}
	return class
}

// isLeaf reports whether a message has no classes of its own, so that the field's class counts.
func isLeaf(message protoreflect.MessageDescriptor) bool {
	return message.ParentFile().Package() == "google.protobuf"
}

func isEmpty(m protoreflect.Message) bool {
	empty := true
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		empty = false
		return false
	})
	return empty
}

func cloneValue(field protoreflect.FieldDescriptor, value protoreflect.Value) protoreflect.Value {
	if field.Message() == nil && !field.IsList() {
		return value
	}
	if field.IsList() || field.IsMap() {
		return value // the source message is a clone of ours already and is not used afterwards
	}
	return protoreflect.ValueOfMessage(proto.Clone(value.Message().Interface()).ProtoReflect())
}
