package rpc

import (
	"context"
	"strconv"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Operations serves ReportingOperationsService.
type Operations struct {
	reportingv1.UnimplementedReportingOperationsServiceServer
	*Desk
}

// ListParkedEvents implements ReportingOperationsService.
func (s *Operations) ListParkedEvents(ctx context.Context, req *reportingv1.ListParkedEventsRequest) (*reportingv1.ListParkedEventsResponse, error) {
	size, scope, position, err := s.page(access.FromContext(ctx), req, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	var after feed.ParkedAfter
	if position != nil {
		seq, err := strconv.ParseInt(position[1], 10, 64)
		if err != nil {
			return nil, fault.New(faultv1.Reason_REASON_PAGE_TOKEN_INVALID, "the page token is damaged", "field", "page_token")
		}
		after = feed.ParkedAfter{Follower: position[0], Seq: seq}
	}
	parked, err := feed.ListParked(ctx, s.Engine.DB, req.GetFollower(), after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &reportingv1.ListParkedEventsResponse{ParkedEvents: parked[:min(size, len(parked))]}
	if len(parked) > size {
		last := parked[size-1]
		answer.NextPageToken = pagetoken.Make(s.Engine.Keys, scope, last.GetFollower(), strconv.FormatInt(last.GetEvent().GetSeq(), 10))
	}
	return answer, nil
}

// RetryParkedEvent implements ReportingOperationsService. The follower's own commands make a repetition harmless, so the request
// needs no row of its own.
func (s *Operations) RetryParkedEvent(ctx context.Context, req *reportingv1.RetryParkedEventRequest) (*reportingv1.RetryParkedEventResponse, error) {
	follower, ok := s.Followers[req.GetFollower()]
	if !ok {
		return nil, fault.New(faultv1.Reason_REASON_PARKED_EVENT_NOT_FOUND, "no such parked event")
	}
	if req.GetValidateOnly() {
		return &reportingv1.RetryParkedEventResponse{}, s.parked(ctx, req)
	}
	return &reportingv1.RetryParkedEventResponse{}, follower.Retry(ctx, req.GetSeq())
}

// parked answers PARKED_EVENT_NOT_FOUND unless the event is there.
func (s *Operations) parked(ctx context.Context, req *reportingv1.RetryParkedEventRequest) error {
	after := feed.ParkedAfter{Follower: req.GetFollower(), Seq: req.GetSeq() - 1}
	found, err := feed.ListParked(ctx, s.Engine.DB, req.GetFollower(), after, 1)
	if err == nil && (len(found) == 0 || found[0].GetEvent().GetSeq() != req.GetSeq()) {
		err = fault.New(faultv1.Reason_REASON_PARKED_EVENT_NOT_FOUND, "no such parked event")
	}
	return err
}
