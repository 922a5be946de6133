// Package fault is the one error type of the suite. A fault knows its reason, a value of an area's reason enum;
// the kind (which fixes the gRPC code) and the zh-CN text come from the option on that value, so the contract and
// the refusal cannot drift apart. Rules and stores return faults; pkg/server turns them into statuses.
//
// Nothing in a fault may carry personal data: message and metadata reach logs and callers.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// Domain is the ErrorInfo domain of every refusal.
const Domain = "lianhu"

// Reason is a value of a reason enum of the contract, carrying the option lianhu.fault.v1.info.
type Reason interface{ protoreflect.Enum }

// Field names one field of a request and what is wrong with it.
type Field struct {
	// Path as in the contract, dot separated.
	Path string
	// Description in English, without the offending value.
	Description string
}

// Error is a refusal. Build it with New; errors without one of these in their chain are our defects and reach the
// caller as INTERNAL.
type Error struct {
	reason     protoreflect.EnumValueDescriptor
	message    string
	metadata   map[string]string
	fields     []Field
	retryAfter time.Duration
	cause      error
}

// New makes a fault. Metadata comes as key, value pairs; keys, once published, stay.
func New(reason Reason, message string, keyValues ...string) *Error {
	e := &Error{
		reason:  reason.Descriptor().Values().ByNumber(reason.Number()),
		message: message,
	}
	if len(keyValues) > 0 {
		e.metadata = make(map[string]string, len(keyValues)/2)
	}
	for i := 0; i+1 < len(keyValues); i += 2 {
		e.metadata[keyValues[i]] = keyValues[i+1]
	}
	return e
}

// Invalid is the fault for one field that breaks a rule of the contract.
func Invalid(path, description string) *Error {
	return New(faultv1.Reason_REASON_FIELD_INVALID, path+": "+description, "field", path).Field(path, description)
}

// NotFound is the one answer for what is absent and for what the caller may not know of; its text never differs.
func NotFound() *Error {
	return New(faultv1.Reason_REASON_NOT_FOUND, "not found")
}

// StateForbids is the fault for a verb that is not legal in the present state.
func StateForbids(state, verb string) *Error {
	return New(faultv1.Reason_REASON_STATE_FORBIDS, verb+" is not possible in state "+state, "state", state, "verb", verb)
}

// Field adds a field violation and returns the fault.
func (e *Error) Field(path, description string) *Error {
	e.fields = append(e.fields, Field{Path: path, Description: description})
	return e
}

// Wrap keeps the cause for the log of operators; it never reaches the caller.
func (e *Error) Wrap(cause error) *Error {
	e.cause = cause
	return e
}

// RetryAfter says when the caller may come back; sent as RetryInfo.
func (e *Error) RetryAfter(d time.Duration) *Error {
	e.retryAfter = d
	return e
}

// Error implements error. It holds the reason and message only, never the cause.
func (e *Error) Error() string { return e.Reason() + ": " + e.message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Reason is the wire form: the enum value's name without the prefix REASON_.
func (e *Error) Reason() string { return wire(e.reason) }

// Kind fixes the gRPC code.
func (e *Error) Kind() faultv1.Kind { return info(e.reason).GetKind() }

// ZH is the text for the person in front of the calling system.
func (e *Error) ZH() string { return info(e.reason).GetZh() }

// HTTPStatus is the status over HTTP where it is not that of the kind; 0 otherwise.
func (e *Error) HTTPStatus() int { return int(info(e.reason).GetHttpStatus()) }

// Message is the English text for the developer of the calling system.
func (e *Error) Message() string { return e.message }

// Metadata holds the dynamic values of the message.
func (e *Error) Metadata() map[string]string { return e.metadata }

// Fields lists the field violations.
func (e *Error) Fields() []Field { return e.fields }

// Retry is how long to wait before coming back; zero when nothing is promised.
func (e *Error) Retry() time.Duration { return e.retryAfter }

// Is reports whether err carries a fault of that reason.
func Is(err error, reason Reason) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.reason.FullName() == reason.Descriptor().Values().ByNumber(reason.Number()).FullName()
}

// ReasonOf gives the wire reason of err, or "INTERNAL" when it carries no fault. It is safe to log and to store.
func ReasonOf(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return wire(faultv1.Reason_REASON_INTERNAL.Descriptor().Values().ByNumber(faultv1.Reason_REASON_INTERNAL.Number()))
	}
	return e.Reason()
}

// CheckReasons names the values of a reason enum that lack a kind or a zh-CN text. Contract tests call it.
func CheckReasons(enum protoreflect.EnumDescriptor) []string {
	var missing []string
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		if value.Number() == 0 {
			continue
		}
		if got := info(value); got.GetZh() == "" || (got.GetKind() == 0 && wire(value) != "INTERNAL") {
			missing = append(missing, fmt.Sprintf("%s: no kind or zh text", value.FullName()))
		}
	}
	return missing
}

func wire(value protoreflect.EnumValueDescriptor) string {
	return strings.TrimPrefix(string(value.Name()), "REASON_")
}

func info(value protoreflect.EnumValueDescriptor) *faultv1.ReasonInfo {
	got, _ := proto.GetExtension(value.Options(), faultv1.E_Info).(*faultv1.ReasonInfo)
	return got
}
