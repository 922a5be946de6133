//go:build !twin_deaf

package service

import (
	"os"
	"syscall"
)

// farewells are the signals that ask a process to end its work and leave: Kubernetes sends SIGTERM, a terminal the interrupt.
var farewells = []os.Signal{os.Interrupt, syscall.SIGTERM}
