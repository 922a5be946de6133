package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/postgres"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

func (s *Server) errorsUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	answer, err := handler(ctx, request)
	if err != nil {
		return nil, s.refuse(ctx, info.FullMethod, err)
	}
	return answer, nil
}

func (s *Server) errorsStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := handler(service, stream); err != nil {
		return s.refuse(stream.Context(), info.FullMethod, err)
	}
	return nil
}

// refuse makes the status of an error and notes its reason for the log line of the call.
func (s *Server) refuse(ctx context.Context, method string, err error) error {
	if _, ok := status.FromError(err); ok && s.foreign(method) && !isFault(err) {
		return err
	}
	f, plain := classify(ctx, err)
	correlation := note(ctx).correlation
	if f == nil {
		return Identified(status.Convert(plain), correlation).Err()
	}
	note(ctx).reason = f.Reason()
	if f.Kind() == faultv1.Kind_KIND_UNSPECIFIED {
		id := traceID(ctx)
		f = fault.New(faultv1.Reason_REASON_INTERNAL, defect, "trace_id", id)
		s.log.ErrorContext(ctx, "server: defect", "correlation_id", correlation, "method", method, "trace_id", id, "cause", describe(err))
	} else if cause := errors.Unwrap(f); cause != nil {
		s.log.WarnContext(ctx, "server: refused with a cause", "correlation_id", correlation, "method", method, "reason", f.Reason(), "cause", describe(cause))
	}
	return Identified(Status(f), correlation).Err()
}

// defect is the text of what nobody but us can mend.
const defect = "a defect of ours; tell the operator the correlation id"

// Identified adds to a refusal the correlation id of its call: by it an operator finds the call in the logs.
func Identified(s *status.Status, correlation string) *status.Status {
	full, err := s.WithDetails(&errdetails.RequestInfo{RequestId: correlation})
	if err != nil {
		return s // OK, which is no refusal
	}
	return full
}

// foreign methods, those of health and reflection, speak in statuses of their own.
func (s *Server) foreign(method string) bool {
	m, ok := s.methods[method]
	return ok && m.Action == ""
}

func isFault(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}

// classify finds the fault of an error, or makes one for what has another origin. What came from a peer is never passed
// on: its text and details were meant for us. Only the end of the call's own context has no fault.
func classify(ctx context.Context, err error) (*fault.Error, error) {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f, nil
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case postgres.IsConnection(err), status.Code(err) == codes.Unavailable:
		return fault.New(faultv1.Reason_REASON_UNAVAILABLE, "a part of the system is away; repeat with the same request_id").Wrap(err), nil
	}
	return fault.New(faultv1.Reason_REASON_INTERNAL, "defect"), nil
}

// Status is the wire form of a fault: code, English text, ErrorInfo, the zh-CN text, and field violations and a time to
// come back where it has them.
func Status(f *fault.Error) *status.Status {
	plain := status.New(codeOf(f.Kind()), f.Message())
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: f.Reason(), Domain: fault.Domain, Metadata: f.Metadata()},
		&errdetails.LocalizedMessage{Locale: "zh-CN", Message: f.ZH()},
	}
	if len(f.Fields()) > 0 {
		bad := &errdetails.BadRequest{}
		for _, field := range f.Fields() {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field.Path, Description: field.Description, Reason: f.Reason()})
		}
		details = append(details, bad)
	}
	if f.Retry() > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.Retry())})
	}
	full, err := plain.WithDetails(details...)
	if err != nil {
		return plain // only an OK code or an unmarshallable detail gets here; neither exists
	}
	return full
}

func codeOf(kind faultv1.Kind) codes.Code {
	switch kind {
	case faultv1.Kind_KIND_INVALID:
		return codes.InvalidArgument
	case faultv1.Kind_KIND_UNAUTHENTICATED:
		return codes.Unauthenticated
	case faultv1.Kind_KIND_DENIED:
		return codes.PermissionDenied
	case faultv1.Kind_KIND_NOT_FOUND:
		return codes.NotFound
	case faultv1.Kind_KIND_EXISTS:
		return codes.AlreadyExists
	case faultv1.Kind_KIND_PRECONDITION:
		return codes.FailedPrecondition
	case faultv1.Kind_KIND_CONFLICT:
		return codes.Aborted
	case faultv1.Kind_KIND_EXHAUSTED:
		return codes.ResourceExhausted
	case faultv1.Kind_KIND_UNAVAILABLE:
		return codes.Unavailable
	case faultv1.Kind_KIND_OUT_OF_RANGE:
		return codes.OutOfRange
	}
	return codes.Internal
}

// describe is what a log may say of a cause: never a database's Message or Detail, which quote rows, and of a peer's
// status only its code, because the text may quote what was sent.
func describe(err error) string {
	if _, ok := status.FromError(err); ok {
		return "peer answered " + status.Code(err).String()
	}
	return fmt.Sprintf("%T: %v", err, postgres.Sanitize(err))
}

// traceID names the call for the caller and in the log. A call without a trace gets a number of its own.
func traceID(ctx context.Context) string {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		return span.TraceID().String()
	}
	return uuid.NewString()
}

func unknownMethod() error {
	return fault.New(faultv1.Reason_REASON_METHOD_UNKNOWN, "no method of this name is published")
}
