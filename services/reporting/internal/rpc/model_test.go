package rpc_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// place is a number within its epoch.
type place struct{ epoch, sequence int64 }

// spent is what the contract says of a number that is used up.
type spent struct {
	void   bool
	update *reportingv1.IncidentUpdate
	cause  reportingv1.Quarantined_Cause
}

// kept is an update that was put aside.
type kept struct {
	place
	update *reportingv1.IncidentUpdate
	cause  reportingv1.Quarantined_Cause
	state  reportingv1.QuarantinedUpdate_State
}

// model is a source as docs/dispatch.md tells it, in as few lines as that takes. It knows nothing of spans, versions and rows.
type model struct {
	epoch  int64
	spent  map[place]*spent
	kept   map[string]*kept // by id
	counts *reportingv1.SourceCounts
}

// durable, gaps and greatest follow from what is spent.
func (m *model) hello() *reportingv1.Hello {
	h := &reportingv1.Hello{Epoch: m.epoch}
	for m.has(h.DurableThrough + 1) {
		h.DurableThrough++
	}
	for n := h.GetDurableThrough() + 1; n < m.greatest(); n++ {
		switch last := len(h.Gaps) - 1; {
		case m.has(n):
		case last >= 0 && h.Gaps[last].GetTo() == n-1:
			h.Gaps[last].To = n
		default:
			h.Gaps = append(h.Gaps, &reportingv1.SequenceRange{From: n, To: n})
		}
	}
	h.GreatestSequence = max(m.greatest(), h.GetDurableThrough())
	return h
}

func (m *model) has(n int64) bool { return m.spent[place{m.epoch, n}] != nil }

func (m *model) greatest() (n int64) {
	for at := range m.spent {
		if at.epoch == m.epoch {
			n = max(n, at.sequence)
		}
	}
	return n
}

// what the drawn updates are, by what is wrong with them.
var flaws = map[string]reportingv1.Quarantined_Cause{
	"good": 0, "also good": 0, "still good": 0,
	"garbage": reportingv1.Quarantined_CAUSE_UNDECODABLE, "broken": reportingv1.Quarantined_CAUSE_RULE_BROKEN, "future": reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE,
}

// push is a frame or a batch: the answer that is due, or the reason of the refusal.
func (m *model) push(f *reportingv1.PushIncidentUpdatesRequest, flawOf func(*reportingv1.IncidentUpdate) reportingv1.Quarantined_Cause, idOf func(int64, *reportingv1.IncidentUpdate) string) (*reportingv1.Ack, string) {
	if f.GetEpoch() < 1 {
		return nil, "FIELD_INVALID"
	}
	if f.GetEpoch() < m.epoch {
		return nil, "DISPATCH_EPOCH_STALE"
	}
	m.epoch = f.GetEpoch()
	var told []*reportingv1.Quarantined
	apart := func(at place, u *reportingv1.IncidentUpdate, cause reportingv1.Quarantined_Cause) {
		told = append(told, &reportingv1.Quarantined{Sequence: at.sequence, Cause: cause})
		if id := idOf(at.epoch, u); m.kept[id] == nil {
			m.kept[id] = &kept{at, u, cause, reportingv1.QuarantinedUpdate_STATE_OPEN}
		}
	}
	for _, u := range f.GetUpdates() {
		at := place{m.epoch, u.GetSequence()}
		switch before := m.spent[at]; {
		case before == nil:
			m.spent[at] = &spent{update: u, cause: flawOf(u)}
			m.counts.Updates++
			if cause := flawOf(u); cause != 0 {
				apart(at, u, cause)
			}
		case before.void:
			apart(at, u, reportingv1.Quarantined_CAUSE_VOIDED)
		case !proto.Equal(before.update, u):
			apart(at, u, reportingv1.Quarantined_CAUSE_CONFLICT)
		default:
			m.counts.RepeatedUpdates++
			if before.cause != 0 {
				told = append(told, &reportingv1.Quarantined{Sequence: at.sequence, Cause: before.cause})
			}
		}
	}
	for _, v := range f.GetVoids() {
		m.void(v.GetFrom(), v.GetTo())
	}
	at := m.hello()
	return &reportingv1.Ack{DurableThrough: at.GetDurableThrough(), Gaps: at.GetGaps(), Quarantined: told, GreatestSequence: at.GetGreatestSequence()}, ""
}

