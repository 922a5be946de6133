package rpc_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/timestamppb"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// link is a dispatch system's side of a stream.
type link struct {
	t    *testing.T
	wire grpc.BidiStreamingClient[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]
}

// connect opens a stream of the source police:dispatch and takes the Hello.
func (h *house) connect() (*link, *reportingv1.Hello) {
	h.t.Helper()
	return h.connectTo(h.dispatch())
}

func (h *house) connectTo(c reportingv1.DispatchServiceClient) (*link, *reportingv1.Hello) {
	h.t.Helper()
	wire, err := c.PushIncidentUpdates(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	said, err := wire.Recv()
	if err != nil || said.GetHello() == nil {
		h.t.Fatalf("the server began with %v, %v", said, err)
	}
	return &link{h.t, wire}, said.GetHello()
}

func (l *link) send(epoch int64, updates ...*reportingv1.IncidentUpdate) {
	l.t.Helper()
	if err := l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: epoch, Updates: updates}); err != nil && !errors.Is(err, io.EOF) {
		l.t.Fatal(err)
	}
}

// until reads acknowledgements until one holds, and gives it with all numbers quarantined on the way.
func (l *link) until(holds func(*reportingv1.Ack) bool) (*reportingv1.Ack, map[int64]reportingv1.Quarantined_Cause) {
	l.t.Helper()
	apart := map[int64]reportingv1.Quarantined_Cause{}
	for {
		said, err := l.wire.Recv()
		if err != nil {
			l.t.Fatalf("instead of the acknowledgement: %v", err)
		}
		for _, q := range said.GetAck().GetQuarantined() {
			apart[q.GetSequence()] = q.GetCause()
		}
		if holds(said.GetAck()) {
			return said.GetAck(), apart
		}
	}
}

func through(n int64) func(*reportingv1.Ack) bool {
	return func(a *reportingv1.Ack) bool { return a.GetDurableThrough() == n }
}

// end reads to the end and gives how it came; nil for a stream that ended well.
func (l *link) end() error {
	for {
		if _, err := l.wire.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestAStreamAcknowledgesWhatIsDurable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village, Summary: "儿童独处"}
	l, greeting := h.connect()
	if greeting.GetEpoch() != 0 || greeting.GetDurableThrough() != 0 {
		t.Errorf("a source that never pushed is greeted with %v", greeting)
	}
	l.send(1, h.update(1, "J1", 1, content), h.update(2, "J2", 1, content))
	l.until(through(2))
	l.send(1, h.update(5, "J1", 3, content))
	ack, _ := l.until(func(a *reportingv1.Ack) bool { return len(a.GetGaps()) > 0 })
	if ack.GetDurableThrough() != 2 || ack.GetGaps()[0].GetFrom() != 3 || ack.GetGaps()[0].GetTo() != 4 {
		t.Errorf("a gap is acknowledged as %v", ack)
	}
	// The unary twin fills in between; what the stream knows of the source is not what it knew.
	h.wantAck(h.push(1, h.update(3, "J1", 2, content)), &reportingv1.Ack{DurableThrough: 3, Gaps: ranges(4, 4)})
	other := h.update(1, "J9", 1, content)
	if err := l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{
		Epoch: 1, Updates: []*reportingv1.IncidentUpdate{other, other}, Voids: []*reportingv1.Void{{From: 4, To: 4}},
	}); err != nil {
		t.Fatal(err)
	}
	_, apart := l.until(through(5))
	if apart[1] != reportingv1.Quarantined_CAUSE_CONFLICT {
		t.Errorf("other content under a spent number: %v", apart)
	}
	l.send(2, h.update(1, "J1", 4, content)) // a new epoch begins at one
	l.until(through(1))
	if err := l.wire.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := l.end(); err != nil {
		t.Errorf("a stream whose source has no more to say ended with %v", err)
	}
	_, greeting = h.connect()
	if greeting.GetEpoch() != 2 || greeting.GetDurableThrough() != 1 {
		t.Errorf("greeted with %v", greeting)
	}
	if got := h.incident("J1"); got.GetIncidentVersion() != 4 {
		t.Errorf("the incident is at version %d", got.GetIncidentVersion())
	}
	h.wantPromises()
}

// A source that closes its side right after its last frame gets everything acknowledged first.
func TestEverythingSentBeforeTheEndIsStored(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l, _ := h.connect()
	const frames, each = 60, 20
	for f := range frames {
		var updates []*reportingv1.IncidentUpdate
		for n := range each {
			sequence := int64(f*each + n + 1)
			updates = append(updates, h.update(sequence, fmt.Sprintf("J%d", sequence%7), sequence, &reportingv1.IncidentContent{Division: village}))
		}
		l.send(1, updates...)
	}
	if err := l.wire.CloseSend(); err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for {
		said, err := l.wire.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if now := said.GetAck().GetDurableThrough(); now < last {
			t.Errorf("acknowledged %d after %d", now, last)
		} else {
			last = now
		}
	}
	if last != frames*each {
		t.Errorf("the last acknowledgement was %d", last)
	}
	var commits int64
	must(t, func() error { return h.db.QueryRow(t.Context(), "SELECT version FROM dispatch_source").Scan(&commits) })
	if commits > frames {
		t.Errorf("%d frames took %d commits: what waits is not committed together", frames, commits)
	}
	h.wantPromises()
}

