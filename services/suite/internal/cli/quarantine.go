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
	const pushed = "unit and system that pushed, for example police:dispatch"
	source := &cli.StringFlag{Name: "source", Usage: pushed, Required: true}
	reason := &cli.StringFlag{Name: "reason", Usage: "why, for whoever asks later; name nobody", Required: true}
	number := func(name, usage string) cli.Flag { return &cli.Int64Flag{Name: name, Usage: usage, Required: true} }
	return []*cli.Command{
		{
			Name: "quarantine", Usage: "list the dispatch updates that were kept apart and wait for you; never what they say",
			Flags: shared(&cli.StringFlag{Name: "source", Usage: "only of this " + pushed}, &cli.BoolFlag{Name: "all", Usage: "also those that are settled"}), Action: listQuarantine,
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
			Flags: changing(source, reason, number("epoch", "epoch of the numbers, the one that counts now"), number("from", "first number"), number("to", "last number")),
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
		{
			Name: "lower-epoch", Usage: "let an earlier epoch of a source count again, after a higher one was begun by mistake",
			Description: "Mend the sender first, or it begins the mistaken epoch again. What was stored under either epoch stays.",
			Flags:       changing(source, reason, number("mistaken", "epoch that was begun by mistake, the one that counts now"), number("epoch", "epoch that is to count again")),
			Action: func(ctx context.Context, c *cli.Command) error {
				answer, err := operation(ctx, c, "reporting", "LowerEpoch", requested(c, map[string]any{
					"source": c.String("source"), "mistakenEpoch": c.Int64("mistaken"), "epoch": c.Int64("epoch"), "reason": c.String("reason"),
				}))
				if err != nil || c.Bool("check") {
					return done(c, "", err)
				}
				now := answer.(*reportingv1.LowerEpochResponse).GetHello()
				return done(c, fmt.Sprintf("epoch %d counts again; durable through %d", now.GetEpoch(), now.GetDurableThrough()), nil)
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