func (m *model) void(from, to int64) (given int32) {
	for n := from; n <= to; n++ {
		if !m.has(n) {
			m.spent[place{m.epoch, n}] = &spent{void: true}
			m.counts.Voided++
			given++
		}
	}
	return given
}

// incidents are what all that was used says, by the table of the fold.
func (m *model) incidents(content func(*reportingv1.IncidentUpdate) *reportingv1.IncidentContent) map[string]*reportingv1.Incident {
	type top struct {
		place
		update *reportingv1.IncidentUpdate
	}
	tops, out := map[string]top{}, map[string]*reportingv1.Incident{}
	for at, s := range m.spent {
		if s.void || s.cause != 0 {
			continue
		}
		number := s.update.GetIncidentNumber()
		if before, ok := tops[number]; !ok || cmp.Or(cmp.Compare(s.update.GetIncidentVersion(), before.update.GetIncidentVersion()),
			cmp.Compare(at.epoch, before.epoch), cmp.Compare(at.sequence, before.sequence)) > 0 {
			tops[number] = top{at, s.update}
		}
		if out[number] == nil {
			out[number] = &reportingv1.Incident{IncidentNumber: number}
		}
		for _, told := range content(s.update).GetMilestones() { // of one kind
			if was := out[number].GetMilestones(); len(was) == 0 || told.GetTime().AsTime().Before(was[0].GetTime().AsTime()) {
				out[number].Milestones = []*reportingv1.Milestone{told}
			}
		}
	}
	for number, top := range tops {
		i := out[number]
		i.Epoch, i.Sequence, i.IncidentVersion = top.epoch, top.sequence, top.update.GetIncidentVersion()
		i.Content = &reportingv1.IncidentContent{Summary: content(top.update).GetSummary(), Division: village}
	}
	return out
}

// trialSource is the source of one run against the model: its real side.
type trialSource struct {
	*model
	h        *house
	rt       *rapid.T
	replicas []reportingv1.DispatchServiceClient
	drains   []func()
	link     *link
	hangUp   context.CancelFunc
	sent     []*reportingv1.PushIncidentUpdatesRequest
}

func (s *trialSource) replica(i int) {
	address, desk := s.h.serve(feed.NewServer(s.h.db, s.h.engine.Keys, feed.Limits{}))
	conn, err := client.Dial(address, client.Options{Identity: s.h.source(identityOf("police:dispatch")), Peer: identity.OfService(trustDomain, "reporting")})
	if err != nil {
		s.rt.Fatal(err)
	}
	s.h.t.Cleanup(func() { _ = conn.Close() })
	s.replicas[i], s.drains[i] = reportingv1.NewDispatchServiceClient(conn), desk.Drain
}

// connect opens a stream at some replica and compares the Hello.
func (s *trialSource) connect() {
	if s.hangUp != nil {
		s.hangUp()
	}
	ctx, hangUp := context.WithCancel(s.h.t.Context())
	wire, err := s.replicas[rapid.IntRange(0, len(s.replicas)-1).Draw(s.rt, "replica")].PushIncidentUpdates(ctx)
	if err != nil {
		s.rt.Fatal(err)
	}
	s.link, s.hangUp = &link{s.h.t, wire}, hangUp
	said, err := wire.Recv()
	if err != nil {
		s.rt.Fatalf("instead of a Hello: %v", err)
	}
	s.same("Hello", s.hello(), said.GetHello())
}

func (s *trialSource) same(what string, want, got proto.Message) {
	byNumber := protocmp.SortRepeated(func(a, b *reportingv1.Quarantined) bool {
		return cmp.Or(cmp.Compare(a.GetSequence(), b.GetSequence()), cmp.Compare(a.GetCause(), b.GetCause())) < 0
	})
	if diff := gocmp.Diff(want, got, protocmp.Transform(), byNumber); diff != "" {
		s.rt.Fatalf("%s: %s", what, diff)
	}
}

func (s *trialSource) refused(want string, err error) {
	if r := refusalOf(s.h.t, err); r.reason != want {
		s.rt.Fatalf("refused for %q, %v; due was %q", r.reason, err, want)
	}
}

