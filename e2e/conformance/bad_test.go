package conformance

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that junk wraps
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
)

// junk sends bytes as they are and reads as protobuf does.
type junk struct{ encoding.CodecV2 }

func (j junk) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(raw)}, nil
	}
	return j.CodecV2.Marshal(v)
}

// infoOf is what the end of a call says of its reason.
func infoOf(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// bad is one thing a sender does wrong on a stream of its own, in an epoch of its own, and the answer that docs/dispatch.md states.
type bad struct {
	send func(s *stream) error
	// code, reason and field are how the stream ends; a zero code is a good end.
	code   codes.Code
	reason string
	field  string
	// through is what is durable afterwards, and apart what was quarantined.
	through int64
	apart   map[int64]reportingv1.Quarantined_Cause
}

func frames(updates ...*reportingv1.IncidentUpdate) func(*stream) error {
	return func(s *stream) error { return s.send(updates...) }
}

func numbered(n int64) func(*stream) error { return frames(said(n, "B-n", 1, `{"summary":"one"}`)) }

func large(bytes int) func(*stream) error {
	u := said(1, "B-large", 1, "")
	u.Payload = make([]byte, bytes)
	return frames(u)
}

// badInput is the list of docs/dispatch.md.
func badInput() map[string]bad {
	const (
		broken  = reportingv1.Quarantined_CAUSE_RULE_BROKEN
		invalid = codes.InvalidArgument
	)
	future := said(1, "B-future", 1, `{"summary":"one"}`)
	future.SourceTime = timestamppb.New(time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC))
	return map[string]bad{
		"unknown incident code":    {send: frames(said(1, "B-code", 1, `{"codes":["X-404"]}`)), through: 1},
		"source time far ahead":    {send: frames(future), through: 1, apart: map[int64]reportingv1.Quarantined_Cause{1: reportingv1.Quarantined_CAUSE_TIME_IMPLAUSIBLE}},
		"version goes back":        {send: frames(said(1, "B-version", 5, `{"summary":"five"}`), said(2, "B-version", 3, `{"summary":"three"}`)), through: 2},
		"version zero":             {send: frames(said(1, "B-zero", 0, `{"summary":"one"}`)), through: 1, apart: map[int64]reportingv1.Quarantined_Cause{1: broken}},
		"payload of 2 MiB":         {send: large(2 << 20), through: 1, apart: map[int64]reportingv1.Quarantined_Cause{1: broken}},
		"update of 10 MiB":         {send: large(10 << 20), code: codes.ResourceExhausted, reason: "MESSAGE_TOO_LARGE"},
		"update of 20 MiB":         {send: large(20 << 20), code: codes.ResourceExhausted},
		"sequence zero":            {send: numbered(0), code: invalid, reason: "FIELD_INVALID", field: "updates[0].sequence"},
		"sequence below zero":      {send: numbered(-1), code: invalid, reason: "FIELD_INVALID", field: "updates[0].sequence"},
		"greatest sequence":        {send: numbered(1<<53 - 1), code: codes.FailedPrecondition, reason: "DISPATCH_SEQUENCE_AHEAD"},
		"sequence above it":        {send: numbered(1 << 53), code: invalid, reason: "FIELD_INVALID", field: "updates[0].sequence"},
		"greatest of all integers": {send: numbered(1<<63 - 1), code: invalid, reason: "FIELD_INVALID", field: "updates[0].sequence"},
		"epoch zero":               {send: func(s *stream) error { s.epoch = 0; return s.send() }, code: invalid, reason: "FIELD_INVALID", field: "epoch"},
		"epoch above the greatest": {send: func(s *stream) error { s.epoch = 1 << 53; return s.send() }, code: invalid, reason: "FIELD_INVALID", field: "epoch"},
		"epoch that is over":       {send: func(s *stream) error { s.epoch = 1; return s.send() }, code: codes.FailedPrecondition, reason: "DISPATCH_EPOCH_STALE"},
		"no protobuf":              {send: func(s *stream) error { return s.SendMsg([]byte{0xff, 0xff, 0xff, 0xff}) }, code: invalid, reason: "DISPATCH_FRAME_UNREADABLE"},
		"random bytes": {send: func(s *stream) error {
			raw := make([]byte, 1<<16)
			_, _ = rand.Read(raw) // never fails
			raw[0] = 0x0f         // a group's end nobody began
			return s.SendMsg(raw)
		}, code: invalid, reason: "DISPATCH_FRAME_UNREADABLE"},
		"junk as payload":   {send: frames(said(1, "B-junk", 1, "\xff\xfe")), through: 1, apart: map[int64]reportingv1.Quarantined_Cause{1: reportingv1.Quarantined_CAUSE_UNDECODABLE}},
		"field of later on": {send: frames(said(1, "B-later", 1, `{"summary":"kept","laterField":{}}`)), through: 1},
	}
}

