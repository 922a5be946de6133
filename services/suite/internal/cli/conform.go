package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/services/gateway"
	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/conformance"
	"github.com/lianhu/lianhu/services/suite/dispatch"
)

// errNotConformant is why a run ends with status 1 although it ran to its end.
var errNotConformant = errors.New("not every check passed; see the report above")

const conformDescription = `Checks one side of the dispatch protocol against the other, and writes a report to file.

A server:   lianhu dispatch conform --target HOST:PORT
    plays a dispatch system against it. The run begins new epochs of your source and pushes invented incidents: use a district made for
    tests. With --await-drain it waits for somebody to restart the reporting service.

A client:   lianhu dispatch conform --listen HOST:PORT --updates 100
    plays the server. Give your client at least 80 updates, numbered from 1, and point it at the address; it needs a certificate of the same
    authority. The run acknowledges, is slow, cuts the connection twice in the middle, ends it with DRAINING, answers with fields that nobody
    knows, and at last greets with a higher epoch. It stores nothing.

The report goes to --report as NAME.md and NAME.json. The status is 0 when every check passed. docs/conformance.md has the details.`

func conformCommand() *cli.Command {
	return &cli.Command{
		Name: "conform", Usage: "check a server (--target) or a vendor's client (--listen) against the dispatch protocol", Description: conformDescription,
		Flags: append(partnerFlags(),
			&cli.BoolFlag{Name: "raise-epoch", Usage: "check a server where this source has numbers already"},
			&cli.DurationFlag{Name: "await-drain", Usage: "how long to wait for a restart of the reporting service; 0 leaves that check out"},
			&cli.StringFlag{Name: "listen", Usage: "check a client: address to listen on"},
			&cli.Int64Flag{Name: "updates", Value: 100, Usage: "how many numbers the client has to send"},
			&cli.DurationFlag{Name: "wait", Value: 2 * time.Minute, Usage: "how long to wait for the client to connect"},
			&cli.DurationFlag{Name: "patience", Value: 15 * time.Second, Usage: "how long the client may do nothing then"},
			&cli.DurationFlag{Name: "prompt", Value: 5 * time.Second, Usage: "how soon after DRAINING the client has to be back"},
			&cli.StringFlag{Name: "product", Usage: "name and version of what is checked, for the report"},
			&cli.StringFlag{Name: "report", Usage: "where the report goes, without its ending; default: conformance-client or conformance-server"},
		),
		Action: conform,
	}
}

func conform(ctx context.Context, c *cli.Command) error {
	check := checkServer
	if c.String("listen") != "" {
		if c.String("target") != "" {
			return errors.New("--target checks a server and --listen a client: give one of them")
		}
		check = checkClient
	}
	report, err := check(ctx, c)
	if err != nil {
		return err
	}
	report.Product = c.String("product")
	if err := report.Markdown(c.Root().Writer); err != nil {
		return err
	}
	name := cmp.Or(c.String("report"), "conformance-"+report.Of)
	for ending, write := range map[string]func(io.Writer) error{".md": report.Markdown, ".json": report.JSON} {
		file, err := os.Create(name + ending)
		if err != nil {
			return err
		}
		if err := errors.Join(write(file), file.Close()); err != nil {
			return err
		}
	}
	told(c)("wrote " + name + ".md and " + name + ".json")
	if report.Verdict != conformance.Passed {
		return errNotConformant
	}
	return nil
}

// told writes how a run goes beside its report.
func told(c *cli.Command) func(string) {
	return func(line string) { _, _ = fmt.Fprintln(c.Root().ErrWriter, line) }
}

func checkServer(ctx context.Context, c *cli.Command) (conformance.Report, error) {
	target, source, err := partner(c)
	if err != nil {
		return conformance.Report{}, err
	}
	report, err := conformance.Server{
		Target: target, Identity: source, Gateway: gatewayOf(source), RaiseEpoch: c.Bool("raise-epoch"), AwaitDrain: c.Duration("await-drain"), Told: told(c),
	}.Run(ctx)
	if errors.Is(err, conformance.ErrInUse) {
		return report, fmt.Errorf("%w\nnext: use a source made for tests; or give --raise-epoch, and let the real system begin a higher epoch afterwards", err)
	}
	if advice := dispatch.Advise(err); advice != "" {
		return report, fmt.Errorf("%w\nnext: %s", err, advice)
	}
	return report, err
}

func checkClient(ctx context.Context, c *cli.Command) (conformance.Report, error) {
	home, err := suite.OpenHome(c.String("home"))
	if err != nil {
		return conformance.Report{}, err
	}
	files, given, err := givenFiles(c)
	if err != nil {
		return conformance.Report{}, err
	}
	if !given {
		files = home.Service(gateway.Name)
	}
	source, err := identity.Load(files)
	if err != nil {
		return conformance.Report{}, fmt.Errorf("%w\nnext: give --cert, --key and --ca of a gateway, or the --home of a suite that was started once with: lianhu up", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.String("listen"))
	if err != nil {
		return conformance.Report{}, err
	}
	told(c)(fmt.Sprintf("listening on %s as %s; start your client within %s", listener.Addr(), source.Identity(), c.Duration("wait")))
	return conformance.Client{
		Listener: listener, Identity: source, Updates: c.Int64("updates"), Wait: c.Duration("wait"), Patience: c.Duration("patience"), Prompt: c.Duration("prompt"), Told: told(c),
	}.Run(ctx)
}
