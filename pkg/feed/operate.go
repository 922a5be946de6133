package feed

import (
	"context"
	"slices"
	"strconv"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// ReaderOf is the caller in ctx as a reader: a unit sees what it is an audience of, a service of the suite the whole feed.
func ReaderOf(ctx context.Context) Reader {
	caller := access.FromContext(ctx)
	return Reader{Unit: caller.Unit, Whole: caller.Service != ""}
}

// Parked answers ListParkedEvents in every area: a page of the parked events of one follower or, if none is named, of all.
func Parked(ctx context.Context, q Querier, keys *seal.Keys, request interface {
	pagetoken.Request
	GetFollower() string
},
) (events []*feedv1.ParkedEvent, next string, err error) {
	page, err := pagetoken.Open(ctx, keys, request, 2)
	if err != nil {
		return nil, "", err
	}
	var after ParkedAfter
	if page.Key != nil {
		after.Follower = page.Key[0]
		if after.Seq, err = strconv.ParseInt(page.Key[1], 10, 64); err != nil {
			return nil, "", err
		}
	}
	events, err = ListParked(ctx, q, request.GetFollower(), after, page.Size+1)
	if err != nil {
		return nil, "", err
	}
	events, next = pagetoken.Show(page, events, func(e *feedv1.ParkedEvent) []string {
		return []string{e.GetFollower(), strconv.FormatInt(e.GetEvent().GetSeq(), 10)}
	})
	return events, next, nil
}

// RetryParked answers RetryParkedEvent in every area. The follower's own commands make a repetition harmless, so that the request
// needs no row of its own.
func RetryParked(ctx context.Context, followers []*Follower, request interface {
	GetFollower() string
	GetSeq() int64
	GetValidateOnly() bool
},
) error {
	n := slices.IndexFunc(followers, func(f *Follower) bool { return f.Name == request.GetFollower() })
	if n < 0 {
		return notParked()
	}
	if !request.GetValidateOnly() {
		return followers[n].Retry(ctx, request.GetSeq())
	}
	after := ParkedAfter{Follower: request.GetFollower(), Seq: request.GetSeq() - 1}
	found, err := ListParked(ctx, followers[n].DB, request.GetFollower(), after, 1)
	if err == nil && (len(found) == 0 || found[0].GetEvent().GetSeq() != request.GetSeq()) {
		err = notParked()
	}
	return err
}

func notParked() error {
	return fault.New(faultv1.Reason_REASON_PARKED_EVENT_NOT_FOUND, "no such parked event")
}
