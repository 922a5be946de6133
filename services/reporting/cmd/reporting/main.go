// Command reporting runs the reporting service as one process, configured by its environment.
package main

import (
	"context"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/reporting"
)

func main() {
	service.Main(reporting.Name, func(ctx context.Context) error {
		config, err := reporting.ConfigFromEnv()
		if err != nil {
			return err
		}
		return reporting.Run(ctx, config, nil)
	})
}
