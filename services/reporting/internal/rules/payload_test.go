package rules_test

import (
	"testing"

	"buf.build/go/protovalidate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// What a newer sender says beside what we know is passed over in either form, and noticed; what we know must still be right.
func TestUnknownFieldsOfAPayloadArePassedOver(t *testing.T) {
	t.Parallel()
	validator, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	validate := func(m proto.Message) error { return validator.Validate(m) }
	newer := func(m *reportingv1.IncidentContent) []byte {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return protowire.AppendString(protowire.AppendTag(raw, 900, protowire.BytesType), "later")
	}
	late := &reportingv1.Milestone{Kind: reportingv1.Milestone_KIND_ARRIVED, Time: timestamppb.New(noon)}
	late.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 1))
	const undecodable = reportingv1.Quarantined_CAUSE_UNDECODABLE
	for name, tc := range map[string]struct {
		json    string
		binary  []byte
		summary string
		cause   reportingv1.Quarantined_Cause
		unknown bool
	}{
		"known alone":                  {json: `{"summary":"a"}`, summary: "a"},
		"one more":                     {json: `{"summary":"a","laterField":{"summary":1}}`, summary: "a", unknown: true},
		"in a message inside":          {json: `{"summary":"a","milestones":[{"kind":"KIND_ARRIVED","time":"2026-03-05T04:00:00Z","later":[]}]}`, summary: "a", unknown: true},
		"by the proto name":            {json: `{"report_id":"","summary":"a","later_field":null}`, summary: "a", unknown: true},
		"nothing but":                  {json: `{"laterField":1}`, cause: undecodable},
		"somebody else's":              {json: `{"id":7,"person":{"name":"x"},"items":[]}`, cause: undecodable},
		"an empty object":              {json: `{}`, cause: undecodable},
		"nothing but misspelt":         {json: `{"sumario":"a","Division":"320411101201"}`, cause: undecodable},
		"known ones without a value":   {json: `{"summary":null}`, cause: undecodable},
		"a known one, empty":           {json: `{"summary":""}`},
		"binary, nothing we know":      {binary: protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "later"), cause: undecodable},
		"a known one of a later value": {json: `{"status":"STATUS_OF_LATER","laterField":1}`, cause: undecodable},
		"a known one of another kind":  {json: `{"summary":{},"laterField":1}`, cause: undecodable},
		"no object":                    {json: `["summary"]`, cause: undecodable},
		"half an object":               {json: `{"laterField":`, cause: undecodable},
		"binary":                       {binary: newer(&reportingv1.IncidentContent{Summary: "a"}), summary: "a", unknown: true},
		"binary inside":                {binary: mustMarshal(t, &reportingv1.IncidentContent{Summary: "a", Milestones: []*reportingv1.Milestone{late}}), summary: "a", unknown: true},
		"binary, known alone":          {binary: mustMarshal(t, &reportingv1.IncidentContent{Summary: "a"}), summary: "a"},
	} {
		u := &reportingv1.IncidentUpdate{Sequence: 1, IncidentNumber: "J1", IncidentVersion: 1, SourceTime: timestamppb.New(noon), Payload: tc.binary}
		if tc.json != "" {
			u.PayloadFormat, u.Payload = reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON, []byte(tc.json)
		}
		content, cause := rules.ReadUpdate(xinbei(t), validate, u, noon)
		if cause != tc.cause || content.GetSummary() != tc.summary {
			t.Errorf("%s: read as %v, %s", name, content, cause)
		}
		if cause == 0 && rules.UnknownFields(rules.Update{Envelope: u, Content: content}) != tc.unknown {
			t.Errorf("%s: unknown fields are not %v", name, tc.unknown)
		}
	}
	// What is passed over is nothing to the rest.
	read := func(json string) *reportingv1.IncidentContent {
		content, _ := rules.ReadUpdate(xinbei(t), validate, &reportingv1.IncidentUpdate{Sequence: 1, IncidentNumber: "J1", IncidentVersion: 1,
			SourceTime: timestamppb.New(noon), PayloadFormat: reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON, Payload: []byte(json)}, noon)
		return content
	}
	with := read(`{"codes":["3101"],"later":true,"milestones":[{"later":"x","kind":"KIND_SENT","time":"2026-03-05T04:00:00Z"}],"division":"320411101201"}`)
	without := read(`{"codes":["3101"],"milestones":[{"kind":"KIND_SENT","time":"2026-03-05T04:00:00Z"}],"division":"320411101201"}`)
	if diff := cmp.Diff(without, with, protocmp.Transform()); diff != "" || with == nil {
		t.Error(diff)
	}
}

func mustMarshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
