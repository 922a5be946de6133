package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
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
		Name: "promises", Usage: "count the five promises over the databases of a suite; the status tells", Description: promisesDescription,
		Action: func(ctx context.Context, c *cli.Command) error {
			counts, err := count(ctx, c)
			if err != nil {
				return cli.Exit(err, statusNotCounted)
			}
			return report(c.Root().Writer, counts)
		},
	}
}

// statusNotCounted tells a suite that could not be counted from one that has broken a promise.
const statusNotCounted = 2

const promisesDescription = `Counts the suite that runs from this home. With the five variables that the services read their databases from

  REGISTRY_DATABASE_URL REPORTING_DATABASE_URL REPORTING_VAULT_DATABASE_URL REFERRAL_DATABASE_URL RELIEF_DATABASE_URL

it counts those databases instead, wherever they are: nothing is started, no home is needed, and a role that may only read suffices
(docs/operating.md). Business time is the machine's, or that of the clock named by DEV_CLOCK_ADDR.

The status is 0 when nothing is violated, 1 when a promise is broken, 2 when it could not be counted. Counting changes nothing.`

// count counts the suite that the environment names, or the one that runs from this home.
func count(ctx context.Context, c *cli.Command) ([]suite.Counted, error) {
	clock := os.Getenv("DEV_CLOCK_ADDR")
	s, missing, meant := suite.Elsewhere(suite.Options{}, clock)
	if s == nil && meant {
		return nil, fmt.Errorf("the environment names some databases of a suite elsewhere, and not %s: set these too, or none", strings.Join(missing, ", "))
	}
	if s == nil || clock != "" { // what runs from a home, and a development clock, are reached by the home's certificates
		o, err := options(c, c.Root().Writer)
		if err != nil {
			return nil, err
		}
		if len(missing) == 0 {
			s, _, _ = suite.Elsewhere(o, clock)
		} else if s, err = suite.Attach(ctx, o); err != nil {
			return nil, fmt.Errorf("%w\nnext: to count a suite elsewhere, set also %s", err, strings.Join(missing, ", "))
		}
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	return s.Promises(ctx, now)
}

func opsCommand() *cli.Command {
	shared := func(more ...cli.Flag) []cli.Flag {
		return append([]cli.Flag{
			&cli.StringFlag{Name: "as", Value: "operations", Usage: "unit whose certificate is taken from the home; only operators are let in"},
			&cli.StringFlag{Name: "grpc", Usage: "address of the gateway; default: the suite that runs from this home"},
			&cli.StringFlag{Name: "cert", Usage: "PEM file of the operators' certificate, in place of one from the home"},
			&cli.StringFlag{Name: "key", Usage: "PEM file of its key"},
			&cli.StringFlag{Name: "ca", Usage: "PEM file of the district's authority"},
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
		Name: "ops", Action: unknown, Usage: "what operators put right: parked events, broken custody, quarantined updates",
		Commands: append(quarantineCommands(shared, changing), []*cli.Command{
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
		}...),
	}
}

// areaOf is the area that the command's argument names.
func areaOf(c *cli.Command) (string, error) {
	if area := c.Args().First(); slices.Contains(areas, area) {
		return area, nil
	}
	return "", fmt.Errorf("no area is called %q; choose registry, reporting, referral or relief", c.Args().First())
}

// operation calls a method of an area's operations service. The four services are the same but for their package, and the quarantine, which
// is reporting's alone.
func operation(ctx context.Context, c *cli.Command, area, method string, request map[string]any) (answer proto.Message, err error) {
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
	if err = conn.Invoke(client.For(ctx, accessv1.Purpose_PURPOSE_OPERATIONS), service+method, in, answer); err != nil {
		if reason := client.Refusal(err).GetReason(); reason != "" {
			return answer, fmt.Errorf("%w\nreason %s; docs/errors.md says what it asks for", err, reason)
		}
		if status.Code(err) == codes.Unavailable {
			return answer, fmt.Errorf("%w\nnext: look whether the gateway is up and its address right; with the same --request-id it may be tried again", err)
		}
	}
	return answer, err
}

func message(name string) (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil, err
	}
	return kind.New().Interface(), nil
}

// operators connects to the gateway by the certificate that is given, or as a unit of the home.
func operators(c *cli.Command) (*grpc.ClientConn, error) {
	files, given, err := givenFiles(c)
	if err != nil {
		return nil, err
	}
	if given {
		source, err := identity.Load(files)
		if err != nil {
			return nil, err
		}
		if c.String("grpc") == "" {
			return nil, errors.New("give --grpc HOST:PORT, the gateway that --cert is for")
		}
		return client.Dial(c.String("grpc"), client.Options{Identity: source, Peer: gatewayOf(source)})
	}
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
	area, err := areaOf(c)
	if err != nil {
		return err
	}
	for token := ""; ; {
		answer, err := operation(ctx, c, area, "ListParkedEvents", map[string]any{"pageToken": token, "follower": c.String("follower")})
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
	area, err := areaOf(c)
	if err != nil {
		return err
	}
	_, err = operation(ctx, c, area, "RetryParkedEvent", requested(c, map[string]any{"follower": c.String("follower"), "seq": c.Int64("seq")}))
	return done(c, "applied", err)
}

func repairCustody(ctx context.Context, c *cli.Command) error {
	area, err := areaOf(c)
	if err != nil {
		return err
	}
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
	answer, err := operation(ctx, c, area, "RepairCustody", requested(c, map[string]any{"repair": repair}))
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
