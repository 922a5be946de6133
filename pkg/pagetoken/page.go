package pagetoken

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/seal"
)

// Request is what every list request has.
type Request interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// Page is the page that a list request asks for.
type Page struct {
	// Size is the number of rows to show. A list reads one more, which tells Show whether there is a next page.
	Size int
	// Key is the sort key of the last row shown; nil for the first page.
	Key []string

	keys  *seal.Keys
	scope []byte
}

// Open checks the page fields of a request of the caller in ctx. The sort key of the list has that many parts.
func Open(ctx context.Context, keys *seal.Keys, q Request, parts int) (p Page, err error) {
	caller := access.FromContext(ctx)
	p = Page{keys: keys}
	if p.Size, err = Size(q.GetPageSize()); err != nil {
		return p, err
	}
	if p.scope, err = Scope(caller.Method, caller.Unit+"/"+caller.System, q); err != nil {
		return p, err
	}
	p.Key, err = Read(keys, p.scope, q.GetPageToken(), parts)
	return p, err
}

// Show cuts the rows that were read to the page and makes the token of the next one, empty when there is none. key gives the sort
// key of a row.
func Show[M any](p Page, rows []M, key func(M) []string) (shown []M, next string) {
	if len(rows) <= p.Size {
		return rows, ""
	}
	shown = rows[:p.Size]
	return shown, Make(p.keys, p.scope, key(shown[p.Size-1])...)
}

// After is the sort key of most lists, a time and an id among equals, of the last row shown; nil for the first page.
type After struct {
	Time time.Time
	ID   string
}

// TimeKey writes a sort key for After.
func TimeKey(at time.Time, id string) []string {
	return []string{at.UTC().Format(time.RFC3339Nano), id}
}

// After reads a key written by TimeKey.
func (p Page) After() (*After, error) {
	if p.Key == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, p.Key[0])
	if err != nil {
		return nil, invalid()
	}
	return &After{at, p.Key[1]}, nil
}
