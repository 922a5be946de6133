package main

import (
	"fmt"
	"slices"
	"strings"
)

const (
	anyUUID = "0b6fd3a2-52a5-4c8e-9d43-6c1f0f6f9a01"
	deepest = 6
)

// Invented values by the name of a field; the identity and credit numbers have check digits that fit, and belong to nobody.
var samples = map[string]any{
	"idNumber": "320411201603090022", "name": "测试一", "phone": "13900000000", "division": "320411101201", "residenceDivision": "320411101201",
	"householdDivision": "320411101201", "birthDate": "2016-03-09", "unit": "township/320411101000", "toUnit": "police/320411101000",
	"schoolUnit": "org/12320411710018221B", "officer": "township-320411101000-1", "holder": "township/320411101000", "etag": "5d41402abc4b2a76",
	"source": "R3.1", "clock": "report.accept", "accountNumber": "6222020000000000000", "digest": strings.Repeat("0", 64), "period": "2026-01", "receiptNumber": "R2026010500001", "sha256": strings.Repeat("0", 64),
	"noIdNumberReason": "NO_ID_NUMBER_REASON_UNSPECIFIED", "validateOnly": false, "mistakenEpoch": "2", "updateMask": "ethnicity", "pageToken": "", "offeredTo": "", "facts": object{"months_away": "7"},
}

// mended are the samples that a rule between fields asks for, by the schema of the whole.
var mended = map[string]func(object){
	"ReportingDescribeChildRequest": func(o object) {
		person, _ := o["person"].(object)
		delete(person, "idNumber")
		person["noIdNumberReason"] = "NO_ID_NUMBER_REASON_NOT_KNOWN"
	},
}

// sample is an invented value of a schema. What only the suite writes is left out of what is asked.
func (d *doc) sample(schema object, name string, depth int, asked bool) any {
	if to, ok := schema["$ref"].(string); ok {
		schema, _ = d.schemas[strings.TrimPrefix(to, refPrefix)].(object)
	}
	if values, ok := schema["enum"].([]any); ok {
		if len(values) > 1 && strings.HasSuffix(fmt.Sprint(values[0]), "_UNSPECIFIED") && samples[name] == nil {
			return values[1]
		}
		return values[0]
	}
	if strings.Contains(fmt.Sprint(schema["pattern"]), "[a-z][a-z0-9_]") { // a name of the district's tables, not of a person
		return "emergency_kind"
	}
	if value, ok := samples[name]; ok && (schema["type"] == "string" || schema["type"] == "boolean") {
		return value
	}
	switch schema["type"] {
	case "string":
		return sampleText(schema, name)
	case "integer":
		if least, ok := schema["minimum"]; ok {
			return least
		}
		return 1
	case "boolean":
		return true
	case "array":
		if depth > deepest {
			return []any{}
		}
		return []any{d.sample(schema["items"].(object), singular(name), depth+1, asked)}
	case "object":
		return d.sampleObject(schema, depth, asked)
	}
	return object{}
}

func (d *doc) sampleObject(schema object, depth int, asked bool) any {
	out := object{}
	properties, _ := schema["properties"].(object)
	one, _ := schema[choiceKey].([]any)
	for name, p := range properties {
		property := p.(object)
		if slices.Index(one, any(name)) > 0 {
			continue
		}
		// Generators look for JSON Schema's words in examples too, where a field of that name is only a field.
		if name == "allOf" || name == "anyOf" {
			out[name] = []any{}
			continue
		}
		if depth > deepest || property["readOnly"] == true && asked {
			continue
		}
		out[name] = d.sample(property, name, depth+1, asked)
	}
	return out
}

func sampleText(schema object, name string) any {
	pattern := fmt.Sprint(schema["pattern"])
	switch {
	case schema["format"] == "date-time":
		return "2026-01-05T08:00:00+08:00"
	case schema["format"] == "int64" || strings.HasPrefix(pattern, "^[0-9]{1,19}"):
		return "1"
	case schema["format"] == "byte":
		return "e30="
	case schema["format"] == "uuid" || strings.HasSuffix(name, "Id") || name == "id" || strings.Contains(pattern, "a-fA-F"):
		return anyUUID
	case strings.Contains(pattern, "[0-9]{4}-[0-9]{2}"):
		return "2026-01-05"
	case strings.Contains(pattern, "[0-9]{12}"):
		return "320411101201"
	}
	return "示例"
}

func singular(name string) string { return strings.TrimSuffix(name, "s") }

// examples gives every request body and every answer an example.
func (d *doc) examples() {
	for _, calls := range d.whole["paths"].(object) {
		for _, o := range calls.(object) {
			op := o.(object)
			if body, ok := op["requestBody"].(object); ok {
				d.example(body, true)
			}
			d.example(op["responses"].(object)["200"].(object), false)
		}
	}
}

func (d *doc) example(holder object, asked bool) {
	content, _ := holder["content"].(object)
	if media, ok := content["application/json"].(object); ok {
		schema := media["schema"].(object)
		sample := d.sample(schema, "", 0, asked)
		if mend := mended[strings.TrimPrefix(fmt.Sprint(schema["$ref"]), refPrefix)]; mend != nil {
			mend(sample.(object))
		}
		media["example"] = sample
	}
}
