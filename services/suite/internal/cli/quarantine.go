package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/lianhu/lianhu/pkg/calendar"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// quarantineCommands are what operators do with updates of dispatch systems that were kept apart, and with numbers that never came.
func quarantineCommands(shared, changing func(...cli.Flag) []cli.Flag) []*cli.Command {
	source := &cli.StringFlag{Name: "source", Usage: "unit and system that pushed, for example police:dispatch"}
	reason := &cli.StringFlag{Name: "reason", Usage: "why, for whoever asks later; name nobody"}
	return []*cli.Command{
		{
			Name: "quarantine", Usage: "list the dispatch updates that were kept apart and wait for you; never what they say",
			Flags: shared(source, &cli.BoolFlag{Name: "all", Usage: "also those that are settled"}), Action: listQuarantine,
		},
		{
			Name: "replay", Usage: "read a kept update again, after its cause was mended", ArgsUsage: "ID", Flags: changing(),
			Action: func(ctx context.Context, c *cli.Command) error {
				return settle(ctx, c, "ReplayQuarantined", map[string]any{})
			},
		},
		{
			Name: "reject", Usage: "settle a kept update that will never be used", ArgsUsage: "ID", Flags: changing(reason),
			Action: func(ctx context.Context, c *cli.Command) error {
				return settle(ctx, c, "RejectQuarantined", map[string]any{"reason": c.String("reason")})
			},
		},
		{
			Name: "close-gap", Usage: "give up numbers in a source's place that it will never send",
			Flags: changing(source, reason, &cli.Int64Flag{Name: "epoch", Usage: "epoch of the numbers"}, &cli.Int64Flag{Name: "from", Usage: "first number"}, &cli.Int64Flag{Name: "to", Usage: "last number"}),
			Action: func(ctx context.Context, c *cli.Command) error {
				answer, err := operation(ctx, c, "reporting", "CloseGap", requested(c, map[string]any{
					"source": c.String("source"), "epoch": c.Int64("epoch"), "from": c.Int64("from"), "to": c.Int64("to"), "reason": c.String("reason"),
				}))
				if err != nil || c.Bool("check") {
					return done(c, "", err)
				}
				closed := answer.(*reportingv1.CloseGapResponse)
				return done(c, fmt.Sprintf("%d numbers given up; durable through %d", closed.GetClosed(), closed.GetHello().GetDurableThrough()), nil)
			},
		},
	}
}

func listQuarantine(ctx context.Context, c *cli.Command) error {
	request := map[string]any{"source": c.String("source")}
	if !c.Bool("all") {
		request["states"] = []any{"STATE_OPEN"}
	}
	for {
		answer, err := operation(ctx, c, "reporting", "ListQuarantine", request)
		if err != nil {
			return err
		}
		page := answer.(*reportingv1.ListQuarantineResponse)
		for _, u := range page.GetQuarantinedUpdates() {
			line := fmt.Sprintf("%s  %s  epoch %d  number %d  %s  %s", u.GetStanding().GetId(), u.GetSource(), u.GetEpoch(), u.GetSequence(),
				strings.TrimPrefix(u.GetCause().String(), "CAUSE_"), strings.TrimPrefix(u.GetState().String(), "STATE_"))
			if deadline := u.GetStanding().GetDeadline(); deadline != nil {
				line += "  until " + deadline.AsTime().In(calendar.Zone()).Format(time.RFC3339)
			}
			_, _ = fmt.Fprintln(c.Root().Writer, line)
		}
		if page.GetNextPageToken() == "" {
			return nil
		}
		request["pageToken"] = page.GetNextPageToken()
	}
}

// settle replays or rejects the kept update that is the command's argument.
func settle(ctx context.Context, c *cli.Command, method string, request map[string]any) error {
	if c.NArg() != 1 {
		return errors.New("give the ID of one kept update, as listed by: lianhu ops quarantine")
	}
	request["quarantinedUpdateId"] = c.Args().First()
	answer, err := operation(ctx, c, "reporting", method, requested(c, request))
	if err != nil || c.Bool("check") {
		return done(c, "", err)
	}
	state := answer.(interface {
		GetState() reportingv1.QuarantinedUpdate_State
	}).GetState()
	return done(c, strings.ToLower(strings.TrimPrefix(state.String(), "STATE_")), nil)
}
