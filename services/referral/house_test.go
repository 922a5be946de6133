package referral_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/devclock"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/pkg/service"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/referral"
)

const (
	domain   = "xinbei.test"
	village  = "village/320411101201"
	township = "township/320411101000"
	lead     = "civil_affairs"
)

const districtDir = "../../districts/xinbei"

// TestMain keeps the services' call lines out of the tests' output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

var xinbei = sync.OnceValues(func() (*district.District, error) { return district.Load(districtDir) })

// house is the referral service over its own database, with the two services it follows played by the test and business time
// steered by the development clock.
type house struct {
	*source

	address string
	db      *pgxpool.Pool
	owner   *pgxpool.Pool
	clock   devclockv1.DevClockServiceClient
	ca      *identity.Authority
	dir     string
	desks   sync.Map
}

// newHouse starts it at 09:00 on an ordinary Monday.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{dir: t.TempDir()}
	var err error
	h.ca, err = identity.OpenAuthority(h.dir, domain)
	ok(t, err)
	clock := h.startClock(t)
	h.source = newSource(t, h)
	keyFile := filepath.Join(h.dir, "root.key")
	ok(t, os.WriteFile(keyFile, []byte(hex.EncodeToString(bytes.Repeat([]byte{3}, 32))), 0o600))
	database := pgtest.New(t, referral.Migrations())
	h.db, h.owner = database.Open(t), database.OpenOwner(t)
	_, err = h.owner.Exec(t.Context(), "UPDATE feed_head SET feed_id = gen_random_uuid()") // clones of one template share it
	ok(t, err)
	files := h.files(t, identity.OfService(domain, "referral"))
	listener := listen(t)
	h.address = "passthrough:///" + listener.Addr().String()
	serve(t, func(ctx context.Context) error {
		return referral.Run(ctx, referral.Config{Config: service.Config{
			DatabaseURL: database.AppURL, Certificate: files.Certificate, Key: files.Key, Roots: files.Roots, RootKey: keyFile,
			Peers:  map[string]string{"reporting": h.reporting, "relief": h.relief},
			Shared: service.Shared{DistrictDir: districtDir, Environment: "development", DevClock: clock},
		}}, listener)
	})
	h.awaitMember(t)
	return h
}

func (h *house) startClock(t *testing.T) (address string) {
	t.Helper()
	clock, err := devclock.Open(devclock.Config{File: filepath.Join(h.dir, "clock.json"), Start: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)})
	ok(t, err)
	s, err := server.New(server.Config{
		Identity: h.identify(t, identity.OfService(domain, "devclock")), Now: time.Now, OpenActions: devclock.Actions(), Drain: []func(){clock.Drain},
	})
	ok(t, err)
	devclockv1.RegisterDevClockServiceServer(s, clock)
	listener := listen(t)
	serve(t, clock.Run)
	serve(t, func(ctx context.Context) error { return s.Serve(ctx, listener) })
	address = "passthrough:///" + listener.Addr().String()
	h.clock = devclockv1.NewDevClockServiceClient(h.dial(t, address, "devclock", identity.OfUnit(domain, "operations", "main")))
	return address
}

