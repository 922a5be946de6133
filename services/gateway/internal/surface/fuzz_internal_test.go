package surface

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// What is left of a text without its unset enums is JSON still, holds none of them, and holds all the rest.
func FuzzWithoutUnset(f *testing.F) {
	for _, text := range []string{
		`{"state":"STATE_UNSPECIFIED"}`, `{"id":"1", "state":"STATE_UNSPECIFIED"}`, `{"state": "STATE_UNSPECIFIED","id":"1"}`, `{"items":[{"state":"STATE_UNSPECIFIED"}]}`,
		`{"narrative":"\"state\":\"STATE_UNSPECIFIED\""}`, `{"state":"STATE_SUBMITTED"}`, "{\"id\":1,\n\t\"state\" : \"STATE_UNSPECIFIED\"\r\n}", `["state","STATE_UNSPECIFIED"]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var before, after any
		if json.Unmarshal(text, &before) != nil {
			return
		}
		left := withoutUnset(text)
		if err := json.Unmarshal(left, &after); err != nil {
			t.Fatalf("%s became %s: %v", text, left, err)
		}
		if again := withoutUnset(left); !bytes.Equal(again, left) {
			t.Errorf("%s became %s and then %s", text, left, again)
		}
		if !bytes.Contains(text, []byte("_UNSPECIFIED")) && !bytes.Equal(text, left) {
			t.Errorf("%s became %s", text, left)
		}
	})
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// Whatever the body, a request that cannot be read is refused as a field, and nothing of the body that is not the contract's is said.
func FuzzUnreadable(f *testing.F) {
	for _, body := range []string{
		`{"requestId":1}`, `{"child":{"name":["陆小舟"]}}`, `{"a":`, "{\n\t\"situations\":[\"x\",]}", `{"陆小舟":1}`, `{"child":{},"child":{}}`, "\xff\xfe", "", " \r\n[",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := protojson.Unmarshal(body, &reportingv1.SubmitReportRequest{})
		if err == nil {
			return
		}
		refusal := unreadable(err.Error(), body)
		if !fault.Is(refusal, faultv1.Reason_REASON_FIELD_INVALID) {
			t.Errorf("refused by %v", refusal)
		}
		for _, field := range refusal.Fields() {
			for _, part := range strings.FieldsFunc(index.ReplaceAllString(field.Path, ""), func(r rune) bool { return r == '.' }) {
				if !known(part) && part != "body" && part != "query" && !fieldLike.MatchString(part) {
					t.Errorf("the refusal repeats %q of the body", part)
				}
			}
		}
	})
}
