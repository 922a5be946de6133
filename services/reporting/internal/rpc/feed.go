package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/feed"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Feed serves ReportingFeedService.
type Feed struct {
	reportingv1.UnimplementedReportingFeedServiceServer
	*Desk
}

// Subscribe implements ReportingFeedService.
func (s *Feed) Subscribe(req *reportingv1.SubscribeRequest, stream grpc.ServerStreamingServer[reportingv1.SubscribeResponse]) error {
	return s.Feed.Subscribe(stream.Context(), feed.ReaderOf(stream.Context()), req.GetPosition(), func(b *feedv1.Batch) error {
		return stream.Send(&reportingv1.SubscribeResponse{Batch: b})
	})
}

// ReadFeed implements ReportingFeedService.
func (s *Feed) ReadFeed(ctx context.Context, req *reportingv1.ReadFeedRequest) (*reportingv1.ReadFeedResponse, error) {
	batch, err := s.Feed.Read(ctx, feed.ReaderOf(ctx), req.GetPosition(), req.GetMaxWait().AsDuration())
	return &reportingv1.ReadFeedResponse{Batch: batch}, err
}
