package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/dates"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/name"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// slack is how many times the announced limit gRPC itself lets through. Between the limit and slack times the limit the
// caller is told MESSAGE_TOO_LARGE. What is larger still gRPC refuses by itself before any of our code can speak, as RESOURCE_EXHAUSTED
// without details; the gateway gives that its reason.
const slack = 4

func (s *Server) contentUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.content(info.FullMethod, request); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (s *Server) contentStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(service, &checked{stream, s, info.FullMethod})
}

// checked looks at each message a stream receives.
type checked struct {
	grpc.ServerStream
	server *Server
	method string
}

// RecvMsg implements grpc.ServerStream.
func (c *checked) RecvMsg(m any) error {
	r := &received{message: m}
	if err := c.ServerStream.RecvMsg(r); err != nil {
		return err
	}
	if r.unreadable != nil {
		return r.unreadable
	}
	return c.server.content(c.method, m)
}

func (s *Server) messageLimit(method string) int {
	return orDefault(s.config.Limits.MessageBytesOf[method], s.config.Limits.MessageBytes)
}

func (s *Server) tooLarge(method string) error {
	limit := strconv.Itoa(s.messageLimit(method))
	return fault.New(faultv1.Reason_REASON_MESSAGE_TOO_LARGE, "the message is larger than "+limit+" bytes", "limit_bytes", limit)
}

// content decides on a message by itself: what is wrong with it is wrong in any state of the world. The open services
// have contracts of their own.
func (s *Server) content(method string, request any) error {
	m, ok := request.(proto.Message)
	if !ok || s.foreign(method) {
		return nil
	}
	if proto.Size(m) > s.messageLimit(method) {
		return s.tooLarge(method)
	}
	if err := marked(m); err != nil {
		return err
	}
	writes := s.methods[method].Writes
	if err := checkStrings("", m.ProtoReflect(), writes); err != nil {
		return err
	}
	if writes {
		if err := checkRequestID(m.ProtoReflect()); err != nil {
			return err
		}
	}
	if err := dates.Check(m, calendar.Today(s.now())); err != nil {
		return err
	}
	if err := name.Apply(m); err != nil {
		return err
	}
	return s.rules(m)
}

// now is business time, or the machine's where a server has none.
func (s *Server) now() time.Time {
	if s.config.Now == nil {
		return time.Now()
	}
	return s.config.Now()
}

func checkRequestID(m protoreflect.Message) error {
	field := m.Descriptor().Fields().ByName("request_id")
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
		return nil
	}
	id := m.Get(field).String()
	if id == "" {
		return fault.New(faultv1.Reason_REASON_REQUEST_ID_REQUIRED, "a call that changes something carries a request_id", "field", "request_id")
	}
	// The package also reads braces and urn: forms; one spelling keeps one id one id.
	if len(id) != 36 || uuid.Validate(id) != nil {
		return fault.Invalid("request_id", "must be a UUID in its 36-character form")
	}
	return nil
}

// rules names every violation at once, so that a caller corrects a form in one go.
func (s *Server) rules(m proto.Message) error {
	err := s.validator.Validate(m)
	if err == nil {
		return nil
	}
	var violations *protovalidate.ValidationError
	if !errors.As(err, &violations) || len(violations.Violations) == 0 {
		return fmt.Errorf("server: the rules of %s cannot be evaluated: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	var refusal *fault.Error
	for _, v := range violations.Violations {
		path, description := protovalidate.FieldPathString(v.Proto.GetField()), v.Proto.GetMessage()
		if refusal == nil {
			refusal = fault.Invalid(path, description)
			continue
		}
		refusal = refusal.Field(path, description)
	}
	return refusal
}

// checkStrings looks at every string of a message, map keys included.
func checkStrings(path string, m protoreflect.Message, writes bool) (err error) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		err = checkField(join(path, string(field.Name())), field, value, writes)
		return err == nil
	})
	return err
}

func checkField(path string, field protoreflect.FieldDescriptor, value protoreflect.Value, writes bool) (err error) {
	switch {
	case field.IsMap():
		value.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			// The key stays out of the path: it is content.
			if err = checkValue(path, field.MapKey(), k.Value(), writes); err == nil {
				err = checkValue(path, field.MapValue(), v, writes)
			}
			return err == nil
		})
	case field.IsList():
		for i := range value.List().Len() {
			if err = checkValue(path+"["+strconv.Itoa(i)+"]", field, value.List().Get(i), writes); err != nil {
				return err
			}
		}
	default:
		err = checkValue(path, field, value, writes)
	}
	return err
}

func checkValue(path string, field protoreflect.FieldDescriptor, value protoreflect.Value, writes bool) error {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return checkStrings(path, value.Message(), writes)
	case protoreflect.StringKind:
		if strings.ContainsRune(value.String(), 0) {
			return fault.New(faultv1.Reason_REASON_NUL_CHARACTER, path+": contains U+0000", "field", path).Field(path, "contains U+0000")
		}
		if writes && strings.Contains(value.String(), access.Mark) {
			return fault.New(faultv1.Reason_REASON_MASKED_VALUE, path+": is a masked value", "field", path).Field(path, "is a masked value")
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
