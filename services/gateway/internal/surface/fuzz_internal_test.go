package surface

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

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
			for _, part := range strings.FieldsFunc(field.Path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
				if !known(part) && part != "body" && part != "query" && !fieldLike.MatchString(part) {
					t.Errorf("the refusal repeats %q of the body", part)
				}
			}
		}
	})
}
