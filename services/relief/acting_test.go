package relief_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
)

// acting names the unit's first officer in calls that name none and decide on relief, as a unit's system does whose clerk is signed in.
type acting struct {
	grpc.ClientConnInterface
	officer string
}

func newActing(t *testing.T, districtDir string, id identity.Identity, connection grpc.ClientConnInterface) grpc.ClientConnInterface {
	t.Helper()
	d, err := district.Load(districtDir)
	ok(t, err)
	officers := d.OfficersOf(id.Unit)
	if id.Service != "" || len(officers) == 0 {
		return connection
	}
	return acting{connection, officers[0].ID}
}

// Invoke implements grpc.ClientConnInterface.
func (a acting) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	md, _ := metadata.FromOutgoingContext(ctx)
	if len(md.Get(access.KeyOfficer)) == 0 && slices.Contains(md.Get(access.KeyPurpose), "RELIEF_DECISION") {
		ctx = client.By(ctx, a.officer)
	}
	return a.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}
