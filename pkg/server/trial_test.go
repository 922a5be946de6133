package server_test

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/server"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// TestMain fails when a goroutine outlives its owner.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The trial service: a mutation, a report, a read and two streams, each under an action of the real access table.
const (
	trial  = "lianhu.trial.v1.TrialService"
	change = "/" + trial + "/Change"
	submit = "/" + trial + "/Submit"
	look   = "/" + trial + "/Look"
	watch  = "/" + trial + "/Watch"
	push   = "/" + trial + "/Push"
	domain = "xinbei.test"
	town   = "320411101000"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, calendar.Zone())

var xinbei = sync.OnceValues(func() (*district.District, error) { return district.Load("../../districts/xinbei") })

// contract registers the trial service's descriptors, as generated code would.
var contract = sync.OnceValue(func() error {
	method := func(name, action, in, out string, reads, clientStream, serverStream bool) *descriptorpb.MethodDescriptorProto {
		options := &descriptorpb.MethodOptions{}
		if reads {
			options.IdempotencyLevel = descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()
		}
		if action != "" {
			proto.SetExtension(options, accessv1.E_Rule, &accessv1.MethodRule{Action: action})
		}
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(in), OutputType: proto.String(out), Options: options,
			ClientStreaming: proto.Bool(clientStream), ServerStreaming: proto.Bool(serverStream),
		}
	}
	const request, filter, standing = ".lianhu.specimen.v1.ChangeTicketRequest", ".lianhu.custody.v1.WorkFilter", ".lianhu.custody.v1.Standing"
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("lianhu/trial/v1/trial.proto"), Package: proto.String("lianhu.trial.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{
			custodyv1.File_lianhu_custody_v1_custody_proto.Path(), specimenv1.File_lianhu_specimen_v1_specimen_proto.Path(),
			accessv1.File_lianhu_access_v1_access_proto.Path(),
		},
		Service: []*descriptorpb.ServiceDescriptorProto{
			{Name: proto.String("TrialService"), Method: []*descriptorpb.MethodDescriptorProto{
				method("Change", "report.accept", request, standing, false, false, false),
				method("Submit", "report.submit", request, standing, false, false, false),
				method("Look", "report.read", filter, standing, true, false, false),
				method("Watch", "report.read", filter, standing, true, false, true),
				method("Push", "report.measure", request, standing, false, true, false),
			}},
			{Name: proto.String("LawlessService"), Method: []*descriptorpb.MethodDescriptorProto{
				method("Change", "", request, standing, false, false, false),
			}},
		},
	}
	built, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	return protoregistry.GlobalFiles.RegisterFile(built)
})

// handlers are what a test lets the trial service do.
type handlers struct {
	change func(context.Context, *specimenv1.ChangeTicketRequest) (*custodyv1.Standing, error)
	look   func(context.Context, *custodyv1.WorkFilter) (*custodyv1.Standing, error)
	watch  func(grpc.ServerStream) error
	push   func(grpc.ServerStream) error
}

func unary[Q any](name string, call func(h *handlers, ctx context.Context, q *Q) (*custodyv1.Standing, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(s any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
		q := new(Q)
		if err := decode(q); err != nil {
			return nil, err
		}
		return chain(ctx, q, &grpc.UnaryServerInfo{Server: s, FullMethod: "/" + trial + "/" + name}, func(ctx context.Context, q any) (any, error) {
			return call(s.(*handlers), ctx, q.(*Q))
		})
	}}
}