// drawUpdate makes an update: few numbers and few contents, so that they meet.
func (s *trialSource) drawUpdate() *reportingv1.IncidentUpdate {
	u := &reportingv1.IncidentUpdate{
		Sequence: rapid.Int64Range(1, 12).Draw(s.rt, "sequence"), IncidentNumber: fmt.Sprintf("M%d", rapid.IntRange(1, 3).Draw(s.rt, "incident")),
		IncidentVersion: rapid.Int64Range(1, 3).Draw(s.rt, "version"), SourceTime: timestamppb.New(noon),
	}
	content := &reportingv1.IncidentContent{Division: village, Summary: rapid.SampledFrom([]string{"a", "b"}).Draw(s.rt, "summary")}
	if rapid.Bool().Draw(s.rt, "arrived") {
		content.Milestones = []*reportingv1.Milestone{{Kind: reportingv1.Milestone_KIND_ARRIVED, Time: timestamppb.New(noon.Add(time.Duration(rapid.IntRange(0, 9).Draw(s.rt, "minute")) * time.Minute))}}
	}
	flaw := rapid.SampledFrom(slices.Sorted(maps.Keys(flaws))).Draw(s.rt, "flaw")
	switch flaw {
	case "broken":
		content.Division = "short"
	case "future":
		u.SourceTime = timestamppb.New(s.h.clock().Add(30 * time.Hour))
	}
	var err error
	if u.Payload, err = proto.Marshal(content); err != nil {
		s.rt.Fatal(err)
	}
	if flaw == "garbage" {
		u.Payload = []byte{0xff, 0xff, 0xff}
	}
	return u
}

func contentOf(u *reportingv1.IncidentUpdate) *reportingv1.IncidentContent {
	c := &reportingv1.IncidentContent{}
	if proto.Unmarshal(u.GetPayload(), c) != nil {
		return nil
	}
	return c
}

func (s *trialSource) flawOf(u *reportingv1.IncidentUpdate) reportingv1.Quarantined_Cause {
	switch c := contentOf(u); {
	case c == nil:
		return flaws["garbage"]
	case c.GetDivision() != village:
		return flaws["broken"]
	case u.GetSourceTime().AsTime().After(s.h.clock().Add(24 * time.Hour)):
		return flaws["future"]
	}
	return 0
}

func (s *trialSource) idOf(epoch int64, u *reportingv1.IncidentUpdate) string {
	return store.QuarantineID(store.Position{Source: "police:dispatch", Epoch: epoch}, store.Incoming{Envelope: u, Digest: store.Digest(s.h.engine.Keys, u)})
}

// drawFrame makes a frame of new updates, of some sent before, and of voids; mostly in the present epoch.
func (s *trialSource) drawFrame() *reportingv1.PushIncidentUpdatesRequest {
	f := &reportingv1.PushIncidentUpdatesRequest{Epoch: s.epoch + rapid.SampledFrom([]int64{0, 0, 0, 0, 0, 1, -1}).Draw(s.rt, "epoch")}
	for range rapid.IntRange(0, 4).Draw(s.rt, "updates") {
		f.Updates = append(f.Updates, s.drawUpdate())
	}
	if len(s.sent) > 0 && rapid.Bool().Draw(s.rt, "again") {
		f.Updates = append(f.Updates, rapid.SampledFrom(s.sent).Draw(s.rt, "frame").GetUpdates()...)
	}
	if rapid.IntRange(0, 3).Draw(s.rt, "voids") == 0 {
		from := rapid.Int64Range(1, 12).Draw(s.rt, "from")
		f.Voids = []*reportingv1.Void{{From: from, To: from + rapid.Int64Range(0, 3).Draw(s.rt, "length"), Reason: "x"}}
	}
	return f
}

func (s *trialSource) onStream() { s.frame(s.drawFrame()) }

// frame sends a frame and takes the answer; a refusal ends the stream.
func (s *trialSource) frame(f *reportingv1.PushIncidentUpdatesRequest) {
	want, reason := s.push(f, s.flawOf, s.idOf)
	if err := s.link.wire.Send(f); err != nil {
		s.rt.Fatal(err)
	}
	said, err := s.link.wire.Recv()
	if reason != "" {
		s.refused(reason, err)
		s.connect()
		return
	}
	if err != nil {
		s.rt.Fatal(err)
	}
	s.sent = append(s.sent, f)
	s.same("acknowledgement", want, said.GetAck())
}

