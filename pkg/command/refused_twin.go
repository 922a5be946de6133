//go:build twin_noted_refusal

package command

import (
	"context"
	"errors"
)

// refused notes the request as done, so that it cannot come again when the cause of its refusal is gone. The storm must catch it.
func refused(ctx context.Context, c *Change, refusal error) error {
	_, err := c.Engine.DB.Exec(ctx, "INSERT INTO idempotency (caller, method, request_id, digest, answer) VALUES ($1, $2, $3::uuid, $4, '') ON CONFLICT DO NOTHING",
		c.call.Caller, c.call.Method, c.call.RequestID, c.digest)
	return errors.Join(refusal, err)
}
