package client_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/lianhu/lianhu/pkg/client"
	devclockv1 "github.com/lianhu/lianhu/proto/gen/lianhu/devclock/v1"
)

func TestAllListedReplicasAreCalledInTurn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var first, second atomic.Int64
	count := func(n *atomic.Int64) *clock {
		return &clock{now: func(context.Context) error { n.Add(1); return nil }}
	}
	c := h.dial(t, h.start(t, count(&first))+";"+h.start(t, count(&second)), client.Options{})
	for first.Load() == 0 || second.Load() == 0 { // the second connection may take a moment longer
		if _, err := c.Now(t.Context(), &devclockv1.NowRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnAddressKeepsItsScheme(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"registry:8443":             "dns:///registry:8443",
		"passthrough:///x:1":        "passthrough:///x:1",
		"10.0.0.1:84;10.0.0.2:84":   "list:///10.0.0.1:84",
		"unix:///run/registry.sock": "unix:///run/registry.sock",
	} {
		if got, _ := client.Target(address); got != want {
			t.Errorf("%s becomes %s, want %s", address, got, want)
		}
	}
}