// asBatch does the same over the unary twin, some of them twice with one request_id.
func (s *trialSource) asBatch() {
	f := s.drawFrame()
	want, reason := s.push(f, s.flawOf, s.idOf)
	request := &reportingv1.PushIncidentUpdateBatchRequest{RequestId: id(), Epoch: f.GetEpoch(), Updates: f.GetUpdates(), Voids: f.GetVoids()}
	for range rapid.IntRange(1, 2).Draw(s.rt, "times") {
		got, err := s.replicas[0].PushIncidentUpdateBatch(s.h.t.Context(), request)
		if reason != "" {
			s.refused(reason, err)
			return
		}
		if err != nil {
			s.rt.Fatal(err)
		}
		s.same("answer", want, got.GetAck())
	}
	s.sent = append(s.sent, f)
}

func (s *trialSource) closeGap() {
	from := rapid.Int64Range(1, 12).Draw(s.rt, "from")
	to := from + rapid.Int64Range(0, 4).Draw(s.rt, "length")
	got, err := s.h.operator().CloseGap(s.h.t.Context(), &reportingv1.CloseGapRequest{RequestId: id(), Source: "police:dispatch", Epoch: s.epoch, From: from, To: to, Reason: "x"})
	missing := false
	for n := from; n <= to; n++ {
		missing = missing || !s.has(n)
	}
	if !missing || to >= s.greatest() {
		s.refused("DISPATCH_GAP_UNKNOWN", err)
		return
	}
	if err != nil {
		s.rt.Fatal(err)
	}
	want := &reportingv1.CloseGapResponse{Closed: s.void(from, to)}
	want.Hello = s.hello()
	s.same("closed gap", want, got)
}

// settle lets the operator replay or reject something that was kept apart.
func (s *trialSource) settle() {
	if len(s.kept) == 0 {
		return
	}
	which := rapid.SampledFrom(slices.Sorted(maps.Keys(s.kept))).Draw(s.rt, "kept")
	k := s.kept[which]
	open := k.state == reportingv1.QuarantinedUpdate_STATE_OPEN
	if rapid.Bool().Draw(s.rt, "reject") {
		_, err := s.h.operator().RejectQuarantined(s.h.t.Context(), &reportingv1.RejectQuarantinedRequest{RequestId: id(), QuarantinedUpdateId: which, Reason: "x"})
		if !open {
			s.refused("STATE_FORBIDS", err)
			return
		}
		if err != nil {
			s.rt.Fatal(err)
		}
		k.state = reportingv1.QuarantinedUpdate_STATE_REJECTED
		return
	}
	err := s.h.replay(which)
	switch {
	case !open:
		s.refused("STATE_FORBIDS", err)
	case k.cause == reportingv1.Quarantined_CAUSE_CONFLICT, k.cause == reportingv1.Quarantined_CAUSE_VOIDED:
		s.refused("QUARANTINE_NOT_REPLAYABLE", err)
	case s.flawOf(k.update) != 0:
		s.refused("QUARANTINE_CAUSE_PERSISTS", err)
	case err != nil:
		s.rt.Fatal(err)
	default:
		k.state, s.spent[k.place].cause = reportingv1.QuarantinedUpdate_STATE_REPLAYED, 0
	}
}

// lower takes an epoch back.
func (s *trialSource) lower() {
	target := rapid.Int64Range(max(1, s.epoch-3), s.epoch).Draw(s.rt, "target")
	got, err := s.h.operator().LowerEpoch(s.h.t.Context(), &reportingv1.LowerEpochRequest{RequestId: id(), Source: "police:dispatch", MistakenEpoch: s.epoch, Epoch: target, Reason: "x"})
	if target == s.epoch || s.epoch < 2 {
		s.refused("FIELD_INVALID", err)
		return
	}
	if err != nil {
		s.rt.Fatal(err)
	}
	s.epoch = target
	s.same("lowered", &reportingv1.LowerEpochResponse{Hello: s.hello()}, got)
}

func (s *trialSource) restart() {
	at := rapid.IntRange(0, len(s.replicas)-1).Draw(s.rt, "replica")
	s.drains[at]()
	s.replica(at)
	s.connect()
}

