package client

import (
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// Target gives gRPC's form of an address in a configuration: `host:port`, looked up by DNS for all its addresses; several of those
// joined by `;`, for replicas where no DNS name lists them; or anything with a scheme, as it is.
func Target(address string) (target string, options []grpc.DialOption) {
	if strings.Contains(address, "://") {
		return address, nil
	}
	replicas := strings.Split(address, ";")
	if len(replicas) == 1 {
		return "dns:///" + address, nil
	}
	list := manual.NewBuilderWithScheme("list")
	var state resolver.State
	for _, replica := range replicas {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: replica}}})
	}
	list.InitialState(state)
	return "list:///" + replicas[0], []grpc.DialOption{grpc.WithResolvers(list)}
}
