package server_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/server"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// echo answers with who called.
func echo() handlers {
	who := func(ctx context.Context) *custodyv1.Standing {
		c := access.FromContext(ctx)
		return &custodyv1.Standing{Holder: c.Unit, OfferedTo: c.Officer, Clock: c.Purpose.String(), MatterId: c.Matter}
	}
	return handlers{
		change: func(ctx context.Context, _ *specimenv1.ChangeTicketRequest) (*custodyv1.Standing, error) {
			return who(ctx), nil
		},
		look: func(ctx context.Context, _ *custodyv1.WorkFilter) (*custodyv1.Standing, error) { return who(ctx), nil },
		watch: func(s grpc.ServerStream) error {
			if err := s.RecvMsg(&custodyv1.WorkFilter{}); err != nil {
				return err
			}
			return s.SendMsg(who(s.Context()))
		},
		push: func(s grpc.ServerStream) error {
			for {
				err := s.RecvMsg(&specimenv1.ChangeTicketRequest{})
				if errors.Is(err, io.EOF) {
					return s.SendMsg(who(s.Context()))
				}
				if err != nil {
					return err
				}
			}
		},
	}
}

func TestEveryRefusalReachesTheClientWhole(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), func(c *server.Config) { c.Limits.MessageBytes = 4096 })
	police, school := h.as(t, station()), h.unit(t, "org/1232041171001137XA")
	with := func(key, value string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), key, value)
	}
	edited := func(edit func(*specimenv1.ChangeTicketRequest)) *specimenv1.ChangeTicketRequest {
		m := valid()
		edit(m)
		return m
	}
	for name, c := range map[string]struct {
		ctx      context.Context
		by       *grpc.ClientConn
		method   string
		request  proto.Message
		code     codes.Code
		reason   string
		fields   []string
		metadata map[string]string
	}{
		"not allowed":        {by: school, method: change, code: codes.PermissionDenied, reason: "METHOD_NOT_ALLOWED", metadata: map[string]string{"action": "report.accept", "purpose": "UNSPECIFIED"}},
		"wrong purpose":      {by: police, ctx: with("lianhu-purpose", "PAYMENT"), method: change, code: codes.PermissionDenied, reason: "METHOD_NOT_ALLOWED", metadata: map[string]string{"action": "report.accept", "purpose": "PAYMENT"}},
		"unknown purpose":    {by: police, ctx: with("lianhu-purpose", "CURIOSITY"), method: change, code: codes.InvalidArgument, reason: "FIELD_INVALID", fields: []string{"lianhu-purpose"}},
		"two purposes":       {by: police, ctx: metadata.AppendToOutgoingContext(with("lianhu-purpose", "PAYMENT"), "lianhu-purpose", "ASSESSMENT"), method: change, code: codes.InvalidArgument, reason: "FIELD_INVALID", fields: []string{"lianhu-purpose"}},
		"matter is no uuid":  {by: police, ctx: with("lianhu-matter", "7"), method: change, code: codes.InvalidArgument, reason: "FIELD_INVALID", fields: []string{"lianhu-matter"}},
		"unknown officer":    {by: police, ctx: with("lianhu-officer", "court-1"), method: change, code: codes.Unauthenticated, reason: "OFFICER_UNKNOWN", metadata: map[string]string{"officer": "court-1"}},
		"unknown unit":       {by: h.unit(t, "treasury"), method: change, code: codes.Unauthenticated, reason: "UNIT_UNKNOWN", metadata: map[string]string{"unit": "treasury"}},
		"unknown method":     {by: police, method: "/" + trial + "/Nothing", code: codes.NotFound, reason: "METHOD_UNKNOWN"},
		"unknown service":    {by: police, method: "/lianhu.none.v1.NoService/Nothing", code: codes.NotFound, reason: "METHOD_UNKNOWN"},
		"no request id":      {by: police, method: change, request: edited(func(m *specimenv1.ChangeTicketRequest) { m.RequestId = "" }), code: codes.InvalidArgument, reason: "REQUEST_ID_REQUIRED", metadata: map[string]string{"field": "request_id"}},
		"odd request id":     {by: police, method: change, request: edited(func(m *specimenv1.ChangeTicketRequest) { m.RequestId = "{" + m.GetRequestId() + "}" }), code: codes.InvalidArgument, reason: "FIELD_INVALID", fields: []string{"request_id"}},
		"nul":                {by: police, method: change, request: edited(func(m *specimenv1.ChangeTicketRequest) { m.Remark = "a\x00b" }), code: codes.InvalidArgument, reason: "NUL_CHARACTER", fields: []string{"remark"}, metadata: map[string]string{"field": "remark"}},
		"nul deep down":      {by: police, method: change, request: edited(func(m *specimenv1.ChangeTicketRequest) { m.Lines = []*specimenv1.Line{{}, {Seen: "\x00"}} }), code: codes.InvalidArgument, reason: "NUL_CHARACTER", fields: []string{"lines[1].seen"}},
		"nul in a map key":   {by: police, method: change, request: edited(func(m *specimenv1.ChangeTicketRequest) { m.Labels = map[string]string{"\x00": "x"} }), code: codes.InvalidArgument, reason: "NUL_CHARACTER", fields: []string{"labels"}},
		"masked value":       {by: police, method: change, request: edited(func(m *specimenv1.ChangeTicketRequest) { m.Lines = []*specimenv1.Line{{Seen: access.Mark}} }), code: codes.InvalidArgument, reason: "MASKED_VALUE", fields: []string{"lines[0].seen"}},
		"rules all at once":  {by: police, method: look, request: &custodyv1.WorkFilter{Unit: strings.Repeat("u", 101), MatterId: "x"}, code: codes.InvalidArgument, reason: "FIELD_INVALID", fields: []string{"unit", "matter_id"}},
		"too large":          {by: police, method: change, request: edited(func(m *specimenv1.ChangeTicketRequest) { m.Remark = strings.Repeat("r", 5000) }), code: codes.ResourceExhausted, reason: "MESSAGE_TOO_LARGE", metadata: map[string]string{"limit_bytes": "4096"}},
		"our own as a unit":  {by: h.as(t, identity.OfService(domain, "registry")), method: change, code: codes.PermissionDenied, reason: "METHOD_NOT_ALLOWED"},
		"gateway on its own": {by: h.as(t, identity.OfService(domain, "gateway")), method: look, request: &custodyv1.WorkFilter{}, code: codes.PermissionDenied, reason: "METHOD_NOT_ALLOWED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			if c.request == nil {
				c.request = valid()
			}
			r := want(t, invoke(c.ctx, c.by, c.method, c.request), c.code, c.reason)
			if c.fields != nil && !cmp.Equal(c.fields, r.fields) {
				t.Errorf("fields %v", r.fields)
			}
			if c.metadata != nil && !cmp.Equal(c.metadata, r.metadata) {
				t.Errorf("metadata %v", r.metadata)
			}
		})
	}
}