func description() *grpc.ServiceDesc {
	changing := func(h *handlers, ctx context.Context, q *specimenv1.ChangeTicketRequest) (*custodyv1.Standing, error) {
		return h.change(ctx, q)
	}
	return &grpc.ServiceDesc{
		ServiceName: trial,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			unary("Change", changing), unary("Submit", changing),
			unary("Look", func(h *handlers, ctx context.Context, q *custodyv1.WorkFilter) (*custodyv1.Standing, error) {
				return h.look(ctx, q)
			}),
		},
		Streams: []grpc.StreamDesc{
			{StreamName: "Watch", ServerStreams: true, Handler: func(s any, stream grpc.ServerStream) error { return s.(*handlers).watch(stream) }},
			{StreamName: "Push", ClientStreams: true, Handler: func(s any, stream grpc.ServerStream) error { return s.(*handlers).push(stream) }},
		},
	}
}

// house is a running server with its certificate authority.
type house struct {
	authority *identity.Authority
	dir       string
	address   string
	stop      func() error
}

// start runs a server until the test ends.
func start(t *testing.T, h handlers, edit func(*server.Config)) *house {
	t.Helper()
	if err := contract(); err != nil {
		t.Fatal(err)
	}
	d, err := xinbei()
	if err != nil {
		t.Fatal(err)
	}
	out := &house{dir: t.TempDir()}
	if out.authority, err = identity.OpenAuthority(out.dir, domain); err != nil {
		t.Fatal(err)
	}
	config := server.Config{
		Identity: out.source(t, identity.OfService(domain, "reporting")), District: d,
		Now: func() time.Time { return now }, Logger: slog.New(slog.NewJSONHandler(io.Discard, nil)),
	}
	if edit != nil {
		edit(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.RegisterService(description(), &h)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	out.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := out.stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return out
}

func (h *house) source(t *testing.T, id identity.Identity) *identity.Source {
	t.Helper()
	leaf, err := h.authority.Issue(id, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(id.String()))
	files, err := leaf.Write(h.dir, strings.ReplaceAll(id.Unit+id.Service, "/", "-")+string('a'+rune(hash[0]%26)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// as connects with nothing added: what the tests send is what arrives.
func (h *house) as(t *testing.T, id identity.Identity) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(credentials.NewTLS(
		h.source(t, id).ClientTLS(identity.OfService(domain, "reporting")))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (h *house) unit(t *testing.T, unit string) *grpc.ClientConn {
	return h.as(t, identity.OfUnit(domain, unit, "main"))
}

func station() identity.Identity { return identity.OfUnit(domain, "police/"+town, "main") }

func valid() *specimenv1.ChangeTicketRequest {
	return &specimenv1.ChangeTicketRequest{RequestId: "6a0c2a35-6a5c-4d3c-9a57-0e4bb1f4a0c1", Number: "T-1"}
}

func invoke(ctx context.Context, c *grpc.ClientConn, method string, request proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return c.Invoke(ctx, method, request, &custodyv1.Standing{})
}

// refusal is a status as a client takes it apart.
type refusal struct {
	code     codes.Code
	reason   string
	metadata map[string]string
	zh       string
	fields   []string
	retry    time.Duration
}

func read(t *testing.T, err error) refusal {
	t.Helper()
	s := status.Convert(err)
	r := refusal{code: s.Code()}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			r.reason, r.metadata = d.GetReason(), d.GetMetadata()
			if d.GetDomain() != "lianhu" {
				t.Errorf("domain %q", d.GetDomain())
			}
		case *errdetails.LocalizedMessage:
			r.zh = d.GetMessage()
			if d.GetLocale() != "zh-CN" {
				t.Errorf("locale %q", d.GetLocale())
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				r.fields = append(r.fields, v.GetField())
			}
		case *errdetails.RetryInfo:
			r.retry = d.GetRetryDelay().AsDuration()
		}
	}
	return r
}

// want fails unless err is a refusal of that code and reason, with a text for the person in front of the system.
func want(t *testing.T, err error, code codes.Code, reason string) refusal {
	t.Helper()
	r := read(t, err)
	if r.code != code || r.reason != reason || r.zh == "" {
		t.Errorf("got %v %q %q (%v), want %v %q", r.code, r.reason, r.zh, err, code, reason)
	}
	return r
}
