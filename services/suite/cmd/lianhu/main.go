// Command lianhu runs the suite, one of its services, or one of its tools.
package main

import (
	"context"
	"os"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/suite/internal/cli"
)

func main() {
	service.Process(func(ctx context.Context) error { return cli.Command().Run(ctx, os.Args) })
}
