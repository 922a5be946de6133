package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/lianhu/lianhu/pkg/identity"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/gateway"
	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/dispatch"
)

// errNotAll is why a push ends with status 1 although nothing went wrong on the way.
var errNotAll = errors.New("not every update arrived as it was meant; see the summary above")

const pushDescription = `FILE holds one JSON object on each line; - reads standard input to its end first.

An update is the contract's IncidentUpdate in protobuf's JSON form. Its payload may be written as the object it is (IncidentContent as
JSON; its bytes are sent, without blanks) or as base64 of a payload in binary protobuf:

  {"sequence":1,"incident_number":"J1","incident_version":1,"source_time":"2026-03-02T08:00:00+08:00","payload":{"summary":"儿童独处"}}

Numbers that will never be sent are given up on a line of their own:

  {"void":{"from":2,"to":4,"reason":"test numbers"}}

Lines are sent in the order of the file. A connection that is cut is made again, and only what the server misses is sent; the same file may
be pushed as often as you like. The status is 0 when every number of the file is durable and none was quarantined in this run, 1 otherwise.`

func dispatchCommand() *cli.Command {
	return &cli.Command{
		Name: "dispatch", Action: unknown, Usage: "be a dispatch system: push incident updates, check an implementation",
		Commands: []*cli.Command{{
			Name: "push", Usage: "push a file of incident updates, over as many connections as it takes", ArgsUsage: "FILE|-", Description: pushDescription,
			Flags: append(partnerFlags(),
				&cli.Int64Flag{Name: "epoch", Usage: "epoch of the numbers; default: the one the server counts by"},
				&cli.IntFlag{Name: "frame", Value: 100, Usage: "updates in one frame, 1 to 200"},
				&cli.DurationFlag{Name: "give-up", Value: 2 * time.Minute, Usage: "how long the server may say nothing; 0 tries for ever"},
			),
			Action: pushFile,
		}, conformCommand()},
	}
}

// partnerFlags say where the gateway is and who calls.
func partnerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "target", Usage: "address of the gateway, HOST:PORT; default: the suite that runs from this home"},
		&cli.StringFlag{Name: "unit", Value: "police", Usage: "unit whose certificate is taken from the home"},
		&cli.StringFlag{Name: "system", Value: "dispatch", Usage: "system of the unit"},
		&cli.StringFlag{Name: "cert", Usage: "PEM file of your certificate, in place of one from the home"},
		&cli.StringFlag{Name: "key", Usage: "PEM file of its key"},
		&cli.StringFlag{Name: "ca", Usage: "PEM file of the authority you were given"},
	}
}

// partner finds the address and the identity that the flags name.
func partner(c *cli.Command) (target string, source *identity.Source, err error) {
	if target = c.String("target"); target != "" && !strings.Contains(target, ":") {
		return "", nil, fmt.Errorf("--target is %q: give HOST:PORT, the port of gRPC, 7443 by default", target)
	}
	home, err := suite.OpenHome(c.String("home"))
	if err != nil {
		return "", nil, err
	}
	files, given, err := givenFiles(c)
	if err != nil {
		return "", nil, err
	}
	if !given {
		files = home.System(c.String("unit"), c.String("system"))
	}
	if source, err = identity.Load(files); err != nil && given {
		return "", nil, fmt.Errorf("%w\nnext: see that --cert and --key belong together, are PEM, and name a unit and system of the district", err)
	}
	if err != nil {
		return "", nil, fmt.Errorf("%w\nnext: give --cert, --key and --ca, or the --home of a suite that was started once with: lianhu up", err)
	}
	if r, ok := home.Running(); ok && target == "" {
		target = r.GRPC
	}
	if target == "" {
		return "", nil, errors.New("no suite is running here: give --target HOST:PORT, or start one with: lianhu up")
	}
	return target, source, nil
}

// givenFiles are the certificate files that the flags name, all or none.
func givenFiles(c *cli.Command) (files identity.Files, given bool, err error) {
	files = identity.Files{Certificate: c.String("cert"), Key: c.String("key"), Roots: c.String("ca")}
	if files == (identity.Files{}) {
		return files, false, nil
	}
	if files.Certificate == "" || files.Key == "" || files.Roots == "" {
		return files, false, errors.New("--cert, --key and --ca belong together: give all three")
	}
	return files, true, nil
}

// gatewayOf is who must answer a partner: the gateway of its own trust domain.
func gatewayOf(source *identity.Source) identity.Identity {
	return identity.OfService(source.Identity().TrustDomain, gateway.Name)
}

