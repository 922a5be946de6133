package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/telemetry"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// replay looks for the request's idempotency row: the stored answer (never nil when found), nil when the request is new, or
// fault REQUEST_ID_REUSED.
func (c *Change) replay(ctx context.Context) ([]byte, error) {
	var digest, answer []byte
	err := c.Engine.DB.QueryRow(ctx,
		"SELECT digest, answer FROM idempotency WHERE caller = $1 AND method = $2 AND request_id = $3::uuid",
		c.call.Caller, c.call.Method, c.call.RequestID).Scan(&digest, &answer)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.compare(digest, answer)
}

func (c *Change) compare(digest, answer []byte) ([]byte, error) {
	if !seal.Equal(digest, c.digest) {
		return nil, fault.New(faultv1.Reason_REASON_REQUEST_ID_REUSED, "the request_id was used with another content", "method", c.call.Method)
	}
	if answer = remembered(answer); answer == nil {
		answer = []byte{}
	}
	return answer, nil
}

// load reads the idempotency row and the subject in one statement, hence one snapshot: a request that is done is never
// judged by the state it left behind.
func load[M proto.Message](ctx context.Context, c *Change, t *row.Table[M], id string) (m M, found bool, replayed []byte, err error) {
	var digest, answer []byte
	var trace *string
	destinations := t.Destinations()
	err = c.Engine.DB.QueryRow(ctx, fmt.Sprintf(`
		SELECT i.digest, i.answer, %[1]s.trace, %[2]s
		FROM (SELECT) AS one
		LEFT JOIN idempotency i ON i.caller = $1 AND i.method = $2 AND i.request_id = $3::uuid
		LEFT JOIN %[1]s ON %[1]s.id = $4::uuid`, t.Name, t.Read()),
		c.call.Caller, c.call.Method, c.call.RequestID, id,
	).Scan(append([]any{&digest, &answer, &trace}, destinations...)...)
	if err != nil {
		return m, false, nil, err
	}
	if digest != nil {
		replayed, err = c.compare(digest, answer)
		return m, false, replayed, err
	}
	if trace == nil {
		return m, false, nil, nil
	}
	c.linkBack(*trace)
	m, err = t.Decode(destinations, c.Engine.Keys)
	return m, err == nil, nil, err
}

// linkBack leads from this change to the one before it on the same row: so a payment can be walked back to the report it began with.
func (c *Change) linkBack(trace string) {
	if link, ok := telemetry.Link(trace); ok {
		c.span.AddLink(link)
	}
}

func decodeAnswer[A proto.Message](ctx context.Context, c *Change, stored []byte, err error) (A, error) {
	if err != nil {
		var none A
		return none, err
	}
	if c.Engine.Repeated != nil {
		c.Engine.Repeated(ctx, c.call.Caller)
	}
	a := empty[A]()
	if err := proto.Unmarshal(stored, a); err != nil {
		return a, errors.New("command: a stored answer does not decode")
	}
	return a, nil
}

// refuse tells a rule's refusal, except where this very request was done on another connection in the meantime: a rule may have read
// further rows, after the snapshot, and judged by what the request itself left behind.
func refuse[A proto.Message](ctx context.Context, c *Change, refusal error) (A, error) {
	var none A
	var told *fault.Error
	if !errors.As(refusal, &told) {
		return none, refusal
	}
	replayed, err := c.replay(ctx)
	if err == nil && replayed == nil {
		return none, refused(ctx, c, refusal)
	}
	return decodeAnswer[A](ctx, c, replayed, err)
}

// matchEtag gives the rule's error, or ETAG_MISMATCH when the caller worked from another version. NOT_FOUND goes first: who
// may not see the row does not learn that its version moved.
func matchEtag(request proto.Message, version int64, ruled error) error {
	if request == nil || fault.Is(ruled, faultv1.Reason_REASON_NOT_FOUND) {
		return ruled
	}
	field := request.ProtoReflect().Descriptor().Fields().ByName("etag")
	if field == nil {
		return ruled
	}
	given := request.ProtoReflect().Get(field).String()
	if given == "" || given == row.Etag(version) {
		return ruled
	}
	return fault.New(faultv1.Reason_REASON_ETAG_MISMATCH, "the stored version is another one", "etag", row.Etag(version))
}
