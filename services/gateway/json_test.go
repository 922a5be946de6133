package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/identity"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	"github.com/lianhu/lianhu/services/gateway"
)

// browser speaks HTTPS with a unit's certificate.
func (h *house) browser(t *testing.T, unit string) *http.Client {
	t.Helper()
	tls := h.source(t, h.ca, identity.OfUnit(domain, unit, "main")).ClientTLS(identity.OfService(domain, gateway.Name))
	transport := &http.Transport{TLSClientConfig: tls, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// problem is a refusal as JSON.
type problem struct {
	Code    codes.Code
	Message string
	Details []struct {
		Type            string `json:"@type"`
		Reason, Message string
		Metadata        map[string]string
	}
}

func (p problem) reason() (string, map[string]string) {
	for _, d := range p.Details {
		if strings.HasSuffix(d.Type, "google.rpc.ErrorInfo") {
			return d.Reason, d.Metadata
		}
	}
	return "", nil
}

// ask sends a request and gives status and body of the answer.
func (h *house) ask(t *testing.T, c *http.Client, method, path, body string, header http.Header) (status int, content string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, h.json+path, strings.NewReader(body))
	ok(t, err)
	if header != nil {
		request.Header = header
	}
	answer, err := c.Do(request)
	ok(t, err)
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	ok(t, err)
	return answer.StatusCode, string(read)
}

// refuses sends a request and checks status and reason of the refusal.
func (h *house) refuses(t *testing.T, c *http.Client, method, path, body string, status int, reason string) (map[string]string, string) {
	t.Helper()
	answered, content := h.ask(t, c, method, path, body, nil)
	var p problem
	if err := json.Unmarshal([]byte(content), &p); err != nil {
		t.Fatalf("%d, not JSON: %v", answered, err)
	}
	got, metadata := p.reason()
	if answered != status || got != reason || !strings.Contains(content, "zh-CN") {
		t.Errorf("%s %.80s: %d %s (%s), want %d %s", method, path, answered, got, p.Message, status, reason)
	}
	return metadata, content
}

// Whoever takes the one port for the other is told at once, in gRPC's own way, also with a stream that never ends.
func TestAGRPCCallAtTheJSONPortIsToldSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.grpc = strings.TrimPrefix(h.json, "https://")
	var answer []byte
	err := open(t.Context(), t, h.unit(t, township)).RecvMsg(&answer)
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "JSON") {
		t.Errorf("a stream: %v", err)
	}
	if err := h.unit(t, township).Invoke(t.Context(), read, &answer, &answer); status.Code(err) != codes.Unimplemented {
		t.Errorf("a call: %v", err)
	}
}

// secret stands for what a caller got wrong: it may be a child's name, so nobody else is told.
const secret = "qianyuxin-0319"

