package dispatch

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/client"
)

// Reasons that decide when to connect again.
const (
	draining   = "DRAINING"
	superseded = "DISPATCH_STREAM_SUPERSEDED"
)

// errEndedEarly is a server that ended the stream well before we had said everything.
var errEndedEarly = errors.New("the server ended the stream before everything was sent")

// StaleEpoch says that the server counts by a higher epoch than ours: whoever began it has the numbers now.
type StaleEpoch struct{ Epoch, Present int64 }

// Error implements error.
func (e *StaleEpoch) Error() string {
	return fmt.Sprintf("epoch %d is over: the server counts by epoch %d", e.Epoch, e.Present)
}

// passes tells whether another attempt may get over an error: whatever the network does, and a server that is away, stopping or busy. What the
// server refuses it refuses again.
func passes(err error) bool {
	if errors.Is(err, errEndedEarly) {
		return true
	}
	s, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch client.Refusal(err).GetReason() {
	case "DISPATCH_ACKS_UNREAD":
		return true
	case "MESSAGE_TOO_LARGE": // it gets no smaller
		return false
	case superseded: // two senders that always came back would take the stream from each other for ever
		return false
	}
	if tooLarge(s.Message()) {
		return false
	}
	switch s.Code() {
	case codes.Unavailable:
		return !stranger(s.Message())
	case codes.Internal, codes.Unknown, codes.Canceled, codes.Aborted, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	}
	return false
}

// tooLarge tells whether a message was refused for its size by what gives no reason: gRPC itself, or a proxy on the way that speaks HTTP.
func tooLarge(message string) bool {
	return strings.Contains(message, "message larger than max") || strings.Contains(message, "received from server: 413")
}

// stranger tells whether a connection failed because one side does not know the other, which no waiting changes.
func stranger(message string) bool {
	for _, sign := range [...]string{"x509:", "identity:", "remote error: tls:", "first record does not look like a TLS handshake"} {
		if strings.Contains(message, sign) {
			return true
		}
	}
	return false
}

// advices tell by reason what to do next.
var advices = map[string]string{
	superseded:                  "another sender uses the same certificate: find it and stop it, or give each system a certificate of its own; then push again",
	"DISPATCH_FRAME_UNREADABLE": "the sender's protobuf and the contract disagree, or something between changes the bytes: send the numbers of that frame again, or void them",
	"DISPATCH_SEQUENCE_AHEAD":   "numbers far below are missing: send or void them first, or begin a new epoch at 1",
	"FIELD_INVALID":             "correct the field that is named and push again; nothing of its frame was stored",
	"MESSAGE_TOO_LARGE":         "make the frames smaller; one update holds at most 1 MiB of payload",
	"PERMISSION_DENIED":         "the certificate's unit and system may not push incidents: ask the district's operator for one that may",
}

// Advise says what to do next about an error of Push; empty when there is nothing to say.
func Advise(err error) string {
	var stale *StaleEpoch
	if errors.As(err, &stale) {
		return fmt.Sprintf("if your numbers go on, push with epoch %d; if they began again at 1, push with epoch %d; if you do not know who began epoch %d, find out first",
			stale.Present, stale.Present+1, stale.Present)
	}
	if i := client.Refusal(err); i.GetReason() == "DISPATCH_EPOCH_STALE" {
		return "the server counts by epoch " + i.GetMetadata()["present"] + " now: push with it if your numbers go on, with a higher one if they began again at 1"
	}
	if advice, ok := advices[client.Refusal(err).GetReason()]; ok {
		return advice
	}
	s, _ := status.FromError(err)
	switch s.Code() {
	case codes.Unavailable:
		if strings.Contains(s.Message(), "no children to pick from") { // so gRPC says that a name has no address
			return "the name of the gateway does not resolve: look whether HOST:PORT is right"
		}
		if stranger(s.Message()) {
			return "the two sides do not trust each other's certificate: compare the authority you were given, the validity and the address"
		}
		return "look whether the address is right and the gateway is up; push again, it goes on where it stopped"
	case codes.DeadlineExceeded:
		return "whoever answers at this address takes streams and says nothing: look whether it is the gateway's gRPC port, and what stands between"
	case codes.PermissionDenied, codes.Unauthenticated:
		return advices["PERMISSION_DENIED"]
	case codes.Unimplemented:
		return "this is no Lianhu gateway, or one of another version: look at the address"
	}
	return ""
}
