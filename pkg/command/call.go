package command

import (
	"errors"

	"google.golang.org/protobuf/proto"

	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Actor is who acts, as the audit records it.
type Actor struct {
	// Unit id, `service/<name>` for the suite itself, or a reporter's pseudonym.
	Unit string
	// System of the unit.
	System string
	// Officer asserted by the unit's system; may be empty.
	Officer string
	// Purpose the caller named.
	Purpose accessv1.Purpose
}

// Statement is a further statement of a command's transaction. It must affect exactly one row; otherwise the command
// is undone and answers ErrSuperseded. A follower moves its cursor this way.
type Statement struct {
	SQL  string
	Args []any
}

// ErrSuperseded is returned when a Statement of Call.Also did not find the row it expects: another replica has done the work.
var ErrSuperseded = errors.New("command: superseded by another replica")

// Call is one request to change something. Caller, Method and RequestID together name it for ever.
type Call struct {
	// Caller scopes the request ids: unit and system, `service/<name>`, or a reporter's pseudonym.
	Caller string
	// Method is the full gRPC method, or a name of the service's own for what no client asked for, like `sweep/report`.
	Method string
	// RequestID is a UUID.
	RequestID string
	// Request is digested, so that another content under the same id is noticed; fields request_id and validate_only do not count.
	Request proto.Message
	// ValidateOnly runs everything and keeps nothing.
	ValidateOnly bool
	// Actor for the audit.
	Actor Actor
	// Class of the data the call touches, for the audit; INTERNAL when unset.
	Class accessv1.DataClass
	// Recognised says that the rule itself notices a repetition and then changes nothing twice, as numbered updates do: no idempotency row is
	// written, and each attempt draws a RequestID of its own, by which the audit names it.
	Recognised bool
	// Also runs in the command's transaction, after its writes.
	Also []Statement
}
