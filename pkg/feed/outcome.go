package feed

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/postgres"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// transient reports that nothing is wrong with an event, only with the moment: it is tried again without end and without
// counting, as parking it would burden an operator with every outage.
func transient(err error) bool {
	var refusal *fault.Error
	if errors.As(err, &refusal) {
		kind := refusal.Kind()
		return kind == faultv1.Kind_KIND_UNAVAILABLE || kind == faultv1.Kind_KIND_CONFLICT || fault.Is(err, faultv1.Reason_REASON_OVERLOADED)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if s, ok := status.FromError(err); ok {
		switch s.Code() {
		case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted:
			return true
		}
		return reasonOf(err) == reasonName(faultv1.Reason_REASON_OVERLOADED)
	}
	return postgres.IsConnection(err) || postgres.IsSerialization(err)
}

// expected reports an end of a stream that is part of normal running.
func expected(err error) bool {
	if err == nil || errors.Is(err, io.EOF) {
		return true
	}
	return reasonOf(err) == reasonName(faultv1.Reason_REASON_DRAINING) || reasonOf(err) == reasonName(faultv1.Reason_REASON_FEED_READER_SLOW)
}

// reasonOf gives the wire reason of our own fault or of one that another service of the suite has answered, INTERNAL for
// anything else. It is safe to log and to store.
func reasonOf(err error) string {
	if told := client.Refusal(err); told != nil {
		return told.GetReason()
	}
	return fault.ReasonOf(err)
}

func reasonName(r faultv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }
