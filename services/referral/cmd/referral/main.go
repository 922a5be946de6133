// Command referral runs the referral service as one process, configured by its environment.
package main

import (
	"context"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/referral"
)

func main() {
	service.Main(referral.Name, func(ctx context.Context) error {
		config, err := referral.ConfigFromEnv()
		if err != nil {
			return err
		}
		return referral.Run(ctx, config, nil)
	})
}
