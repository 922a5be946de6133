package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/conformance"
	"github.com/lianhu/lianhu/services/suite/dispatch"
)

// A file is pushed through the gateway over connections that are cut in the middle of a frame; afterwards each number is durable and none in
// quarantine, so nothing was lost and nothing came with other content.
func TestAFileArrivesWholeOverConnectionsThatAreCut(t *testing.T) {
	t.Parallel()
	s, home := prepare(t)
	const updates = 2000
	var content strings.Builder
	for n := 1; n <= updates; n++ {
		if n == 700 {
			content.WriteString(`{"void":{"from":700,"to":700,"reason":"test number"}}` + "\n")
			continue
		}
		content.WriteString(line(n))
	}
	path := write(t, content.String())
	run(t, s, func(ctx context.Context) error {
		wire := newCutter(t, s.GRPC, 20_000, 1_000, 50_000, 30_001)
		conn, err := dispatch.Dial(wire.listener.Addr().String(), source(t, home.System("police", "dispatch")), gatewayIdentity())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		lines, err := dispatch.ReadFile(file)
		if err != nil {
			return err
		}
		// Two frames or so go out between two cuts.
		result, err := (&dispatch.Client{Conn: conn, Frame: 50}).Push(ctx, lines.Outbox)
		if err != nil {
			return fmt.Errorf("%w; %s", err, dispatch.Advise(err))
		}
		if wire.cuts() != 4 {
			t.Errorf("%d connections were cut; the test proves nothing", wire.cuts())
		}
		if result.DurableThrough != updates || len(result.Gaps)+len(result.Quarantined) != 0 || result.Epoch != 1 || result.Connections < 3 {
			t.Errorf("ended with %+v", result)
		}
		binary := build(ctx, t)
		commandPushes(ctx, t, binary, home, path)
		commandConforms(ctx, t, binary, home)
		return nil
	})
}

// commandPushes runs `lianhu dispatch push` as a process against what was pushed already: the same file again, one with faults, and in an
// epoch that is over.
func commandPushes(ctx context.Context, t *testing.T, binary string, home suite.Home, path string) {
	t.Helper()
	push := func(in string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, binary, append([]string{"--home", home.Path(), "dispatch", "push"}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	said := func(out string, err error, fails bool, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("says nothing of %q:\n%s", text, out)
			}
		}
		if (err != nil) != fails {
			t.Errorf("ended with %v:\n%s", err, out)
		}
	}
	out, err := push("", path)
	said(out, err, false, "epoch 1: 2000 of 2000 numbers are durable", "2000 of them were durable before")
	out, err = push(line(2001)+strings.Replace(line(2002), `"update 2002"`, `["no text"]`, 1)+line(2004), "-")
	said(out, err, true, "number 2003: not in the file", "number 2003: missing at the server", "quarantined, UNDECODABLE: 1 (2002)", "2 of 3 numbers are durable")
	out, err = push(line(1)+strings.Replace(line(1), "update 1", "something else", 1), "--epoch", "2", "-")
	said(out, err, true, "line 2: number 1 stands in the file before", "quarantined, CONFLICT: 1 (1)")
	out, err = push(line(1), "--epoch", "1", "-")
	said(out, err, true, "epoch 1 is over: the server counts by epoch 2", "next: if your numbers go on, push with epoch 2")
	out, err = push(line(1)+`{"sequence":}`, "-")
	said(out, err, true, "line 2", "nothing was sent")
}

// commandConforms runs `lianhu dispatch conform` against the suite, and then as a server against `lianhu dispatch push`.
func commandConforms(ctx context.Context, t *testing.T, binary string, home suite.Home) {
	t.Helper()
	lianhu := func(args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, binary, append([]string{"--home", home.Path(), "dispatch"}, args...)...)
	}
	if out, err := lianhu("conform").CombinedOutput(); err == nil || !strings.Contains(string(out), "next: use a source made for tests") {
		t.Errorf("a source in use: %v\n%s", err, out)
	}
	name := filepath.Join(t.TempDir(), "report")
	if out, err := lianhu("conform", "--raise-epoch", "--report", name).CombinedOutput(); err != nil {
		t.Errorf("the suite: %v\n%s", err, out)
	}
	wantReport(t, name, "server")

	instrument := lianhu("conform", "--listen", "127.0.0.1:0", "--report", name)
	told, err := instrument.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := instrument.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(told)
	lines.Scan()
	_, rest, _ := strings.Cut(lines.Text(), "listening on ")
	address, _, found := strings.Cut(rest, " ")
	if !found {
		t.Fatalf("the instrument says %q", lines.Text())
	}
	var content strings.Builder
	for n := 1; n <= 100; n++ {
		content.WriteString(line(n))
	}
	push := lianhu("push", "--target", address, write(t, content.String()))
	if out, err := push.CombinedOutput(); err == nil || !strings.Contains(string(out), "epoch 1 is over: the server counts by epoch 2") {
		t.Errorf("the client ended with %v:\n%s", err, out)
	}
	for lines.Scan() { // to the end
		t.Log(lines.Text())
	}
	if err := instrument.Wait(); err != nil {
		t.Errorf("our client: %v", err)
	}
	wantReport(t, name, "client")
}

// wantReport reads a report as a machine and as a person does.
func wantReport(t *testing.T, name, of string) {
	t.Helper()
	raw, err := os.ReadFile(name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var r conformance.Report
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if r.Of != of || r.Verdict != conformance.Passed || r.Date.IsZero() || len(r.Digest) != 64 || len(r.Checks) < 12 {
		t.Errorf("reported %+v", r)
	}
	read, err := os.ReadFile(name + ".md")
	if err != nil || !strings.Contains(string(read), "# Conformance of a dispatch "+of+": passed") || !strings.Contains(string(read), r.Digest) {
		t.Errorf("the report for a person is %s, %v", read, err)
	}
}

// build makes the command.
func build(ctx context.Context, t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lianhu")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./services/suite/cmd/lianhu")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build lianhu: %v\n%s", err, out)
	}
	return binary
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "updates.ndjson")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
