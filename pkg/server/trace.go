package server

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/lianhu/lianhu/pkg/identity"
)

// inside continues the trace of a call that the suite itself makes, gateway or service, and of nobody else: a caller's trace id would tie its
// call to others of the same caller, wherever it is kept or shown.
type inside struct{ trustDomain string }

// Extract implements propagation.TextMapPropagator.
func (p inside) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return ctx
	}
	info, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return ctx
	}
	id, err := identity.OfCertificate(info.State.VerifiedChains[0][0])
	if err != nil || id.TrustDomain != p.trustDomain || id.Service == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, carrier)
}

// Inject implements propagation.TextMapPropagator.
func (inside) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	propagation.TraceContext{}.Inject(ctx, carrier)
}

// Fields implements propagation.TextMapPropagator.
func (inside) Fields() []string { return propagation.TraceContext{}.Fields() }
