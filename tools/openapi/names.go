package main

import (
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const refPrefix = "#/components/schemas/"

// typeName is the one style of names for shapes: area, then the names of the contract without dots, then Enum for an enum, because a message
// may be called as an enum inside another is. `lianhu.reporting.v1.Report.State` becomes ReportingReportStateEnum.
func typeName(files *protoregistry.Files, full protoreflect.FullName) string {
	if full == "google.rpc.Status" {
		return "Refusal"
	}
	parts := strings.Split(strings.TrimPrefix(string(full), "lianhu."), ".")
	var out strings.Builder
	for i, part := range parts {
		if i != 1 { // the version of the package
			out.WriteString(upper(part))
		}
	}
	if found, err := files.FindDescriptorByName(full); err == nil {
		if _, enum := found.(protoreflect.EnumDescriptor); enum {
			out.WriteString("Enum")
		}
	}
	return out.String()
}

func upper(s string) string {
	return strings.ToUpper(s[:1]) + s[1:]
}

// area is the part of the suite that a package belongs to.
func area(p protoreflect.FullName) string {
	return strings.Split(string(p), ".")[1]
}

// jsonPath spells the variables of a path as JSON does: {report_id} becomes {reportId}.
func jsonPath(path string) string {
	var out strings.Builder
	inside, raise := false, false
	for _, r := range path {
		switch {
		case r == '{' || r == '}':
			inside = r == '{'
		case inside && r == '_':
			raise = true
			continue
		case raise:
			r, raise = unicode.ToUpper(r), false
		}
		out.WriteRune(r)
	}
	return out.String()
}

// summary is the first sentence of a comment, description the whole of it as running text.
func summary(comment string) (first, whole string) {
	whole = strings.Join(strings.Fields(comment), " ")
	first = whole
	if at := strings.Index(whole, ". "); at > 0 {
		first = whole[:at+1]
	}
	return first, whole
}

// rename gives every reference to a shape in v the name of its shape.
func rename(files *protoregistry.Files, v any) {
	switch v := v.(type) {
	case object:
		to, _ := v["$ref"].(string)
		if name, shape := strings.CutPrefix(to, refPrefix); shape {
			v["$ref"] = refPrefix + typeName(files, protoreflect.FullName(name))
		}
		for _, inner := range v {
			rename(files, inner)
		}
	case []any:
		for _, inner := range v {
			rename(files, inner)
		}
	}
}
