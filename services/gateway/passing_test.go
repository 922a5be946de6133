package gateway_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// odd is a message no encoder would write: a field of a later version first, the known one afterwards and twice.
func odd(text string) []byte {
	var out []byte
	out = protowire.AppendTag(out, 1999, protowire.BytesType)
	out = protowire.AppendString(out, "a field of a later version")
	for _, value := range []string{"first", text} {
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendString(out, value)
	}
	return out
}

func TestAUnaryCallTravelsByteForByte(t *testing.T) {
	t.Parallel()
	seen := make(chan []byte, 1)
	h := newHouse(t, map[string]behind{"reporting": func(_ string, s grpc.ServerStream) error {
		var request []byte
		if err := s.RecvMsg(&request); err != nil {
			return err
		}
		seen <- request
		ok(t, s.SetHeader(metadata.Pairs("lianhu-page", "2", "lianhu-seal-bin", "\x00\xff")))
		s.SetTrailer(metadata.Pairs("lianhu-cost", "3"))
		answer := odd("answer")
		return s.SendMsg(&answer)
	}})
	sent, got := odd("request"), []byte(nil)
	var header, trailer metadata.MD
	ok(t, h.unit(t, township).Invoke(t.Context(), reportingv1.ReportingReadService_GetReport_FullMethodName, &sent, &got, grpc.Header(&header), grpc.Trailer(&trailer)))
	if !bytes.Equal(<-seen, sent) || !bytes.Equal(got, odd("answer")) {
		t.Errorf("the request or the answer %x was rewritten on the way", got)
	}
	if !slices.Equal(header.Get("lianhu-page"), []string{"2"}) || !slices.Equal(header.Get("lianhu-seal-bin"), []string{"\x00\xff"}) || !slices.Equal(trailer.Get("lianhu-cost"), []string{"3"}) {
		t.Errorf("header %v, trailer %v", header, trailer)
	}
}

// What a service says of its refusal reaches the caller whole: code, text and details, known to the gateway or not.
func TestARefusalTravelsUntouched(t *testing.T) {
	t.Parallel()
	plain := status.New(codes.DataLoss, "a text of the service")
	detailed, err := plain.WithDetails(&reportingv1.GetReportRequest{ReportId: "a detail of the service's own"})
	ok(t, err)
	for name, want := range map[string]error{
		"with a reason":    refusal(faultv1.Reason_REASON_ETAG_MISMATCH, "stale", "etag", "7"),
		"busy":             refusal(faultv1.Reason_REASON_OVERLOADED, "full", "method", "x"),
		"moving away":      refusal(faultv1.Reason_REASON_DRAINING, "connect again"),
		"without a reason": plain.Err(),
		"another's detail": detailed.Err(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, map[string]behind{"reporting": func(_ string, s grpc.ServerStream) error {
				s.SetTrailer(metadata.Pairs("lianhu-cost", "3"))
				return want
			}})
			var trailer metadata.MD
			request, answer := []byte{}, []byte{}
			err := h.unit(t, township).Invoke(t.Context(), reportingv1.ReportingReadService_GetReport_FullMethodName, &request, &answer, grpc.Trailer(&trailer))
			if !proto.Equal(status.Convert(err).Proto(), status.Convert(want).Proto()) || len(trailer.Get("lianhu-cost")) != 1 {
				t.Errorf("got %v with trailer %v, want %v", status.Convert(err).Proto(), trailer, want)
			}
		})
	}
}

// Of what a caller says beside its message, the three keys of the contract pass and nothing else does.
func TestOnlyTheContractsKeysReachAService(t *testing.T) {
	t.Parallel()
	seen := make(chan metadata.MD, 1)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		seen <- md
		return empty(method, s)
	}})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "lianhu-purpose", "ASSESSMENT", "lianhu-matter", "m", "lianhu-officer", "o-1",
		"lianhu-district", "forged", "authorization", "Bearer x", "x-forwarded-for", "192.0.2.1", "cookie", "x")
	request, answer := []byte{}, []byte{}
	ok(t, h.unit(t, township).Invoke(ctx, reportingv1.ReportingReadService_GetReport_FullMethodName, &request, &answer))
	got := <-seen
	for _, key := range []string{"lianhu-purpose", "lianhu-matter", "lianhu-officer", "lianhu-principal-bin"} {
		if len(got.Get(key)) != 1 {
			t.Errorf("%s: %d values arrived", key, len(got.Get(key)))
		}
	}
	for key := range got {
		if slices.Contains([]string{"lianhu-district", "authorization", "x-forwarded-for", "cookie"}, key) {
			t.Errorf("%s got through", key)
		}
	}
}
