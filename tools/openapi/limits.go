package main

import (
	"regexp"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func rulesOf(f protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	if rules == nil || rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
		return &validate.FieldRules{}
	}
	return rules
}

// limit writes what the contract's rules say of a field into its schema. An answer may hold the empty value where the caller may not see more or
// nothing is known, so in a shape that answers use too (loose) the rules allow it, as they do where the contract says so.
func limit(schema object, f protoreflect.FieldDescriptor, loose bool) {
	rules := rulesOf(f)
	loose = loose || rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE
	if f.IsList() {
		list := rules.GetRepeated()
		put(schema, "maxItems", list.HasMaxItems(), list.GetMaxItems())
		put(schema, "minItems", list.HasMinItems() && !loose, list.GetMinItems())
		put(schema, "uniqueItems", list.GetUnique(), true)
		if items, ok := schema["items"].(object); ok {
			scalar(items, list.GetItems(), false)
		}
		return
	}
	if !f.IsMap() {
		scalar(schema, rules, loose)
	}
}

func scalar(schema object, rules *validate.FieldRules, loose bool) {
	text := rules.GetString()
	put(schema, "maxLength", text.HasMaxLen(), text.GetMaxLen())
	put(schema, "minLength", text.HasMinLen() && !loose, text.GetMinLen())
	switch pattern := text.GetPattern(); {
	case text.GetUuid() && !loose:
		schema["format"] = "uuid"
	case text.GetUuid():
		schema["pattern"] = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$"
	case pattern != "" && loose && !regexp.MustCompile(pattern).MatchString(""):
		schema["pattern"] = "^$|" + pattern
	case pattern != "":
		schema["pattern"] = pattern
	}
	small, big := rules.GetInt32(), rules.GetInt64()
	put(schema, "minimum", small.HasGte() && !loose, small.GetGte())
	put(schema, "maximum", small.HasLte(), small.GetLte())
	if big.HasGte() && big.GetGte() >= 0 { // a 64-bit number is a string in JSON: its range is said in words and digits
		schema["pattern"] = "^[0-9]{1,19}$"
	}
}

func put(schema object, key string, said bool, value any) {
	if said {
		schema[key] = value
	}
}

// needed says whether a request without the field is refused.
func needed(f protoreflect.FieldDescriptor) bool {
	rules := rulesOf(f)
	if rules.GetRequired() {
		return true
	}
	if rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE || f.HasPresence() {
		return false
	}
	text, pattern := rules.GetString(), rules.GetString().GetPattern()
	return text.GetUuid() || text.GetMinLen() > 0 || rules.GetRepeated().GetMinItems() > 0 ||
		pattern != "" && !regexp.MustCompile(pattern).MatchString("") ||
		rules.GetInt32().GetGte() > 0 || rules.GetInt64().GetGte() > 0 || slices.Contains(rules.GetEnum().GetNotIn(), 0)
}

// always says whether an answer holds the field whatever its value: JSON answers write empty values out, except where absence has a meaning and
// for an enum, whose empty value says nothing.
func always(f protoreflect.FieldDescriptor) bool {
	return f.IsList() || f.IsMap() || !f.HasPresence() && f.Kind() != protoreflect.EnumKind
}

// assigned says whether only the suite writes the field of a stored item.
func assigned(f protoreflect.FieldDescriptor) bool {
	said := strings.Join(strings.Fields(comment(f)), " ")
	if strings.Contains(strings.ToLower(said), "never written by a caller") || strings.HasPrefix(said, "Output only.") {
		return true
	}
	fields := f.ContainingMessage().Fields()
	item := fields.ByName("etag") != nil && fields.ByName("version") != nil
	return item && slices.Contains([]protoreflect.Name{"id", "etag", "version", "matter_id", "create_time", "update_time"}, f.Name())
}

func comment(d protoreflect.Descriptor) string {
	return d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
}
