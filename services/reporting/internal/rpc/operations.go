package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/feed"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Operations serves ReportingOperationsService.
type Operations struct {
	reportingv1.UnimplementedReportingOperationsServiceServer
	*Desk
}

// ListParkedEvents implements ReportingOperationsService.
func (s *Operations) ListParkedEvents(ctx context.Context, req *reportingv1.ListParkedEventsRequest) (*reportingv1.ListParkedEventsResponse, error) {
	events, next, err := feed.Parked(ctx, s.Engine.DB, s.Engine.Keys, req)
	return &reportingv1.ListParkedEventsResponse{ParkedEvents: events, NextPageToken: next}, err
}

// RetryParkedEvent implements ReportingOperationsService.
func (s *Operations) RetryParkedEvent(ctx context.Context, req *reportingv1.RetryParkedEventRequest) (*reportingv1.RetryParkedEventResponse, error) {
	return &reportingv1.RetryParkedEventResponse{}, feed.RetryParked(ctx, s.Followers, req)
}