func TestACallThatIsInOrderPasses(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "lianhu-purpose", "emergency_response", "lianhu-matter", valid().GetRequestId())
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	var got custodyv1.Standing
	if err := h.as(t, station()).Invoke(bounded, change, valid(), &got); err != nil {
		t.Fatal(err)
	}
	if got.GetHolder() != "police/"+town || got.GetClock() != "PURPOSE_EMERGENCY_RESPONSE" || got.GetMatterId() != valid().GetRequestId() {
		t.Errorf("the handler saw %v", &got)
	}
	// A read may ask for what looks like a masked value; only writes refuse it.
	if err := invoke(ctx, h.as(t, station()), look, &custodyv1.WorkFilter{Unit: access.Mark}); err != nil {
		t.Error(err)
	}
}

func TestAUnaryCallNeedsADeadline(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	want(t, h.as(t, station()).Invoke(context.Background(), change, valid(), &custodyv1.Standing{}), codes.InvalidArgument, "DEADLINE_REQUIRED")
	lenient := start(t, echo(), func(c *server.Config) { c.NoDeadline = true })
	if err := lenient.as(t, station()).Invoke(context.Background(), change, valid(), &custodyv1.Standing{}); err != nil {
		t.Error(err)
	}
}

func TestAFullMethodSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	slow := echo()
	slow.change = func(context.Context, *specimenv1.ChangeTicketRequest) (*custodyv1.Standing, error) {
		inside <- struct{}{}
		<-leave
		return &custodyv1.Standing{}, nil
	}
	h := start(t, slow, func(c *server.Config) { c.Limits.Of = map[string]int{change: 1} })
	police := h.as(t, station())
	first := make(chan error, 1)
	go func() { first <- invoke(context.Background(), police, change, valid()) }()
	<-inside
	r := want(t, invoke(t.Context(), police, change, valid()), codes.ResourceExhausted, "OVERLOADED")
	if r.retry <= 0 || r.metadata["method"] != change {
		t.Errorf("retry after %v, %v", r.retry, r.metadata)
	}
	if err := invoke(t.Context(), police, look, &custodyv1.WorkFilter{}); err != nil {
		t.Errorf("another method is full too: %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	go func() { <-inside }()
	if err := invoke(t.Context(), police, change, valid()); err != nil {
		t.Errorf("the slot was not given back: %v", err)
	}
}

func TestAPanicIsAnsweredAndTheServerLives(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	h := start(t, handlers{
		change: func(context.Context, *specimenv1.ChangeTicketRequest) (*custodyv1.Standing, error) {
			panic("secret of a child")
		},
		look:  echo().look,
		watch: func(grpc.ServerStream) error { panic("secret of a child") },
	}, func(c *server.Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	police := h.as(t, station())
	r := want(t, invoke(t.Context(), police, change, valid()), codes.Internal, "INTERNAL")
	if r.metadata["trace_id"] == "" || !strings.Contains(log.String(), r.metadata["trace_id"]) {
		t.Errorf("trace id %q is not in the log", r.metadata["trace_id"])
	}
	_, err := open(t, police, watch, &custodyv1.WorkFilter{})
	want(t, err, codes.Internal, "INTERNAL")
	if err := invoke(t.Context(), police, look, &custodyv1.WorkFilter{}); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
	if strings.Contains(log.String(), "secret") {
		t.Error("the log quotes what was thrown")
	}
}

// Only faults say what they mean; everything else keeps its text and details to itself.
func TestWhatErrorsBecome(t *testing.T) {
	t.Parallel()
	peer, _ := status.New(codes.NotFound, "child Zhang is not here").WithDetails(&custodyv1.Standing{Holder: "secret"})
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"fault":         {fmt.Errorf("store: %w", fault.NotFound().Wrap(errors.New("secret"))), codes.NotFound, "NOT_FOUND"},
		"conflict":      {fault.New(faultv1.Reason_REASON_ETAG_MISMATCH, "stale"), codes.Aborted, "ETAG_MISMATCH"},
		"precondition":  {fault.StateForbids("CLOSED", "accept"), codes.FailedPrecondition, "STATE_FORBIDS"},
		"draining":      {fault.New(faultv1.Reason_REASON_DRAINING, "later"), codes.Unavailable, "DRAINING"},
		"expired":       {fault.New(faultv1.Reason_REASON_FEED_POSITION_EXPIRED, "old"), codes.OutOfRange, "FEED_POSITION_EXPIRED"},
		"defect":        {errors.New("secret"), codes.Internal, "INTERNAL"},
		"peer refused":  {peer.Err(), codes.Internal, "INTERNAL"},
		"peer away":     {status.Error(codes.Unavailable, "secret"), codes.Unavailable, "UNAVAILABLE"},
		"database away": {fmt.Errorf("store: %w", &net.OpError{Op: "dial", Err: errors.New("secret")}), codes.Unavailable, "UNAVAILABLE"},
		"database full": {&pgconn.PgError{Code: "53300", Message: "secret"}, codes.Unavailable, "UNAVAILABLE"},
		"disk full":     {&pgconn.PgError{Code: "53100", Message: "secret"}, codes.Unavailable, "UNAVAILABLE"},
		"database rule": {&pgconn.PgError{Code: "23514", Message: "secret", Detail: "secret"}, codes.Internal, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log safeBuffer
			h := start(t, handlers{look: func(context.Context, *custodyv1.WorkFilter) (*custodyv1.Standing, error) { return nil, c.err }},
				func(config *server.Config) { config.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
			err := invoke(t.Context(), h.as(t, station()), look, &custodyv1.WorkFilter{})
			want(t, err, c.code, c.reason)
			if strings.Contains(fmt.Sprint(err, status.Convert(err).Details()), "secret") {
				t.Errorf("the caller reads %v", err)
			}
			if strings.HasPrefix(name, "database rule") && strings.Contains(log.String(), "secret") {
				t.Errorf("the log quotes the database: %s", log.String())
			}
		})
	}
}

func TestTheEndOfACallIsNoDefect(t *testing.T) {
	t.Parallel()
	h := start(t, handlers{look: func(ctx context.Context, _ *custodyv1.WorkFilter) (*custodyv1.Standing, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("store: %w", ctx.Err())
	}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	if err := h.as(t, station()).Invoke(ctx, look, &custodyv1.WorkFilter{}, &custodyv1.Standing{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

// Nobody but the gateway may say who somebody is.
func TestAPrincipalCountsFromTheGatewayAlone(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	principal, err := proto.Marshal(&accessv1.Principal{Unit: "police/" + town, System: "main"})
	if err != nil {
		t.Fatal(err)
	}
	gateway := h.as(t, identity.OfService(domain, "gateway"))
	with := func(pairs ...string) context.Context { return metadata.AppendToOutgoingContext(t.Context(), pairs...) }
	if err := invoke(with(access.KeyPrincipal, string(principal)), gateway, change, valid()); err != nil {
		t.Errorf("the gateway's word does not count: %v", err)
	}
	service, err := proto.Marshal(&accessv1.Principal{Unit: "service/registry"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, invoke(with(access.KeyPrincipal, string(service)), gateway, look, &custodyv1.WorkFilter{}), codes.Unauthenticated, "UNIT_UNKNOWN")
	want(t, invoke(with(access.KeyPrincipal, "\xff"), gateway, change, valid()), codes.Unauthenticated, "IDENTITY_REQUIRED")
	want(t, invoke(with(access.KeyPrincipal, string(principal), access.KeyPrincipal, string(principal)), gateway, change, valid()), codes.Unauthenticated, "IDENTITY_REQUIRED")

	for name, id := range map[string]identity.Identity{
		"a unit": identity.OfUnit(domain, "health", "main"), "the unit itself": station(), "a service": identity.OfService(domain, "registry"),
		"a unit named like the gateway": identity.OfUnit(domain, "gateway", "gateway"),
	} {
		c := h.as(t, id)
		for _, key := range []string{
			access.KeyPrincipal, "Lianhu-Principal-Bin", "lianhu-principal", "grpc-metadata-lianhu-principal-bin",
			"grpcgateway-lianhu-principal-bin", "lianhu_principal_bin", "x-lianhu.principal-bin",
		} {
			value := string(principal)
			if !strings.HasSuffix(strings.ToLower(key), "-bin") {
				value = hex.EncodeToString(principal)
			}
			err := invoke(with(key, value), c, change, valid())
			if r := read(t, err); r.code != codes.Unauthenticated || r.reason != "IDENTITY_REQUIRED" {
				t.Errorf("%s with %s: %v", name, key, err)
			}
		}
	}
	want(t, invoke(with("grpc-metadata-lianhu-principal-bin", string(principal)), gateway, change, valid()), codes.Unauthenticated, "IDENTITY_REQUIRED")
}

// Who reports is not in the log, whatever becomes of the report.
func TestTheLogOfAReportDoesNotSayWhoReported(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	h := start(t, echo(), func(c *server.Config) {
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	school := h.unit(t, "org/1232041171001137XA")
	if err := invoke(t.Context(), school, submit, valid()); err != nil {
		t.Fatal(err)
	}
	want(t, invoke(metadata.AppendToOutgoingContext(t.Context(), "lianhu-purpose", "PAYMENT"), school, submit, valid()), codes.PermissionDenied, "METHOD_NOT_ALLOWED")
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), submit) || strings.Contains(log.String(), "1232041171001137XA") {
		t.Errorf("log: %s", log.String())
	}
}

// The suite's own calls are one trace; what a unit sends of its trace is not taken over, as it would tie the unit's calls together.
// Not parallel: it installs the process's tracer provider.
func TestACallContinuesTheTraceOfTheSuiteAlone(t *testing.T) {
	provider := sdktrace.NewTracerProvider()
	otel.SetTracerProvider(provider)
	h := start(t, handlers{look: func(context.Context, *custodyv1.WorkFilter) (*custodyv1.Standing, error) {
		return nil, errors.New("defect")
	}}, nil)
	const id = "0af7651916cd43dd8448eb211c80319c"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+id+"-b7ad6b7169203331-01")
	if r := want(t, invoke(ctx, h.as(t, identity.OfService(domain, "registry")), look, &custodyv1.WorkFilter{}), codes.Internal, "INTERNAL"); r.metadata["trace_id"] != id {
		t.Errorf("a service's trace goes on as %q", r.metadata["trace_id"])
	}
	if r := want(t, invoke(ctx, h.as(t, station()), look, &custodyv1.WorkFilter{}), codes.Internal, "INTERNAL"); r.metadata["trace_id"] == id || len(r.metadata["trace_id"]) != 32 {
		t.Errorf("a unit's trace goes on as %q", r.metadata["trace_id"])
	}
}

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A certificate that verifies is not enough: it has to name somebody of this trust domain.
func TestACertificateOfAnotherDomainNamesNobody(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	elsewhere := t.TempDir()
	other, err := identity.OpenAuthority(elsewhere, "tianning.test")
	if err != nil {
		t.Fatal(err)
	}
	both := slices.Concat(h.authority.RootsPEM(), other.RootsPEM())
	for _, dir := range []string{h.dir, elsewhere} {
		if err := os.WriteFile(filepath.Join(dir, identity.RootsFile), both, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := other.Issue(identity.OfUnit("tianning.test", "police/"+town, "main"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := leaf.Write(elsewhere, "police")
	if err != nil {
		t.Fatal(err)
	}
	source, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	c, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(credentials.NewTLS(source.ClientTLS(identity.OfService(domain, "reporting")))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	want(t, invoke(t.Context(), c, change, valid()), codes.Unauthenticated, "IDENTITY_REQUIRED")
	_, err = healthpb.NewHealthClient(c).Check(t.Context(), &healthpb.HealthCheckRequest{})
	want(t, err, codes.Unauthenticated, "IDENTITY_REQUIRED")
}
