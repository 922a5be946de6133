package gateway_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// A unary call always has an end: the caller's, or the gateway's where the caller names none. A stream may stay.
func TestAUnaryCallHasADeadline(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		end, set := s.Context().Deadline()
		if !set {
			end = time.Now()
		}
		left <- time.Until(end)
		return empty(method, s)
	}})
	c := h.unit(t, township)
	for name, k := range map[string]struct {
		method              string
		given, above, below time.Duration
	}{
		"none":              {read, 0, 0, 10 * time.Second},
		"a shorter one":     {read, 5 * time.Second, 0, 5 * time.Second},
		"a longer one":      {read, time.Hour, 59 * time.Minute, time.Hour},
		"none on a stream":  {watch, 0, -time.Minute, 0},
		"one of the stream": {watch, time.Hour, 59 * time.Minute, time.Hour},
	} {
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if k.given > 0 {
			ctx, cancel = context.WithTimeout(ctx, k.given)
		}
		request, answer := []byte{}, []byte{}
		ok(t, c.Invoke(ctx, k.method, &request, &answer))
		cancel()
		if got := <-left; got <= k.above || got > k.below {
			t.Errorf("%s: the service has %v", name, got)
		}
	}
	if status, _ := h.ask(t, h.browser(t, township), "GET", "/v1/reporting/reports/x", "", nil); status != 200 {
		t.Errorf("over JSON: %d", status)
	}
	if got := <-left; got <= 0 || got > 10*time.Second {
		t.Errorf("over JSON the service has %v", got)
	}
}

func TestAPastDeadlineEndsTheCallEverywhere(t *testing.T) {
	t.Parallel()
	const list = reportingv1.ReportingReadService_ListReports_FullMethodName
	ended := make(chan struct{}, 1)
	h := newHouse(t, map[string]behind{"reporting": func(method string, s grpc.ServerStream) error {
		if method == list {
			return empty(method, s)
		}
		<-s.Context().Done()
		ended <- struct{}{}
		return s.Context().Err()
	}})
	c := h.unit(t, township)
	request, answer := []byte{}, []byte{}
	ok(t, c.Invoke(t.Context(), list, &request, &answer)) // all are connected, so that the time is the service's
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := c.Invoke(ctx, read, &request, &answer); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the caller got %v", err)
	}
	wait(t, ended, "the end at the service")
}
