package access

import (
	"log/slog"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Mark stands in place of a text the caller may not read. Every write refuses it, so a masked answer that is sent back
// never overwrites what it hides.
const Mark = "※"

// Mask removes from a message what is above a class and reports whether there was anything. The class of a value is the
// maximum along its path. Singular strings become Mark; everything else, lists and maps included, is cleared, because
// its mere length or presence would tell. What nobody knows the class of counts as ABUSE_DETAIL.
func Mask(m proto.Message, class accessv1.DataClass) bool {
	return mask(m.ProtoReflect(), accessv1.DataClass_DATA_CLASS_PUBLIC, class)
}

func mask(m protoreflect.Message, inherited, class accessv1.DataClass) bool {
	masked := false
	if len(m.GetUnknown()) > 0 && !visible(max(inherited, accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL), class) {
		m.SetUnknown(nil)
		masked = true
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		own := max(inherited, row.ClassOf(field))
		if row.ClassOf(field) == accessv1.DataClass_DATA_CLASS_UNSPECIFIED {
			own = max(inherited, accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL)
		}
		if !visible(own, class) {
			hide(m, field)
			masked = true
			return true
		}
		masked = maskWithin(field, value, own, class) || masked
		return true
	})
	return masked
}

func maskWithin(field protoreflect.FieldDescriptor, value protoreflect.Value, inherited, class accessv1.DataClass) bool {
	masked := false
	switch {
	case field.IsMap():
		if field.MapValue().Message() == nil || leaf(field.MapValue().Message()) {
			return false
		}
		value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			masked = mask(v.Message(), inherited, class) || masked
			return true
		})
	case field.Message() == nil || leaf(field.Message()):
	case field.IsList():
		for i := range value.List().Len() {
			masked = mask(value.List().Get(i).Message(), inherited, class) || masked
		}
	default:
		masked = mask(value.Message(), inherited, class)
	}
	return masked
}

// visible keeps REPORTER_IDENTITY out of the order of the classes in both directions.
func visible(field, class accessv1.DataClass) bool {
	const reporter = accessv1.DataClass_DATA_CLASS_REPORTER_IDENTITY
	switch {
	case field == reporter:
		return class == reporter
	case class == reporter:
		return field <= accessv1.DataClass_DATA_CLASS_INTERNAL
	}
	return field <= class
}

func hide(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if field.Kind() == protoreflect.StringKind && !field.IsList() {
		m.Set(field, protoreflect.ValueOfString(Mark))
		return
	}
	m.Clear(field)
}

// leaf reports whether a message has no classes of its own, so that the field's class counts for all of it.
func leaf(message protoreflect.MessageDescriptor) bool {
	return message.ParentFile().Package() == "google.protobuf"
}

// Redacted makes a message fit for a log: nothing above INTERNAL is left in what is written.
type Redacted struct{ Message proto.Message }

// LogValue implements slog.LogValuer.
func (r Redacted) LogValue() slog.Value { return slog.StringValue(r.String()) }

// String implements fmt.Stringer, so that a format verb cannot print more than a log line.
func (r Redacted) String() string {
	if r.Message == nil {
		return ""
	}
	shown := proto.Clone(r.Message)
	Mask(shown, accessv1.DataClass_DATA_CLASS_INTERNAL)
	return prototext.MarshalOptions{}.Format(shown)
}
