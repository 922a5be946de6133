package main

// version is the edition of the contract.
const version = "0.1.0"

const about = `The JSON surface of Lianhu (联护), which carries one child's matter through the units of a district. Every call is a gRPC method too.

- A caller is known by its client certificate, which names its unit and system. There is no other way to say who calls.
- A 64-bit number is a string. A time is RFC 3339; a day is YYYY-MM-DD in Asia/Shanghai; an amount is in fen.
- A call that changes something has a requestId, any UUID of the caller's own. The same one with the same content has one effect.
- A field that is not known to the server is refused, so that a misspelt one is not taken for an absent one.
- Purposes and roles are those of the default district's access table.

All people and numbers in the examples are invented.`

var refusalTexts = map[string]string{
	"400":     "A field breaks a rule, or the present state forbids the call. The details name the reason and the field.",
	"401":     "No certificate, or none that names a unit of this district.",
	"403":     "The caller's role may not make this call, or not for this purpose.",
	"404":     "Nothing there, or nothing the caller may know of.",
	"406":     "The caller takes no JSON.",
	"409":     "There already, or somebody else was faster: read again and repeat the whole operation.",
	"412":     "The item is not in the version that If-Match names: read again.",
	"413":     "The body is too large. Do not repeat it as it is.",
	"415":     "The body is not JSON, or is encoded in a way that is not taken.",
	"429":     "A limit is reached: wait as long as RetryInfo says.",
	"503":     "A part of the system is away: repeat the same request with the same requestId.",
	"default": "Any other refusal, in the same shape.",
}

// head writes what the document says about all calls.
func (d *doc) head() {
	d.whole["info"] = object{
		"title": "Lianhu (联护)", "version": version, "description": about,
		"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
	}
	d.whole["servers"] = []any{object{
		"url": "https://{host}:{port}", "description": "The gateway of a district.",
		"variables": object{"host": object{"default": "127.0.0.1"}, "port": object{"default": "7444"}},
	}}
	d.whole["security"] = []any{object{"clientCertificate": []any{}}}
	d.whole["tags"] = []any{
		tag("Reporting", "Reports, incidents, bulletins, assessments and all that begins a child's matter (报告处置)."),
		tag("Referral", "Cases and what one unit asks of another (转介帮扶)."),
		tag("Registry", "The ledger of children, guardianship, visits, and reference data (台账)."),
		tag("Relief", "Applications, decisions, budgets and payments (救助资金)."),
	}
	components := d.whole["components"].(object)
	components["securitySchemes"] = object{"clientCertificate": object{
		"type": "mutualTLS", "description": "A certificate with the URI spiffe://TRUST-DOMAIN/unit/UNIT/system/SYSTEM. TLS 1.3.",
	}}
	components["parameters"] = object{
		"LianhuMatter":   header("Lianhu-Matter", "Id of the matter the call is about, when the caller knows it.", "7b1e3a52-6f7e-4b7d-9d58-2f1b3c4d5e6f"),
		"LianhuOfficer":  header("Lianhu-Officer", "The acting officer, from the unit's roster. Required where a person must act.", "org-12320411710018221b-1"),
		"LianhuContract": header("Lianhu-Contract", "The edition of the contract the caller was built from, in its own words.", version),
		"IfMatch":        header("If-Match", "The ETag of the version that the caller has seen. The same as etag in the body.", `"5d41402abc4b2a76"`),
	}
	components["headers"] = object{
		"CorrelationId": object{"description": "Random id of this call. Tell it to the operator when you ask about the call.", "schema": object{"type": "string"}},
		"ETag":          object{"description": "Tag of the present version of the item.", "schema": object{"type": "string"}},
		"RetryAfter":    object{"description": "Seconds to wait.", "schema": object{"type": "integer"}},
	}
	d.schemas["Refusal"], d.schemas["RefusalDetail"], d.schemas["FieldViolation"] = refusal(), refusalDetail(), fieldViolation()
	responses := object{}
	for code, text := range refusalTexts {
		headers := object{"Lianhu-Correlation-Id": object{"$ref": "#/components/headers/CorrelationId"}}
		if code == "429" || code == "503" {
			headers["Retry-After"] = object{"$ref": "#/components/headers/RetryAfter"}
		}
		responses["Refusal"+upper(code)] = object{
			"description": text, "headers": headers,
			"content": object{"application/json": object{"schema": object{"$ref": refPrefix + "Refusal"}}},
		}
	}
	components["responses"] = responses
}

func tag(name, text string) object { return object{"name": name, "description": text} }

func header(name, text, example string) object {
	return object{"name": name, "in": "header", "description": text, "required": false, "schema": object{"type": "string"}, "example": example}
}

func text(about string) object { return object{"type": "string", "description": about} }

func refusal() object {
	return object{
		"type": "object", "required": []any{"code", "message", "details"},
		"description": "A refusal (google.rpc.Status). Programs read the reason in its details, never the message.",
		"properties": object{
			"code":    object{"type": "integer", "format": "int32", "description": "The gRPC code."},
			"message": text("What is wrong, for a developer. It holds no personal data."),
			"details": object{"type": "array", "items": object{"$ref": refPrefix + "RefusalDetail"}, "description": "One detail of each kind at most."},
		},
	}
}

func refusalDetail() object {
	return object{
		"type": "object", "required": []any{"@type"},
		"description": "A detail of a refusal. Its @type says which of the other fields it has.",
		"properties": object{
			"@type":  text("type.googleapis.com/ and google.rpc.ErrorInfo, BadRequest, RequestInfo, RetryInfo or LocalizedMessage; others may come."),
			"reason": text("ErrorInfo: the reason, which never changes its meaning, for example FIELD_INVALID. docs/errors.md lists all."),
			"domain": text("ErrorInfo: lianhu."),
			"metadata": object{
				"type": "object", "additionalProperties": object{"type": "string"}, "description": "ErrorInfo: what the reason speaks of, by name.",
			},
			"fieldViolations": object{
				"type": "array", "items": object{"$ref": refPrefix + "FieldViolation"}, "description": "BadRequest: the fields and what is wrong with each.",
			},
			"requestId":  text("RequestInfo: the correlation id of the call."),
			"retryDelay": text("RetryInfo: how long to wait, for example 1s."),
			"locale":     text("LocalizedMessage: zh-CN."),
			"message":    text("LocalizedMessage: a text for the person in front of the calling system."),
		},
	}
}

func fieldViolation() object {
	return object{
		"type": "object", "description": "What is wrong with one field.",
		"properties": object{
			"field":       text("Path of the field, for example child.birthDate."),
			"description": text("The rule it breaks."),
		},
	}
}
