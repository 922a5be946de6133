package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lianhu/lianhu/pkg/access"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) integration(ctx context.Context, unit string) *reportingv1.Integration {
	h.t.Helper()
	got, err := reportingv1.NewIntegrationServiceClient(h.as(unit)).GetIntegration(ctx, &reportingv1.GetIntegrationRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetIntegration()
}

// wantClosed ends a stream and waits until it is not shown any more.
func (h *house) wantClosed(l *link) {
	h.t.Helper()
	must(h.t, l.wire.CloseSend)
	must(h.t, l.end)
	if got := h.integration(h.t.Context(), "police:dispatch"); got.GetOpenStreams() > 1 {
		h.t.Errorf("%d streams are open after the end of one of two", got.GetOpenStreams())
	}
}

func TestAPartnerSeesItsOwnIntegration(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	saying := metadata.AppendToOutgoingContext(t.Context(), access.KeyContract, "0.3.0")
	batch := []*reportingv1.IncidentUpdate{
		h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village, Codes: []string{"X-1"}}),
		h.update(2, "J2", 1, &reportingv1.IncidentContent{Division: "short"}),
		h.update(5, "J1", 2, &reportingv1.IncidentContent{Division: village}),
	}
	if _, err := h.dispatch().PushIncidentUpdateBatch(saying, &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), Epoch: 3, Updates: batch}); err != nil {
		t.Fatal(err)
	}
	again := &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), Epoch: 3, Updates: batch}
	for range 3 { // the same numbers once, and twice the same request
		if _, err := h.dispatch().PushIncidentUpdateBatch(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	l, _ := h.connect()
	h.connect()
	l.send(3, h.update(6, "J1", 3, &reportingv1.IncidentContent{Division: village}))
	l.until(func(a *reportingv1.Ack) bool { return a.GetDurableThrough() == 2 })
	kept := h.quarantine(&reportingv1.ListQuarantineRequest{})[2].GetStanding().GetId()
	if _, err := h.operator().RejectQuarantined(t.Context(), &reportingv1.RejectQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: kept, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	got := h.integration(t.Context(), "police:dispatch")
	if end := time.Until(got.GetCertificateExpireTime().AsTime()); int32(end/(24*time.Hour)) != got.GetCertificateDaysLeft() || end < time.Hour {
		t.Errorf("the certificate ends %v, in %d days", got.GetCertificateExpireTime().AsTime(), got.GetCertificateDaysLeft())
	}
	if open := time.Since(got.GetStreamOpenTime().AsTime()); open < -time.Minute || open > 5*time.Minute {
		t.Errorf("the stream was opened %v ago", open)
	}
	want := &reportingv1.Integration{
		Unit: "police", System: "dispatch", Server: got.GetServer(), CertificateExpireTime: got.GetCertificateExpireTime(), CertificateDaysLeft: got.GetCertificateDaysLeft(),
		Source: "police:dispatch", Epoch: 3, DurableThrough: 2, Gaps: ranges(3, 4), PushContract: "0.3.0", LastTime: got.GetLastTime(),
		OpenStreams: 2, StreamOpenTime: got.GetStreamOpenTime(), RepeatedRequests: 2,
		Counts:     &reportingv1.SourceCounts{Updates: 4, RepeatedUpdates: 3, Streams: 1, GreatestSequence: 6, UnknownCodes: 1},
		Quarantine: []*reportingv1.QuarantineCount{{Cause: reportingv1.Quarantined_CAUSE_RULE_BROKEN, Rejected: 1}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	h.wantClosed(l)
	// Another source has nothing of it, and neither has a partner that never pushes.
	for _, unit := range []string{station + ":dispatch", school, "operations", lead, township} {
		got := h.integration(saying, unit)
		if got.GetSource() != "" || got.GetCounts() != nil || got.GetContract() != "0.3.0" || got.GetCertificateExpireTime() == nil || got.GetServer().GetService() != "reporting" {
			t.Errorf("%s sees %v", unit, got)
		}
	}
	for name, ctx := range map[string]context.Context{
		"twice": metadata.AppendToOutgoingContext(saying, access.KeyContract, "0.4.0"), "no version": metadata.AppendToOutgoingContext(t.Context(), access.KeyContract, "a b"),
	} {
		_, err := reportingv1.NewIntegrationServiceClient(h.as(school)).GetIntegration(ctx, &reportingv1.GetIntegrationRequest{})
		if r := refusalOf(t, err); r.reason != "FIELD_INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
