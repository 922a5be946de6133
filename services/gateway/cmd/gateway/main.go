// Command gateway runs the gateway as one process, configured by its environment.
package main

import (
	"context"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/gateway"
)

func main() {
	service.Main(gateway.Name, func(ctx context.Context) error {
		config, err := gateway.ConfigFromEnv()
		if err != nil {
			return err
		}
		return gateway.Run(ctx, config, nil, nil)
	})
}
