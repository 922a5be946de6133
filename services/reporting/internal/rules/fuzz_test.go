package rules_test

import (
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Whatever a payload holds, an update is read, or kept apart for a cause of the contract; what is read can be folded and stored.
func FuzzPayload(f *testing.F) {
	d := xinbei(f)
	validator, err := protovalidate.New()
	if err != nil {
		f.Fatal(err)
	}
	validate := func(m proto.Message) error { return validator.Validate(m) }
	binary, err := proto.Marshal(&reportingv1.IncidentContent{Summary: "儿童独处", Division: village, Situations: []string{"LIVING_ALONE"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(binary, false, int64(1))
	f.Add([]byte(`{"summary":"儿童独处","milestones":[{"kind":"KIND_ARRIVED","time":"2026-03-05T04:00:00Z"}]}`), true, int64(2))
	f.Add([]byte(`{"summary":"\u0000"}`), true, int64(0))
	f.Add([]byte{0xff}, false, int64(-1))
	f.Add([]byte(`{"status":9223372036854775807}`), true, int64(1)<<62)
	f.Fuzz(func(t *testing.T, payload []byte, inJSON bool, version int64) {
		u := &reportingv1.IncidentUpdate{Sequence: 1, IncidentNumber: "J1", IncidentVersion: version, SourceTime: timestamppb.New(noon), Payload: payload}
		if inJSON {
			u.PayloadFormat = reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON
		}
		content, cause := rules.ReadUpdate(d, validate, u, noon)
		if (content == nil) != (cause != 0) {
			t.Fatalf("content %v with cause %v", content != nil, cause)
		}
		if _, known := reportingv1.Quarantined_Cause_name[int32(cause)]; !known {
			t.Errorf("cause %d", cause)
		}
		if content == nil {
			return
		}
		if strings.ContainsRune(content.GetSummary()+content.GetPlace()+content.GetCategory(), 0) {
			t.Error("U+0000 was let through")
		}
		i := rules.NewIncident(itemID, "J1", 1, "police:dispatch")
		rules.Fold(d, i, []rules.Update{{Source: "police:dispatch", Epoch: 1, Envelope: u, Content: content}}, openReports, noon)
		if s := i.GetStanding(); i.GetState() == reportingv1.Incident_STATE_OPEN && (s.GetHolder() == "" || s.GetDeadline() == nil) {
			t.Errorf("an open incident with %v", s)
		}
	})
}
