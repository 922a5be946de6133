package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// record is what the log line of a call says; the inner interceptors fill it in.
type record struct{ correlation, method, unit, system, reason string }

type recordKey struct{}

// note is the record of the call in ctx.
func note(ctx context.Context) *record {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		return r
	}
	return &record{}
}

// begin opens the record of a call under the id that the gateway, or another service, has given it, or one of our own. Nobody else may choose
// what our log says.
func (s *Server) begin(ctx context.Context, method string) context.Context {
	r := &record{method: method, correlation: uuid.NewString()}
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(access.KeyCorrelation)) == 1 {
		from, err := s.gate.Peer(ctx)
		if id, bad := uuid.Parse(md.Get(access.KeyCorrelation)[0]); bad == nil && err == nil && from.Service != "" {
			r.correlation = id.String()
		}
	}
	return context.WithValue(ctx, recordKey{}, r)
}

// bound is a stream with a context of ours.
type bound struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (b bound) Context() context.Context { return b.ctx }

func (s *Server) recoverUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	ctx = s.begin(ctx, info.FullMethod)
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, s.panicked(ctx, p)
		}
	}()
	return handler(ctx, request)
}

func (s *Server) recoverStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	ctx := s.begin(stream.Context(), info.FullMethod)
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(ctx, p)
		}
	}()
	return handler(service, bound{stream, ctx})
}

// panicked logs the stack and the type of what was thrown; the value itself may hold a request.
func (s *Server) panicked(ctx context.Context, thrown any) error {
	id := traceID(ctx)
	s.log.ErrorContext(ctx, "server: panic", "correlation_id", note(ctx).correlation, "method", note(ctx).method, "unit", note(ctx).unit, "trace_id", id, "thrown", fmt.Sprintf("%T", thrown), "stack", string(debug.Stack()))
	return Identified(Status(fault.New(faultv1.Reason_REASON_INTERNAL, defect, "trace_id", id)), note(ctx).correlation).Err()
}

func (s *Server) recordUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	begin := time.Now()
	answer, err := handler(ctx, request)
	s.line(ctx, begin, err)
	return answer, err
}

func (s *Server) recordStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	begin := time.Now()
	err := handler(service, stream)
	s.line(stream.Context(), begin, err)
	return err
}

// line writes answered calls at DEBUG: there are thousands a second, and the trace tells the same.
func (s *Server) line(ctx context.Context, begin time.Time, err error) {
	code, level := status.Code(err), slog.LevelDebug
	if code != codes.OK {
		level = slog.LevelInfo
	}
	r := note(ctx)
	s.log.LogAttrs(ctx, level, "call", slog.String("correlation_id", r.correlation),
		slog.String("method", r.method), slog.String("code", code.String()), slog.String("reason", r.reason),
		slog.Duration("duration", time.Since(begin)), slog.String("unit", r.unit), slog.String("system", r.system))
}
