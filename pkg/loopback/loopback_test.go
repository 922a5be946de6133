package loopback_test

import (
	"net"
	"testing"

	"github.com/lianhu/lianhu/pkg/loopback"
)

// What is held is not given a second time, and every port lies below those of outgoing connections.
func TestPortsAreFreeAndNobodyElsesToDraw(t *testing.T) {
	t.Parallel()
	held := map[int]bool{}
	for range 100 {
		l, err := loopback.Listen()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		port := l.Addr().(*net.TCPAddr).Port
		if held[port] || port < 20_000 || port > 32_767 {
			t.Errorf("port %d was given, held before: %v", port, held[port])
		}
		held[port] = true
	}
}
