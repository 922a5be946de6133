package conformance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/conformance"
	"github.com/lianhu/lianhu/services/suite/dispatch"
)

// updates of a run; a client's last ones wait for the question about the epoch.
const updates = 100

func update(n int64) *reportingv1.IncidentUpdate {
	return &reportingv1.IncidentUpdate{
		Sequence: n, IncidentNumber: fmt.Sprintf("C%d", n%7), IncidentVersion: n, SourceTime: &timestamppb.Timestamp{Seconds: 1772409600 + n},
		PayloadFormat: reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON, Payload: fmt.Appendf(nil, `{"summary":"update %d"}`, n),
	}
}

// outbox holds updates 1 to the last, without those left out.
func outbox(without ...int64) dispatch.Outbox {
	return func(_ context.Context, above int64) iter.Seq2[*dispatch.Item, error] {
		return func(yield func(*dispatch.Item, error) bool) {
			for n := above + 1; n <= updates; n++ {
				if !slices.Contains(without, n) && !yield(&dispatch.Item{Update: update(n)}, nil) {
					return
				}
			}
		}
	}
}

// certified makes an authority with a gateway and a dispatch system.
func certified(t *testing.T) (gateway, system *identity.Source) {
	t.Helper()
	dir := t.TempDir()
	authority, err := identity.OpenAuthority(dir, suite.TrustDomain)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string, id identity.Identity) *identity.Source {
		leaf, err := authority.Issue(id, "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		files, err := leaf.Write(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		return source(t, files)
	}
	return issue("gateway", gatewayIdentity()), issue("dispatch", identity.OfUnit(suite.TrustDomain, "police", "dispatch"))
}

// judge runs a client against the instrument.
func judge(t *testing.T, client func(ctx context.Context, c *dispatch.Client) error) (conformance.Report, error) {
	t.Helper()
	gateway, system := certified(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dispatch.Dial(l.Addr().String(), system, gatewayIdentity())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client(ctx, &dispatch.Client{Conn: conn, Frame: 5}) }()
	report, err := conformance.Client{
		Listener: l, Identity: gateway, Updates: updates, Patience: 6 * time.Second, Prompt: 2 * time.Second, Pause: 300 * time.Millisecond,
		Told: func(line string) { t.Log(line) },
	}.Run(ctx)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	return report, <-ended
}

func text(t *testing.T, r conformance.Report) string {
	t.Helper()
	var out strings.Builder
	if err := r.Markdown(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Our own client passes every check, whatever the size of its frames, and knows at the end that its epoch is over.
func TestOurClientPasses(t *testing.T) {
	t.Parallel()
	for _, frame := range []int{1, 7, 200} {
		t.Run(fmt.Sprint(frame), func(t *testing.T) {
			t.Parallel()
			report, err := judge(t, func(ctx context.Context, c *dispatch.Client) error {
				c.Frame = frame
				_, err := c.Push(ctx, outbox())
				return err
			})
			if report.Verdict != conformance.Passed {
				t.Error(text(t, report))
			}
			var stale *dispatch.StaleEpoch
			if !errors.As(err, &stale) || stale.Present != 2 {
				t.Errorf("the client ended with %v", err)
			}
		})
	}
}

// Six clients that are wrong, each in one way that is met in the field. The report names the rule, and no other.
func TestWrongClientsFailWithAReadableReason(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		client func(ctx context.Context, c *dispatch.Client) error
		check  string
		says   []string
	}{
		"never reads acknowledgements": {neverReads, "acks", []string{"reads every acknowledgement", "its window is full", "docs/dispatch.md#acknowledgements"}},
		"reuses numbers":               {reusesNumbers, "reuse", []string{"belongs to one content for ever", "number 7 came on connection 1 with other content", "docs/dispatch.md#numbers-and-epochs"}},
		"restarts at 1":                {restartsAtOne, "restart", []string{"begin again at 1 only in a higher epoch", "began at number 1 again", "docs/dispatch.md#numbers-and-epochs"}},
		"leaves gaps silently":         {leavesGaps, "silent", []string{"No number is left out", "numbers 4 were never sent and never voided", "docs/dispatch.md#gaps-and-voids"}},
		"ignores DRAINING":             {ignoresDraining, "draining", []string{"connects again at once", "reason DRAINING", "docs/dispatch.md#draining"}},
		"treats a cut as success":      {takesACutForSuccess, "resend", []string{"sent again after a cut", "were not acknowledged, and were not sent again", "docs/dispatch.md#after-a-cut"}},
		"stops at a cut":               {stopsAtACut, "resend", []string{"sent again after a cut", "it took the cut for success", "docs/dispatch.md#after-a-cut"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, _ := judge(t, tc.client)
			out := text(t, report)
			failed := report.Failures()
			if report.Verdict != conformance.Failed || len(failed) == 0 || failed[0].ID != tc.check {
				t.Fatalf("the verdict is %s:\n%s", report.Verdict, out)
			}
			for _, more := range failed[1:] {
				if more.ID != "asked" { // who does not send again does not when asked either
					t.Errorf("%s failed too: %s", more.ID, more.Seen)
				}
			}
			for _, part := range tc.says {
				if !strings.Contains(out, part) {
					t.Errorf("the report does not say %q:\n%s", part, out)
				}
			}
		})
	}
}

// open begins a stream without looking at what the server says.
func open(ctx context.Context, c *dispatch.Client) (reportingv1.DispatchService_PushIncidentUpdatesClient, error) {
	return reportingv1.NewDispatchServiceClient(c.Conn).PushIncidentUpdates(ctx)
}

func neverReads(ctx context.Context, c *dispatch.Client) error {
	wire, err := open(ctx, c)
	for n := int64(1); n <= updates && err == nil; n++ {
		err = wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1, Updates: []*reportingv1.IncidentUpdate{update(n)}})
	}
	<-ctx.Done()
	return err
}

