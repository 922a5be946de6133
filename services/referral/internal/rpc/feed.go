package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/feed"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
)

// Subscribe implements the contract.
func (s *Service) Subscribe(q *referralv1.SubscribeRequest, stream grpc.ServerStreamingServer[referralv1.SubscribeResponse]) error {
	return s.Feed.Subscribe(stream.Context(), feed.ReaderOf(stream.Context()), q.GetPosition(), func(b *feedv1.Batch) error {
		return stream.Send(&referralv1.SubscribeResponse{Batch: b})
	})
}

// ReadFeed implements the contract.
func (s *Service) ReadFeed(ctx context.Context, q *referralv1.ReadFeedRequest) (*referralv1.ReadFeedResponse, error) {
	batch, err := s.Feed.Read(ctx, feed.ReaderOf(ctx), q.GetPosition(), q.GetMaxWait().AsDuration())
	return &referralv1.ReadFeedResponse{Batch: batch}, err
}

// ListParkedEvents implements the contract.
func (s *Service) ListParkedEvents(ctx context.Context, q *referralv1.ListParkedEventsRequest) (*referralv1.ListParkedEventsResponse, error) {
	events, next, err := feed.Parked(ctx, s.Engine.DB, s.Engine.Keys, q)
	return &referralv1.ListParkedEventsResponse{ParkedEvents: events, NextPageToken: next}, err
}

// RetryParkedEvent implements the contract.
func (s *Service) RetryParkedEvent(ctx context.Context, q *referralv1.RetryParkedEventRequest) (*referralv1.RetryParkedEventResponse, error) {
	return &referralv1.RetryParkedEventResponse{}, feed.RetryParked(ctx, s.Followers, q)
}

// RepairCustody implements the contract.
func (s *Service) RepairCustody(ctx context.Context, q *referralv1.RepairCustodyRequest) (*referralv1.RepairCustodyResponse, error) {
	standing, err := s.Repairs.Run(ctx, command.CallFrom(ctx, q), q.GetRepair())
	return &referralv1.RepairCustodyResponse{Standing: standing}, err
}
