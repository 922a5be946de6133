package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	"github.com/lianhu/lianhu/services/suite"
)

const areasUsage = "registry|reporting|referral|relief"

// areas are the services with an operations service each.
var areas = []string{"registry", "reporting", "referral", "relief"}

func promisesCommand() *cli.Command {
	return &cli.Command{
		Name: "promises", Usage: "count the five promises over the databases of the suite that runs from this home; the status tells",
		Description: "The status is 0 when nothing is violated, 1 otherwise. Counting reads and changes nothing.",
		Action: func(ctx context.Context, c *cli.Command) error {
			o, err := options(c, c.Root().Writer)
			if err != nil {
				return err
			}
			s, err := suite.Attach(ctx, o)
			if err != nil {
				return err
			}
			now, err := s.Now(ctx)
			if err != nil {
				return err
			}
			counts, err := s.Promises(ctx, now)
			if err != nil {
				return err
			}
			return report(c.Root().Writer, counts)
		},
	}
}

func opsCommand() *cli.Command {
	shared := func(more ...cli.Flag) []cli.Flag {
		return append([]cli.Flag{
			&cli.StringFlag{Name: "as", Value: "operations", Usage: "unit whose certificate is used; only operators are let in"},
			&cli.StringFlag{Name: "grpc", Usage: "address of the gateway; default: the suite that runs from this home"},
		}, more...)
	}
	changing := func(more ...cli.Flag) []cli.Flag {
		return shared(append(more,
			&cli.StringFlag{Name: "request-id", Usage: "a UUID; the same one again has no second effect; default: a new one, which is printed"},
			&cli.BoolFlag{Name: "check", Usage: "only say whether it would be done"},
		)...)
	}
	follower := &cli.StringFlag{Name: "follower", Usage: "name of the follower, for example reporting.registry"}
	return &cli.Command{
		Name: "ops", Usage: "what operators put right: parked events, broken custody",
		Commands: []*cli.Command{
			{
				Name: "parked", Usage: "list the events a service could not apply", ArgsUsage: areasUsage,
				Flags: shared(follower), Action: listParked,
			},
			{
				Name: "retry", Usage: "let a follower apply a parked event again, and those behind it", ArgsUsage: areasUsage,
				Flags:  changing(follower, &cli.Int64Flag{Name: "seq", Usage: "its position, as listed by: lianhu ops parked"}),
				Action: retryParked,
			},
			{
				Name: "repair", Usage: "give a broken open item a holder and a deadline again", ArgsUsage: areasUsage,
				Description: "holder_gone: the holder is no open unit any more. deadline_stuck: the deadline has passed and cannot be fired.\n" +
					"A healthy item is refused. The repair leaves a point of custody, an event and an audit row.",
				Flags: changing(
					&cli.StringFlag{Name: "kind", Usage: "what sort of item, for example report"},
					&cli.StringFlag{Name: "item", Usage: "its id"},
					&cli.StringFlag{Name: "grounds", Usage: "holder_gone or deadline_stuck"},
					&cli.StringFlag{Name: "holder", Usage: "unit that becomes accountable; default: the present one stays"},
					&cli.StringFlag{Name: "deadline", Usage: "RFC 3339, at most 31 days away; default: the district's clock custody.repair"},
				),
				Action: repairCustody,
			},
		},
	}
}

// operation calls a method of an area's operations service. The four services are the same but for their package.
func operation(ctx context.Context, c *cli.Command, method string, request map[string]any) (answer proto.Message, err error) {
	area := c.Args().First()
	if !slices.Contains(areas, area) {
		return nil, fmt.Errorf("no area is called %q; choose registry, reporting, referral or relief", area)
	}
	conn, err := operators(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	pkg := "lianhu." + area + ".v1."
	in, err := message(pkg + method + "Request")
	if err != nil {
		return nil, err
	}
	if answer, err = message(pkg + method + "Response"); err != nil {
		return nil, err
	}
	form, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(form, in); err != nil {
		return nil, err
	}
	service := "/" + pkg + strings.ToUpper(area[:1]) + area[1:] + "OperationsService/"
	return answer, conn.Invoke(client.For(ctx, accessv1.Purpose_PURPOSE_OPERATIONS), service+method, in, answer)
}

func message(name string) (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil, err
	}
	return kind.New().Interface(), nil
}

