package surface

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/server"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	"github.com/lianhu/lianhu/services/gateway/internal/door"
)

// explain is refuse for what the mux and the services refuse.
func explain(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	refuse(w, r, err)
}

// refuse writes a refusal: google.rpc.Status as JSON, whoever refuses. What comes from a service has its reason already; our own and the
// mux's get one here.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	c := of(r.Context())
	s := reasoned(c, err)
	info := &errdetails.ErrorInfo{}
	named, retry := false, time.Duration(0)
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RequestInfo:
			named = true
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	if !named { // the services name the call in what they refuse
		slog.InfoContext(r.Context(), "gateway: refused", "correlation_id", c.correlation, "method", c.method(), "reason", info.GetReason())
		s = server.Identified(s, c.correlation)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	switch info.GetReason() {
	case "HTTP_METHOD_UNKNOWN":
		h.Set("Allow", info.GetMetadata()["allow"])
	case "HTTP_CONTENT_UNSUPPORTED":
		h.Set("Accept-Encoding", "identity")
	}
	if retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((retry+time.Second-1)/time.Second)))
	}
	w.WriteHeader(statusOf(c, s.Code(), info.GetReason()))
	_, _ = w.Write(written(c.respell(s))) // a buffer takes everything
}

// written is a status as JSON. A detail of a type that the gateway does not know is left out.
func written(s *status.Status) []byte {
	out := proto.CloneOf(s.Proto())
	body, err := protojson.Marshal(out)
	if err == nil {
		return body
	}
	known := []*anypb.Any{}
	for _, detail := range out.GetDetails() {
		if _, err := detail.UnmarshalNew(); err == nil {
			known = append(known, detail)
		}
	}
	out.Details = known
	if body, err = protojson.Marshal(out); err == nil {
		return body
	}
	body, _ = json.Marshal(map[string]any{"code": out.GetCode()}) // a number always can
	return body
}

// statusOf is the HTTP status of a refusal: that of its reason, else that of its code.
func statusOf(c *call, code codes.Code, reason string) int {
	if reason == "ETAG_MISMATCH" && c.ifMatch != "" {
		return http.StatusPreconditionFailed
	}
	if number, ok := faultv1.Reason_value["REASON_"+reason]; ok {
		if own := fault.New(faultv1.Reason(number), "").HTTPStatus(); own != 0 {
			return own
		}
	}
	return runtime.HTTPStatusFromCode(code)
}

func (c *call) method() string {
	if c.route.method == nil {
		return ""
	}
	return strings.TrimPrefix(string(c.route.method.FullName()), "lianhu.")
}

// reasoned gives a reason to what has none.
func reasoned(c *call, err error) *status.Status {
	var f *fault.Error
	if errors.As(err, &f) {
		return server.Status(f)
	}
	var routing *runtime.HTTPStatusError
	if errors.As(err, &routing) {
		return reasoned(c, nowhere())
	}
	s := status.Convert(err)
	for _, detail := range s.Details() {
		if _, ok := detail.(*errdetails.ErrorInfo); ok {
			return s
		}
	}
	switch s.Code() {
	case codes.InvalidArgument: // the mux could not read the request
		return server.Status(unreadable(s.Message(), c.body))
	case codes.ResourceExhausted:
		return server.Status(door.TooLarge("the answer", door.MessageBytes))
	case codes.Unavailable:
		return server.Status(fault.New(faultv1.Reason_REASON_UNAVAILABLE, "a part of the system is away; repeat with the same request_id").RetryAfter(time.Second))
	case codes.NotFound, codes.Unimplemented:
		return reasoned(c, nowhere())
	}
	return s
}
