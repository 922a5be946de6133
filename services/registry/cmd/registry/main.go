// Command registry runs the registry as one process, configured by its environment.
package main

import (
	"context"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/registry"
)

func main() {
	service.Main(registry.Name, func(ctx context.Context) error {
		config, err := registry.ConfigFromEnv()
		if err != nil {
			return err
		}
		return registry.Run(ctx, config, nil)
	})
}