// awaitMember waits until the clock waits for the service.
func (h *house) awaitMember(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		now, err := h.clock.Now(ctx, &devclockv1.NowRequest{})
		ok(t, err)
		if now.GetMembers() > 0 {
			return
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	return listener
}

// serve runs something for the life of the test.
func serve(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var group errgroup.Group
	group.Go(func() error { return run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
}

func (h *house) now(t *testing.T) time.Time {
	t.Helper()
	now, err := h.clock.Now(t.Context(), &devclockv1.NowRequest{})
	ok(t, err)
	return now.GetNow().AsTime()
}

func (h *house) files(t *testing.T, id identity.Identity) identity.Files {
	t.Helper()
	leaf, err := h.ca.Issue(id, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	files, err := leaf.Write(h.dir, uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (h *house) identify(t *testing.T, id identity.Identity) *identity.Source {
	t.Helper()
	loaded, err := identity.Load(h.files(t, id))
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// settle applies what the other services have said and fires what is due.
func (h *house) settle(t *testing.T) {
	t.Helper()
	ok(t, h.sequencer.Drain(t.Context()))
	_, err := h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{}})
	ok(t, err)
}

// pass moves business time to an item's deadline and fires it.
func (h *house) pass(t *testing.T, s *custodyv1.Standing) {
	t.Helper()
	_, err := h.clock.Advance(t.Context(), &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_To{To: s.GetDeadline()}})
	ok(t, err)
}

// desk is a unit with its typed clients.
type desk struct {
	referralv1.ReferralServiceClient
	read       referralv1.ReferralReadServiceClient
	feed       referralv1.ReferralFeedServiceClient
	operations referralv1.ReferralOperationsServiceClient
}

// at gives a unit's desk: service_unit or whatever else the district says it is.
func (h *house) at(t *testing.T, unit string) *desk {
	t.Helper()
	return h.as(t, identity.OfUnit(domain, unit, "main"))
}

func (h *house) as(t *testing.T, id identity.Identity) *desk {
	t.Helper()
	if known, ok := h.desks.Load(id.String()); ok {
		return known.(*desk)
	}
	connection := newActing(t, "../../districts/xinbei", id, h.dial(t, h.address, "referral", id))
	d := &desk{
		referralv1.NewReferralServiceClient(connection), referralv1.NewReferralReadServiceClient(connection),
		referralv1.NewReferralFeedServiceClient(connection), referralv1.NewReferralOperationsServiceClient(connection),
	}
	h.desks.Store(id.String(), d)
	return d
}

func (h *house) dial(t *testing.T, address, peer string, id identity.Identity) *grpc.ClientConn {
	t.Helper()
	connection, err := client.Dial(address, client.Options{
		Identity: h.identify(t, id), Peer: identity.OfService(domain, peer), AsService: id.Service != "", Timeout: 30 * time.Second,
	})
	ok(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func serving(t *testing.T) context.Context {
	return client.For(t.Context(), accessv1.Purpose_PURPOSE_SERVICE_DELIVERY)
}

func assessing(t *testing.T) context.Context {
	return client.For(t.Context(), accessv1.Purpose_PURPOSE_ASSESSMENT)
}

func request() string { return uuid.NewString() }

// open lets reporting conclude an assessment with these needs and gives the case and its referrals in the order of the needs.
func (h *house) open(t *testing.T, needs ...string) (*referralv1.Case, []*referralv1.Referral) {
	t.Helper()
	return h.openFor(t, h.conclude(t, needs...))
}

func (h *house) openFor(t *testing.T, a *reportingv1.Assessment) (*referralv1.Case, []*referralv1.Referral) {
	t.Helper()
	h.settle(t)
	cases, err := h.at(t, township).read.ListCases(assessing(t), &referralv1.ListCasesRequest{MatterId: a.GetStanding().GetMatterId()})
	if err != nil || len(cases.GetCases()) != 1 {
		t.Fatalf("the assessment opened %d cases, %v", len(cases.GetCases()), err)
	}
	listed, err := h.as(t, identity.OfService(domain, "relief")).read.ListReferrals(t.Context(), &referralv1.ListReferralsRequest{MatterId: a.GetStanding().GetMatterId()})
	if err != nil {
		t.Fatal(err)
	}
	referrals := make([]*referralv1.Referral, len(a.GetNeeds()))
	for _, r := range listed.GetReferrals() {
		for i, need := range a.GetNeeds() {
			if need.GetCode() == r.GetNeed() {
				referrals[i] = r
			}
		}
	}
	return cases.GetCases()[0], referrals
}

// get reads a referral as a service of the suite, which sees all.
func (h *house) get(t *testing.T, id string) *referralv1.Referral {
	t.Helper()
	got, err := h.as(t, identity.OfService(domain, "relief")).read.GetReferral(t.Context(), &referralv1.GetReferralRequest{ReferralId: id})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetReferral()
}

// reasonOf gives the wire reason of a refusal, with its metadata.
func reasonOf(err error) (string, map[string]string) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == fault.Domain {
			return info.GetReason(), info.GetMetadata()
		}
	}
	return "", nil
}

func refused(t *testing.T, err error, want string) map[string]string {
	t.Helper()
	reason, metadata := reasonOf(err)
	if reason != want {
		t.Errorf("refused with %q (%v), want %s", reason, err, want)
	}
	return metadata
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// source plays reporting and relief: a real feed in a real database behind real servers, and the few reads a follower makes.
type source struct {
	reportingv1.UnimplementedReportingReadServiceServer
	reportingv1.UnimplementedReportingFeedServiceServer
	reporting, relief string

	db           *pgxpool.Pool
	sequencer    *feed.Sequencer
	feed         *feed.Server
	assessments  sync.Map
	applications sync.Map
}

func newSource(t *testing.T, h *house) *source {
	t.Helper()
	database := pgtest.New(t, referral.Migrations())
	s := &source{db: database.Open(t)}
	if _, err := database.OpenOwner(t).Exec(t.Context(), "UPDATE feed_head SET feed_id = gen_random_uuid()"); err != nil {
		t.Fatal(err)
	}
	ok(t, feed.Check(t.Context(), s.db))
	keys, err := seal.New("source", bytes.Repeat([]byte{9}, 32))
	ok(t, err)
	s.feed = feed.NewServer(s.db, keys, feed.Limits{})
	s.sequencer = feed.NewSequencer(s.db, s.feed.Wake)
	serve(t, s.feed.Run)
	serve(t, s.sequencer.Run)
	s.reporting = s.listen(t, h, "reporting", func(r grpc.ServiceRegistrar) {
		reportingv1.RegisterReportingReadServiceServer(r, s)
		reportingv1.RegisterReportingFeedServiceServer(r, s)
	})
	s.relief = s.listen(t, h, "relief", func(r grpc.ServiceRegistrar) {
		reliefv1.RegisterReliefReadServiceServer(r, &reliefReads{source: s})
		reliefv1.RegisterReliefFeedServiceServer(r, &reliefFeed{source: s})
	})
	return s
}

func (s *source) listen(t *testing.T, h *house, name string, register func(grpc.ServiceRegistrar)) string {
	t.Helper()
	d, err := xinbei()
	ok(t, err)
	srv, err := server.New(server.Config{
		Identity: h.identify(t, identity.OfService(domain, name)), District: d, Now: time.Now, Drain: []func(){s.feed.Drain},
	})
	ok(t, err)
	register(srv)
	listener := listen(t)
	serve(t, func(ctx context.Context) error { return srv.Serve(ctx, listener) })
	return "passthrough:///" + listener.Addr().String()
}

// say puts an event into the feed.
func (s *source) say(t *testing.T, kind, what, id, matter string, at time.Time) {
	t.Helper()
	_, err := s.db.Exec(t.Context(), `
		INSERT INTO outbox (type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent)
		VALUES ($1, $2, $3, 1, $4, '320411101201', '{}', $5, '')`, kind+"."+what, kind, id, matter, at)
	ok(t, err)
}

// conclude makes an assessment and tells the feed.
func (h *house) conclude(t *testing.T, needs ...string) *reportingv1.Assessment {
	t.Helper()
	a := assess(needs...)
	h.assessments.Store(a.GetStanding().GetId(), a)
	h.say(t, "assessment", "concluded", a.GetStanding().GetId(), a.GetStanding().GetMatterId(), h.now(t))
	return a
}

// assess makes a concluded assessment.
func assess(needs ...string) *reportingv1.Assessment {
	a := &reportingv1.Assessment{
		Standing: &custodyv1.Standing{Id: uuid.NewString(), MatterId: uuid.NewString(), Holder: township},
		State:    reportingv1.Assessment_STATE_CONCLUDED, Division: "320411101201", Township: township,
		ProvisionalChildId: uuid.NewString(), ChildId: uuid.NewString(), Colour: personv1.RiskColour_RISK_COLOUR_YELLOW,
		Summary: "脱离监护单独居住，需要支持",
	}
	for _, need := range needs {
		a.Needs = append(a.Needs, &reportingv1.NeedFinding{Code: need, Note: "每周两次"})
	}
	return a
}

// GetAssessment implements the contract.
func (s *source) GetAssessment(_ context.Context, q *reportingv1.GetAssessmentRequest) (*reportingv1.GetAssessmentResponse, error) {
	a, found := s.assessments.Load(q.GetAssessmentId())
	if !found {
		return nil, fault.NotFound()
	}
	return &reportingv1.GetAssessmentResponse{Assessment: a.(*reportingv1.Assessment)}, nil
}

// Subscribe implements the contract.
func (s *source) Subscribe(q *reportingv1.SubscribeRequest, stream grpc.ServerStreamingServer[reportingv1.SubscribeResponse]) error {
	whole := feed.Reader{Whole: access.FromContext(stream.Context()).Service != ""}
	return s.feed.Subscribe(stream.Context(), whole, q.GetPosition(), func(b *feedv1.Batch) error {
		return stream.Send(&reportingv1.SubscribeResponse{Batch: b})
	})
}

type reliefReads struct {
	reliefv1.UnimplementedReliefReadServiceServer
	source *source
}

// GetApplication implements the contract.
func (r *reliefReads) GetApplication(_ context.Context, q *reliefv1.GetApplicationRequest) (*reliefv1.GetApplicationResponse, error) {
	a, found := r.source.applications.Load(q.GetApplicationId())
	if !found {
		return nil, fault.NotFound()
	}
	return &reliefv1.GetApplicationResponse{Application: a.(*reliefv1.Application)}, nil
}

type reliefFeed struct {
	reliefv1.UnimplementedReliefFeedServiceServer
	source *source
}

// Subscribe implements the contract.
func (r *reliefFeed) Subscribe(q *reliefv1.SubscribeRequest, stream grpc.ServerStreamingServer[reliefv1.SubscribeResponse]) error {
	whole := feed.Reader{Whole: access.FromContext(stream.Context()).Service != ""}
	return r.source.feed.Subscribe(stream.Context(), whole, q.GetPosition(), func(b *feedv1.Batch) error {
		return stream.Send(&reliefv1.SubscribeResponse{Batch: b})
	})
}
