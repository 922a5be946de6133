//go:build clients

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/conformance"
)

// example is one of the example clients, built from the archive of the contract in a folder where there is nothing else of this repository.
type example struct {
	name, unit string
	command    []string
	dir        string
}

var examples = []*example{
	{name: "node", unit: "police/320411002000", command: []string{"node", "push.js"}},
	{name: "go", unit: "police/320411101000", command: []string{"./push"}},
	{name: "java", unit: "police/320411103000", command: []string{"java", "-jar", "push.jar"}},
}

// `make clients` runs this test: it takes Node with npm, a JDK and protoc, which `make test` does without.
func TestTheExampleClientsKeepTheProtocol(t *testing.T) {
	t.Parallel()
	for _, e := range examples {
		e.build(t)
	}
	s, home := prepare(t)
	t.Run("against a server that goes through everything", func(t *testing.T) {
		for _, e := range examples {
			t.Run(e.name, func(t *testing.T) {
				t.Parallel()
				e.playsTheScript(t, home)
			})
			t.Run(e.name+" superseded", func(t *testing.T) {
				t.Parallel()
				e.givesWayToAnother(t, home)
			})
		}
	})
	run(t, s, func(ctx context.Context) error {
		for _, e := range examples {
			t.Run("against the suite/"+e.name, func(t *testing.T) { e.pushesToTheSuite(ctx, t, s, home) })
		}
		return nil
	})
}

// build copies what git knows of the example and runs its script, as a vendor does.
func (e *example) build(t *testing.T) {
	t.Helper()
	e.dir = t.TempDir()
	archive, err := filepath.Abs(filepath.Join(root, "dist", "lianhu-proto.zip"))
	if err != nil {
		t.Fatal(err)
	}
	from := "e2e/clients/" + e.name
	script := fmt.Sprintf(`git ls-files --cached --others --exclude-standard %s | xargs cp -t "$1" && cd "$1" && ./build.sh "$2"`, from)
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script, "build", e.dir, archive)
	cmd.Dir = root
	tools, err := filepath.Abs(filepath.Join(root, ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"), "GOFLAGS=", "GOWORK=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the %s client: %v\n%s", e.name, err, out)
	}
}

// push runs the client over a file and gives what it said, both streams, and its status.
func (e *example) push(ctx context.Context, t *testing.T, target string, files identity.Files, content string, more ...string) (said string, exit int) {
	t.Helper()
	path := write(t, content)
	_, port, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{}, e.command[1:]...), "--target", "localhost:"+port, "--roots", files.Roots, "--cert", files.Certificate, "--key", files.Key)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.command[0], append(append(args, more...), path)...)
	cmd.Dir = e.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exited *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exited) || ctx.Err() != nil {
		t.Fatalf("%v, %v:\n%s", err, ctx.Err(), out.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// ending is the last lines of what a client said.
func ending(said string) string {
	lines := strings.Split(said, "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// pushes holds what a push says and how it ends against what it should.
func (e *example) pushes(ctx context.Context, t *testing.T, exit int, target string, files identity.Files, content string, more, texts []string) {
	t.Helper()
	said, got := e.push(ctx, t, target, files, content, more...)
	if got != exit {
		t.Errorf("status %d, want %d:\n%s", got, exit, ending(said))
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("says nothing of %q:\n%s", text, ending(said))
		}
	}
}

// playsTheScript is `lianhu dispatch conform --listen`. At its end it names a higher epoch, for which the client has to stop.
func (e *example) playsTheScript(t *testing.T, home suite.Home) {
	const count = 1000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		report conformance.Report
		err    error
	}
	done := make(chan result, 1)
	instrument := conformance.Client{Listener: l, Identity: source(t, home.Service("gateway")), Updates: count, Patience: time.Minute, Prompt: 10 * time.Second}
	go func() {
		report, err := instrument.Run(t.Context())
		done <- result{report, err}
	}()
	var content strings.Builder
	for n := 1; n <= count; n++ {
		content.WriteString(line(n))
	}
	e.pushes(t.Context(), t, 1, l.Addr().String(), home.System("police", "dispatch"), content.String(), nil,
		[]string{"draining: again at once", "stopped: the server counts by epoch 2"})
	got := <-done
	if got.err != nil || got.report.Verdict != conformance.Passed {
		told, _ := json.MarshalIndent(got.report.Checks, "", "  ")
		t.Errorf("the run ended with %q, %v\n%s", got.report.Verdict, got.err, told)
	}
}

// busy is a server that says what nobody knows yet, keeps a number apart for a new cause, and prefers another stream.
type busy struct {
	reportingv1.UnimplementedDispatchServiceServer
	t      *testing.T
	opened chan struct{}
	early  <-chan time.Time
}

func (b *busy) PushIncidentUpdates(wire grpc.BidiStreamingServer[reportingv1.PushIncidentUpdatesRequest, reportingv1.PushIncidentUpdatesResponse]) error {
	if b.early != nil {
		select {
		case <-b.early:
		default:
			b.t.Error("the client came back at once after another stream had taken its place")
		}
	}
	b.opened <- struct{}{}
	strange := &reportingv1.PushIncidentUpdatesResponse{}
	strange.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 9999, protowire.VarintType), 1))
	hello := &reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Hello{Hello: &reportingv1.Hello{}}}
	if err := errors.Join(wire.Send(strange), wire.Send(hello), wire.Send(strange)); err != nil {
		return err
	}
	if _, err := wire.Recv(); err != nil {
		return err
	}
	ack := &reportingv1.Ack{Quarantined: []*reportingv1.Quarantined{{Sequence: 2, Cause: 99}}}
	if err := wire.Send(&reportingv1.PushIncidentUpdatesResponse{Say: &reportingv1.PushIncidentUpdatesResponse_Ack{Ack: ack}}); err != nil {
		return err
	}
	b.early = time.After(1900 * time.Millisecond)
	s, err := status.New(codes.Aborted, "a newer stream is open").WithDetails(&errdetails.ErrorInfo{Reason: "DISPATCH_STREAM_SUPERSEDED", Domain: "lianhu"})
	return errors.Join(err, s.Err())
}

// givesWayToAnother: a client whose place is taken waits, tries again, and at the third time calls a person.
func (e *example) givesWayToAnother(t *testing.T, home suite.Home) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(source(t, home.Service("gateway")).ServerTLS("h2"))))
	b := &busy{t: t, opened: make(chan struct{}, 10)}
	reportingv1.RegisterDispatchServiceServer(server, b)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	e.pushes(t.Context(), t, 1, l.Addr().String(), home.System("police", "dispatch"), line(1)+line(2), []string{"--longest-pause", "2s"},
		[]string{"quarantined: 2 99", "stopped: ", "DISPATCH_STREAM_SUPERSEDED"})
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if len(b.opened) != 3 {
		t.Errorf("%d streams were opened, want 3", len(b.opened))
	}
}
