package matter

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/services/suite"
)

// browser speaks HTTPS with a unit's certificate and knows nothing of gRPC.
func browser(t *testing.T, home suite.Home, unit string) *http.Client {
	t.Helper()
	files := home.Unit(unit)
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(files.Roots)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends a JSON request and gives status and body.
func ask(ctx context.Context, t *testing.T, c *http.Client, method, url, body string, header map[string]string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Lianhu-Purpose", "MANDATORY_REPORTING")
	request.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	answer, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(content)
}

const (
	school = "org/12320411710018221B"
	good   = `{"requestId":"%id","validateOnly":%dry,"child":{"name":"钱雨欣","sex":"SEX_FEMALE","birthDate":"%birth","idNumber":"%number","noIdNumberReason":"%why"},
		"residenceDivision":"%division","situations":["LIVING_ALONE"],"discoverTime":"2026-01-02T03:04:05Z","narrative":"%text"%more}`
)

// report fills in a request that is good except where a case says otherwise.
func report(change map[string]string) string {
	values := map[string]string{
		"id": "7b1e3a52-6f7e-4b7d-9d58-2f1b3c4d5e6f", "dry": "false", "birth": "2016-03-04", "number": "", "why": "NO_ID_NUMBER_REASON_NOT_KNOWN",
		"division": "320411101201", "text": "独自在家", "more": "",
	}
	for key, value := range change {
		values[key] = value
	}
	out := good
	for key, value := range values {
		out = strings.ReplaceAll(out, "%"+key, value)
	}
	return out
}

// Bad input comes back with a stable reason, a text in Chinese and nothing done, to a client that knows HTTP alone.
func TestBadInputIsToldApartOverJSON(t *testing.T) {
	s, home := prepare(t)
	run(t, s, func(ctx context.Context) error {
		c, url := browser(t, home, school), "https://"+s.JSON+"/v1/reporting/reports"
		cases := map[string]struct {
			change map[string]string
			reason string
		}{
			"no request_id":       {map[string]string{"id": ""}, "REQUEST_ID_REQUIRED"},
			"wrong check digit":   {map[string]string{"number": "320411201603041231", "why": "NO_ID_NUMBER_REASON_UNSPECIFIED"}, "ID_NUMBER_INVALID"},
			"birth in the future": {map[string]string{"birth": "2099-01-01"}, "BIRTH_DATE_INVALID"},
			"unknown division":    {map[string]string{"division": "320411999000"}, "DIVISION_UNKNOWN"},
			"a masked value":      {map[string]string{"text": "※"}, "MASKED_VALUE"},
			"a NUL":               {map[string]string{"text": `a\u0000b`}, "NUL_CHARACTER"},
			"a misspelt field":    {map[string]string{"more": `,"narative":"x"`}, "FIELD_INVALID"},
			"a message too large": {map[string]string{"text": strings.Repeat("字", 500_000)}, "MESSAGE_TOO_LARGE"},
		}
		for name, k := range cases {
			code, body := ask(ctx, t, c, http.MethodPost, url, report(k.change), nil)
			if code < 400 || !strings.Contains(body, `"`+k.reason+`"`) || !strings.Contains(body, "zh-CN") {
				t.Errorf("%s: %d %.300s", name, code, body)
			}
		}
		if code, body := ask(ctx, t, c, http.MethodPost, url, report(map[string]string{"dry": "true"}), nil); code != http.StatusOK {
			t.Errorf("validate_only: %d %s", code, body)
		}
		first, body := ask(ctx, t, c, http.MethodPost, url, report(nil), nil)
		again, same := ask(ctx, t, c, http.MethodPost, url, report(nil), nil)
		var one, two map[string]any
		if json.Unmarshal([]byte(body), &one) != nil || json.Unmarshal([]byte(same), &two) != nil || first != 200 || again != 200 ||
			one["standing"].(map[string]any)["id"] != two["standing"].(map[string]any)["id"] {
			t.Errorf("a retry: %d %d", first, again)
		}
		if code, body := ask(ctx, t, c, http.MethodPost, url, report(map[string]string{"text": "另一内容"}), nil); !strings.Contains(body, "REQUEST_ID_REUSED") {
			t.Errorf("another content under the id: %d %s", code, body)
		}
		return outsiders(ctx, t, s, home, one["standing"].(map[string]any)["id"].(string))
	})
}

// outsiders tries to be somebody else: a principal set from outside does not count under any spelling, and whoever may not see a report
// hears the same as about one that is not there.
func outsiders(ctx context.Context, t *testing.T, s *suite.Suite, home suite.Home, id string) error {
	t.Helper()
	url := "https://" + s.JSON + "/v1/reporting/reports/"
	for _, name := range []string{"Lianhu-Principal-Bin", "Grpc-Metadata-Lianhu-Principal-Bin", "Lianhu_Principal_Bin"} {
		code, body := ask(ctx, t, browser(t, home, school), http.MethodGet, url+id, "", map[string]string{name: "CgZwb2xpY2U="})
		if code != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	other := browser(t, home, "police/320411002000")
	purpose := map[string]string{"Lianhu-Purpose": "EMERGENCY_RESPONSE"}
	code, hidden := ask(ctx, t, other, http.MethodGet, url+id, "", purpose)
	_, absent := ask(ctx, t, other, http.MethodGet, url+"00000000-0000-4000-8000-000000000000", "", purpose)
	if code != http.StatusNotFound || nameless(hidden) != nameless(absent) {
		t.Errorf("a foreign report is told apart from an absent one: %d\n%s\n%s", code, hidden, absent)
	}
	if code, body := ask(ctx, t, other, http.MethodGet, "https://"+s.JSON+"/openapi.json", "", nil); code != 200 || !strings.Contains(body, "/v1/relief/applications") {
		t.Errorf("openapi: %d", code)
	}
	if code, body := ask(ctx, t, other, http.MethodGet, "https://"+s.JSON+"/v1/nothing", "", nil); code != 404 || !strings.Contains(body, "METHOD_UNKNOWN") {
		t.Errorf("unknown path: %d %s", code, body)
	}
	return nil
}

// nameless is a refusal without the id of its call, which is another one each time.
func nameless(body string) string {
	return regexp.MustCompile(`"requestId": ?"[0-9a-f-]{36}"`).ReplaceAllString(body, "")
}

// A cluster of another version and a broken district stop the start and touch nothing.
func TestAStartThatCannotGoWellIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "home")
	home, err := suite.OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "district")
	if err := os.CopyFS(broken, os.DirFS(filepath.Join(root, "districts", "xinbei"))); err != nil {
		t.Fatal(err)
	}
	needs := filepath.Join(broken, "needs.yaml")
	content, err := os.ReadFile(needs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(needs, bytes.Replace(content, []byte("fallback: justice"), []byte("fallback: justic"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = suite.Prepare(t.Context(), suite.Options{Home: home, DistrictDir: broken, GRPC: "127.0.0.1:0", JSON: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "needs.yaml:") || !strings.Contains(err.Error(), "justic") {
		t.Errorf("a broken district: %v", err)
	}
	data := home.Path("postgres", "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = suite.Prepare(t.Context(), suite.Options{Home: home, DistrictDir: filepath.Join(root, "districts", "xinbei"), GRPC: "127.0.0.1:0", JSON: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "version 12") {
		t.Errorf("another version: %v", err)
	}
	if left, err := os.ReadFile(filepath.Join(data, "PG_VERSION")); err != nil || string(left) != "12\n" {
		t.Errorf("the directory was touched: %v", err)
	}
}
