package rpc_test

import (
	"context"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// elsewhere is police:dispatch at a second replica.
func (h *house) elsewhere() reportingv1.DispatchServiceClient {
	h.t.Helper()
	address, _ := h.serve(feed.NewServer(h.db, h.engine.Keys, feed.Limits{}))
	conn, err := client.Dial(address, client.Options{Identity: h.source(identityOf("police:dispatch")), Peer: identity.OfService(trustDomain, "reporting")})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	return reportingv1.NewDispatchServiceClient(conn)
}

func (h *house) wantSuperseded(l *link, which string) {
	h.t.Helper()
	if r := refusalOf(h.t, l.end()); r.reason != "DISPATCH_STREAM_SUPERSEDED" || r.metadata["source"] != "police:dispatch" {
		h.t.Errorf("the %s stream ended with %+v", which, r)
	}
}

func TestANewerStreamTakesThePlaceOfTheOlderWithItsFirstFrame(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village}
	older, _ := h.connect()
	older.send(1, h.update(1, "J1", 1, content))
	older.until(through(1))
	newer, greeting := h.connect()
	if greeting.GetDurableThrough() != 1 {
		t.Errorf("greeted with %v", greeting)
	}
	older.send(1, h.update(2, "J1", 2, content)) // nobody has taken its place
	older.until(through(2))
	newer.send(1, h.update(3, "J1", 3, content))
	newer.until(through(3))
	h.wantSuperseded(older, "older")

	third, _ := h.connectTo(h.elsewhere())
	third.send(1, h.update(4, "J1", 4, content))
	third.until(through(4))
	newer.send(1, h.update(5, "J1", 5, content)) // whatever an evicted stream still sends has no effect
	h.wantSuperseded(newer, "sending")
	third.send(1, h.update(5, "J1", 6, content))
	if _, apart := third.until(through(5)); len(apart) != 0 {
		t.Errorf("the number was spent already: %v", apart)
	}
	fourth, _ := h.connect()
	fourth.send(1, h.update(6, "J1", 7, content))
	fourth.until(through(6))
	h.wantSuperseded(third, "idle") // it looks by itself
	h.wantPromises()
}

// An attempt that was given up and arrives late was opened after the one that counts, at whichever replica. It is not there to read the Hello,
// so it sends nothing, and nobody loses anything by it. What an older one has on its way comes too late.
func TestAStreamThatWasGivenUpTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village}
	there := h.elsewhere()
	first, _ := h.connectTo(there)
	present, _ := h.connect()
	present.send(1, h.update(1, "J1", 1, content))
	present.until(through(1))
	first.send(1, h.update(2, "J1", 9, content))
	h.wantSuperseded(first, "older")
	for n := int64(2); n < 6; n++ {
		for _, replica := range []reportingv1.DispatchServiceClient{h.dispatch(), there} {
			gone, leave := context.WithCancel(t.Context())
			if _, err := replica.PushIncidentUpdates(gone); err != nil {
				t.Fatal(err)
			}
			leave()
			h.connectTo(replica) // half open: nobody has noticed yet
		}
		present.send(1, h.update(n, "J1", n, content))
		if _, apart := present.until(through(n)); len(apart) != 0 {
			t.Errorf("what the older stream sent was taken: %v", apart)
		}
	}
	h.wantPromises()
}

// Streams that a source leaves behind are ended, the oldest first, and never the one that writes.
func TestASourceHasFewStreamsOpen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village}
	present, _ := h.connect()
	present.send(1, h.update(1, "J1", 1, content))
	present.until(through(1))
	var idle []*link
	for range 70 {
		l, _ := h.connect()
		idle = append(idle, l)
	}
	for _, l := range idle[:7] { // 63 stay beside the one that writes
		h.wantSuperseded(l, "idle")
	}
	present.send(1, h.update(2, "J1", 2, content))
	present.until(through(2))
	idle[7].send(1, h.update(3, "J1", 3, content))
	idle[7].until(through(3))
	h.wantSuperseded(present, "older")
	h.wantPromises()
}

// Many streams of one source at once, over two replicas, all of which send: each is greeted, each ends because a newer one has sent something
// and for no other reason, and the one that is left has everything.
func TestManyStreamsAtOnceTakeTurns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := &reportingv1.IncidentContent{Division: village}
	here, there := h.dispatch(), h.elsewhere()
	const streams = 16
	var served atomic.Int64
	var group errgroup.Group
	for n := range int64(streams) {
		update := h.update(n+1, "J1", n+1, content)
		group.Go(func() error {
			replica := here
			if n%2 == 1 {
				replica = there
			}
			wire, err := replica.PushIncidentUpdates(t.Context())
			if err != nil {
				return err
			}
			if said, err := wire.Recv(); err != nil || said.GetHello() == nil {
				if r := refusalOf(t, err); r.reason != "DISPATCH_STREAM_SUPERSEDED" {
					t.Errorf("stream %d was greeted with %v, %+v", n, said, r)
				}
				return nil
			}
			l := &link{t, wire}
			l.send(1, update)
			_ = wire.CloseSend()
			if err := l.end(); err == nil {
				served.Add(1)
			} else if r := refusalOf(t, err); r.reason != "DISPATCH_STREAM_SUPERSEDED" {
				t.Errorf("stream %d ended with %+v", n, r)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if served.Load() == 0 {
		t.Error("no stream was served to its end")
	}
	last, _ := h.connect()
	for n := range int64(streams) {
		last.send(1, h.update(n+1, "J1", n+1, content))
	}
	if _, apart := last.until(through(streams)); len(apart) != 0 {
		t.Errorf("quarantined %v", apart)
	}
	h.wantPromises()
}
