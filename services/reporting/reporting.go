// Package reporting is the service that takes mandatory reports and dispatch incidents, carries the emergency response to its
// end, tells the township and keeps its assessment. Who reported is kept in a vault, apart from everything else.
package reporting

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"buf.build/go/protovalidate"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/name"
	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/server"
	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/reporting/internal/follow"
	"github.com/lianhu/lianhu/services/reporting/internal/rpc"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Name of the service.
const Name = follow.Service

// Config of the service. Its variables begin with REPORTING_; those of the suite carry no prefix.
type Config struct {
	service.Config
	// VaultDatabaseURL of the reporter vault, as the vault's own role.
	VaultDatabaseURL string `env:"VAULT_DATABASE_URL,required"`
	// VaultRootKey is the file of the vault's own root key; 64 hexadecimal digits.
	VaultRootKey string `env:"VAULT_ROOT_KEY_FILE,required"`
}

// ConfigFromEnv reads the configuration from the environment, strictly.
func ConfigFromEnv() (Config, error) {
	var c Config
	err := service.ParseConfig("REPORTING", &c, &c.Shared)
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
	if err := rules.CheckDistrict(r.District); err != nil {
		return service.Parts{}, err
	}
	validator, err := protovalidate.New()
	if err != nil {
		return service.Parts{}, fmt.Errorf("rules of the contract: %w", err)
	}
	registry, err := r.Peer("registry")
	if err != nil {
		return service.Parts{}, err
	}
	referral, err := r.Peer("referral")
	if err != nil {
		return service.Parts{}, err
	}
	vault, err := openVault(ctx, c)
	if err != nil {
		return service.Parts{}, err
	}
	tables := store.NewTables()
	r.Engine.Repeated = store.CountRepetitions(r.Engine.DB)
	followers := []*feed.Follower{follow.Registry(r.Engine, tables, registry), follow.Referral(r.Engine, tables, referral)}
	desk := &rpc.Desk{
		Engine: r.Engine, Tables: tables, Vault: vault, District: r.District, Feed: r.Feed, Followers: followers,
		Repairs:  rpc.Repairs(r.Engine, r.District, tables),
		Validate: func(m proto.Message) error { return errors.Join(name.Apply(m), validator.Validate(m)) }, Version: r.Version,
	}
	dispatch := rpc.NewDispatch(desk)
	return service.Parts{
		Register:  func(s grpc.ServiceRegistrar) { rpc.Register(s, desk, dispatch) },
		Drain:     []func(){dispatch.Drain},
		Expiries:  follow.Expiries(r.Engine, tables, r.District),
		Followers: followers,
		Limits:    rpc.Limits(),
		Checks:    []server.Check{{Name: "vault", Run: vault.Ready}},
		Beside:    []func(context.Context) error{func(ctx context.Context) error { return vault.KeepReconciled(ctx, r.Engine.DB) }},
		Close:     vault.DB.Close,
	}, nil
}

func openVault(ctx context.Context, c Config) (*store.Vault, error) {
	keys, err := seal.Load("vault", c.VaultRootKey)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, c.VaultDatabaseURL, c.Database(Name+" vault"))
	if err != nil {
		return nil, err
	}
	return &store.Vault{DB: pool, Keys: keys}, nil
}

// Migrations of the service's database.
func Migrations() fs.FS { return store.Migrations() }

// VaultMigrations of the reporter vault's database.
func VaultMigrations() fs.FS { return store.VaultMigrations() }

// Promises counts violations of the five promises in the service's database at business time now.
func Promises(ctx context.Context, pool *pgxpool.Pool, now time.Time) ([]promise.Count, error) {
	return promise.Run(ctx, pool, store.Promises(store.NewTables(), now)...)
}

// VaultPromises counts what only both databases together can tell: every report has the reporter of its accepted request in the vault, and the
// vault keeps nobody whom no report names.
func VaultPromises(ctx context.Context, pool, vault *pgxpool.Pool) ([]promise.Count, error) {
	complete, err := store.VaultComplete(ctx, pool, vault)
	if err != nil {
		return nil, err
	}
	orphans, err := store.VaultOrphans(ctx, pool, vault)
	return []promise.Count{complete, orphans}, err
}

// AssessedMatters tells which of the matters have an assessment: their township has acknowledged the bulletin.
func AssessedMatters(ctx context.Context, pool *pgxpool.Pool, matters []string) (map[string]bool, error) {
	return store.AssessedMatters(ctx, pool, matters)
}
