package client

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/stats"

	"github.com/lianhu/lianhu/pkg/access"
)

// agreement compares the peer's district package with ours on every answer: two services that read the law differently route a child to
// different units. It refuses nothing - a rollout replaces one replica after the other - but says so at once and counts.
type agreement struct {
	peer, mine string
	told       atomic.Pointer[string] // the digest that was last spoken of
	differs    metric.Int64Counter
}

func newAgreement(peer, mine string) *agreement {
	differs, err := otel.Meter("lianhu/client").Int64Counter("lianhu.district.disagreements",
		metric.WithDescription("Answers of a service that works by another district package"))
	if err != nil {
		otel.Handle(err)
	}
	return &agreement{peer: peer, mine: mine, differs: differs}
}

// HandleRPC implements stats.Handler.
func (a *agreement) HandleRPC(ctx context.Context, s stats.RPCStats) {
	header, ok := s.(*stats.InHeader)
	if !ok {
		return
	}
	digest := header.Header.Get(access.KeyDistrict)
	if len(digest) != 1 {
		return // not an answer of a service to a service
	}
	theirs := digest[0]
	if theirs != a.mine {
		a.differs.Add(ctx, 1, metric.WithAttributes(attribute.String("peer", a.peer)))
	}
	if last := a.told.Swap(&theirs); last != nil && *last == theirs || last == nil && theirs == a.mine {
		return
	}
	if theirs == a.mine {
		slog.InfoContext(ctx, "client: the district packages agree again", "peer", a.peer)
		return
	}
	slog.ErrorContext(ctx, "client: the peer works by another district package; roll out one of them", "peer", a.peer, "theirs", theirs, "ours", a.mine)
}

// TagRPC implements stats.Handler.
func (a *agreement) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (a *agreement) HandleConn(context.Context, stats.ConnStats) {}

// TagConn implements stats.Handler.
func (a *agreement) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
