package relief_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// registrar plays the registry: it knows every child but those it is told to forget, under the ids it is told.
type registrar struct {
	registryv1.UnimplementedRegistryReadServiceServer
	address string

	mu     sync.Mutex
	now    map[string]string // id → the id that stands for it; "" when nobody knows it
	isAway bool
}

func newRegistrar(t *testing.T, h *house) *registrar {
	t.Helper()
	l := &registrar{now: map[string]string{}}
	d, err := district.Load(h.district)
	ok(t, err)
	s, err := server.New(server.Config{Identity: h.identify(t, identity.OfService(domain, "registry")), District: d, Now: time.Now})
	ok(t, err)
	registryv1.RegisterRegistryReadServiceServer(s, l)
	listener := listen(t)
	serve(t, func(ctx context.Context) error { return s.Serve(ctx, listener) })
	l.address = "passthrough:///" + listener.Addr().String()
	return l
}

// stands says which id stands for a child now; "" makes it nobody's.
func (l *registrar) stands(child, now string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now[child] = now
}

func (l *registrar) away(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isAway = is
}

// ResolveChild implements the contract.
func (l *registrar) ResolveChild(_ context.Context, q *registryv1.ResolveChildRequest) (*registryv1.ResolveChildResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isAway {
		return nil, fault.New(faultv1.Reason_REASON_UNAVAILABLE, "away")
	}
	id := q.GetChildId()
	if stands, told := l.now[id]; told {
		id = stands
	}
	if id == "" {
		return nil, fault.NotFound()
	}
	a := &registryv1.ResolveChildResponse{ChildId: id}
	for earlier, stands := range l.now {
		if stands == id {
			a.EarlierChildIds = append(a.EarlierChildIds, earlier)
		}
	}
	return a, nil
}
