package client

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/fault"
)

// Refusal is what an error of the suite says beside its code: the reason and its metadata. Nil for any other error; its getters answer
// nothing then.
func Refusal(err error) *errdetails.ErrorInfo {
	s, ok := status.FromError(err)
	if !ok {
		return nil
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == fault.Domain {
			return info
		}
	}
	return nil
}