// One update that cannot be stored whatever is tried, by a defect of ours, costs nobody else's: it goes to quarantine.
func TestADefectCostsOneUpdateOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if _, err := h.database.OpenOwner(t).Exec(t.Context(), "ALTER TABLE incident ADD CONSTRAINT planted CHECK (incident_number <> 'J13')"); err != nil {
		t.Fatal(err)
	}
	l, _ := h.connect()
	var updates []*reportingv1.IncidentUpdate
	for n := int64(1); n <= 20; n++ {
		updates = append(updates, h.update(n, fmt.Sprintf("J%d", n), 1, &reportingv1.IncidentContent{Division: village}))
	}
	l.send(1, updates...)
	_, apart := l.until(through(20))
	if len(apart) != 1 || apart[13] != reportingv1.Quarantined_CAUSE_UNPROCESSABLE {
		t.Errorf("quarantined %v", apart)
	}
	if h.incident("J12").GetIncidentVersion() != 1 || h.incident("J20").GetIncidentVersion() != 1 {
		t.Error("its neighbours were not taken")
	}
	h.wantPromises()
}

func TestAnEnvelopeThatBreaksARuleIsQuarantinedUnderItsNumber(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	broken := func(n int64, change func(*reportingv1.IncidentUpdate)) *reportingv1.IncidentUpdate {
		u := h.update(n, "J1", n, &reportingv1.IncidentContent{Division: village})
		change(u)
		return u
	}
	l, _ := h.connect()
	l.send(1,
		broken(1, func(u *reportingv1.IncidentUpdate) { u.IncidentNumber = "" }),
		broken(2, func(u *reportingv1.IncidentUpdate) { u.IncidentNumber = strings.Repeat("9", 61) }),
		broken(3, func(u *reportingv1.IncidentUpdate) { u.IncidentVersion = -1 }),
		broken(4, func(u *reportingv1.IncidentUpdate) { u.SourceTime = nil }),
		broken(5, func(u *reportingv1.IncidentUpdate) { u.SourceTime = &timestamppb.Timestamp{Seconds: 1 << 60} }),
		broken(6, func(u *reportingv1.IncidentUpdate) { u.PayloadFormat = 9 }),
		broken(7, func(u *reportingv1.IncidentUpdate) { u.Payload = make([]byte, 1<<20+1) }),
		broken(8, func(u *reportingv1.IncidentUpdate) { u.SourceTime = timestamppb.New(noon.Add(25 * time.Hour)) }),
		h.update(9, "J1", 1, &reportingv1.IncidentContent{Division: village}),
	)
	_, apart := l.until(through(9))
	for n := int64(1); n <= 7; n++ {
		if apart[n] != reportingv1.Quarantined_CAUSE_RULE_BROKEN {
			t.Errorf("update %d: %s", n, apart[n])
		}
	}
	if apart[8] != reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE || len(apart) != 8 {
		t.Errorf("quarantined %v", apart)
	}
	if got := h.incident("J1"); got.GetIncidentVersion() != 1 {
		t.Errorf("the incident is at version %d: a quarantined update was taken", got.GetIncidentVersion())
	}
	h.wantPromises()
}

func TestAStoppingServerEndsStreamsWithALastAcknowledgement(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l, _ := h.connect()
	l.send(1, h.update(1, "J1", 1, &reportingv1.IncidentContent{Division: village}))
	l.until(through(1))
	h.desk.Drain()
	if r := refusalOf(t, l.end()); r.reason != "DRAINING" {
		t.Errorf("ended with %+v", r)
	}
}

// junk sends bytes as they are and reads as protobuf does.
type junk struct{ encoding.CodecV2 }

func (j junk) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(raw)}, nil
	}
	return j.CodecV2.Marshal(v)
}

