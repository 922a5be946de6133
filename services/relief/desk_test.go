package relief_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// desk is a unit with its typed clients.
type desk struct {
	reliefv1.ReliefServiceClient
	read       reliefv1.ReliefReadServiceClient
	feed       reliefv1.ReliefFeedServiceClient
	operations reliefv1.ReliefOperationsServiceClient
}

func newDesk(c grpc.ClientConnInterface) *desk {
	return &desk{
		reliefv1.NewReliefServiceClient(c), reliefv1.NewReliefReadServiceClient(c),
		reliefv1.NewReliefFeedServiceClient(c), reliefv1.NewReliefOperationsServiceClient(c),
	}
}

// at gives a unit's desk.
func (h *house) at(t *testing.T, unit string) *desk {
	t.Helper()
	return h.as(t, identity.OfUnit(domain, unit, "main"))
}

func (h *house) as(t *testing.T, id identity.Identity) *desk {
	t.Helper()
	if known, ok := h.desks.Load(id.String()); ok {
		return known.(*desk)
	}
	d := h.desk(t, h.address, id)
	h.desks.Store(id.String(), d)
	return d
}

// desk gives the desk at a replica, with an officer at it.
func (h *house) desk(t *testing.T, address string, id identity.Identity) *desk {
	t.Helper()
	return newDesk(newActing(t, h.district, id, h.dial(t, address, "relief", id)))
}

// deciding is a call of the township's for a decision on relief.
func deciding(t *testing.T) context.Context {
	return client.For(t.Context(), accessv1.Purpose_PURPOSE_RELIEF_DECISION)
}

// paying is an officer's call for a payment.
func paying(t *testing.T, officer string) context.Context {
	ctx := client.For(t.Context(), accessv1.Purpose_PURPOSE_PAYMENT)
	if officer == "" {
		return ctx
	}
	return client.By(ctx, officer)
}

func request() string { return uuid.NewString() }
