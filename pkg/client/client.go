// Package client opens connections to the suite's servers: mutual TLS with a peer known by its identity, all its
// addresses in turn, and repetition of what was never done.
package client

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/identity"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Options of a connection.
type Options struct {
	// Identity of the process.
	Identity *identity.Source
	// Peer is who must answer.
	Peer identity.Identity
	// Timeout of unary calls that come without a deadline. Default 10 s.
	Timeout time.Duration
	// AsService names the purpose FOLLOW_UP on calls that name none: a service that reads another one as itself.
	AsService bool
	// District is the digest of the district package this process works by; a peer that works by another one is reported. Empty compares
	// nothing.
	District string
	// MaxMessageBytes bounds what is received. Default 4 MiB, gRPC's own.
	MaxMessageBytes int
	// More options, for what only one user needs.
	More []grpc.DialOption
}

// Dial makes a connection; it connects with the first call. The target is as for Target; all of its addresses are used in turn. Unary
// calls that end UNAVAILABLE are repeated up to three times, which is safe as every mutation carries a request_id; nothing else is.
func Dial(target string, o Options) (*grpc.ClientConn, error) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	policy, err := serviceConfig()
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	target, addresses := Target(target)
	unary := []grpc.UnaryClientInterceptor{deadline(o.Timeout)}
	var stream []grpc.StreamClientInterceptor
	if o.AsService {
		unary = append(unary, followUnary)
		stream = append(stream, followStream)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(o.Identity.ClientTLS(o.Peer))),
		grpc.WithDefaultServiceConfig(policy),
		grpc.WithDisableServiceConfig(), // a policy from DNS would replace ours
		Reconnect(),
		// No more often than the server allows: it closes connections that ping too much.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithPropagators(propagation.TraceContext{}))),
		grpc.WithChainUnaryInterceptor(unary...),
		grpc.WithChainStreamInterceptor(stream...),
	}
	if o.District != "" {
		options = append(options, grpc.WithStatsHandler(newAgreement(o.Peer.Service, o.District)))
	}
	if o.MaxMessageBytes > 0 {
		options = append(options, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(o.MaxMessageBytes)))
	}
	connection, err := grpc.NewClient(target, append(append(options, addresses...), o.More...)...)
	if err != nil {
		return nil, fmt.Errorf("client: dial %s: %w", target, err)
	}
	return connection, nil
}

// Reconnect tries a peer that is away about every second. gRPC's own limit is two minutes: so long a service that is back would not be
// called. A call is repeated for longer than a second, so that a restart costs its caller no error.
func Reconnect() grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}, MinConnectTimeout: 5 * time.Second,
	})
}

// deadline gives a deadline to calls without one, which the services refuse.
func deadline(timeout time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, answer any, c *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			bounded, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			ctx = bounded
		}
		return invoke(ctx, method, request, answer, c, o...)
	}
}

func followUnary(ctx context.Context, method string, request, answer any, c *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	return invoke(follow(ctx), method, request, answer, c, o...)
}

func followStream(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(follow(ctx), d, c, method, o...)
}

func follow(ctx context.Context) context.Context {
	if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md.Get(access.KeyPurpose)) > 0 {
		return ctx
	}
	return For(ctx, accessv1.Purpose_PURPOSE_FOLLOW_UP)
}

// For names the purpose of the calls made with the context.
func For(ctx context.Context, purpose accessv1.Purpose) context.Context {
	return metadata.AppendToOutgoingContext(ctx, access.KeyPurpose, strings.TrimPrefix(purpose.String(), "PURPOSE_"))
}

// By names the officer who acts in the calls made with the context.
func By(ctx context.Context, officer string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, access.KeyOfficer, officer)
}

// serviceConfig lists the unary methods of the contract: to repeat a stream would mean to keep what was sent on it.
func serviceConfig() (string, error) {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var unary []name
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				ours := strings.HasPrefix(string(service.FullName()), "lianhu.")
				if ours && !method.IsStreamingClient() && !method.IsStreamingServer() {
					unary = append(unary, name{string(service.FullName()), string(method.Name())})
				}
			}
		}
		return true
	})
	config := map[string]any{"loadBalancingConfig": []any{map[string]any{"round_robin": struct{}{}}}}
	if len(unary) > 0 {
		config["methodConfig"] = []any{map[string]any{
			"name": unary,
			"retryPolicy": map[string]any{
				"maxAttempts": 4, "initialBackoff": "0.2s", "maxBackoff": "2s", "backoffMultiplier": 3,
				"retryableStatusCodes": []string{"UNAVAILABLE"},
			},
		}}
	}
	out, err := json.Marshal(config)
	return string(out), err
}
