package gateway_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec for messages of the contract
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	"github.com/lianhu/lianhu/services/gateway"
)

const (
	domain   = "xinbei.test"
	township = "township/320411101000"
	// bound ends what hangs; nothing waits for it otherwise.
	bound = 30 * time.Second
)

// diary is all that the process has logged, gRPC's own lines included.
var diary journal

// TestMain keeps the log out of the tests' output and in reach of those that search it.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(&diary, &slog.HandlerOptions{Level: slog.LevelDebug})))
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(&diary, &diary, &diary))
	os.Exit(m.Run())
}

// journal is a log that is read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) has(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Contains(j.buf.Bytes(), []byte(text))
}

// wire lets the tests see and send messages as bytes; what is no *[]byte is a message of the contract.
type wire struct{ encoded encoding.CodecV2 }

// Name implements encoding.Codec.
func (wire) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (w wire) Marshal(v any) ([]byte, error) {
	if raw, ok := v.(*[]byte); ok {
		return *raw, nil
	}
	out, err := w.encoded.Marshal(v)
	return out.Materialize(), err
}

// Unmarshal implements encoding.Codec.
func (w wire) Unmarshal(data []byte, v any) error {
	if raw, ok := v.(*[]byte); ok {
		*raw = bytes.Clone(data)
		return nil
	}
	return w.encoded.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, v)
}

func newWire() wire { return wire{encoding.GetCodecV2("proto")} }

// behind plays a service: it gets every call of its area, whatever the method.
type behind func(method string, stream grpc.ServerStream) error

// house is the gateway between units with their certificates and services played by the test. Everything speaks mutual TLS.
type house struct {
	grpc, json string
	ca         *identity.Authority
	dir        string
}

// newHouse starts the gateway. Areas nobody plays answer every call with an empty message.
func newHouse(t *testing.T, services map[string]behind) *house {
	t.Helper()
	h := &house{dir: t.TempDir()}
	var err error
	h.ca, err = identity.OpenAuthority(h.dir, domain)
	ok(t, err)
	peers := map[string]string{}
	for _, area := range []string{"registry", "reporting", "referral", "relief"} {
		play := services[area]
		if play == nil {
			play = empty
		}
		peers[area] = h.play(t, area, play)
	}
	h.start(t, peers)
	return h
}

// start runs the gateway before services at these addresses.
func (h *house) start(t *testing.T, peers map[string]string) {
	t.Helper()
	files := h.files(t, h.ca, identity.OfService(domain, gateway.Name))
	config := gateway.Config{Certificate: files.Certificate, Key: files.Key, Roots: files.Roots, Peers: peers}
	config.Shared.Environment = "development"
	outside, web := listen(t), listen(t)
	h.grpc, h.json = "passthrough:///"+outside.Addr().String(), "https://"+web.Addr().String()
	serve(t, func(ctx context.Context) error { return gateway.Run(ctx, config, outside, web) })
}

// play runs a service that gives every call to a function.
func (h *house) play(t *testing.T, area string, f behind) (address string) {
	t.Helper()
	s := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(h.source(t, h.ca, identity.OfService(domain, area)).ServerTLS("h2"))),
		grpc.ForceServerCodec(newWire()),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			return f(method, stream)
		}),
	)
	listener := listen(t)
	serve(t, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, s.Stop)
		defer stop()
		return s.Serve(listener)
	})
	return "passthrough:///" + listener.Addr().String()
}

// empty takes one message and answers with one in which nothing is set.
func empty(_ string, stream grpc.ServerStream) error {
	var request, answer []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	return stream.SendMsg(&answer)
}

func (h *house) files(t *testing.T, by *identity.Authority, id identity.Identity) identity.Files {
	t.Helper()
	leaf, err := by.Issue(id, "127.0.0.1")
	ok(t, err)
	files, err := leaf.Write(h.dir, uuid.NewString())
	ok(t, err)
	files.Roots = filepath.Join(h.dir, identity.RootsFile)
	return files
}

func (h *house) source(t *testing.T, by *identity.Authority, id identity.Identity) *identity.Source {
	t.Helper()
	loaded, err := identity.Load(h.files(t, by, id))
	ok(t, err)
	return loaded
}

// unit is a connection of a unit of the district to the gateway. It adds nothing to a call: no deadline, no repetition.
func (h *house) unit(t *testing.T, name string, more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	return h.as(t, h.source(t, h.ca, identity.OfUnit(domain, name, "main")), more...)
}

func (h *house) as(t *testing.T, who *identity.Source, more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	tls := who.ClientTLS(identity.OfService(domain, gateway.Name))
	c, err := grpc.NewClient(h.grpc, append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(tls)), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(newWire()), grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)),
	}, more...)...)
	ok(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	return listener
}

// serve runs something for the life of the test.
func serve(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var group errgroup.Group
	group.Go(func() error { return run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
}

// wait takes from a channel and ends the test when nothing comes.
func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), bound)
	defer cancel()
	select {
	case got := <-c:
		return got
	case <-ctx.Done():
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// refused checks code and reason of a refusal and gives its metadata.
func refused(t *testing.T, err error, code codes.Code, reason string) map[string]string {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == fault.Domain {
			if info.GetReason() != reason {
				t.Errorf("reason %s, want %s", info.GetReason(), reason)
			}
			return info.GetMetadata()
		}
	}
	t.Errorf("%v carries no reason, want %s", err, reason)
	return nil
}

// errorText is all that a refusal says, details included.
func errorText(err error) string { return status.Convert(err).Proto().String() }

// refusal is what a service answers when it refuses.
func refusal(reason faultv1.Reason, text string, keyValues ...string) error {
	return server.Status(fault.New(reason, text, keyValues...)).Err()
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
