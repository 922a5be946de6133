// Command relief runs the relief service as one process, configured by its environment.
package main

import (
	"context"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/relief"
)

func main() {
	service.Main(relief.Name, func(ctx context.Context) error {
		config, err := relief.ConfigFromEnv()
		if err != nil {
			return err
		}
		return relief.Run(ctx, config, nil)
	})
}
