package rpc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

const (
	greatestSequence = int64(1<<53 - 1)
	greatestEpoch    = int64(1<<53 - 1)
)

// A system that once sent the greatest epoch there is could never push again. The operator lets the one before count again, with a reason.
func TestTheOperatorLowersAnEpochThatWasBegunByMistake(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := func(summary string) *reportingv1.IncidentContent {
		return &reportingv1.IncidentContent{Division: village, Summary: summary}
	}
	h.push(3, h.update(1, "J1", 1, content("a")), h.update(2, "J1", 2, content("b")), h.update(4, "J1", 3, content("c")))
	l, _ := h.connect()
	l.send(greatestEpoch, h.update(1, "J2", 1, content("mistake")))
	l.until(through(1))
	l.send(3, h.update(3, "J1", 4, content("d")))
	if r := refusalOf(t, l.end()); r.reason != "DISPATCH_EPOCH_STALE" || r.metadata["present"] != "9007199254740991" {
		t.Fatalf("the old epoch after the mistake: %+v", r)
	}
	lower := func(change func(*reportingv1.LowerEpochRequest)) (*reportingv1.LowerEpochResponse, error) {
		req := &reportingv1.LowerEpochRequest{RequestId: id(), Source: "police:dispatch", MistakenEpoch: greatestEpoch, Epoch: 3, Reason: "厂家配置错误"}
		change(req)
		return h.operator().LowerEpoch(t.Context(), req)
	}
	for want, change := range map[string]func(*reportingv1.LowerEpochRequest){
		"DISPATCH_EPOCH_STALE": func(r *reportingv1.LowerEpochRequest) { r.MistakenEpoch = 5 }, "NOT_FOUND": func(r *reportingv1.LowerEpochRequest) { r.Source = "police:nothing" },
		"FIELD_INVALID": func(r *reportingv1.LowerEpochRequest) { r.Epoch = greatestEpoch },
	} {
		if _, err := lower(change); refusalOf(t, err).reason != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	got, err := lower(func(*reportingv1.LowerEpochRequest) {})
	if err != nil {
		t.Fatal(err)
	}
	want := &reportingv1.LowerEpochResponse{Hello: &reportingv1.Hello{Epoch: 3, DurableThrough: 2, Gaps: ranges(3, 3), GreatestSequence: 4}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	again, greeting := h.connect()
	if diff := cmp.Diff(want.GetHello(), greeting, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	again.send(3, h.update(3, "J1", 4, content("d")), h.update(1, "J1", 1, content("other")))
	if _, apart := again.until(through(4)); len(apart) != 1 || apart[1] != reportingv1.Quarantined_CAUSE_CONFLICT {
		t.Errorf("what was spent in the old epoch is not any more: %v", apart)
	}
	if h.incident("J1").GetContent().GetSummary() != "d" || h.incident("J2").GetContent().GetSummary() != "mistake" {
		t.Error("what was stored of either epoch is gone")
	}
	again.send(greatestEpoch, h.update(2, "J2", 2, content("mended"))) // when its time has come after all, it goes on where it stood
	again.until(through(2))
	var journal string
	must(t, func() error {
		return h.db.QueryRow(t.Context(), "SELECT concat_ws(' ', source, mistaken_epoch, durable_through, epoch, lowered_by) FROM dispatch_epoch").Scan(&journal)
	})
	if journal != "police:dispatch 9007199254740991 1 3 operations" {
		t.Errorf("the journal says %q", journal)
	}
	if _, err := reportingv1.NewReportingOperationsServiceClient(h.as("police:dispatch")).LowerEpoch(t.Context(), &reportingv1.LowerEpochRequest{
		RequestId: id(), Source: "police:dispatch", MistakenEpoch: 3, Epoch: 1, Reason: "x"}); refusalOf(t, err).reason != "METHOD_NOT_ALLOWED" {
		t.Errorf("the source itself: %v", err)
	}
	h.wantPromises()
}

// At the end of the numbers nothing overflows: the greatest counts, the one above is refused, and a new epoch begins at one.
func TestNumbersEndWhereTheContractSays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village}
	h.push(1, h.update(1, "J1", 1, content))
	if _, err := h.database.OpenOwner(t).Exec(t.Context(), "UPDATE dispatch_source SET durable_through = $1", greatestSequence-4); err != nil {
		t.Fatal(err)
	}
	l, _ := h.connect()
	l.send(1, h.update(greatestSequence, "J1", 1<<62, content))
	ack, _ := l.until(through(greatestSequence - 4))
	h.wantAck(ack, &reportingv1.Ack{DurableThrough: greatestSequence - 4, Gaps: ranges(greatestSequence-3, greatestSequence-1)})
	if _, err := h.operator().CloseGap(t.Context(), &reportingv1.CloseGapRequest{
		RequestId: id(), Source: "police:dispatch", Epoch: 1, From: 1<<63 - 3, To: 1<<63 - 1, Reason: "x"}); refusalOf(t, err).reason != "DISPATCH_GAP_UNKNOWN" {
		t.Errorf("a gap at the end of all integers: %v", err)
	}
	if err := l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1, Voids: []*reportingv1.Void{{From: greatestSequence - 3, To: greatestSequence}}}); err != nil {
		t.Fatal(err)
	}
	l.until(through(greatestSequence))
	l.send(2, h.update(1, "J1", 1<<62+1, content))
	l.until(through(1))
	for name, f := range map[string]*reportingv1.PushIncidentUpdatesRequest{
		"updates[0].sequence": {Epoch: 2, Updates: []*reportingv1.IncidentUpdate{h.update(greatestSequence+1, "J1", 1, content)}},
		"voids[0].to":         {Epoch: 2, Voids: []*reportingv1.Void{{From: 1, To: greatestSequence + 1}}},
		"epoch":               {Epoch: greatestEpoch + 1},
	} {
		l, _ := h.connect()
		must(t, func() error { return l.wire.Send(f) })
		if r := refusalOf(t, l.end()); r.reason != "FIELD_INVALID" || r.metadata["field"] != name {
			t.Errorf("%s: %+v", name, r)
		}
	}
	h.wantPromises()
}
