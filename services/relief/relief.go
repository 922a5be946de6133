// Package relief is the service that pays relief: applications by programme, decisions that explain themselves, budgets that cannot be
// overdrawn, and batches for the bank that two officers approve.
package relief

import (
	"context"
	"io/fs"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/service"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/follow"
	"github.com/lianhu/lianhu/services/relief/internal/rpc"
	"github.com/lianhu/lianhu/services/relief/internal/store"
	"github.com/lianhu/lianhu/services/relief/internal/sweep"
)

// Name of the service.
const Name = "relief"

// Config of the service. Its variables begin with RELIEF_; those of the suite carry no prefix. PEERS names referral and registry.
type Config struct{ service.Config }

// ConfigFromEnv reads the configuration from the environment, strictly.
func ConfigFromEnv() (Config, error) {
	var c Config
	err := service.ParseConfig("RELIEF", &c, &c.Shared)
	return c, err
}

// Run serves until ctx is done. With a nil listener it listens on Config.Listen.
func Run(ctx context.Context, c Config, listener net.Listener) error {
	return service.Run(ctx, service.Spec{
		Name: Name, Migrations: Migrations(), Constraints: store.Constraints(),
		Build: func(ctx context.Context, r *service.Runtime) (service.Parts, error) { return build(ctx, c, r) },
	}, c.Config, listener)
}

// build makes the parts of this service over the runtime.
func build(ctx context.Context, c Config, r *service.Runtime) (service.Parts, error) {
	referral, err := r.Peer("referral")
	if err != nil {
		return service.Parts{}, err
	}
	registry, err := r.Peer("registry")
	if err != nil {
		return service.Parts{}, err
	}
	tables := store.NewTables()
	if err := openBudgets(ctx, r.Engine, r.District, tables); err != nil {
		return service.Parts{}, err
	}
	followers := follow.New(r.Engine, r.District, tables, referral)
	repairs := custody.NewRepairs(r.Engine, r.District, custody.RepairableItems(tables.Applications), custody.RepairableItems(tables.Payments), custody.RepairableItems(tables.Batches))
	handlers := &rpc.Service{
		Engine: r.Engine, District: r.District, Tables: tables, Feed: r.Feed, Followers: followers,
		Registry: registryv1.NewRegistryReadServiceClient(registry), Production: c.Shared.Production(), Repairs: repairs, Version: r.Version,
	}
	return service.Parts{
		Register: func(s grpc.ServiceRegistrar) {
			reliefv1.RegisterReliefServiceServer(s, handlers)
			reliefv1.RegisterReliefReadServiceServer(s, handlers)
			reliefv1.RegisterReliefFeedServiceServer(s, handlers)
			reliefv1.RegisterReliefOperationsServiceServer(s, handlers)
		},
		Expiries:  sweep.Expiries(r.Engine, r.District, tables),
		Followers: followers,
	}, nil
}

// openBudgets opens the accounts that the district sets aside, each once: the request id follows from programme, township and year,
// so that replicas and restarts find it done. An account that finance has opened by itself stays as it is.
func openBudgets(ctx context.Context, e *command.Engine, d *district.District, t *store.Tables) error {
	for _, b := range d.Budgets() {
		call := command.Call{
			Caller: "service/" + Name, Method: "open_budget/district", RequestID: store.BudgetRequestID(b.Programme, b.Township, b.Year),
			Actor: command.Actor{Unit: "service/" + Name, System: "district", Purpose: accessv1.Purpose_PURPOSE_PAYMENT},
		}
		_, err := rpc.Open(ctx, e, t, call, &reliefv1.BudgetAccount{
			Division: b.Township, Programme: b.Programme, Year: int32(b.Year), AmountFen: b.Fen, Placeholder: b.Status == district.StatusPlaceholder,
		})
		if err != nil && !fault.Is(err, reliefv1.Reason_REASON_BUDGET_EXISTS) {
			return err
		}
	}
	return nil
}

// Migrations of the service's database.
func Migrations() fs.FS { return store.Migrations() }

// Promises counts violations of the five promises in the service's database at business time now.
func Promises(ctx context.Context, pool *pgxpool.Pool, now time.Time) ([]promise.Count, error) {
	return promise.Run(ctx, pool, store.Promises(store.NewTables(), now)...)
}

// Grant says for whom a payment is that counts.
type Grant = store.Grant

// Grants lists every payment that counts: neither replaced nor cancelled.
func Grants(ctx context.Context, pool *pgxpool.Pool) ([]Grant, error) {
	return store.Grants(ctx, pool)
}
