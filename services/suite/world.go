package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
	"github.com/lianhu/lianhu/services/gateway"
	"github.com/lianhu/lianhu/services/suite/journey"
)

// World is what a journey needs to be played on this suite. The connections last until closer is called.
func (s *Suite) World(seed uint64) (w journey.World, closer func(), err error) {
	return NewWorld(s.options.Home, s.options.DistrictDir, s.GRPC, s.Clock, seed)
}

// NewWorld is World for a suite of which only the gateway's and the clock's addresses are known.
func NewWorld(h Home, districtDir, gatewayAddress, clockAddress string, seed uint64) (w journey.World, closer func(), err error) {
	d, err := district.Load(districtDir)
	if err != nil {
		return w, nil, err
	}
	clockConn, err := DialClock(h, clockAddress)
	if err != nil {
		return w, nil, err
	}
	clock := devclockv1.NewDevClockServiceClient(clockConn)
	var mu sync.Mutex
	conns := map[string]*grpc.ClientConn{}
	w = journey.World{
		District: d, Seed: seed,
		Dial: func(unit string) (grpc.ClientConnInterface, error) {
			mu.Lock()
			defer mu.Unlock()
			if conn, ok := conns[unit]; ok {
				return conn, nil
			}
			conn, err := dialAs(h, gatewayAddress, unit)
			if err != nil {
				return nil, err
			}
			conns[unit] = conn
			return conn, nil
		},
		Advance: func(ctx context.Context, by time.Duration) (time.Time, error) {
			request := &devclockv1.AdvanceRequest{Target: &devclockv1.AdvanceRequest_BySeconds{}}
			if by > 0 { // an absolute target: the client may repeat the call
				present, err := clock.Now(ctx, &devclockv1.NowRequest{})
				if err != nil {
					return time.Time{}, err
				}
				request.Target = &devclockv1.AdvanceRequest_To{To: timestamppb.New(present.GetNow().AsTime().Add(by))}
			}
			answer, err := clock.Advance(ctx, request)
			return answer.GetNow().AsTime(), err
		},
	}
	return w, func() {
		errs := []error{clockConn.Close()}
		for _, conn := range conns {
			errs = append(errs, conn.Close())
		}
		_ = errors.Join(errs...) // nothing waits for what the other side might still say
	}, nil
}

// dialAs connects to the gateway as a unit's main system, or as the one after the colon, which gets its certificate here.
func dialAs(h Home, address, caller string) (*grpc.ClientConn, error) {
	unit, system, named := strings.Cut(caller, ":")
	if !named {
		return DialGateway(h, address, unit)
	}
	if err := h.CertifySystem(unit, system); err != nil {
		return nil, err
	}
	source, err := identity.Load(h.System(unit, system))
	if err != nil {
		return nil, fmt.Errorf("the certificate of %s: %w", caller, err)
	}
	return client.Dial(address, client.Options{Identity: source, Peer: identity.OfService(TrustDomain, gateway.Name)})
}
