package server_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/server"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// A refusal says the id of its call, and the log line of the call has it. The gateway's id counts; nobody else chooses what our log says.
func TestARefusalSaysTheIdOfItsCall(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	h := start(t, echo(), func(c *server.Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	given := uuid.NewString()
	for name, k := range map[string]struct {
		by    identity.Identity
		sent  string
		taken bool
	}{
		"of the gateway":        {identity.OfService(domain, "gateway"), given, true},
		"of a unit":             {station(), uuid.NewString(), false},
		"no id, of the gateway": {identity.OfService(domain, "gateway"), "luxiaozhou-0319", false},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), access.KeyCorrelation, k.sent, access.KeyPurpose, "NONE")
		err := invoke(ctx, h.as(t, k.by), look, &custodyv1.WorkFilter{})
		want(t, err, codes.InvalidArgument, "FIELD_INVALID")
		id := ""
		for _, detail := range status.Convert(err).Details() {
			if d, ok := detail.(*errdetails.RequestInfo); ok {
				id += d.GetRequestId()
			}
		}
		if len(id) != 36 || (id == k.sent) != k.taken {
			t.Errorf("%s: the refusal says %q", name, id)
		}
		if !strings.Contains(log.String(), `"correlation_id":"`+id+`"`) || !k.taken && strings.Contains(log.String(), k.sent) {
			t.Errorf("%s: the log says %s", name, log.String())
		}
	}
}
