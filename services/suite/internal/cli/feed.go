package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v3"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/calendar"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
)

func feedCommand() *cli.Command {
	return &cli.Command{
		Name: "feed", Action: unknown, Usage: "look at change feeds",
		Commands: []*cli.Command{{
			Name: "tail", Usage: "follow an area's feed as a unit sees it", ArgsUsage: "registry|reporting|referral|relief",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "as", Value: "civil_affairs", Usage: "unit whose certificate is used"},
				&cli.StringFlag{Name: "grpc", Usage: "address of the gateway; default: the suite that runs from this home"},
				&cli.StringFlag{Name: "token", Usage: "resume after this token"},
				&cli.BoolFlag{Name: "new", Usage: "begin after the newest event"},
				&cli.BoolFlag{Name: "once", Usage: "print what there is and the token to resume with, then exit"},
			},
			Action: tail,
		}},
	}
}

func tail(ctx context.Context, c *cli.Command) error {
	home, err := suite.OpenHome(c.String("home"))
	if err != nil {
		return err
	}
	address := c.String("grpc")
	if r, ok := home.Running(); ok && address == "" {
		address = r.GRPC
	}
	if address == "" {
		return errors.New("no suite is running here; give --grpc, or start one with: lianhu up")
	}
	conn, err := suite.DialGateway(home, address, c.String("as"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	at := &feedv1.Position{Token: c.String("token")}
	if c.Bool("new") {
		at.Start = feedv1.Start_START_HEAD
	}
	next, err := subscribe(ctx, conn, c.Args().First(), at)
	if err != nil {
		return err
	}
	w := c.Root().Writer
	for {
		batch, err := next()
		switch {
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		for _, e := range batch.GetEvents() {
			_, _ = fmt.Fprintf(w, "%6d  %s  %-26s %s v%d  %s\n", e.GetSeq(), e.GetEventTime().AsTime().In(calendar.Zone()).Format("2006-01-02 15:04:05"),
				e.GetType(), e.GetSubjectId(), e.GetSubjectVersion(), e.GetDivision())
		}
		if c.Bool("once") && batch.GetThrough() >= batch.GetHead() {
			_, _ = fmt.Fprintf(w, "token %s\n", batch.GetToken())
			return nil
		}
	}
}

type batched interface{ GetBatch() *feedv1.Batch }

// subscribe opens the feed of an area.
func subscribe(ctx context.Context, conn grpc.ClientConnInterface, area string, at *feedv1.Position) (func() (*feedv1.Batch, error), error) {
	switch area {
	case "registry":
		stream, err := registryv1.NewRegistryFeedServiceClient(conn).Subscribe(ctx, &registryv1.SubscribeRequest{Position: at})
		return batches(stream, err)
	case "reporting":
		stream, err := reportingv1.NewReportingFeedServiceClient(conn).Subscribe(ctx, &reportingv1.SubscribeRequest{Position: at})
		return batches(stream, err)
	case "referral":
		stream, err := referralv1.NewReferralFeedServiceClient(conn).Subscribe(ctx, &referralv1.SubscribeRequest{Position: at})
		return batches(stream, err)
	case "relief":
		stream, err := reliefv1.NewReliefFeedServiceClient(conn).Subscribe(ctx, &reliefv1.SubscribeRequest{Position: at})
		return batches(stream, err)
	}
	return nil, fmt.Errorf("no area is called %q; choose registry, reporting, referral or relief", area)
}

func batches[T any, P interface {
	*T
	batched
}](stream grpc.ServerStreamingClient[T], err error) (func() (*feedv1.Batch, error), error) {
	if err != nil {
		return nil, err
	}
	return func() (*feedv1.Batch, error) {
		message, err := stream.Recv()
		return P(message).GetBatch(), err
	}, nil
}
