// Package registry is the service that keeps the ledger: children, who is responsible for them on which day, who cares for them,
// and when they are visited next. It serves the district's reference data as well.
package registry

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
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	"github.com/lianhu/lianhu/services/registry/internal/follow"
	"github.com/lianhu/lianhu/services/registry/internal/rpc"
	"github.com/lianhu/lianhu/services/registry/internal/store"
	"github.com/lianhu/lianhu/services/registry/internal/sweep"
)

// Name of the service.
const Name = "registry"

// Config of the service. Its variables begin with REGISTRY_; those of the suite carry no prefix. PEERS names reporting.
type Config struct{ service.Config }

// ConfigFromEnv reads the configuration from the environment, strictly.
func ConfigFromEnv() (Config, error) {
	var c Config
	err := service.ParseConfig("REGISTRY", &c, &c.Shared)
	return c, err
}

// Run serves until ctx is done. With a nil listener it listens on Config.Listen.
func Run(ctx context.Context, c Config, listener net.Listener) error {
	return service.Run(ctx, service.Spec{Name: Name, Migrations: Migrations(), Constraints: store.Constraints(), Build: build}, c.Config, listener)
}

// build makes the parts of this service over the runtime.
func build(_ context.Context, r *service.Runtime) (service.Parts, error) {
	reporting, err := r.Peer("reporting")
	if err != nil {
		return service.Parts{}, err
	}
	tables := store.NewTables()
	followers := follow.New(r.Engine, r.District, tables, reporting)
	repairs := custody.NewRepairs(r.Engine, r.District, custody.RepairableItems(tables.Plans))
	handlers := &rpc.Service{Engine: r.Engine, District: r.District, Tables: tables, Feed: r.Feed, Followers: followers, Repairs: repairs, Version: r.Version}
	return service.Parts{
		Register: func(s grpc.ServiceRegistrar) {
			registryv1.RegisterRegistryServiceServer(s, handlers)
			registryv1.RegisterRegistryReadServiceServer(s, handlers)
			registryv1.RegisterRegistryReferenceServiceServer(s, handlers)
			registryv1.RegisterRegistryFeedServiceServer(s, handlers)
			registryv1.RegisterRegistryOperationsServiceServer(s, handlers)
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

// ReleasedMatters gives, for each child that a report's matter let into the ledger, the id of that matter.
func ReleasedMatters(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	return store.ReleasedMatters(ctx, pool)
}

// Stand gives, for each id that the ledger keeps or has kept, the id of the record that stands for the child now.
func Stand(ctx context.Context, pool *pgxpool.Pool, ids []string) (map[string]string, error) {
	return store.Stand(ctx, pool, ids)
}
