package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/server"
)

// A refusal names the field as the caller spelt it, and says which one is not in the contract.
func TestAFieldIsNamedAsTheCallerSpeltIt(t *testing.T) {
	t.Parallel()
	refuse := func(string, grpc.ServerStream) error {
		return server.Status(fault.Invalid("child.birth_date", "is no day").Field("updates[1].incident_number", "is no number")).Err()
	}
	h := newHouse(t, map[string]behind{"reporting": refuse, "registry": empty})
	c := h.browser(t, township)
	const path = "/v1/reporting/reports"
	for _, k := range []struct{ name, verb, path, body, field, more string }{
		{"camelCase", "POST", path, `{"child":{"birthDate":"2016-02-30"}}`, "child.birthDate", "updates[1].incidentNumber"},
		{"snake_case", "POST", path, `{"child":{"birth_date":"2016-02-30"}}`, "child.birth_date", "updates[1].incidentNumber"},
		{"not sent", "POST", path, `{}`, "child.birthDate", ""},
		{"an unknown field", "POST", path, `{"chld":{}}`, "chld", "not in the contract (line 1, column 2)"},
		{"an unknown field inside", "POST", path, `{"child":{"idNumer":"1"}}`, "child.idNumer", "not in the contract"},
		{"a field twice", "POST", path, `{"child":{},"child":{}}`, "child", "twice"},
		{"a field under both names", "POST", path, `{"child":{"idNumber":"1","id_number":"1"}}`, "child.id_number", "twice"},
		{"null and then a value", "POST", path, `{"narrative":null,"narrative":"x"}`, "narrative", "twice"},
		{"more after the end", "POST", path, `{} {}`, "body", "goes on after the end of the message (line 1, column 4)"},
		{"a word after the end", "POST", path, "{}\nx", "body", "(line 2, column 1)"},
		{"a comma after the end", "POST", path, "{},", "body", "(line 1, column 3)"},
		{"an unknown parameter", "GET", path + "?pagesize=3", "", "pagesize", "no parameter of this method"},
		{"an unknown parameter inside", "GET", "/v1/reporting/work?filter.unitt=x", "", "filter.unitt", "no parameter of this method"},
		{"a parameter under both names", "GET", path + "?pageSize=3&page_size=3", "", "page_size", "two names"},
		{"a parameter of a body", "POST", path + "?narrative=x", "{}", "narrative", "body"},
		{"a parameter of the path", "GET", path + "/x?report_id=y", "", "report_id", "path"},
		{"a parameter that may be a name", "GET", path + "?%E9%92%B1=3", "", "query", ""},
		{"a parameter that cannot be read", "GET", path + "?page_size=%zz", "", "query", ""},
	} {
		metadata, whole := h.refuses(t, c, k.verb, k.path, k.body, http.StatusBadRequest, "FIELD_INVALID")
		if metadata["field"] != k.field || !strings.Contains(whole, `"field":`) || !strings.Contains(whole, k.more) {
			t.Errorf("%s: %q in %s, want %q and %q", k.name, metadata["field"], whole, k.field, k.more)
		}
	}
	for _, path := range []string{"/v1/registry/work?filter.unit=x&pageSize=3", "/v1/registry/work?page_size=3"} {
		if status, body := h.ask(t, c, http.MethodGet, path, "", nil); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// What may stand once does: with two officers it would hang on the reader which of them acted, or whether anybody did.
func TestAKeyThatStandsTwiceIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": func(string, grpc.ServerStream) error {
		t.Error("it reached the service")
		return nil
	}})
	c, web := h.unit(t, township), h.browser(t, township)
	for _, key := range []string{"lianhu-officer", "lianhu-purpose", "lianhu-matter", "lianhu-contract"} {
		for _, pair := range [][]string{{key, key}, {key, "grpc-metadata-" + key}, {"grpc-metadata-" + key}, {strings.ReplaceAll(key, "-", "_")}, {key + "-bin"}} {
			ctx := t.Context()
			header := http.Header{}
			for _, one := range pair {
				ctx = metadata.AppendToOutgoingContext(ctx, one, "x")
				header.Add(one, "x")
			}
			for _, method := range []string{read, watch} {
				request, answer := []byte{}, []byte{}
				if got := refused(t, c.Invoke(ctx, method, &request, &answer), codes.InvalidArgument, "FIELD_INVALID"); got["field"] != key {
					t.Errorf("%v: %v", pair, got)
				}
			}
			if status, body := h.ask(t, web, http.MethodGet, "/v1/reporting/reports/x", "", header); status != http.StatusBadRequest || !strings.Contains(body, key) {
				t.Errorf("%v over JSON: %d %s", pair, status, body)
			}
		}
	}
}

// Every answer has an id of its own, drawn here whatever the caller sends; the service hears it, the log has it, and a refusal says it.
func TestEveryAnswerHasAnIdOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := make(chan metadata.MD, 1)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		seen <- md
		return empty(method, s)
	}})
	c, web := h.unit(t, township), h.browser(t, township)
	const forged = "11111111-1111-4111-8111-111111111111"
	ids := map[string]bool{}
	check := func(id, inside string) {
		t.Helper()
		if len(id) != 36 || id == forged || ids[id] || id != inside {
			t.Errorf("id %q, inside %q", id, inside)
		}
		ids[id] = true
	}
	for range 2 {
		got := h.send(t, web, "GET", "/v1/reporting/reports/x", nil, "Lianhu-Correlation-Id", forged)
		check(got.header.Get("Lianhu-Correlation-Id"), wait(t, seen, "JSON").Get("lianhu-correlation-id")[0])
		var header metadata.MD
		request, answer := []byte{}, []byte{}
		ok(t, c.Invoke(metadata.AppendToOutgoingContext(t.Context(), "lianhu-correlation-id", forged), read, &request, &answer, grpc.Header(&header)))
		check(header.Get("lianhu-correlation-id")[0], wait(t, seen, "gRPC").Get("lianhu-correlation-id")[0])
	}
	got := h.send(t, web, "GET", "/v1/nothing", nil)
	if id := got.header.Get("Lianhu-Correlation-Id"); !diary.has(id) {
		t.Errorf("the log does not know %s", id)
	}
	var header metadata.MD
	request, answer := []byte{}, []byte{}
	err := c.Invoke(t.Context(), "/lianhu.reporting.v1.NoService/GetReport", &request, &answer, grpc.Header(&header))
	refused(t, err, codes.NotFound, "METHOD_UNKNOWN")
	if id := header.Get("lianhu-correlation-id"); len(id) != 1 || !diary.has(id[0]) || !strings.Contains(errorText(err), id[0]) {
		t.Errorf("id %v of a refusal: %v", id, err)
	}
}

// What is not there is absent from an answer: no null, and no state that is none.
func TestWhatIsNotSetIsAbsent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.browser(t, township)
	_, routes := contract()
	for _, r := range routes {
		body := "{}"
		if r.verb == http.MethodGet {
			body = ""
		}
		_, answer := h.ask(t, c, r.verb, variable.ReplaceAllString(r.path, "1"), body, nil)
		if strings.Contains(answer, "null") || strings.Contains(answer, "UNSPECIFIED") || !strings.HasPrefix(answer, "{") {
			t.Errorf("%s answers %s", r.path, answer)
		}
	}
}
