package dispatch

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/fault"
)

// What is too large stays so: to send it again would be to send it for ever. A server that is busy gets over it.
func TestWhatIsTooLargeIsNotSentAgain(t *testing.T) {
	t.Parallel()
	because := func(reason string) error {
		s, err := status.New(codes.ResourceExhausted, "refused").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: fault.Domain})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	for name, k := range map[string]struct {
		err    error
		passes bool
	}{
		"told by us":               {because("MESSAGE_TOO_LARGE"), false},
		"told by gRPC":             {status.Error(codes.ResourceExhausted, "grpc: received message larger than max (20971534 vs. 16777216)"), false},
		"told by gRPC here":        {status.Error(codes.ResourceExhausted, "trying to send message larger than max (9 vs. 8)"), false},
		"told by a proxy":          {status.Error(codes.Unknown, "unexpected HTTP status code received from server: 413 (Request Entity Too Large)"), false},
		"busy":                     {because("OVERLOADED"), true},
		"busy, told by a proxy":    {status.Error(codes.Unavailable, "unexpected HTTP status code received from server: 429 (Too Many Requests)"), true},
		"exhausted, nobody knows":  {status.Error(codes.ResourceExhausted, "out of something"), true},
		"a connection that is cut": {status.Error(codes.Unavailable, "connection reset"), true},
	} {
		if got := passes(k.err); got != k.passes {
			t.Errorf("%s: sent again: %t", name, got)
		}
	}
}