func pushFile(ctx context.Context, c *cli.Command) error {
	if c.NArg() != 1 {
		return errors.New("give one FILE, or - for standard input; see: lianhu dispatch push --help")
	}
	if frame := c.Int("frame"); frame < 1 || frame > 200 {
		return fmt.Errorf("--frame is %d, not from 1 to 200", frame)
	}
	file, err := openLines(c.Args().First(), c.Root().Reader)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	lines, err := dispatch.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s: %w\nnext: correct the line; nothing was sent", c.Args().First(), err)
	}
	target, source, err := partner(c)
	if err != nil {
		return err
	}
	conn, err := dispatch.Dial(target, source, gatewayOf(source))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	w := c.Root().Writer
	doubts(w, lines)
	progress := newProgress(c.Root().ErrWriter, lines)
	pusher := &dispatch.Client{Conn: conn, Epoch: c.Int64("epoch"), Frame: c.Int("frame"), GiveUpAfter: c.Duration("give-up"), Told: progress.told}
	result, err := pusher.Push(ctx, lines.Outbox)
	progress.end()
	complete := summary(w, lines, result)
	if err != nil {
		if advice := dispatch.Advise(err); advice != "" {
			return fmt.Errorf("%w\nnext: %s", err, advice)
		}
		return err
	}
	if !complete {
		return errNotAll
	}
	return nil
}

// openLines opens a file, or keeps standard input in one that nobody else sees: after a cut it is read again.
func openLines(name string, in io.Reader) (*os.File, error) {
	if name != "-" {
		return os.Open(name)
	}
	file, err := os.CreateTemp("", "lianhu-push-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // it lives as long as it is open
	if _, err = io.Copy(file, in); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// doubts says before anything is sent what in the file will not go well.
func doubts(w io.Writer, lines *dispatch.File) {
	for _, again := range lines.Twice {
		_, _ = fmt.Fprintf(w, "line %d: number %d stands in the file before; what is not durable yet is sent, and other content than the first goes to quarantine\n", again.Line, again.Sequence)
	}
	for _, gap := range lines.Gaps() {
		_, _ = fmt.Fprintf(w, "%s: not in the file; nothing behind is acknowledged before it is sent or voided\n", numbers(gap))
	}
}

func numbers(r *reportingv1.SequenceRange) string {
	if r.GetFrom() == r.GetTo() {
		return fmt.Sprintf("number %d", r.GetFrom())
	}
	return fmt.Sprintf("numbers %d to %d", r.GetFrom(), r.GetTo())
}

// summary says where the push ended, and answers whether all went as it was meant.
func summary(w io.Writer, lines *dispatch.File, result dispatch.Result) (complete bool) {
	before, through := lines.Through(result.Before), lines.Through(result.DurableThrough)
	complete = through == lines.Numbers()
	_, _ = fmt.Fprintf(w, "epoch %d: %d of %d numbers are durable, through %d; %d connections\n",
		result.Epoch, through, lines.Numbers(), result.DurableThrough, result.Connections)
	if before > 0 {
		_, _ = fmt.Fprintf(w, "%d of them were durable before and were not sent, whatever they hold; if these are other updates, give them new numbers, or begin a new --epoch\n", before)
	}
	for _, gap := range result.Gaps { // one behind the file is not the file's
		_, _ = fmt.Fprintf(w, "%s: missing at the server; send or void them\n", numbers(gap))
	}
	byCause := map[string][]string{}
	for _, n := range slices.Sorted(maps.Keys(result.Quarantined)) {
		cause := strings.TrimPrefix(result.Quarantined[n].String(), "CAUSE_")
		byCause[cause] = append(byCause[cause], fmt.Sprint(n))
	}
	for _, cause := range slices.Sorted(maps.Keys(byCause)) {
		complete = false
		list := byCause[cause]
		if len(list) > 20 {
			list = append(list[:20:20], "…")
		}
		_, _ = fmt.Fprintf(w, "quarantined, %s: %d (%s)\n", cause, len(byCause[cause]), strings.Join(list, " "))
	}
	return complete
}

// progress shows acknowledgements: a bar on a terminal, a line for each tenth elsewhere.
type progress struct {
	w      io.Writer
	lines  *dispatch.File
	bar    *progressbar.ProgressBar
	tenths int64
}

func newProgress(w io.Writer, lines *dispatch.File) *progress {
	p := &progress{w: w, lines: lines}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions64(lines.Numbers(), progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("acknowledged"),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
	}
	return p
}

func (p *progress) told(e dispatch.Event) {
	switch {
	case e.Hello != nil:
		p.say("connected: epoch %d, durable through %d", e.Hello.GetEpoch(), e.Hello.GetDurableThrough())
	case e.Ack != nil:
		p.acknowledged(p.lines.Through(e.Ack.GetDurableThrough()))
	case e.Cut != nil && e.Wait == 0:
		p.say("cut: %v; connecting again now", e.Cut)
	case e.Cut != nil:
		p.say("cut: %v; connecting again in %s", e.Cut, e.Wait.Round(100*time.Millisecond))
	}
}

func (p *progress) acknowledged(n int64) {
	if p.bar != nil {
		_ = p.bar.Set64(n) // a bar that cannot be drawn hides nothing: the summary follows
		return
	}
	if total := p.lines.Numbers(); total > 0 && n*10/total > p.tenths {
		p.tenths = n * 10 / total
		p.say("acknowledged %d of %d", n, total)
	}
}

// say writes a line; above the bar where there is one.
func (p *progress) say(format string, args ...any) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
	if p.bar != nil {
		_ = p.bar.RenderBlank()
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit()
		_, _ = fmt.Fprintln(p.w)
	}
}
