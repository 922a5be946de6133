package rpc_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func (h *house) dispatch() reportingv1.DispatchServiceClient {
	return reportingv1.NewDispatchServiceClient(h.as("police:dispatch"))
}

func (h *house) update(sequence int64, number string, version int64, content *reportingv1.IncidentContent) *reportingv1.IncidentUpdate {
	h.t.Helper()
	payload, err := proto.Marshal(content)
	if err != nil {
		h.t.Fatal(err)
	}
	return &reportingv1.IncidentUpdate{Sequence: sequence, IncidentNumber: number, IncidentVersion: version, SourceTime: timestamppb.New(noon), Payload: payload}
}

func (h *house) push(epoch int64, updates ...*reportingv1.IncidentUpdate) *reportingv1.Ack {
	h.t.Helper()
	got, err := h.dispatch().PushIncidentUpdateBatch(h.t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), Epoch: epoch, Updates: updates})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetAck()
}

func (h *house) incident(number string) *reportingv1.Incident {
	h.t.Helper()
	got, err := h.read("police:dispatch").GetIncident(emergency(h.t), &reportingv1.GetIncidentRequest{IncidentNumber: number})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetIncident()
}

func (h *house) wantAck(got, want *reportingv1.Ack) {
	h.t.Helper()
	greatest := max(got.GetDurableThrough(), want.GetGreatestSequence())
	for _, gap := range got.GetGaps() {
		greatest = max(greatest, gap.GetTo()+1)
	}
	if got.GetGreatestSequence() < greatest {
		h.t.Errorf("the greatest number is told as %d, and is %d at least", got.GetGreatestSequence(), greatest)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&reportingv1.Ack{}, "greatest_sequence")); diff != "" {
		h.t.Error(diff)
	}
}

func ranges(pairs ...int64) []*reportingv1.SequenceRange {
	var out []*reportingv1.SequenceRange
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, &reportingv1.SequenceRange{From: pairs[i], To: pairs[i+1]})
	}
	return out
}

func TestUpdatesInAnyOrderMakeOneIncidentAndNoneIsCountedTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village, Summary: "儿童独处"})
	third := h.update(3, "J1", 3, &reportingv1.IncidentContent{Division: village, Summary: "民警到场", Milestones: []*reportingv1.Milestone{{Kind: reportingv1.Milestone_KIND_ARRIVED, Time: timestamppb.New(noon.Add(5 * time.Minute))}}})
	late := h.update(2, "J1", 2, &reportingv1.IncidentContent{Division: village, Summary: "已派警", Milestones: []*reportingv1.Milestone{{Kind: reportingv1.Milestone_KIND_SENT, Time: timestamppb.New(noon)}}})

	h.wantAck(h.push(1, third), &reportingv1.Ack{Gaps: ranges(1, 2)})
	h.wantAck(h.push(1, first, third), &reportingv1.Ack{DurableThrough: 1, Gaps: ranges(2, 2)})
	h.wantAck(h.push(1, late), &reportingv1.Ack{DurableThrough: 3})
	h.wantAck(h.push(1, first, late, third), &reportingv1.Ack{DurableThrough: 3})
	incident := h.incident("J1")
	if incident.GetContent().GetSummary() != "民警到场" || len(incident.GetMilestones()) != 2 || incident.GetStanding().GetHolder() != station {
		t.Errorf("incident %v", incident)
	}
	if v := incident.GetStanding().GetVersion(); v != 2 {
		t.Errorf("the incident was written %d times, want 2: opened, and told of a patrol sent", v)
	}
	hello, err := h.dispatch().GetDispatchPosition(t.Context(), &reportingv1.GetDispatchPositionRequest{})
	if err != nil || hello.GetHello().GetDurableThrough() != 3 || hello.GetHello().GetEpoch() != 1 {
		t.Errorf("%v, %v", hello, err)
	}
	h.wantPromises()
}

