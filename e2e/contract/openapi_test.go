package contract

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/idcode"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

type parameter struct {
	Ref      string `json:"$ref"`
	Name, In string
	Required bool
	Example  any
	Schema   map[string]any
}

type media struct {
	Content map[string]struct {
		Schema struct {
			Ref string `json:"$ref"`
		}
		Example json.RawMessage
	}
}

type operation struct {
	OperationID string `json:"operationId"`
	Method      string `json:"x-lianhu-method"`
	Action      string `json:"x-lianhu-action"`
	Summary     string
	Tags        []string
	Parameters  []parameter
	RequestBody *media
	Responses   map[string]media
}

type openapi struct {
	OpenAPI    string
	Info       struct{ Title, Version string }
	Servers    []any
	Security   []map[string]any
	Paths      map[string]map[string]operation
	Components struct {
		Schemas map[string]struct {
			Required   []string
			Properties map[string]map[string]any
		}
		SecuritySchemes map[string]struct{ Type string }
	}
}

func document(t *testing.T) (d openapi) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "services", "gateway", "internal", "gen", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// What a generator needs stands in the document: who calls, limits, what is required, what only the suite writes, and one style of names.
func TestTheOpenAPIDocumentIsOneAVendorCanGenerateFrom(t *testing.T) {
	d := document(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || !strings.HasPrefix(d.Info.Title, "Lianhu") || d.Info.Version == "" || len(d.Servers) == 0 || len(d.Security) == 0 {
		t.Errorf("the head says %q, %v, %v, %v", d.OpenAPI, d.Info, d.Servers, d.Security)
	}
	for name := range d.Security[0] {
		if d.Components.SecuritySchemes[name].Type != "mutualTLS" {
			t.Errorf("security scheme %s is not a client certificate", name)
		}
	}
	required, readOnly, limits := 0, 0, 0
	for name, schema := range d.Components.Schemas {
		if strings.ContainsAny(name, "._-") || strings.ToUpper(name[:1]) != name[:1] {
			t.Errorf("schema %s is named in another style", name)
		}
		required += len(schema.Required)
		for _, property := range schema.Properties {
			if property["readOnly"] == true {
				readOnly++
			}
			for _, limit := range []string{"maxLength", "minLength", "pattern", "maxItems", "minimum", "maximum"} {
				if property[limit] != nil {
					limits++
				}
			}
		}
	}
	if required < 500 || readOnly < 20 || limits < 200 {
		t.Errorf("%d required, %d readOnly, %d limits: most of the contract's rules are missing", required, readOnly, limits)
	}
	child := d.Components.Schemas["RegistryChild"].Properties
	if child["etag"]["readOnly"] != true || child["statuses"]["readOnly"] != true || child["person"]["readOnly"] != nil {
		t.Errorf("a child's etag and statuses are written by the suite alone, its person is not")
	}
	submit := d.Components.Schemas["ReportingSubmitReportRequest"]
	if !slices.Contains(submit.Required, "narrative") || submit.Properties["narrative"]["maxLength"] != float64(4000) {
		t.Errorf("a report needs a narrative of at most 4000 characters: %v %v", submit.Required, submit.Properties["narrative"])
	}
}

func TestEveryCallOfTheDocumentNamesItsPurposesHeadersAndRefusals(t *testing.T) {
	known := accessv1.Purpose(0).Descriptor().Values()
	for path, calls := range document(t).Paths {
		for verb, op := range calls {
			at := verb + " " + path
			if strings.Contains(path, "_") {
				t.Errorf("%s: a variable in another style", at)
			}
			if op.OperationID == "" || op.Action == "" || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s: %+v", at, op)
			}
			purposes := 0
			for _, p := range op.Parameters {
				if p.Name != "Lianhu-Purpose" {
					continue
				}
				values, _ := p.Schema["enum"].([]any)
				for _, value := range values {
					purposes++
					if name, _ := value.(string); known.ByName(protoreflect.Name("PURPOSE_"+name)) == nil {
						t.Errorf("%s: no purpose is called %s", at, name)
					}
				}
			}
			if purposes == 0 {
				t.Errorf("%s: no purpose", at)
			}
			for _, code := range []string{"200", "400", "403", "404", "409", "503", "default"} {
				if _, told := op.Responses[code]; !told {
					t.Errorf("%s: nothing is said of %s", at, code)
				}
			}
		}
	}
}

// An example is copied before anything else is read: it must be taken.
func TestEveryExampleOfTheDocumentKeepsTheRulesOfTheContract(t *testing.T) {
	if _, err := idcode.CheckIDNumber("320411201603090022"); err != nil {
		t.Errorf("the identity number of the examples: %v", err)
	}
	for path, calls := range document(t).Paths {
		for verb, op := range calls {
			found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(op.Method[1:], "/", ".")))
			if err != nil {
				t.Errorf("%s %s: %v", verb, path, err)
				continue
			}
			method := found.(protoreflect.MethodDescriptor)
			if op.RequestBody != nil {
				keeps(t, verb+" "+path, method.Input(), filled(t, op), true)
			}
			keeps(t, verb+" "+path, method.Output(), op.Responses["200"].Content["application/json"].Example, false)
		}
	}
}

// filled is the example of a body with the variables of the path, as the gateway joins them.
func filled(t *testing.T, op operation) []byte {
	t.Helper()
	whole := map[string]any{}
	if err := json.Unmarshal(op.RequestBody.Content["application/json"].Example, &whole); err != nil {
		t.Fatal(err)
	}
	variables := map[string]any{}
	for _, p := range op.Parameters {
		if p.In == "path" {
			variables[p.Name] = p.Example
		}
	}
	maps.Copy(whole, variables)
	raw, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func keeps(t *testing.T, at string, d protoreflect.MessageDescriptor, example []byte, rules bool) {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	m := kind.New().Interface()
	if err := protojson.Unmarshal(example, m); err != nil {
		t.Errorf("%s: the example of %s: %v", at, d.Name(), err)
		return
	}
	if rules {
		if err := protovalidate.Validate(m); err != nil {
			t.Errorf("%s: the example of %s: %v", at, d.Name(), err)
		}
	}
}
