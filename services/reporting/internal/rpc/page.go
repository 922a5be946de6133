package rpc

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// page reads what a list request says about its page: size, what a token is bound to, and the sort key of two parts (nil for the
// first page).
func (d *Desk) page(caller *access.Caller, req proto.Message, asked int32, token string) (size int, scope []byte, position []string, err error) {
	if size, err = pagetoken.Size(asked); err != nil {
		return 0, nil, nil, err
	}
	if scope, err = pagetoken.Scope(caller.Method, caller.Unit, req); err != nil {
		return 0, nil, nil, err
	}
	position, err = pagetoken.Read(d.Engine.Keys, scope, token, 2)
	return size, scope, position, err
}

// readAfter reads a sort key of time and id.
func readAfter(position []string) (*store.After, error) {
	at, err := time.Parse(time.RFC3339Nano, position[0])
	if err != nil {
		return nil, fault.New(faultv1.Reason_REASON_PAGE_TOKEN_INVALID, "the page token is damaged", "field", "page_token")
	}
	return &store.After{CreateTime: at, ID: position[1]}, nil
}
