package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/feed"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
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

// Repairs mends the items of every kind this service keeps.
func Repairs(e *command.Engine, d *district.District, t *store.Tables) *custody.Repairs {
	return custody.NewRepairs(e, d, custody.RepairableItems(t.Reports), custody.RepairableItems(t.Bulletins), custody.RepairableItems(t.Assessments),
		custody.RepairableItems(t.Incidents), custody.RepairableItems(t.Quarantine), custody.RepairableItems(t.Searches),
		custody.RepairableItems(t.Placements), custody.RepairableItems(t.Filings), custody.RepairableItems(t.Supervisions))
}

// RepairCustody implements ReportingOperationsService.
func (s *Operations) RepairCustody(ctx context.Context, req *reportingv1.RepairCustodyRequest) (*reportingv1.RepairCustodyResponse, error) {
	standing, err := s.Repairs.Run(ctx, command.CallFrom(ctx, req), req.GetRepair())
	return &reportingv1.RepairCustodyResponse{Standing: standing}, err
}