func TestAPoisonedUpdateIsQuarantinedAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	garbage := h.update(2, "J2", 1, nil)
	garbage.Payload = []byte{0xff, 0xff, 0xff}
	want := func(sequence int64, cause reportingv1.Quarantined_Cause) *reportingv1.Quarantined {
		return &reportingv1.Quarantined{Sequence: sequence, Cause: cause}
	}
	batch := []*reportingv1.IncidentUpdate{
		h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village}),
		garbage,
		h.update(3, "J3", 1, &reportingv1.IncidentContent{Division: "320411999000"}),
		h.update(4, "J4", 1, &reportingv1.IncidentContent{Division: "short"}),
		h.update(5, "J5", 1, &reportingv1.IncidentContent{ReportId: id()}),
		h.update(6, "J6", 1, &reportingv1.IncidentContent{Summary: "地点不明"}),
	}
	acked := &reportingv1.Ack{DurableThrough: 6, Quarantined: []*reportingv1.Quarantined{
		want(2, reportingv1.Quarantined_CAUSE_UNDECODABLE), want(3, reportingv1.Quarantined_CAUSE_DIVISION_UNKNOWN),
		want(4, reportingv1.Quarantined_CAUSE_RULE_BROKEN), want(5, reportingv1.Quarantined_CAUSE_REPORT_UNKNOWN),
	}}
	h.wantAck(h.push(1, batch...), acked)
	h.wantAck(h.push(1, batch...), acked) // a replayed window is answered alike
	if holder := h.incident("J6").GetStanding().GetHolder(); holder != bureau {
		t.Errorf("an incident without a division is held by %s", holder)
	}

	other := h.update(1, "J1", 9, &reportingv1.IncidentContent{Division: village, Summary: "冒用编号"})
	conflict := &reportingv1.Ack{DurableThrough: 6, Quarantined: []*reportingv1.Quarantined{want(1, reportingv1.Quarantined_CAUSE_CONFLICT)}}
	h.wantAck(h.push(1, other), conflict)
	h.wantAck(h.push(1, other), conflict)
	if got := h.incident("J1"); got.GetIncidentVersion() != 1 || got.GetContent().GetSummary() != "" {
		t.Errorf("the conflicting content was taken: %v", got)
	}
	var apart int
	must(t, func() error {
		return h.db.QueryRow(t.Context(), "SELECT count(*) FROM quarantined_update WHERE deadline > create_time").Scan(&apart)
	})
	if apart != 5 {
		t.Errorf("%d updates are apart, want 5", apart)
	}
	h.wantPromises()
}

func TestNumbersThatNeverComeAreVoidedAndANewEpochBeginsAtOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	five := h.update(5, "J1", 1, &reportingv1.IncidentContent{Division: village})
	void := func(from, to int64) error {
		_, err := h.dispatch().PushIncidentUpdateBatch(t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{
			RequestId: id(), Epoch: 1, Voids: []*reportingv1.Void{{From: from, To: to, Reason: "队列丢弃"}}})
		return err
	}
	h.wantAck(h.push(1, five), &reportingv1.Ack{Gaps: ranges(1, 4)})
	must(t, func() error { return void(1, 3) })
	h.wantAck(h.push(1, five), &reportingv1.Ack{DurableThrough: 3, Gaps: ranges(4, 4)})
	h.wantAck(h.push(1, h.update(2, "J2", 1, &reportingv1.IncidentContent{})), &reportingv1.Ack{
		DurableThrough: 3, Gaps: ranges(4, 4), Quarantined: []*reportingv1.Quarantined{{Sequence: 2, Cause: reportingv1.Quarantined_CAUSE_VOIDED}}})
	for _, bad := range [][2]int64{{4, 3}, {1, 10_001}, {1 << 53, 1 << 53}} {
		if r := refusalOf(t, void(bad[0], bad[1])); r.reason != "FIELD_INVALID" || r.metadata["field"] != "voids[0].to" {
			t.Errorf("void %v: %+v", bad, r)
		}
	}
	h.wantAck(h.push(2, h.update(1, "J1", 2, &reportingv1.IncidentContent{Division: village, Status: reportingv1.IncidentContent_STATUS_CLOSED})), &reportingv1.Ack{DurableThrough: 1})
	if got := h.incident("J1"); got.GetState() != reportingv1.Incident_STATE_CLOSED || got.GetStanding().GetHolder() != "" {
		t.Errorf("incident %v", got)
	}
	h.wantPromises()
}

func TestDispatchLinksAnIncidentToAReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	linked := h.update(1, "J1", 1, nil)
	payload, err := protojson.Marshal(&reportingv1.IncidentContent{Division: village, ReportId: report})
	if err != nil {
		t.Fatal(err)
	}
	linked.PayloadFormat, linked.Payload = reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON, payload
	h.wantAck(h.push(1, linked), &reportingv1.Ack{DurableThrough: 1})
	if got := h.incident("J1"); got.GetState() != reportingv1.Incident_STATE_LINKED || got.GetStanding().GetMatterId() != report || got.GetStanding().GetHolder() != "" {
		t.Errorf("incident %v", got)
	}
	_, err = h.read(other).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "J1"})
	_, absent := h.read(other).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "J0"})
	h.same("another station", err, absent)
}

// Nobody holds a closed incident and nobody's territory is one without a division: the bureau reads it all the same, a station does not.
func TestAnIncidentThatComesClosedAndWithoutADivisionIsReadByTheBureau(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.push(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Status: reportingv1.IncidentContent_STATUS_CLOSED}))
	if got := h.incident("J1"); got.GetState() != reportingv1.Incident_STATE_CLOSED {
		t.Errorf("incident %v", got)
	}
	_, hidden := h.read(station).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "J1"})
	_, absent := h.read(station).GetIncident(emergency(t), &reportingv1.GetIncidentRequest{IncidentNumber: "J0"})
	h.same("a station", hidden, absent)
}

