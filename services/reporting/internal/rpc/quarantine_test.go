package rpc_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) operator() reportingv1.ReportingOperationsServiceClient {
	return reportingv1.NewReportingOperationsServiceClient(h.as("operations"))
}

// quarantine is what the operator sees of the updates kept apart, by number.
func (h *house) quarantine(filter *reportingv1.ListQuarantineRequest) map[int64]*reportingv1.QuarantinedUpdate {
	h.t.Helper()
	seen := map[int64]*reportingv1.QuarantinedUpdate{}
	for {
		got, err := h.operator().ListQuarantine(h.t.Context(), filter)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, q := range got.GetQuarantinedUpdates() {
			if q.GetUpdate() != nil {
				h.t.Errorf("the operator is shown what update %d says", q.GetSequence())
			}
			seen[q.GetSequence()] = q
		}
		if filter.PageToken = got.GetNextPageToken(); filter.GetPageToken() == "" {
			return seen
		}
	}
}

func (h *house) replay(kept string) error {
	_, err := h.operator().ReplayQuarantined(h.t.Context(), &reportingv1.ReplayQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: kept})
	return err
}

// An update that could not be used is told to its incident after all once its cause is gone, as if it had never been kept apart.
func TestTheOperatorReplaysWhatCanBeUsedNow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	early := h.update(2, "J1", 2, &reportingv1.IncidentContent{Division: village, Summary: "来自将来"})
	early.SourceTime = timestamppb.New(noon.Add(30 * time.Hour))
	garbage := h.update(3, "J2", 1, nil)
	garbage.Payload = []byte{0xff, 0xff, 0xff}
	h.push(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village}), early, garbage)
	h.push(1, h.update(1, "J1", 9, &reportingv1.IncidentContent{Summary: "冒用编号"}))
	kept := h.quarantine(&reportingv1.ListQuarantineRequest{PageSize: 1})
	if len(kept) != 3 || kept[2].GetStanding().GetHolder() != "operations" || kept[2].GetStanding().GetDeadline() == nil {
		t.Fatalf("kept apart: %v", kept)
	}
	late, poison, conflict := kept[2].GetStanding().GetId(), kept[3].GetStanding().GetId(), kept[1].GetStanding().GetId()
	for kept, want := range map[string][2]string{
		late: {"QUARANTINE_CAUSE_PERSISTS", "TIME_IMPLAUSIBLE"}, poison: {"QUARANTINE_CAUSE_PERSISTS", "UNDECODABLE"}, conflict: {"QUARANTINE_NOT_REPLAYABLE", "CONFLICT"},
	} {
		if r := refusalOf(t, h.replay(kept)); r.reason != want[0] || r.metadata["cause"] != want[1] || r.zh == "" {
			t.Errorf("replayed too early: %+v", r)
		}
	}
	h.advance(25 * time.Hour)
	if q := h.quarantine(&reportingv1.ListQuarantineRequest{})[2]; !q.GetOverdue() || q.GetStanding().GetHolder() != "operations" {
		t.Errorf("left lying for more than a day: %v", q)
	}
	h.wantPromises()
	before := h.tally()
	if _, err := h.operator().ReplayQuarantined(t.Context(), &reportingv1.ReplayQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: late, ValidateOnly: true}); err != nil {
		t.Error(err)
	}
	if after := h.tally(); after["audit"] != before["audit"] || h.incident("J1").GetIncidentVersion() != 1 {
		t.Error("only checking had an effect")
	}
	request := &reportingv1.ReplayQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: late}
	for range 2 { // the second time is answered from the first
		if got, err := h.operator().ReplayQuarantined(t.Context(), request); err != nil || got.GetState() != reportingv1.QuarantinedUpdate_STATE_REPLAYED || got.GetStanding().GetHolder() != "" {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got := h.incident("J1"); got.GetIncidentVersion() != 2 || got.GetContent().GetSummary() != "来自将来" || got.GetSequence() != 2 {
		t.Errorf("the incident was not told: %v", got)
	}
	h.wantAck(h.push(1, early), &reportingv1.Ack{DurableThrough: 3}) // and is not quarantined any more
	if r := refusalOf(t, h.replay(late)); r.reason != "STATE_FORBIDS" {
		t.Errorf("replayed twice: %+v", r)
	}
	h.wantPromises()
}

func TestTheOperatorReplaysWhatADefectKeptApart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	owner := h.database.OpenOwner(t)
	plant := func(sql string) {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	plant("ALTER TABLE incident ADD CONSTRAINT planted CHECK (incident_number <> 'J1')")
	l, _ := h.connect()
	l.send(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village}))
	l.until(through(1))
	kept := h.quarantine(&reportingv1.ListQuarantineRequest{Causes: []reportingv1.Quarantined_Cause{reportingv1.Quarantined_CAUSE_UNPROCESSABLE}})
	if len(kept) != 1 {
		t.Fatalf("kept apart: %v", kept)
	}
	plant("ALTER TABLE incident DROP CONSTRAINT planted")
	if err := h.replay(kept[1].GetStanding().GetId()); err != nil {
		t.Fatal(err)
	}
	if got := h.incident("J1"); got.GetState() != reportingv1.Incident_STATE_OPEN || got.GetStanding().GetHolder() != station {
		t.Errorf("incident %v", got)
	}
	h.wantPromises()
}