// Whatever one source does wrong, through the gateway and over real TLS: it gets the stated answer, and another source that pushes all the
// while does not notice.
func TestBadInputHasAnAnswerAndHarmsNobody(t *testing.T) {
	t.Parallel()
	s, home := prepare(t)
	run(t, s, func(ctx context.Context) error {
		other := pushing(t, home, s.GRPC)
		conn := dial(t, home, s.GRPC, "police", "dispatch")
		epoch := int64(1)
		for _, name := range slices.Sorted(maps.Keys(badInput())) {
			epoch++
			if err := badInput()[name].play(ctx, conn, epoch); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		stored(ctx, t, conn)
		strangers(ctx, t, home, s.GRPC)
		noise(ctx, t, home, s.GRPC)
		evicts(ctx, t, conn, epoch+1)
		return other.unharmed()
	})
}

func (b bad) play(ctx context.Context, conn grpc.ClientConnInterface, epoch int64) error {
	s, err := greeted(ctx, conn, epoch, grpc.ForceCodecV2(junk{encoding.GetCodecV2("proto")}), grpc.MaxCallSendMsgSize(32<<20))
	if err != nil {
		return err
	}
	if err := s.send(); err != nil { // begins the epoch
		return err
	}
	if err := b.send(s); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if b.code == codes.OK {
		if err := s.CloseSend(); err != nil {
			return err
		}
	}
	end := s.end()
	info := infoOf(end)
	if status.Code(end) != b.code || info.GetReason() != b.reason || b.field != "" && info.GetMetadata()["field"] != b.field {
		return fmt.Errorf("the stream ended with %s, %v; due was %s %s %s", status.Code(end), info, b.code, b.reason, b.field)
	}
	if s.durable != b.through || !maps.Equal(s.apart, b.apart) && len(s.apart)+len(b.apart) > 0 {
		return fmt.Errorf("durable through %d, quarantined %v; due was %d, %v", s.durable, s.apart, b.through, b.apart)
	}
	return nil
}

// stored looks at what became of the updates that were bad and yet taken.
func stored(ctx context.Context, t *testing.T, conn grpc.ClientConnInterface) {
	t.Helper()
	for number, right := range map[string]func(*reportingv1.Incident) bool{
		"B-code": func(i *reportingv1.Incident) bool { return slices.Equal(i.GetUnknownCodes(), []string{"X-404"}) },
		"B-version": func(i *reportingv1.Incident) bool {
			return i.GetIncidentVersion() == 5 && i.GetContent().GetSummary() == "five"
		},
		"B-later": func(i *reportingv1.Incident) bool { return i.GetContent().GetSummary() == "kept" },
	} {
		got, err := reportingv1.NewReportingReadServiceClient(conn).GetIncident(client.For(ctx, accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), &reportingv1.GetIncidentRequest{IncidentNumber: number})
		if err != nil || !right(got.GetIncident()) {
			t.Errorf("%s: %v, %v", number, got, err)
		}
	}
	mine, err := reportingv1.NewIntegrationServiceClient(conn).GetIntegration(ctx, &reportingv1.GetIntegrationRequest{})
	if err != nil || mine.GetIntegration().GetCounts().GetUnknownFields() != 1 || mine.GetIntegration().GetCounts().GetUnknownCodes() != 1 {
		t.Errorf("counted %v, %v", mine.GetIntegration().GetCounts(), err)
	}
}

// strangers may not push, or not in the name of another.
func strangers(ctx context.Context, t *testing.T, home suite.Home, gateway string) {
	t.Helper()
	for _, who := range [][2]string{{"education", "main"}, {"police", "main"}, {"police", "records"}, {"civil_affairs", "dispatch"}, {"operations", "main"}} {
		_, err := greeted(ctx, dial(t, home, gateway, who[0], who[1]), 1)
		if info := infoOf(err); status.Code(err) != codes.PermissionDenied || info.GetReason() != "METHOD_NOT_ALLOWED" {
			t.Errorf("%s:%s was answered %v", who[0], who[1], err)
		}
	}
	if _, err := greeted(ctx, dial(t, home, gateway, "nobody", "dispatch"), 1); status.Code(err) != codes.PermissionDenied && status.Code(err) != codes.Unauthenticated {
		t.Errorf("a unit that is not of the district was answered %v", err)
	}
	// The source is the certificate's, whatever the call says: the station's numbers stay its own.
	principal, err := proto.Marshal(&accessv1.Principal{Unit: "police", System: "dispatch", Method: "mtls"})
	if err != nil {
		t.Fatal(err)
	}
	ctx = metadata.AppendToOutgoingContext(ctx, access.KeyPrincipal, string(principal), "grpc-metadata-"+access.KeyPrincipal, string(principal))
	s, err := greeted(ctx, dial(t, home, gateway, "police/320411101000", "dispatch"), 1)
	if err != nil {
		t.Error(err)
		return
	}
	if err := errors.Join(s.send(said(1, "B-station", 1, `{"summary":"one"}`)), s.until(1)); err != nil || s.hello.GetEpoch() != 0 || len(s.apart) != 0 {
		t.Errorf("greeted with %v, quarantined %v, %v", s.hello, s.apart, err)
	}
}

// noise is what comes over TLS and is no HTTP/2, or stops in its middle.
func noise(ctx context.Context, t *testing.T, home suite.Home, gateway string) {
	t.Helper()
	config := source(t, home.System("police", "dispatch")).ClientTLS(gatewayIdentity())
	config.NextProtos = []string{"h2"}
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x01\x02\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		preface + "\xff\xff\xff\x00\x00\x00\x00\x00\x01", preface[:10], preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x05\x01\x04\x00\x00\x00\x01junk!"} {
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", gateway)
		if err != nil {
			t.Error(err)
			continue
		}
		_, _ = io.WriteString(conn, text) // it may be cut off before the end
		_ = conn.Close()
	}
}

// evicts opens two streams of one source through the gateway: the newer takes over with its first frame.
func evicts(ctx context.Context, t *testing.T, conn grpc.ClientConnInterface, epoch int64) {
	t.Helper()
	older, err := greeted(ctx, conn, epoch)
	if err == nil {
		err = errors.Join(older.send(said(1, "B-two", 1, `{"summary":"one"}`)), older.until(1))
	}
	if err != nil {
		t.Error(err)
		return
	}
	newer, err := greeted(ctx, conn, epoch)
	if err != nil || newer.hello.GetDurableThrough() != 1 {
		t.Errorf("the newer stream was greeted with %v, %v", newer.hello, err)
		return
	}
	if err := errors.Join(newer.send(said(2, "B-two", 2, `{"summary":"two"}`)), newer.until(2)); err != nil {
		t.Error(err)
	}
	if end := older.end(); status.Code(end) != codes.Aborted || infoOf(end).GetReason() != "DISPATCH_STREAM_SUPERSEDED" {
		t.Errorf("the older stream ended with %v", end)
	}
	if err := errors.Join(newer.CloseSend(), newer.end()); err != nil || len(newer.apart) != 0 {
		t.Errorf("the newer stream ended with %v, quarantined %v", err, newer.apart)
	}
}
