package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	"github.com/lianhu/lianhu/services/suite"
)

const clockDescription = `Business time is what deadlines, create times and "today" go by. It moves forward only. Each command returns when every service has fired the
deadlines that became due and has followed every feed to its end, so that what is read afterwards is what the new time made.

The clock is that of the suite of this home, or the one that DEV_CLOCK_ADDR names. Production has none: its business time is the machine's.`

func clockCommand() *cli.Command {
	return &cli.Command{
		Name: "clock", Usage: "show or move the business time of a development suite", Description: clockDescription, Action: showClock,
		Commands: []*cli.Command{
			{Name: "show", Usage: "print the business time", Action: showClock},
			{Name: "advance", Usage: "move it forward by a time such as 3d, 36h or 2d12h30m", ArgsUsage: "TIME", Action: advanceClock},
			{Name: "set", Usage: "move it forward to a day or moment, such as 2026-03-02 or 2026-03-02T08:00:00+08:00", ArgsUsage: "WHEN", Action: setClock},
		},
	}
}

func showClock(ctx context.Context, c *cli.Command) error {
	if c.Args().Present() {
		return unknown(ctx, c)
	}
	return withClock(ctx, c, func(clock devclockv1.DevClockServiceClient) error {
		answer, err := clock.Now(ctx, &devclockv1.NowRequest{})
		if err != nil {
			return err
		}
		way := "stands still until it is moved"
		if answer.GetRunning() {
			way = "runs"
		}
		return sayTime(c, answer.GetNow(), fmt.Sprintf("%s, %d services follow it", way, answer.GetMembers()))
	})
}

func advanceClock(ctx context.Context, c *cli.Command) error {
	by, err := span(c.Args().First())
	if err != nil {
		return err
	}
	return move(ctx, c, &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{BySeconds: int64(by / time.Second)}})
}

func setClock(ctx context.Context, c *cli.Command) error {
	to, err := moment(c.Args().First())
	if err != nil {
		return err
	}
	return move(ctx, c, &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_To{To: timestamppb.New(to)}})
}

func move(ctx context.Context, c *cli.Command, request *devclockv1.AdvanceRequest) error {
	return withClock(ctx, c, func(clock devclockv1.DevClockServiceClient) error {
		answer, err := clock.Advance(ctx, request)
		if err != nil {
			return err
		}
		return sayTime(c, answer.GetNow(), fmt.Sprintf("%d services have settled", answer.GetMembers()))
	})
}

func sayTime(c *cli.Command, now *timestamppb.Timestamp, more string) error {
	_, err := fmt.Fprintf(c.Root().Writer, "%s  (%s)\n", now.AsTime().In(calendar.Zone()).Format(time.RFC3339), more)
	return err
}

// withClock calls the clock of the suite that runs from the home, or of the one that the environment names.
func withClock(_ context.Context, c *cli.Command, call func(devclockv1.DevClockServiceClient) error) error {
	home, err := suite.OpenHome(c.String("home"))
	if err != nil {
		return err
	}
	address := os.Getenv("DEV_CLOCK_ADDR")
	if running, ok := home.Running(); ok && address == "" {
		address = running.Clock
	}
	if address == "" {
		return errors.New("no suite with a clock runs here; start one with: lianhu up")
	}
	conn, err := suite.DialClock(home, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // the answer is there already
	return call(devclockv1.NewDevClockServiceClient(conn))
}

// span reads a length of time of whole seconds that may begin with days.
func span(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no time to move by; write for example 3d, 36h or 2d12h30m", text)
	days, rest, whole := strings.Cut(text, "d")
	if !whole {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, wrong
	}
	var more time.Duration
	if rest != "" || !whole {
		if more, err = time.ParseDuration(rest); err != nil {
			return 0, wrong
		}
	}
	by := time.Duration(n)*24*time.Hour + more
	if more < 0 || by < time.Second || by%time.Second != 0 {
		return 0, wrong
	}
	return by, nil
}

// moment reads a moment, or a day's first one.
func moment(text string) (time.Time, error) {
	if day, err := calendar.ParseDate(text); err == nil {
		return day.Start(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no day and no moment; write for example 2026-03-02 or 2026-03-02T08:00:00+08:00", text)
	}
	return at, nil
}
