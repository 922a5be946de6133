package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/identity"
)

func TestWhatIsNotPublishedIsNotPassedOn(t *testing.T) {
	t.Parallel()
	none := func(method string, _ grpc.ServerStream) error {
		t.Errorf("%s reached a service", method)
		return nil
	}
	h := newHouse(t, map[string]behind{"registry": none, "reporting": none, "referral": none, "relief": none})
	c := h.unit(t, township)
	for _, method := range []string{
		"/lianhu.reporting.v1.ReportingReadService/" + secret, "/lianhu.reporting.v1.NoService/GetReport", "/lianhu.devclock.v1.DevClockService/Advance",
		"/lianhu.reporting.v2.ReportingReadService/GetReport", "/LIANHU.reporting.v1.ReportingReadService/GetReport", read + "/", "//" + read[1:],
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/grpc.channelz.v1.Channelz/GetTopChannels",
	} {
		request, answer := []byte{}, []byte{}
		refused(t, c.Invoke(t.Context(), method, &request, &answer), codes.NotFound, "METHOD_UNKNOWN")
	}
	if diary.has(secret) {
		t.Error("the log repeats a name that only a caller knows")
	}
	web := h.browser(t, township)
	for _, path := range []string{"/v1/nothing", "/v2/reporting/reports", "/lianhu.reporting.v1.ReportingReadService/GetReport"} {
		h.refuses(t, web, http.MethodGet, path, "", http.StatusNotFound, "METHOD_UNKNOWN")
	}
}

// A service that is away is told as such, with a time to come back, and the other services answer.
func TestAServiceThatIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	h := &house{dir: t.TempDir()}
	var err error
	h.ca, err = identity.OpenAuthority(h.dir, domain)
	ok(t, err)
	closed := listen(t)
	ok(t, closed.Close())
	away, there := "passthrough:///"+closed.Addr().String(), h.play(t, "referral", empty)
	h.start(t, map[string]string{"registry": away, "reporting": away, "referral": there, "relief": away})
	c := h.unit(t, township)
	request, answer := []byte{}, []byte{}
	for _, method := range []string{read, watch} {
		err := c.Invoke(t.Context(), method, &request, &answer)
		refused(t, err, codes.Unavailable, "UNAVAILABLE")
		if !slices.ContainsFunc(status.Convert(err).Details(), func(d any) bool { r, ok := d.(*errdetails.RetryInfo); return ok && r.GetRetryDelay().AsDuration() > 0 }) {
			t.Errorf("%s: no time to come back", method)
		}
		if strings.Contains(err.Error(), closed.Addr().String()) {
			t.Errorf("the caller reads an address of the inside: %v", err)
		}
	}
	_, content := h.refuses(t, h.browser(t, township), http.MethodGet, "/v1/reporting/reports/x", "", http.StatusServiceUnavailable, "UNAVAILABLE")
	if !strings.Contains(content, "retryDelay") || strings.Contains(content, closed.Addr().String()) {
		t.Errorf("over JSON: %s", content)
	}
	ok(t, c.Invoke(t.Context(), "/lianhu.referral.v1.ReferralReadService/GetCase", &request, &answer))
}

// Whether a call may be repeated only its caller knows: the gateway sends each once.
func TestACallReachesTheServiceOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	h := newHouse(t, map[string]behind{"reporting": func(_ string, s grpc.ServerStream) error {
		calls.Add(1)
		return status.Error(codes.Unavailable, "going down")
	}})
	request, answer := []byte{}, []byte{}
	for n, method := range []string{read, watch, "/lianhu.reporting.v1.ReportingService/SubmitReport"} {
		refused(t, h.unit(t, township).Invoke(t.Context(), method, &request, &answer), codes.Unavailable, "UNAVAILABLE")
		if got := calls.Load(); got != int64(n+1) {
			t.Errorf("%s: the service was called %d times", method, got-int64(n))
		}
	}
	h.refuses(t, h.browser(t, township), http.MethodPost, "/v1/reporting/reports", "{}", http.StatusServiceUnavailable, "UNAVAILABLE")
	if got := calls.Load(); got != 4 {
		t.Errorf("over JSON: the service was called %d times", got-3)
	}
}

// A developer's tool learns the contract from the gateway: its services and the descriptors of each.
func TestReflectionTellsTheContract(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	s, err := reflectionpb.NewServerReflectionClient(h.unit(t, township)).ServerReflectionInfo(t.Context())
	ok(t, err)
	ask := func(q *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		t.Helper()
		ok(t, s.Send(q))
		answer, err := s.Recv()
		ok(t, err)
		return answer
	}
	var listed []string
	for _, service := range ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().GetService() {
		listed = append(listed, service.GetName())
	}
	methods, _ := contract()
	for _, method := range methods {
		name := strings.Split(method, "/")[1]
		if !slices.Contains(listed, name) {
			t.Errorf("%s is not listed", name)
		}
		got := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}})
		if len(got.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("%s: %v", name, got.GetErrorResponse())
		}
	}
	ok(t, s.CloseSend())
}
