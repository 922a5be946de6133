package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Integration serves IntegrationService.
type Integration struct {
	reportingv1.UnimplementedIntegrationServiceServer
	*Desk
}

// GetIntegration implements IntegrationService. Whom it is about is the certificate alone.
func (s *Integration) GetIntegration(ctx context.Context, req *reportingv1.GetIntegrationRequest) (*reportingv1.GetIntegrationResponse, error) {
	caller := access.FromContext(ctx)
	mine := &reportingv1.Integration{Unit: caller.Unit, System: caller.System, Contract: caller.Contract}
	if !caller.CertificateExpires.IsZero() {
		mine.CertificateExpireTime = timestamppb.New(caller.CertificateExpires)
		mine.CertificateDaysLeft = identity.DaysLeft(caller.CertificateExpires)
	}
	var err error
	if mine.Server, err = s.Version(ctx); err != nil {
		return nil, err
	}
	if mine.RepeatedRequests, err = store.Repetitions(ctx, s.Engine.DB, command.CallFrom(ctx, req).Caller); err != nil {
		return nil, err
	}
	name, _ := sourceOf(caller)
	open, err := store.OpenStreams(ctx, s.Engine.DB, name)
	if err != nil {
		return nil, err
	}
	if mine.OpenStreams = open.Streams; open.Since != nil {
		mine.StreamOpenTime = timestamppb.New(*open.Since)
	}
	return &reportingv1.GetIntegrationResponse{Integration: mine}, s.pushed(ctx, caller, mine)
}

// pushed adds what the caller has pushed, if it ever did.
func (s *Integration) pushed(ctx context.Context, caller *access.Caller, mine *reportingv1.Integration) error {
	_, id := sourceOf(caller)
	source, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Sources, id)
	if fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		return nil
	}
	if err != nil {
		return err
	}
	spans, err := store.SpansAbove(ctx, s.Engine.DB, source.GetSource(), source.GetEpoch(), source.GetDurableThrough())
	if err != nil {
		return err
	}
	mine.Source, mine.Epoch, mine.DurableThrough = source.GetSource(), source.GetEpoch(), source.GetDurableThrough()
	mine.Gaps = spans.Gaps(source.GetDurableThrough(), gapsMost)
	mine.Counts, mine.SkewMs, mine.LastTime, mine.PushContract = source.GetCounts(), source.GetSkewMs(), source.GetLastTime(), source.GetContract()
	mine.Quarantine, err = store.CountQuarantine(ctx, s.Engine.DB, source.GetSource())
	return err
}