func reusesNumbers(ctx context.Context, c *dispatch.Client) error {
	_, err := c.Push(ctx, func(ctx context.Context, above int64) iter.Seq2[*dispatch.Item, error] {
		return func(yield func(*dispatch.Item, error) bool) {
			for item, err := range outbox()(ctx, above) {
				if !yield(item, err) {
					return
				}
				if item.Update.GetSequence() == 7 {
					other := update(7)
					other.IncidentNumber = "C99"
					if !yield(&dispatch.Item{Update: other}, nil) {
						return
					}
				}
			}
		}
	})
	return err
}

// restartsAtOne counts anew with each connection what it has left.
func restartsAtOne(ctx context.Context, c *dispatch.Client) error {
	done := int64(0)
	for ctx.Err() == nil {
		wire, err := open(ctx, c)
		if err != nil {
			continue
		}
		if _, err := wire.Recv(); err != nil {
			continue
		}
		frame := &reportingv1.PushIncidentUpdatesRequest{Epoch: 1}
		for n := done + 1; n <= updates; n++ {
			u := update(n)
			u.Sequence = n - done
			frame.Updates = append(frame.Updates, u)
		}
		_ = wire.Send(frame)
		through := int64(0)
		for {
			said, err := wire.Recv()
			if err != nil {
				break
			}
			through = said.GetAck().GetDurableThrough()
		}
		done = max(done, min(through, updates-1))
	}
	return ctx.Err()
}

func leavesGaps(ctx context.Context, c *dispatch.Client) error {
	_, err := c.Push(ctx, outbox(4))
	return err
}

// ignoresDraining waits as after any other error, and longer than anybody is allowed to.
func ignoresDraining(ctx context.Context, c *dispatch.Client) error {
	c.Told = func(e dispatch.Event) {
		if client.Refusal(e.Cut).GetReason() == "DRAINING" {
			select {
			case <-time.After(3500 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	_, err := c.Push(ctx, outbox())
	return err
}

// takesACutForSuccess goes on with the number after the last it sent.
func takesACutForSuccess(ctx context.Context, c *dispatch.Client) error {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	last := int64(math.MaxInt64) // however long the server keeps it waiting, it has something to send after the first cut
	for n := int64(1); n <= last && ctx.Err() == nil; <-pace.C {
		wire, err := open(ctx, c)
		if err != nil {
			continue
		}
		go func() {
			for err := error(nil); err == nil; { // it reads, and learns nothing
				_, err = wire.Recv()
			}
		}()
		for n <= last && wire.Send(&reportingv1.PushIncidentUpdatesRequest{Epoch: 1, Updates: []*reportingv1.IncidentUpdate{update(n)}}) == nil {
			n++
			<-pace.C // no more is under way than fits between two cuts
		}
		last = min(last, n+updates)
	}
	<-ctx.Done()
	return ctx.Err()
}

// stopsAtACut believes that what was sent has arrived.
func stopsAtACut(ctx context.Context, c *dispatch.Client) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.Told = func(e dispatch.Event) {
		if e.Cut != nil {
			stop()
		}
	}
	_, err := c.Push(ctx, outbox())
	return err
}

// Who was given another authority is told so at once, instead of trying for ever.
func TestStrangersAreToldWhatToDo(t *testing.T) {
	t.Parallel()
	gateway, _ := certified(t)
	_, stranger := certified(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(gateway.ServerTLS("h2"))))
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	conn, err := dispatch.Dial(l.Addr().String(), stranger, gatewayIdentity())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = (&dispatch.Client{Conn: conn}).Push(t.Context(), outbox())
	if err == nil || !strings.Contains(dispatch.Advise(err), "do not trust each other's certificate") {
		t.Errorf("ended with %v; %s", err, dispatch.Advise(err))
	}
}
