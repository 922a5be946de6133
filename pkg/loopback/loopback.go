// Package loopback finds ports of this machine for servers that give them back and want them again: at a restart, or because another process
// is to take them. A port from the system's own choice (":0") could go to any outgoing connection in the meantime.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports drawn from: above the well-known ones, below what systems give to outgoing connections (Linux from 32768, others higher).
const first, last = 20_000, 32_767

// draws is how many ports are tried. Each is as good as the other; so many taken ones mean that something else is wrong.
const draws = 200

// Address is one at which a process that is started later can listen.
func Address() (string, error) {
	l, err := Listen()
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Listen takes a port on 127.0.0.1 that is free now and that no outgoing connection is given after it is closed.
func Listen() (net.Listener, error) {
	var errs []error
	for range draws {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first+1))) //nolint:gosec // a port is no secret
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("loopback: no free port: %w", errs[0])
}