func TestARejectedUpdateIsKeptWithWhoWhenAndWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.push(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: "short"}))
	kept := h.quarantine(&reportingv1.ListQuarantineRequest{Source: "police:dispatch", States: []reportingv1.QuarantinedUpdate_State{reportingv1.QuarantinedUpdate_STATE_OPEN}})[1]
	request := &reportingv1.RejectQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: kept.GetStanding().GetId(), Etag: "v9", Reason: "厂家已确认为测试数据"}
	if _, err := h.operator().RejectQuarantined(t.Context(), request); refusalOf(t, err).reason != "ETAG_MISMATCH" {
		t.Errorf("from another version: %v", err)
	}
	request.RequestId, request.Etag = id(), kept.GetStanding().GetEtag()
	if _, err := h.operator().RejectQuarantined(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if open := h.quarantine(&reportingv1.ListQuarantineRequest{States: []reportingv1.QuarantinedUpdate_State{reportingv1.QuarantinedUpdate_STATE_OPEN}}); len(open) != 0 {
		t.Errorf("still open: %v", open)
	}
	settled := h.quarantine(&reportingv1.ListQuarantineRequest{States: []reportingv1.QuarantinedUpdate_State{reportingv1.QuarantinedUpdate_STATE_REJECTED}})[1]
	if settled.GetSettleReason() != request.GetReason() || !settled.GetSettleTime().AsTime().Equal(noon) || settled.GetStanding().GetHolder() != "" {
		t.Errorf("settled as %v", settled)
	}
	if r := refusalOf(t, h.replay(kept.GetStanding().GetId())); r.reason != "STATE_FORBIDS" {
		t.Errorf("a rejected update was replayed: %+v", r)
	}
	// What was rejected is not used when it comes again, and makes no second row.
	ack := h.push(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: "short"}))
	if len(ack.GetQuarantined()) != 1 || len(h.quarantine(&reportingv1.ListQuarantineRequest{})) != 1 {
		t.Errorf("sent again: %v", ack)
	}
	h.wantPromises()
}

func TestTheOperatorClosesAGapThatNobodyWillFill(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village}
	l, _ := h.connect()
	l.send(1, h.update(1, "J1", 1, content), h.update(4, "J1", 2, content), h.update(7, "J1", 3, content))
	l.until(func(a *reportingv1.Ack) bool { return len(a.GetGaps()) == 2 })
	closeGap := func(change func(*reportingv1.CloseGapRequest)) (*reportingv1.CloseGapResponse, error) {
		req := &reportingv1.CloseGapRequest{RequestId: id(), Source: "police:dispatch", Epoch: 1, From: 2, To: 6, Reason: "厂家队列丢失"}
		change(req)
		return h.operator().CloseGap(t.Context(), req)
	}
	for want, change := range map[string]func(*reportingv1.CloseGapRequest){
		"DISPATCH_GAP_UNKNOWN": func(r *reportingv1.CloseGapRequest) { r.To = 7 }, "DISPATCH_EPOCH_STALE": func(r *reportingv1.CloseGapRequest) { r.Epoch = 2 },
		"NOT_FOUND": func(r *reportingv1.CloseGapRequest) { r.Source = "police:nothing" }, "FIELD_INVALID": func(r *reportingv1.CloseGapRequest) { r.From, r.To = 1, 10_001 },
	} {
		if _, err := closeGap(change); refusalOf(t, err).reason != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := closeGap(func(r *reportingv1.CloseGapRequest) { r.From, r.To = 4, 4 }); refusalOf(t, err).reason != "DISPATCH_GAP_UNKNOWN" {
		t.Errorf("a number that is spent was closed: %v", err)
	}
	got, err := closeGap(func(*reportingv1.CloseGapRequest) {})
	if err != nil || got.GetClosed() != 4 || got.GetHello().GetDurableThrough() != 7 || len(got.GetHello().GetGaps()) != 0 {
		t.Fatalf("%v, %v", got, err)
	}
	l.send(1, h.update(8, "J1", 4, content), h.update(5, "J1", 9, content)) // the open stream knows of it
	_, apart := l.until(through(8))
	if len(apart) != 1 || apart[5] != reportingv1.Quarantined_CAUSE_VOIDED {
		t.Errorf("an update under a closed number: %v", apart)
	}
	if r := refusalOf(t, h.replay(h.quarantine(&reportingv1.ListQuarantineRequest{})[5].GetStanding().GetId())); r.reason != "QUARANTINE_NOT_REPLAYABLE" {
		t.Errorf("it was replayed: %+v", r)
	}
	var by string
	must(t, func() error {
		return h.db.QueryRow(t.Context(), "SELECT given_up_by FROM dispatch_void WHERE first = 2 AND last = 6").Scan(&by)
	})
	if by != "operations" {
		t.Errorf("given up by %q", by)
	}
	h.wantPromises()
}

func TestOnlyTheOperatorSettlesQuarantine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, unit := range []string{"police:dispatch", station, lead} {
		c := reportingv1.NewReportingOperationsServiceClient(h.as(unit))
		_, listed := c.ListQuarantine(t.Context(), &reportingv1.ListQuarantineRequest{})
		_, closed := c.CloseGap(t.Context(), &reportingv1.CloseGapRequest{RequestId: id(), Source: "police:dispatch", Epoch: 1, From: 1, To: 1, Reason: "x"})
		_, replayed := c.ReplayQuarantined(t.Context(), &reportingv1.ReplayQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: id()})
		_, rejected := c.RejectQuarantined(t.Context(), &reportingv1.RejectQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: id(), Reason: "x"})
		for _, err := range []error{listed, closed, replayed, rejected} {
			if r := refusalOf(t, err); r.reason != "METHOD_NOT_ALLOWED" {
				t.Errorf("%s: %+v", unit, r)
			}
		}
	}
	if r := refusalOf(t, h.replay(id())); r.reason != "NOT_FOUND" {
		t.Errorf("what is not there: %+v", r)
	}
}