// operators connects to the gateway as the unit that is asked for.
func operators(c *cli.Command) (*grpc.ClientConn, error) {
	home, err := suite.OpenHome(c.String("home"))
	if err != nil {
		return nil, err
	}
	address := c.String("grpc")
	if r, ok := home.Running(); ok && address == "" {
		address = r.GRPC
	}
	if address == "" {
		return nil, errors.New("no suite is running here; give --grpc, or start one with: lianhu up")
	}
	return suite.DialGateway(home, address, c.String("as"))
}

func listParked(ctx context.Context, c *cli.Command) error {
	for token := ""; ; {
		answer, err := operation(ctx, c, "ListParkedEvents", map[string]any{"pageToken": token, "follower": c.String("follower")})
		if err != nil {
			return err
		}
		page := answer.(interface {
			GetParkedEvents() []*feedv1.ParkedEvent
			GetNextPageToken() string
		})
		for _, p := range page.GetParkedEvents() {
			e := p.GetEvent()
			_, _ = fmt.Fprintf(c.Root().Writer, "%s  %d  %s  %s v%d  tried %d times  %s  until %s\n", p.GetFollower(), e.GetSeq(), e.GetType(), e.GetSubjectId(),
				e.GetSubjectVersion(), p.GetAttempts(), p.GetReason(), p.GetDeadline().AsTime().In(calendar.Zone()).Format(time.RFC3339))
		}
		if token = page.GetNextPageToken(); token == "" {
			return nil
		}
	}
}

// requested gives the parts of a request that changes something, and tells its id, so that it can be repeated.
func requested(c *cli.Command, request map[string]any) map[string]any {
	id := c.String("request-id")
	if id == "" {
		id = uuid.NewString()
		_, _ = fmt.Fprintln(c.Root().Writer, "request", id)
	}
	request["requestId"], request["validateOnly"] = id, c.Bool("check")
	return request
}

func retryParked(ctx context.Context, c *cli.Command) error {
	_, err := operation(ctx, c, "RetryParkedEvent", requested(c, map[string]any{"follower": c.String("follower"), "seq": c.Int64("seq")}))
	return done(c, "applied", err)
}

func repairCustody(ctx context.Context, c *cli.Command) error {
	grounds := "REPAIR_GROUNDS_" + strings.ToUpper(c.String("grounds"))
	repair := map[string]any{"kind": c.String("kind"), "itemId": c.String("item"), "grounds": grounds, "holder": c.String("holder")}
	if custodyv1.RepairGrounds_value[grounds] == 0 {
		return fmt.Errorf("--grounds is %q, neither holder_gone nor deadline_stuck", c.String("grounds"))
	}
	if deadline := c.String("deadline"); deadline != "" {
		if _, err := time.Parse(time.RFC3339, deadline); err != nil {
			return fmt.Errorf("--deadline is %q, not a time like 2026-03-02T17:00:00+08:00", deadline)
		}
		repair["deadline"] = deadline
	}
	answer, err := operation(ctx, c, "RepairCustody", requested(c, map[string]any{"repair": repair}))
	if err != nil || c.Bool("check") {
		return done(c, "", err)
	}
	s := answer.(interface{ GetStanding() *custodyv1.Standing }).GetStanding()
	return done(c, fmt.Sprintf("held by %s until %s (%s)", s.GetHolder(), s.GetDeadline().AsTime().In(calendar.Zone()).Format(time.RFC3339), s.GetClock()), nil)
}

func done(c *cli.Command, what string, err error) error {
	if err != nil {
		return err
	}
	if c.Bool("check") {
		what = "nothing speaks against it; nothing was changed"
	}
	_, err = fmt.Fprintln(c.Root().Writer, what)
	return err
}
