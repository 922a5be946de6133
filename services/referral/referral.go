// Package referral is the service that carries a child's needs to the units whose duty they are: cases, referrals, and the
// promise that each of them is somebody's at every moment.
package referral

import (
	"context"
	"io/fs"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/service"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	"github.com/lianhu/lianhu/services/referral/internal/follow"
	"github.com/lianhu/lianhu/services/referral/internal/rpc"
	"github.com/lianhu/lianhu/services/referral/internal/store"
	"github.com/lianhu/lianhu/services/referral/internal/sweep"
)

// Name of the service.
const Name = "referral"

// Config of the service. Its variables begin with REFERRAL_; those of the suite carry no prefix. PEERS names reporting and
// relief.
type Config struct{ service.Config }

// ConfigFromEnv reads the configuration from the environment, strictly.
func ConfigFromEnv() (Config, error) {
	var c Config
	err := service.ParseConfig("REFERRAL", &c, &c.Shared)
	return c, err
}

// Run serves until ctx is done. With a nil listener it listens on Config.Listen.
func Run(ctx context.Context, c Config, listener net.Listener) error {
	return service.Run(ctx, service.Spec{Name: Name, Migrations: Migrations(), Build: build}, c.Config, listener)
}

// build makes the parts of this service over the runtime.
func build(_ context.Context, r *service.Runtime) (service.Parts, error) {
	reporting, err := r.Peer("reporting")
	if err != nil {
		return service.Parts{}, err
	}
	relief, err := r.Peer("relief")
	if err != nil {
		return service.Parts{}, err
	}
	tables := store.NewTables()
	followers := follow.New(r.Engine, r.District, tables, reporting, relief)
	repairs := custody.NewRepairs(r.Engine, r.District, custody.RepairableItems(tables.Cases), custody.RepairableItems(tables.Referrals))
	handlers := &rpc.Service{
		Engine: r.Engine, District: r.District, Tables: tables, Feed: r.Feed, Followers: followers, Repairs: repairs, Version: r.Version,
	}
	return service.Parts{
		Register: func(s grpc.ServiceRegistrar) {
			referralv1.RegisterReferralServiceServer(s, handlers)
			referralv1.RegisterReferralReadServiceServer(s, handlers)
			referralv1.RegisterReferralFeedServiceServer(s, handlers)
			referralv1.RegisterReferralOperationsServiceServer(s, handlers)
		},
		Expiries:  sweep.Expiries(r.Engine, r.District, tables),
		Followers: followers,
	}, nil
}

// Migrations of the service's database.
func Migrations() fs.FS { return store.Migrations() }

// Promises counts violations of the five promises in the service's database at business time now.
func Promises(ctx context.Context, pool *pgxpool.Pool, now time.Time) ([]promise.Count, error) {
	return promise.Run(ctx, pool, store.Promises(store.NewTables(), now)...)
}