func TestEveryReasonOfAStreamIsProduced(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village}
	next := int64(0)
	for name, tc := range map[string]struct {
		send     func(l *link) error
		reason   string
		metadata map[string]string
	}{
		"no protobuf": {func(l *link) error { return l.wire.SendMsg([]byte{0xff, 0xff, 0xff}) }, "DISPATCH_FRAME_UNREADABLE", map[string]string{"after": "-"}},
		"far ahead": {func(l *link) error {
			return l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1, Updates: []*reportingv1.IncidentUpdate{h.update(2_000_000, "J1", 1, content)}})
		}, "DISPATCH_SEQUENCE_AHEAD", map[string]string{"sequence": "2000000", "durable_through": "-"}},
		"sequence zero": {func(l *link) error {
			return l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1, Updates: []*reportingv1.IncidentUpdate{h.update(0, "J1", 1, content)}})
		}, "FIELD_INVALID", map[string]string{"field": "updates[0].sequence"}},
		"the greatest sequence": {func(l *link) error {
			return l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1, Updates: []*reportingv1.IncidentUpdate{h.update(1<<63-1, "J1", 1, content)}})
		}, "FIELD_INVALID", map[string]string{"field": "updates[0].sequence"}},
		"no epoch": {func(l *link) error { return l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{}) }, "FIELD_INVALID", map[string]string{"field": "epoch"}},
		"201 updates": {func(l *link) error {
			f := &reportingv1.PushIncidentUpdatesRequest{Epoch: 1}
			for range 201 {
				f.Updates = append(f.Updates, h.update(9, "J1", 1, content))
			}
			return l.wire.Send(f)
		}, "FIELD_INVALID", map[string]string{"field": "updates"}},
		"ten MiB": {func(l *link) error {
			f := &reportingv1.PushIncidentUpdatesRequest{Epoch: 1}
			for n := range int64(10) {
				u := h.update(n+1, "J1", 1, nil)
				u.Payload = make([]byte, 1<<20)
				f.Updates = append(f.Updates, u)
			}
			return l.wire.Send(f)
		}, "MESSAGE_TOO_LARGE", map[string]string{"limit_bytes": "8388608"}},
	} {
		refuse(t, h, name, &next, tc.send, tc.reason, tc.metadata)
	}
	refuse(t, h, "an old epoch", &next, func(l *link) error {
		return errors.Join(l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 5}), l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1}))
	}, "DISPATCH_EPOCH_STALE", map[string]string{"epoch": "1", "present": "5"})
	h.wantPromises()
}

// refuse sends one good frame and what is refused behind it: the stream ends with the reason, and the good frame is stored all the same.
func refuse(t *testing.T, h *house, name string, next *int64, send func(*link) error, reason string, metadata map[string]string) {
	t.Helper()
	*next++
	wire, err := h.dispatch().PushIncidentUpdates(t.Context(), grpc.ForceCodecV2(junk{encoding.GetCodecV2("proto")}))
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t, wire}
	l.send(1, h.update(*next, "J1", *next, &reportingv1.IncidentContent{Division: village}))
	if err := send(l); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v", name, err)
	}
	r := refusalOf(t, l.end())
	if r.reason != reason || r.zh == "" {
		t.Errorf("%s: ended with %+v", name, r)
	}
	for key, value := range metadata {
		if value == "-" {
			value = fmt.Sprint(*next)
		}
		if r.metadata[key] != value {
			t.Errorf("%s: %s is %q, want %q", name, key, r.metadata[key], value)
		}
	}
	var stored bool
	must(t, func() error {
		return h.db.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM dispatch_update WHERE epoch = 1 AND sequence = $1)", *next).Scan(&stored)
	})
	if !stored {
		t.Errorf("%s: the frame before it is lost", name)
	}
}

// A source that never reads is stored all the same, and then told to connect again; others do not notice.
func TestASourceThatReadsNothingIsCutOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l, _ := h.connect()
	gapped := &reportingv1.PushIncidentUpdatesRequest{Epoch: 1}
	for n := range int64(200) {
		gapped.Updates = append(gapped.Updates, h.update(2+2*n, "J1", n+1, nil))
	}
	sent := make(chan error, 1)
	go func() {
		err := l.wire.Send(gapped)
		for err == nil { // each acknowledgement names a hundred gaps, and they fill the wire
			err = l.wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1})
		}
		sent <- err
	}()
	h.awaitRefusal("DISPATCH_ACKS_UNREAD") // the source cannot hear of it before it reads
	if r := refusalOf(t, l.end()); r.reason != "DISPATCH_ACKS_UNREAD" || r.metadata["source"] != "police:dispatch" {
		t.Errorf("ended with %+v", r)
	}
	if err := <-sent; !errors.Is(err, io.EOF) {
		t.Errorf("sending ended with %v", err)
	}
	again, greeting := h.connect()
	if len(greeting.GetGaps()) != 100 {
		t.Errorf("greeted with %d gaps", len(greeting.GetGaps()))
	}
	if err := errors.Join(again.wire.CloseSend(), again.end()); err != nil {
		t.Error(err)
	}
	var stored int64
	must(t, func() error { return h.db.QueryRow(t.Context(), "SELECT count(*) FROM dispatch_update").Scan(&stored) })
	if stored != 200 {
		t.Errorf("%d updates are stored", stored)
	}
}
