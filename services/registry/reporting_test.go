package registry_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/server"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/registry"
)

// source plays reporting: a real feed in a real database behind a real server, and the two reads a follower makes.
type source struct {
	reportingv1.UnimplementedReportingReadServiceServer
	reportingv1.UnimplementedReportingFeedServiceServer
	reporting string

	db          *pgxpool.Pool
	sequencer   *feed.Sequencer
	feed        *feed.Server
	reports     sync.Map
	assessments sync.Map
	bulletins   sync.Map
}

func newSource(t *testing.T, h *house) *source {
	t.Helper()
	database := pgtest.New(t, registry.Migrations())
	s := &source{db: database.Open(t)}
	_, err := database.OpenOwner(t).Exec(t.Context(), "UPDATE feed_head SET feed_id = gen_random_uuid()")
	ok(t, err)
	ok(t, feed.Check(t.Context(), s.db))
	keys, err := seal.New("source", bytes.Repeat([]byte{9}, 32))
	ok(t, err)
	s.feed = feed.NewServer(s.db, keys, feed.Limits{})
	s.sequencer = feed.NewSequencer(s.db, s.feed.Wake)
	serve(t, s.feed.Run)
	serve(t, s.sequencer.Run)
	d, err := xinbei()
	ok(t, err)
	srv, err := server.New(server.Config{
		Identity: h.identify(t, identity.OfService(domain, "reporting")), District: d, Now: time.Now, Drain: []func(){s.feed.Drain},
	})
	ok(t, err)
	reportingv1.RegisterReportingReadServiceServer(srv, s)
	reportingv1.RegisterReportingFeedServiceServer(srv, s)
	listener := listen(t)
	serve(t, func(ctx context.Context) error { return srv.Serve(ctx, listener) })
	s.reporting = "passthrough:///" + listener.Addr().String()
	return s
}

// say puts an event into the feed.
func (s *source) say(t *testing.T, kind, what string, standing *custodyv1.Standing, at time.Time) {
	t.Helper()
	_, err := s.db.Exec(t.Context(), `
		INSERT INTO outbox (type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent)
		VALUES ($1, $2, $3, 1, $4, $5, '{}', $6, '')`, kind+"."+what, kind, standing.GetId(), standing.GetMatterId(), division, at)
	ok(t, err)
}

// report lets reporting take a report of that person, held by the station of the village, and tell its feed.
func (h *house) report(t *testing.T, person *personv1.Person) *reportingv1.GetReportResponse {
	t.Helper()
	matter := uuid.NewString()
	child := &reportingv1.ProvisionalChild{Id: uuid.NewString(), MatterId: matter, Division: division, Person: person, SchoolUnit: school}
	r := &reportingv1.GetReportResponse{
		Report: &reportingv1.Report{Standing: &custodyv1.Standing{Id: matter, MatterId: matter, Holder: station}, Division: division},
		Child:  child, Children: []*reportingv1.ProvisionalChild{child},
	}
	h.reports.Store(matter, r)
	h.say(t, "provisional_child", "created", standing(child), h.now(t))
	return r
}

// standing is what an event says of a provisional child.
func standing(child *reportingv1.ProvisionalChild) *custodyv1.Standing {
	return &custodyv1.Standing{Id: child.GetId(), MatterId: child.GetMatterId()}
}

// assess lets reporting conclude the assessment of a reported child and tell its feed.
func (h *house) assess(t *testing.T, r *reportingv1.GetReportResponse, colour personv1.RiskColour) *reportingv1.Assessment {
	t.Helper()
	a := &reportingv1.Assessment{
		Standing: &custodyv1.Standing{Id: uuid.NewString(), MatterId: r.GetChild().GetMatterId()},
		State:    reportingv1.Assessment_STATE_CONCLUDED, Division: division, Township: township,
		ProvisionalChildId: r.GetChild().GetId(), Colour: colour,
	}
	h.assessments.Store(a.GetStanding().GetId(), a)
	h.say(t, "assessment", "concluded", a.GetStanding(), h.now(t))
	return a
}

// acknowledge lets the township acknowledge the bulletin of a report, which opens the assessment of its child.
func (h *house) acknowledge(t *testing.T, r *reportingv1.GetReportResponse) *reportingv1.Bulletin {
	t.Helper()
	b := &reportingv1.Bulletin{
		Standing: &custodyv1.Standing{Id: uuid.NewString(), MatterId: r.GetReport().GetStanding().GetId()}, Division: division, Township: township,
		State: reportingv1.Bulletin_STATE_ACKNOWLEDGED, ReportId: r.GetReport().GetStanding().GetId(),
	}
	h.bulletins.Store(b.GetStanding().GetId(), b)
	h.say(t, "bulletin", "acknowledged", b.GetStanding(), h.now(t))
	return b
}

// GetBulletin implements the contract.
func (s *source) GetBulletin(_ context.Context, q *reportingv1.GetBulletinRequest) (*reportingv1.GetBulletinResponse, error) {
	b, found := s.bulletins.Load(q.GetBulletinId())
	if !found {
		return nil, fault.NotFound()
	}
	return &reportingv1.GetBulletinResponse{Bulletin: b.(*reportingv1.Bulletin)}, nil
}

// GetReport implements the contract.
func (s *source) GetReport(_ context.Context, q *reportingv1.GetReportRequest) (*reportingv1.GetReportResponse, error) {
	r, found := s.reports.Load(q.GetReportId())
	if !found {
		return nil, fault.NotFound()
	}
	return r.(*reportingv1.GetReportResponse), nil
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