// stored compares all that is kept.
func (s *trialSource) stored() {
	position, err := s.replicas[0].GetDispatchPosition(s.h.t.Context(), &reportingv1.GetDispatchPositionRequest{})
	if err != nil {
		s.rt.Fatal(err)
	}
	s.same("position", s.hello(), position.GetHello())
	rows := map[place]*spent{}
	found, err := s.h.db.Query(s.h.t.Context(), "SELECT epoch, sequence, void, coalesce(cause, 0) FROM dispatch_update")
	if err != nil {
		s.rt.Fatal(err)
	}
	for found.Next() {
		var at place
		row := &spent{}
		if err := found.Scan(&at.epoch, &at.sequence, &row.void, &row.cause); err != nil {
			s.rt.Fatal(err)
		}
		rows[at] = row
	}
	bare := map[place]*spent{}
	for at, n := range s.spent {
		bare[at] = &spent{void: n.void, cause: n.cause}
	}
	if diff := gocmp.Diff(bare, rows, gocmp.AllowUnexported(place{}, spent{})); diff != "" {
		s.rt.Fatalf("numbers: %s", diff)
	}
	states := map[string]string{}
	filter := &reportingv1.ListQuarantineRequest{PageSize: 200}
	for {
		page, err := s.h.operator().ListQuarantine(s.h.t.Context(), filter)
		if err != nil {
			s.rt.Fatal(err)
		}
		for _, q := range page.GetQuarantinedUpdates() {
			states[q.GetStanding().GetId()] = fmt.Sprint(q.GetEpoch(), q.GetSequence(), q.GetCause(), q.GetState())
		}
		if filter.PageToken = page.GetNextPageToken(); filter.GetPageToken() == "" {
			break
		}
	}
	want := map[string]string{}
	for id, k := range s.kept {
		want[id] = fmt.Sprint(k.epoch, k.sequence, k.cause, k.state)
	}
	if diff := gocmp.Diff(want, states); diff != "" {
		s.rt.Fatalf("quarantine: %s", diff)
	}
	for number, want := range s.incidents(contentOf) {
		got := s.h.incident(number)
		s.same(number, want, &reportingv1.Incident{IncidentNumber: got.GetIncidentNumber(), Epoch: got.GetEpoch(), Sequence: got.GetSequence(), IncidentVersion: got.GetIncidentVersion(),
			Content: got.GetContent(), Milestones: got.GetMilestones()})
	}
	counts := s.h.integration(s.h.t.Context(), "police:dispatch").GetCounts()
	s.same("counts", s.counts, &reportingv1.SourceCounts{Updates: counts.GetUpdates(), RepeatedUpdates: counts.GetRepeatedUpdates(), Voided: counts.GetVoided()})
}

// Whatever a source and the operator do, over streams and batches, through two replicas that stop in between: acknowledgements, gaps, quarantine,
// numbers and incidents are what a model of the contract says.
func TestTheProtocolIsWhatTheModelSays(t *testing.T) {
	t.Parallel()
	h := newHouseIn(t, edited(t, map[string]func(string) string{ // lives of a number are another test's
		"codes.yaml": func(file string) string {
			return strings.Replace(file, "second_life_hours: 24,", "second_life_hours: 100000,", 1)
		},
	}))
	owner := h.database.OpenOwner(t)
	replicas, drains := make([]reportingv1.DispatchServiceClient, 2), make([]func(), 2)
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := owner.Exec(t.Context(), `TRUNCATE dispatch_source, dispatch_update, dispatch_void, dispatch_epoch, dispatch_stream, quarantined_update, incident,
			custody, custody_clock, outbox, audit, idempotency, access_grant`); err != nil {
			rt.Fatal(err)
		}
		fresh := &model{spent: map[place]*spent{}, kept: map[string]*kept{}, counts: &reportingv1.SourceCounts{}}
		s := &trialSource{model: fresh, h: h, rt: rt, replicas: replicas, drains: drains}
		for i := range replicas {
			if replicas[i] == nil {
				s.replica(i)
			}
		}
		s.connect()
		defer s.hangUp()
		s.frame(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1})
		actions := []func(){s.onStream, s.onStream, s.onStream, s.asBatch, s.asBatch, s.closeGap, s.settle, s.settle, s.connect, s.lower, s.lower}
		for range rapid.IntRange(5, 20).Draw(rt, "steps") {
			switch which := rapid.IntRange(0, 60).Draw(rt, "action"); which {
			case 0:
				s.restart()
			case 1:
				h.advance(25 * time.Hour)
			default:
				actions[which%len(actions)]()
			}
		}
		s.stored()
		if err := errors.Join(s.link.wire.CloseSend(), s.link.end()); err != nil {
			rt.Fatal(err)
		}
	})
	h.wantPromises()
}
