package rpc

import (
	"context"
	"slices"
	"strconv"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Subscribe implements the contract.
func (s *Service) Subscribe(q *reliefv1.SubscribeRequest, stream grpc.ServerStreamingServer[reliefv1.SubscribeResponse]) error {
	return s.Feed.Subscribe(stream.Context(), reader(stream.Context()), q.GetPosition(), func(b *feedv1.Batch) error {
		return stream.Send(&reliefv1.SubscribeResponse{Batch: b})
	})
}

// ReadFeed implements the contract.
func (s *Service) ReadFeed(ctx context.Context, q *reliefv1.ReadFeedRequest) (*reliefv1.ReadFeedResponse, error) {
	batch, err := s.Feed.Read(ctx, reader(ctx), q.GetPosition(), q.GetMaxWait().AsDuration())
	if err != nil {
		return nil, err
	}
	return &reliefv1.ReadFeedResponse{Batch: batch}, nil
}

func reader(ctx context.Context) feed.Reader {
	caller := access.FromContext(ctx)
	return feed.Reader{Unit: caller.Unit, Whole: caller.Service != ""}
}

// ListParkedEvents implements the contract.
func (s *Service) ListParkedEvents(ctx context.Context, q *reliefv1.ListParkedEventsRequest) (*reliefv1.ListParkedEventsResponse, error) {
	size, scope, key, err := s.open(ctx, q, 2)
	if err != nil {
		return nil, err
	}
	var after feed.ParkedAfter
	if key != nil {
		after.Follower = key[0]
		if after.Seq, err = strconv.ParseInt(key[1], 10, 64); err != nil {
			return nil, err
		}
	}
	events, err := feed.ListParked(ctx, s.Engine.DB, q.GetFollower(), after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &reliefv1.ListParkedEventsResponse{ParkedEvents: events}
	if len(events) > size {
		answer.ParkedEvents = events[:size]
		last := events[size-1]
		answer.NextPageToken = pagetoken.Make(s.Engine.Keys, scope, last.GetFollower(), strconv.FormatInt(last.GetEvent().GetSeq(), 10))
	}
	return answer, nil
}

// RetryParkedEvent implements the contract.
func (s *Service) RetryParkedEvent(ctx context.Context, q *reliefv1.RetryParkedEventRequest) (*reliefv1.RetryParkedEventResponse, error) {
	n := slices.IndexFunc(s.Followers, func(f *feed.Follower) bool { return f.Name == q.GetFollower() })
	if n < 0 {
		return nil, fault.New(faultv1.Reason_REASON_PARKED_EVENT_NOT_FOUND, "no such parked event")
	}
	if q.GetValidateOnly() {
		return &reliefv1.RetryParkedEventResponse{}, s.parkedThere(ctx, q)
	}
	return &reliefv1.RetryParkedEventResponse{}, s.Followers[n].Retry(ctx, q.GetSeq())
}

func (s *Service) parkedThere(ctx context.Context, q *reliefv1.RetryParkedEventRequest) error {
	found, err := feed.ListParked(ctx, s.Engine.DB, q.GetFollower(), feed.ParkedAfter{Follower: q.GetFollower(), Seq: q.GetSeq() - 1}, 1)
	if err == nil && (len(found) == 0 || found[0].GetEvent().GetSeq() != q.GetSeq()) {
		err = fault.New(faultv1.Reason_REASON_PARKED_EVENT_NOT_FOUND, "no such parked event")
	}
	return err
}
