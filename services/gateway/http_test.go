package gateway_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// reply is an answer of the gateway over HTTP.
type reply struct {
	status int
	header http.Header
	body   string
}

// send makes a request as it is given; a body is JSON unless the headers say otherwise.
func (h *house) send(t *testing.T, c *http.Client, method, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, h.json+path, body)
	ok(t, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Content-Type" {
			request.Header.Set("Content-Type", headers[i+1])
		}
	}
	answer, err := c.Do(request)
	ok(t, err)
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	ok(t, err)
	return reply{answer.StatusCode, answer.Header, string(read)}
}

// refusedAs checks that an answer is a refusal in the one shape: status, reason, texts, and the id of the call in header and body alike.
func refusedAs(t *testing.T, name string, r reply, status int, reason string) {
	t.Helper()
	var p struct {
		Details []struct {
			Type      string `json:"@type"`
			Reason    string
			RequestID string `json:"requestId"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Errorf("%s: %d, not JSON: %.100s", name, r.status, r.body)
		return
	}
	got, id := "", ""
	for _, d := range p.Details {
		got, id = got+d.Reason, id+d.RequestID
	}
	if r.status != status || got != reason || !strings.Contains(r.body, "zh-CN") || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %d %s %.300s, want %d %s", name, r.status, got, r.body, status, reason)
	}
	if id == "" || id != r.header.Get("Lianhu-Correlation-Id") {
		t.Errorf("%s: correlation id %q in the body, %q in the header", name, id, r.header.Get("Lianhu-Correlation-Id"))
	}
}

// Every path of the contract says what it takes; what it does not take is 405 and tells what it does.
func TestEveryPathSaysWhatItTakes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.browser(t, township)
	_, all := contract()
	takes := map[string][]string{"/openapi.json": {"GET"}, "/healthz": {"GET"}}
	for _, r := range all {
		path := variable.ReplaceAllString(r.path, "1")
		takes[path] = append(takes[path], r.verb)
	}
	for path, verbs := range takes {
		if slices.Contains(verbs, "GET") {
			verbs = append(verbs, "HEAD")
		}
		verbs = append(verbs, "OPTIONS")
		slices.Sort(verbs)
		allow := strings.Join(verbs, ", ")
		for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"} {
			var body io.Reader
			if slices.Contains([]string{"POST", "PUT", "PATCH"}, verb) {
				body = strings.NewReader("{}")
			}
			got := h.send(t, c, verb, path, body)
			switch {
			case verb == "OPTIONS":
				if got.status != http.StatusNoContent || got.header.Get("Allow") != allow {
					t.Errorf("OPTIONS %s: %d, Allow %q, want %q", path, got.status, got.header.Get("Allow"), allow)
				}
			case slices.Contains(verbs, verb):
				if got.status/100 != 2 || got.header.Get("Lianhu-Correlation-Id") == "" || verb == "HEAD" && got.body != "" {
					t.Errorf("%s %s: %d %.100s", verb, path, got.status, got.body)
				}
			default:
				if verb != "HEAD" { // whose answers have no body
					refusedAs(t, verb+" "+path, got, http.StatusMethodNotAllowed, "HTTP_METHOD_UNKNOWN")
				}
				if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != allow {
					t.Errorf("%s %s: %d, Allow %q, want %q", verb, path, got.status, got.header.Get("Allow"), allow)
				}
			}
		}
	}
}

// An address that leads nowhere is told so in the one shape, whatever it looks like: never by a page of HTML, never by sending elsewhere.
func TestAnAddressThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.browser(t, township)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{
		"/", "//", "/v1", "/v1/", "/v1/reporting", "/v1/reporting/", "//v1/reporting/reports", "/v1//reporting/reports", "/v1/reporting/reports/",
		"/v1/../v1/reporting/reports", "/v1/reporting/reports/../reports", "/v1/reporting/./reports", "/%2e%2e/etc/passwd", "/v1/reporting%2freports",
		"/index.html", "/v1/reporting/reports/x:nothing", "/openapi.json/", "/v1/reporting/reports/x/y/z", "/V1/reporting/reports",
	} {
		got := h.send(t, c, "GET", path, nil)
		if path == "/v1/reporting/reports/x:nothing" && got.status == http.StatusOK {
			continue // an id may hold a colon; the service judges it
		}
		refusedAs(t, path, got, http.StatusNotFound, "METHOD_UNKNOWN")
	}
	refusedAs(t, "not UTF-8", h.send(t, c, "GET", "/v1/reporting/reports/%ff", nil), http.StatusBadRequest, "FIELD_INVALID")
	refusedAs(t, "not UTF-8", h.send(t, c, "GET", "/v1/reporting/reports?division=%ff", nil), http.StatusBadRequest, "FIELD_INVALID")
}

// HEAD answers what GET does, without the body.
func TestHeadIsGetWithoutItsBody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": standing("v3")})
	c := h.browser(t, township)
	get, head := h.send(t, c, "GET", "/v1/reporting/reports/x", nil, "Accept-Encoding", "identity"), h.send(t, c, "HEAD", "/v1/reporting/reports/x", nil, "Accept-Encoding", "identity")
	for _, key := range []string{"Content-Type", "Content-Length", "Etag", "Vary"} {
		if get.header.Get(key) == "" || get.header.Get(key) != head.header.Get(key) {
			t.Errorf("%s: %q and %q", key, get.header.Get(key), head.header.Get(key))
		}
	}
	if head.status != http.StatusOK || head.body != "" || get.body == "" {
		t.Errorf("%d %q %q", head.status, head.body, get.body)
	}
}

// standing answers a look at a report of a version, and takes every change.
func standing(etag string) behind {
	return func(method string, s grpc.ServerStream) error {
		where := &custodyv1.Standing{Id: "x", Etag: etag}
		if method == read {
			if err := s.RecvMsg(&reportingv1.GetReportRequest{}); err != nil {
				return err
			}
			return s.SendMsg(&reportingv1.GetReportResponse{Report: &reportingv1.Report{Standing: where, State: reportingv1.Report_STATE_SUBMITTED}})
		}
		var request []byte
		if err := s.RecvMsg(&request); err != nil {
			return err
		}
		if !strings.HasSuffix(method, "/AcceptReport") {
			return s.SendMsg(&[]byte{})
		}
		accept := &reportingv1.AcceptReportRequest{}
		if err := proto.Unmarshal(request, accept); err != nil {
			return err
		}
		if accept.GetEtag() != "" && accept.GetEtag() != etag {
			return refusal(faultv1.Reason_REASON_ETAG_MISMATCH, "stale", "etag", etag)
		}
		return s.SendMsg(&reportingv1.AcceptReportResponse{Standing: where, State: reportingv1.Report_STATE_RESPONDING})
	}
}

// A condition is kept, whoever keeps it, or refused; none is passed over.
func TestConditionsAreKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": standing("v3")})
	c := h.browser(t, township)
	const one, accept, submit = "/v1/reporting/reports/x", "/v1/reporting/reports/x:accept", "/v1/reporting/reports"
	for _, k := range []struct {
		name, verb, path, body string
		headers                []string
		status                 int
		reason                 string
	}{
		{"a read", "GET", one, "", nil, 200, ""},
		{"a change", "POST", accept, "{}", nil, 200, ""},
		{"a read of what is known", "GET", one, "", []string{"If-None-Match", `"v3"`}, 304, ""},
		{"known, weakly and among others", "GET", one, "", []string{"If-None-Match", `"v1", W/"v3"`}, 304, ""},
		{"known, whatever it is", "HEAD", one, "", []string{"If-None-Match", "*"}, 304, ""},
		{"a read of what is new", "GET", one, "", []string{"If-None-Match", `"v2"`}, 200, ""},
		{"a read of that version", "GET", one, "", []string{"If-Match", `"v3"`}, 200, ""},
		{"a read of another version", "GET", one, "", []string{"If-Match", `"v2"`}, 412, "ETAG_MISMATCH"},
		{"a list of a version", "GET", submit, "", []string{"If-Match", `"v3"`}, 400, "FIELD_INVALID"},
		{"a change of that version", "POST", accept, "{}", []string{"If-Match", `"v3"`}, 200, ""},
		{"a change of any version", "POST", accept, "{}", []string{"If-Match", "*"}, 200, ""},
		{"a change of another version", "POST", accept, "{}", []string{"If-Match", `"v2"`}, 412, "ETAG_MISMATCH"},
		{"a trial of another version", "POST", accept, `{"validateOnly":true}`, []string{"If-Match", `"v2"`}, 412, "ETAG_MISMATCH"},
		{"the same in the body", "POST", accept, `{"etag":"v3"}`, []string{"If-Match", `"v3"`}, 200, ""},
		{"another one in the body", "POST", accept, `{"etag":"v2"}`, []string{"If-Match", `"v3"`}, 400, "FIELD_INVALID"},
		{"stale in the body alone", "POST", accept, `{"etag":"v2"}`, nil, 409, "ETAG_MISMATCH"},
		{"a weak tag", "POST", accept, "{}", []string{"If-Match", `W/"v3"`}, 400, "FIELD_INVALID"},
		{"no tag", "POST", accept, "{}", []string{"If-Match", "v3"}, 400, "FIELD_INVALID"},
		{"two tags", "POST", accept, "{}", []string{"If-Match", `"v3"`, "If-Match", `"v4"`}, 400, "FIELD_INVALID"},
		{"a version of what is not there yet", "POST", submit, "{}", []string{"If-Match", `"v3"`}, 400, "FIELD_INVALID"},
		{"a change if it is not known", "POST", accept, "{}", []string{"If-None-Match", `"v3"`}, 400, "FIELD_INVALID"},
	} {
		var body io.Reader
		if k.body != "" {
			body = strings.NewReader(k.body)
		}
		got := h.send(t, c, k.verb, k.path, body, k.headers...)
		if k.reason != "" {
			refusedAs(t, k.name, got, k.status, k.reason)
			continue
		}
		if got.status != k.status || got.header.Get("Etag") != `"v3"` || k.status == 304 && got.body != "" {
			t.Errorf("%s: %d, ETag %s, %q", k.name, got.status, got.header.Get("Etag"), got.body)
		}
	}
}

// Only JSON is taken, uncompressed, and only JSON is given.
func TestContentIsJSON(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.browser(t, township)
	const path = "/v1/reporting/reports"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("{}"))
	ok(t, err)
	ok(t, z.Close())
	for _, kind := range []string{
		"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/octet-stream", "application/json; charset=gbk", "text/json", "json", "*/*",
	} {
		refusedAs(t, kind, h.send(t, c, "POST", path, strings.NewReader("{}"), "Content-Type", kind), http.StatusUnsupportedMediaType, "HTTP_CONTENT_UNSUPPORTED")
	}
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"} {
		if got := h.send(t, c, "POST", path, strings.NewReader("{}"), "Content-Type", kind); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", kind, got.status, got.body)
		}
	}
	for _, coding := range []string{"gzip", "br", "deflate", "zstd", "identity, gzip"} {
		got := h.send(t, c, "POST", path, bytes.NewReader(packed.Bytes()), "Content-Encoding", coding)
		refusedAs(t, coding, got, http.StatusUnsupportedMediaType, "HTTP_CONTENT_UNSUPPORTED")
		if got.header.Get("Accept-Encoding") != "identity" {
			t.Errorf("%s: not told what is taken", coding)
		}
	}
	for accept, taken := range map[string]bool{
		"application/json": true, "*/*": true, "application/*": true, "text/html, application/xhtml+xml, */*;q=0.8": true, "": true,
		"text/html": false, "application/json;q=0": false, "application/json; q=0.0, text/plain": false, "application/xml": false,
	} {
		got := h.send(t, c, "GET", path, nil, "Accept", accept)
		if taken != (got.status == http.StatusOK) {
			t.Errorf("Accept %q: %d", accept, got.status)
		}
		if !taken && got.status != http.StatusOK {
			refusedAs(t, accept, got, http.StatusNotAcceptable, "HTTP_ANSWER_NOT_ACCEPTABLE")
		}
	}
}

// Answers and refusals are compressed for whoever asks for it, and for nobody else.
func TestAnswersAreCompressedOnRequest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": standing("v3")})
	c := h.browser(t, township)
	for path, status := range map[string]int{"/v1/reporting/reports/x": 200, "/v1/nothing": 404, "/openapi.json": 200} {
		plain := h.send(t, c, "GET", path, nil, "Accept-Encoding", "identity")
		packed := h.send(t, c, "GET", path, nil, "Accept-Encoding", "br;q=1, gzip;q=0.5")
		if plain.status != status || packed.status != status || plain.header.Get("Content-Encoding") != "" || packed.header.Get("Content-Encoding") != "gzip" || plain.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d %v, %d %v", path, plain.status, plain.header, packed.status, packed.header)
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(packed.body))
		ok(t, err)
		unpacked, err := io.ReadAll(z)
		ok(t, err)
		if path != "/v1/nothing" && string(unpacked) != plain.body {
			t.Errorf("%s: unfolds to %.100s", path, unpacked)
		}
	}
	if got := h.send(t, c, "GET", "/v1/reporting/reports/x", nil, "Accept-Encoding", "gzip;q=0, *"); got.header.Get("Content-Encoding") != "" {
		t.Error("compressed for a caller who refuses it")
	}
}

// A page of another site cannot use the certificate that a browser holds.
func TestAPageOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.browser(t, township)
	home := strings.TrimPrefix(h.json, "https://")
	for _, k := range []struct {
		key, value string
		taken      bool
	}{
		{"Origin", "https://elsewhere.example", false}, {"Origin", "null", false}, {"Origin", "http://" + home, false}, {"Origin", "https://" + home + ".example", false},
		{"Origin", "https://" + home, true}, {"Sec-Fetch-Site", "cross-site", false}, {"Sec-Fetch-Site", "same-site", false},
		{"Sec-Fetch-Site", "same-origin", true}, {"Sec-Fetch-Site", "none", true},
	} {
		for verb, path := range map[string]string{"POST": "/v1/reporting/reports", "GET": "/v1/reporting/reports/x"} {
			var body io.Reader
			if verb == "POST" {
				body = strings.NewReader("{}")
			}
			got := h.send(t, c, verb, path, body, k.key, k.value)
			if k.taken && got.status != http.StatusOK {
				t.Errorf("%s %s: %s: %d", verb, k.key, k.value, got.status)
			}
			if !k.taken {
				refusedAs(t, verb+" "+k.value, got, http.StatusForbidden, "HTTP_ORIGIN_FOREIGN")
			}
		}
	}
}

// A body that is too large is refused in words that its sender reads, at every size, however it is sent.
func TestABodyThatIsTooLargeIsToldSoWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	two := h.browser(t, township)
	one := h.browser(t, township)
	one.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	one.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	for _, megabytes := range []int{5, 9, 20} {
		body := `{"narrative":"` + strings.Repeat("r", megabytes<<20) + `"}`
		for name, c := range map[string]*http.Client{"HTTP/1.1": one, "HTTP/2": two} {
			refusedAs(t, name, h.send(t, c, "POST", "/v1/reporting/reports", strings.NewReader(body)), http.StatusRequestEntityTooLarge, "MESSAGE_TOO_LARGE")
			chunked := io.MultiReader(strings.NewReader(body)) // of no length that is known
			refusedAs(t, name+" in pieces", h.send(t, c, "POST", "/v1/reporting/reports", chunked), http.StatusRequestEntityTooLarge, "MESSAGE_TOO_LARGE")
			refusedAs(t, name+" nowhere", h.send(t, c, "POST", "/v1/nothing", strings.NewReader(body)), http.StatusNotFound, "METHOD_UNKNOWN")
		}
	}
}
