package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/feed"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// Subscribe implements the contract.
func (s *Service) Subscribe(q *registryv1.SubscribeRequest, stream grpc.ServerStreamingServer[registryv1.SubscribeResponse]) error {
	return s.Feed.Subscribe(stream.Context(), feed.ReaderOf(stream.Context()), q.GetPosition(), func(b *feedv1.Batch) error {
		return stream.Send(&registryv1.SubscribeResponse{Batch: b})
	})
}

// ReadFeed implements the contract.
func (s *Service) ReadFeed(ctx context.Context, q *registryv1.ReadFeedRequest) (*registryv1.ReadFeedResponse, error) {
	batch, err := s.Feed.Read(ctx, feed.ReaderOf(ctx), q.GetPosition(), q.GetMaxWait().AsDuration())
	return &registryv1.ReadFeedResponse{Batch: batch}, err
}

// ListParkedEvents implements the contract.
func (s *Service) ListParkedEvents(ctx context.Context, q *registryv1.ListParkedEventsRequest) (*registryv1.ListParkedEventsResponse, error) {
	events, next, err := feed.Parked(ctx, s.Engine.DB, s.Engine.Keys, q)
	return &registryv1.ListParkedEventsResponse{ParkedEvents: events, NextPageToken: next}, err
}

// RetryParkedEvent implements the contract.
func (s *Service) RetryParkedEvent(ctx context.Context, q *registryv1.RetryParkedEventRequest) (*registryv1.RetryParkedEventResponse, error) {
	return &registryv1.RetryParkedEventResponse{}, feed.RetryParked(ctx, s.Followers, q)
}

// RepairCustody implements the contract.
func (s *Service) RepairCustody(ctx context.Context, q *registryv1.RepairCustodyRequest) (*registryv1.RepairCustodyResponse, error) {
	standing, err := s.Repairs.Run(ctx, command.CallFrom(ctx, q), q.GetRepair())
	return &registryv1.RepairCustodyResponse{Standing: standing}, err
}
