package gateway_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"  // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"  // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"    // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1" // the published contract
)

// route is an HTTP rule of the contract.
type route struct{ area, method, verb, path string }

// contract gives the methods of all areas, and those with an HTTP rule.
func contract() (methods []string, routes []route) {
	for _, area := range []string{"registry", "reporting", "referral", "relief"} {
		protoregistry.GlobalFiles.RangeFilesByPackage(protoreflect.FullName("lianhu."+area+".v1"), func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				for j := range f.Services().Get(i).Methods().Len() {
					m := f.Services().Get(i).Methods().Get(j)
					name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
					methods = append(methods, name)
					if verb, path := rule(m); path != "" {
						routes = append(routes, route{area, name, verb, path})
					}
				}
			}
			return true
		})
	}
	return methods, routes
}

// rule reads the option google.api.http of a method.
func rule(m protoreflect.MethodDescriptor) (verb, path string) {
	m.Options().ProtoReflect().Range(func(option protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if option.FullName() == "google.api.http" {
			value.Message().Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				if one := field.ContainingOneof(); one != nil && one.Name() == "pattern" {
					verb, path = strings.ToUpper(string(field.Name())), v.String()
				}
				return true
			})
		}
		return true
	})
	return verb, path
}

var variable = regexp.MustCompile(`\{[^}]*\}`)

// A service added to the contract and forgotten in the list of handlers would be missing here.
func TestEveryHTTPRuleLeadsToItsMethod(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	note := func(area string) behind {
		return func(method string, s grpc.ServerStream) error {
			arrived <- area + " " + method
			return empty(method, s)
		}
	}
	h := newHouse(t, map[string]behind{"registry": note("registry"), "reporting": note("reporting"), "referral": note("referral"), "relief": note("relief")})
	c := h.browser(t, township)
	_, document := h.ask(t, c, http.MethodGet, "/openapi.json", "", nil)
	var openapi struct {
		Paths map[string]map[string]json.RawMessage
	}
	ok(t, json.Unmarshal([]byte(document), &openapi))
	// The document spells the variables as JSON does, the contract as proto does.
	listed := map[string]bool{}
	for path, verbs := range openapi.Paths {
		for verb := range verbs {
			listed[strings.ToUpper(verb)+" "+variable.ReplaceAllString(path, "1")] = true
		}
	}
	_, routes := contract()
	if len(routes) == 0 || len(listed) != len(routes) {
		t.Errorf("the contract has %d HTTP rules, /openapi.json lists %d", len(routes), len(listed))
	}
	for _, r := range routes {
		path := variable.ReplaceAllString(r.path, "1")
		if !listed[r.verb+" "+path] {
			t.Errorf("%s %s is not in /openapi.json", r.verb, r.path)
		}
		body := "{}"
		if r.verb == http.MethodGet {
			body = ""
		}
		status, answer := h.ask(t, c, r.verb, path, body, nil)
		if status != http.StatusOK {
			t.Errorf("%s %s: %d %.200s", r.verb, r.path, status, answer)
			continue
		}
		if got := <-arrived; got != r.area+" "+r.method {
			t.Errorf("%s %s led to %s, not %s", r.verb, r.path, got, r.method)
		}
	}
}

// Every method of the contract, streams too, is passed on to the service of its package.
func TestEveryMethodLeadsToItsService(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	note := func(area string) behind {
		return func(method string, s grpc.ServerStream) error {
			arrived <- "/lianhu." + area + ".v1 " + method
			return empty(method, s)
		}
	}
	h := newHouse(t, map[string]behind{"registry": note("registry"), "reporting": note("reporting"), "referral": note("referral"), "relief": note("relief")})
	c := h.unit(t, township)
	methods, _ := contract()
	for _, method := range methods {
		request, answer := []byte{}, []byte{}
		if err := c.Invoke(t.Context(), method, &request, &answer); err != nil {
			t.Errorf("%s: %v", method, err)
			continue
		}
		if area, got, _ := strings.Cut(<-arrived, " "); got != method || !strings.HasPrefix(method, area+".") {
			t.Errorf("%s arrived at %s as %s", method, area, got)
		}
	}
}
