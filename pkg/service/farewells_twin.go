//go:build twin_deaf

package service

import "os"

// farewells leave out what Kubernetes asks with, so that the process is cut down in the middle of its work. The storm must catch it.
var farewells = []os.Signal{os.Interrupt}
