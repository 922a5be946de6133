package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// comeBack is what RetryInfo says to a caller that met a full method.
const comeBack = time.Second

func (s *Server) deadlineUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if _, ok := ctx.Deadline(); !ok && !s.config.NoDeadline && !s.methods[info.FullMethod].Open {
		return nil, fault.New(faultv1.Reason_REASON_DEADLINE_REQUIRED, "the call carries no deadline")
	}
	return handler(ctx, request)
}

// take reserves a slot of the method; give returns it.
func (s *Server) take(method string) (give func(), err error) {
	slots, ok := s.slots[method]
	if !ok {
		return nil, unknownMethod()
	}
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	default:
		return nil, fault.New(faultv1.Reason_REASON_OVERLOADED, "too many calls of this method are running", "method", method).RetryAfter(comeBack)
	}
}

func (s *Server) limitUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	give, err := s.take(info.FullMethod)
	if err != nil {
		return nil, err
	}
	defer give()
	return handler(ctx, request)
}

func (s *Server) limitStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	give, err := s.take(info.FullMethod)
	if err != nil {
		return err
	}
	defer give()
	return handler(service, stream)
}

func (s *Server) identityUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := s.identify(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (s *Server) identityStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := s.identify(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(service, bound{stream, ctx})
}

// identify puts the caller into the context. For open methods a certificate of the trust domain is enough: it need not
// be one of a unit of the district.
func (s *Server) identify(ctx context.Context, method string) (context.Context, error) {
	if s.methods[method].Open {
		_, err := s.gate.Peer(ctx)
		return ctx, err
	}
	caller, err := s.gate.Identify(ctx)
	if err != nil {
		return nil, err
	}
	caller.Method = method
	if caller.Service != "" {
		if err := grpc.SetHeader(ctx, metadata.Pairs(access.KeyDistrict, s.config.District.Digest())); err != nil {
			return nil, err
		}
	}
	if !s.anonymous[method] {
		note(ctx).unit, note(ctx).system = caller.Unit, caller.System
	}
	return access.NewContext(ctx, caller), nil
}

func (s *Server) accessUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

// accessStream also ends streams of health and reflection when the server stops: they would otherwise hold it up, as
// watchers of health never leave by themselves.
func (s *Server) accessStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := s.admit(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	if !s.methods[info.FullMethod].Open {
		return handler(service, stream)
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(); <-ended }()
	return handler(service, bound{stream, ctx})
}

func (s *Server) admit(ctx context.Context, name string) error {
	method, ok := s.methods[name]
	switch {
	case !ok:
		return unknownMethod()
	case method.Open:
		return nil
	}
	return access.FromContext(ctx).Admit(method.Action, method.Writes)
}