// Many senders of one source at once, each number sent by several of them: every number is stored once and the incident adds up.
func TestRacingBatchesOfOneSourceLoseNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const senders, numbers = 6, 30
	var group errgroup.Group
	for s := range senders {
		group.Go(func() error {
			for n := range numbers {
				if (n+s)%2 == 0 && s != 0 {
					continue
				}
				u := h.update(int64(n+1), "J1", int64(n+1), &reportingv1.IncidentContent{Division: village, Summary: "x"})
				for {
					req := &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), Epoch: 1, Updates: []*reportingv1.IncidentUpdate{u}}
					_, err := h.dispatch().PushIncidentUpdateBatch(t.Context(), req)
					if err == nil {
						break
					}
					if refusalOf(t, err).reason != "CONTENTION" {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	h.wantAck(h.push(1), &reportingv1.Ack{DurableThrough: numbers})
	if got := h.incident("J1"); got.GetIncidentVersion() != numbers || got.GetStanding().GetVersion() > numbers {
		t.Errorf("incident at version %d after %d changes", got.GetIncidentVersion(), got.GetStanding().GetVersion())
	}
	h.wantPromises()
}

// Two police units accept one offered report at the same moment: one has it, the other is told so, and nobody holds it twice.
func TestTwoAcceptAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 5 {
		report := h.submitted().GetStanding().GetId()
		h.advance(time.Hour) // silent, so the bureau is asked beside the station
		var results [2]error
		var group errgroup.Group
		for i, unit := range []string{station, bureau} {
			client := h.do(unit)
			group.Go(func() error {
				_, results[i] = client.AcceptReport(t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
				return nil
			})
		}
		_ = group.Wait() // the results are looked at below
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else if r := refusalOf(t, err); r.reason != "STATE_FORBIDS" && r.reason != "NOT_FOUND" {
				t.Errorf("the slower was told %+v", r)
			}
		}
		var accepted int
		must(t, func() error {
			return h.db.QueryRow(t.Context(), "SELECT count(*) FROM custody WHERE item = $1::uuid AND reason = 'accepted'", report).Scan(&accepted)
		})
		if won != 1 || accepted != 1 {
			t.Errorf("%d won, %d points", won, accepted)
		}
	}
	h.wantPromises()
}

// A sender that hears nothing tries again, many times at once: one report.
func TestRetriesAtOnceMakeOneReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	req := submission()
	client := h.do(school)
	var group errgroup.Group
	for range 12 {
		group.Go(func() error {
			_, err := client.SubmitReport(t.Context(), req)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	counts := h.tally()
	if counts["report"] != 1 || counts["idempotency"] != 1 || counts["vault.reporter"] != 1 || counts["provisional_child"] != 1 {
		t.Errorf("%v", counts)
	}
}

// Codes of a vendor that the district does not know are kept and flagged; they stop nothing.
func TestUnknownCodesAreKeptAndFlagged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.wantAck(h.push(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village, Codes: []string{"3101", "X-404", "5104"}})), &reportingv1.Ack{DurableThrough: 1})
	got := h.incident("J1")
	if !slices.Equal(got.GetRecognisedSituations(), []string{"MISSING"}) || !slices.Equal(got.GetRecognisedMeasures(), []string{"HELP_MEDICAL"}) || !slices.Equal(got.GetUnknownCodes(), []string{"X-404"}) {
		t.Errorf("read as %v", got)
	}
	if !slices.Equal(got.GetContent().GetCodes(), []string{"3101", "X-404", "5104"}) {
		t.Errorf("kept as %v", got.GetContent().GetCodes())
	}
	var c reportingv1.DispatchSource
	must(t, func() error {
		found, err := row.Select(t.Context(), h.db, h.engine.Keys, h.tables.Sources, "")
		if err == nil {
			proto.Merge(&c, found[0])
		}
		return err
	})
	if c.GetCounts().GetUnknownCodes() != 1 {
		t.Errorf("counted %v", c.GetCounts())
	}
	// A station's own system has its own table.
	wire := reportingv1.NewDispatchServiceClient(h.as(station + ":dispatch"))
	if _, err := wire.PushIncidentUpdateBatch(t.Context(), &reportingv1.PushIncidentUpdateBatchRequest{
		RequestId: id(), Epoch: 1, Updates: []*reportingv1.IncidentUpdate{h.update(1, "J2", 1, &reportingv1.IncidentContent{Division: village, Codes: []string{"ZS-01", "3101"}})},
	}); err != nil {
		t.Fatal(err)
	}
	if got := h.incident("J2"); !slices.Equal(got.GetRecognisedSituations(), []string{"MISSING"}) || !slices.Equal(got.GetUnknownCodes(), []string{"3101"}) {
		t.Errorf("read as %v", got)
	}
	h.wantPromises()
}

// The station closes in time, but the link is down for the night: the deadline that passed meanwhile is marked, and not the station's.
func TestADeadlineMissedDuringAnOutageIsMarked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	open := &reportingv1.IncidentContent{Division: village}
	h.push(1, h.update(1, "J1", 1, open), h.update(2, "J2", 1, open))
	h.advance(30 * time.Hour)
	if got := h.incident("J1"); !got.GetOverdue() || got.GetStanding().GetHolder() != bureau || len(got.GetMissedDeadlines()) != 1 || got.GetMissedDeadlines()[0].GetOverdueWhileLinkDown() {
		t.Errorf("while the link is down: %v", got)
	}
	closed := &reportingv1.IncidentContent{Division: village, Status: reportingv1.IncidentContent_STATUS_CLOSED}
	inTime, tooLate := h.update(3, "J1", 2, closed), h.update(4, "J2", 2, closed)
	inTime.SourceTime, tooLate.SourceTime = timestamppb.New(noon.Add(20*time.Hour)), timestamppb.New(noon.Add(29*time.Hour))
	h.push(1, inTime, tooLate)
	for number, want := range map[string]bool{"J1": true, "J2": false} {
		got := h.incident(number)
		if got.GetState() != reportingv1.Incident_STATE_CLOSED || len(got.GetMissedDeadlines()) != 1 || got.GetMissedDeadlines()[0].GetHolder() != station || got.GetMissedDeadlines()[0].GetOverdueWhileLinkDown() != want {
			t.Errorf("%s: %v", number, got)
		}
	}
	h.wantPromises()
}

// The first push of a source meets what others write at the same moment. It is told to come again, like any push, and then has its record.
func TestTheFirstPushOfASourceMeetsAConflict(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	owner := h.database.OpenOwner(t)
	if _, err := owner.Exec(t.Context(), `CREATE FUNCTION contend() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$;
		CREATE TRIGGER contend BEFORE INSERT ON incident FOR EACH ROW EXECUTE FUNCTION contend()`); err != nil {
		t.Fatal(err)
	}
	request := &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), Epoch: 1, Updates: []*reportingv1.IncidentUpdate{
		h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village}),
	}}
	_, err := h.dispatch().PushIncidentUpdateBatch(t.Context(), request)
	if refusalOf(t, err).reason != "CONTENTION" {
		t.Errorf("answered with %v", err)
	}
	if _, err := owner.Exec(t.Context(), "DROP TRIGGER contend ON incident"); err != nil {
		t.Fatal(err)
	}
	got, err := h.dispatch().PushIncidentUpdateBatch(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	h.wantAck(got.GetAck(), &reportingv1.Ack{DurableThrough: 1})
}
