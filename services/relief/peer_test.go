package relief_test

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
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/server"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief"
)

// source plays referral: a real feed in a real database behind a real server, and the one read the follower makes.
type source struct {
	referralv1.UnimplementedReferralReadServiceServer
	referralv1.UnimplementedReferralFeedServiceServer
	referral string

	db        *pgxpool.Pool
	sequencer *feed.Sequencer
	feed      *feed.Server
	referrals sync.Map
}

func newSource(t *testing.T, h *house) *source {
	t.Helper()
	database := pgtest.New(t, relief.Migrations()) // the runtime's tables are the same for every service
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
	d, err := district.Load(h.district)
	ok(t, err)
	srv, err := server.New(server.Config{
		Identity: h.identify(t, identity.OfService(domain, "referral")), District: d, Now: time.Now, Drain: []func(){s.feed.Drain},
	})
	ok(t, err)
	referralv1.RegisterReferralReadServiceServer(srv, s)
	referralv1.RegisterReferralFeedServiceServer(srv, s)
	listener := listen(t)
	serve(t, func(ctx context.Context) error { return srv.Serve(ctx, listener) })
	s.referral = "passthrough:///" + listener.Addr().String()
	return s
}

// say puts an event about a referral into the feed.
func (s *source) say(t *testing.T, what string, r *referralv1.Referral, at time.Time) {
	t.Helper()
	_, err := s.db.Exec(t.Context(), `
		INSERT INTO outbox (type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent)
		VALUES ('referral.' || $1, 'referral', $2, 1, $3, $4, '{}', $5, '')`,
		what, r.GetStanding().GetId(), r.GetStanding().GetMatterId(), r.GetDivision(), at)
	ok(t, err)
}

// GetReferral implements the contract.
func (s *source) GetReferral(_ context.Context, q *referralv1.GetReferralRequest) (*referralv1.GetReferralResponse, error) {
	r, found := s.referrals.Load(q.GetReferralId())
	if !found {
		return nil, fault.NotFound()
	}
	return &referralv1.GetReferralResponse{Referral: r.(*referralv1.Referral)}, nil
}

// Subscribe implements the contract.
func (s *source) Subscribe(q *referralv1.SubscribeRequest, stream grpc.ServerStreamingServer[referralv1.SubscribeResponse]) error {
	whole := feed.Reader{Whole: access.FromContext(stream.Context()).Service != ""}
	return s.feed.Subscribe(stream.Context(), whole, q.GetPosition(), func(b *feedv1.Batch) error {
		return stream.Send(&referralv1.SubscribeResponse{Batch: b})
	})
}

// accept lets the township accept a referral for a need of a child, "" for one not bound to the registry yet, and tells the feed. The
// child lives in another township than the one where it happened, which accepts.
func (h *house) accept(t *testing.T, need, child string) *referralv1.Referral {
	t.Helper()
	r := &referralv1.Referral{
		Standing: &custodyv1.Standing{Id: uuid.NewString(), MatterId: uuid.NewString(), Holder: township},
		State:    referralv1.Referral_STATE_ACCEPTED, Division: "320411122201", PlaceDivision: "320411101201", Township: "township/320411122000",
		Need: need, ProvisionalChildId: uuid.NewString(), ChildId: child,
	}
	h.referrals.Store(r.GetStanding().GetId(), r)
	h.say(t, "accepted", r, h.now(t))
	return r
}

// opened lets an accepted referral open an application and gives it.
func (h *house) opened(t *testing.T, child string) *reliefv1.Application {
	t.Helper()
	r := h.accept(t, "temporary_relief", child)
	h.settle(t)
	listed, err := h.at(t, township).read.ListApplications(deciding(t), &reliefv1.ListApplicationsRequest{ReferralId: r.GetStanding().GetId()})
	ok(t, err)
	if len(listed.GetApplications()) != 1 {
		t.Fatalf("the referral opened %d applications", len(listed.GetApplications()))
	}
	return listed.GetApplications()[0]
}
