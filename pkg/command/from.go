package command

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
)

// CallFrom makes the call of a gRPC request from its caller and its fields request_id and validate_only.
func CallFrom(ctx context.Context, request proto.Message) Call {
	c := access.FromContext(ctx)
	r := request.ProtoReflect()
	call := Call{Caller: c.Unit + "/" + c.System, Method: c.Method, Request: request, Actor: ActorFrom(ctx)}
	if field := r.Descriptor().Fields().ByName("request_id"); field != nil {
		call.RequestID = r.Get(field).String()
	}
	if field := r.Descriptor().Fields().ByName("validate_only"); field != nil {
		call.ValidateOnly = r.Get(field).Bool()
	}
	return call
}

// ActorFrom is the caller of ctx as the audit records it.
func ActorFrom(ctx context.Context) Actor {
	c := access.FromContext(ctx)
	return Actor{Unit: c.Unit, System: c.System, Officer: c.Officer, Purpose: c.Purpose}
}
