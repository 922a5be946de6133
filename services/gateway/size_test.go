package gateway_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// passed is the largest message the gateway passes on.
const passed = 8 << 20

// large answers one byte more than the gateway passes on.
func large(_ string, s grpc.ServerStream) error {
	var request []byte
	if err := s.RecvMsg(&request); err != nil {
		return err
	}
	answer := make([]byte, passed+1)
	return s.SendMsg(&answer)
}

// A message over the limit is told as such, whoever met the limit: the gateway or, as its services do for what is far too large, gRPC itself.
func TestWhatIsTooLargeIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": large, "referral": empty})
	c := h.unit(t, township)
	const list = "/lianhu.referral.v1.ReferralReadService/GetCase"
	short, long, longer, answer := []byte{}, make([]byte, passed+1), make([]byte, 5<<20), []byte{}
	for name, k := range map[string]struct {
		method  string
		request *[]byte
		limit   string
	}{
		"the request":           {read, &long, "8388608"},
		"the answer":            {read, &short, "8388608"},
		"for the service alone": {list, &longer, ""},
	} {
		metadata := refused(t, c.Invoke(t.Context(), k.method, k.request, &answer), codes.ResourceExhausted, "MESSAGE_TOO_LARGE")
		if metadata["limit_bytes"] != k.limit {
			t.Errorf("%s: %v", name, metadata)
		}
	}
	if err := c.Invoke(t.Context(), list, &short, &answer); err != nil {
		t.Errorf("the connection did not outlive it: %v", err)
	}
}

// A stream says the same, after the messages that fitted.
func TestAStreamNamesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": func(_ string, s grpc.ServerStream) error {
		var request []byte
		if err := s.RecvMsg(&request); err != nil {
			return err
		}
		first := &reportingv1.SubscribeResponse{Batch: &feedv1.Batch{}}
		if err := s.SendMsg(first); err != nil {
			return err
		}
		second := []byte(strings.Repeat("x", passed+1))
		return s.SendMsg(&second)
	}})
	stream, err := reportingv1.NewReportingFeedServiceClient(h.unit(t, township)).Subscribe(t.Context(), &reportingv1.SubscribeRequest{})
	ok(t, err)
	_, err = stream.Recv()
	ok(t, err)
	_, err = stream.Recv()
	refused(t, err, codes.ResourceExhausted, "MESSAGE_TOO_LARGE")
}