// A request that is not of the contract's shape is told apart by field and place, and nothing of it is repeated: not to the caller, whose
// own log would keep it, and not in ours.
func TestAnUnreadableRequestIsNotQuoted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": func(string, grpc.ServerStream) error {
		t.Error("it reached the service")
		return nil
	}})
	c := h.browser(t, township)
	const path, list = "/v1/reporting/reports", "/v1/reporting/reports?"
	for name, k := range map[string]struct{ method, path, body, field, place string }{
		"a number with a zero":      {http.MethodPost, path, `{"child":{"name":0319.5,"idNumber":"` + secret + `"}}`, "child", "(line 1, column 19)"},
		"an object for a string":    {http.MethodPost, path, "{\"child\": {\n  \"idNumber\": {\"x\":\"" + secret + "\"}}}", "child.idNumber", "(line 2, column 15)"},
		"a string for a message":    {http.MethodPost, path, `{"child":"` + secret + `"}`, "child", "(line 1, column 10)"},
		"an unknown enum":           {http.MethodPost, path, `{"child":{"sex":"` + secret + `"}}`, "child.sex", "(line 1, column 17)"},
		"a string for a flag":       {http.MethodPost, path, `{"validateOnly":"` + secret + `"}`, "validateOnly", "(line 1, column 17)"},
		"no time":                   {http.MethodPost, path, `{"discoverTime":"` + secret + `"}`, "discoverTime", "(line 1, column 17)"},
		"an element of a list":      {http.MethodPost, path, `{"situations":["LIVING_ALONE",{"a":"` + secret + `"}]}`, "situations[1]", "(line 1, column 31)"},
		"an unknown field":          {http.MethodPost, path, `{"child":{"` + secret + `":1}}`, "child", "(line 1, column 11)"},
		"a field of that name":      {http.MethodPost, path, `{"x field ` + secret + `: (line 1:2)":1}`, "body", "(line 1, column 2)"},
		"a field twice":             {http.MethodPost, path, `{"narrative":"` + secret + `","narrative":"` + secret + `"}`, "narrative", "(line 1, column 31)"},
		"by the other name too":     {http.MethodPost, path, `{"child":{"idNumber":"` + secret + `","id_number":"` + secret + `"}}`, "child.id_number", "(line 1, column 39)"},
		"spaces and wide letters":   {http.MethodPost, path, "\r\n\t {\"narrative\":\"钱雨\",\n \"child\":{\"name\":\"钱\",\"sex\":\"" + secret + "\"}}", "child.sex", "(line 3, column 28)"},
		"cut off":                   {http.MethodPost, path, `{"child":{"name":"` + secret, "body", ""},
		"not JSON":                  {http.MethodPost, path, secret, "body", "(line 1, column 1)"},
		"not JSON inside":           {http.MethodPost, path, "{\"child\":{\"name\":\n" + secret + "}}", "child.name", "(line 2, column 1)"},
		"a list":                    {http.MethodPost, path, `["` + secret + `"]`, "body", "(line 1, column 1)"},
		"a string":                  {http.MethodPost, path, `"` + secret + `"`, "body", "(line 1, column 1)"},
		"not UTF-8":                 {http.MethodPost, path, "{\"narrative\":\"" + secret + "\xff\"}", "narrative", "(line 1, column 14)"},
		"half a surrogate":          {http.MethodPost, path, `{"narrative":"` + secret + `\ud800","child":{}}`, "narrative", "(line 1, column 14)"},
		"a number for a page":       {http.MethodGet, list + "page_size=" + secret, "", "page_size", ""},
		"an enum of a list":         {http.MethodGet, list + "states=" + secret, "", "states", ""},
		"a parameter twice":         {http.MethodGet, list + "division=1&division=" + secret, "", "division", ""},
		"a parameter below nothing": {http.MethodGet, list + "division." + secret + "=1", "", "query", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metadata, whole := h.refuses(t, c, k.method, k.path, k.body, http.StatusBadRequest, "FIELD_INVALID")
			if metadata["field"] != k.field || !strings.Contains(whole, k.place) {
				t.Errorf("field %q, %s; want %q %s", metadata["field"], whole, k.field, k.place)
			}
			if strings.Contains(whole, secret) || strings.Contains(whole, "钱") || strings.Contains(whole, "0319") {
				t.Error("the answer quotes the request")
			}
		})
	}
	t.Cleanup(func() {
		if diary.has(secret) {
			t.Error("the log quotes a request")
		}
	})
}

func TestWhatIsTooLargeIsNamedOverJSON(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": large})
	c := h.browser(t, township)
	metadata, _ := h.refuses(t, c, http.MethodPost, "/v1/reporting/reports", `{"narrative":"`+strings.Repeat("r", 4<<20)+`"}`, http.StatusRequestEntityTooLarge, "MESSAGE_TOO_LARGE")
	if metadata["limit_bytes"] != "4194304" {
		t.Errorf("request: %v", metadata)
	}
	metadata, _ = h.refuses(t, c, http.MethodGet, "/v1/reporting/reports/x", "", http.StatusRequestEntityTooLarge, "MESSAGE_TOO_LARGE")
	if metadata["limit_bytes"] != "8388608" {
		t.Errorf("answer: %v", metadata)
	}
}

// What a service says, its reason and its text in Chinese, is what the JSON caller reads.
func TestARefusalReachesTheJSONCaller(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": func(string, grpc.ServerStream) error {
		return refusal(faultv1.Reason_REASON_ETAG_MISMATCH, "stale", "etag", "7")
	}})
	metadata, whole := h.refuses(t, h.browser(t, township), http.MethodGet, "/v1/reporting/reports/x", "", http.StatusConflict, "ETAG_MISMATCH")
	if metadata["etag"] != "7" || !strings.Contains(whole, "数据已被更新") {
		t.Errorf("%v %s", metadata, whole)
	}
}
