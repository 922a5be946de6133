package suite

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/services/referral"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/relief"
	"github.com/lianhu/lianhu/services/reporting"
)

// database is one of the suite's databases.
type database struct {
	name       string // registry, reporting, vault, referral or relief
	migrations fs.FS
}

// databases lists them. The vault belongs to reporting and is apart from it.
func databases() []database {
	return []database{
		{"registry", registry.Migrations()},
		{"reporting", reporting.Migrations()},
		{"vault", reporting.VaultMigrations()},
		{"referral", referral.Migrations()},
		{"relief", relief.Migrations()},
	}
}

// urls are the addresses of one database.
type urls struct{ owner, app string }

// variable is what the service that owns a database reads its address from.
func variable(name string) string {
	if name == "vault" {
		return "REPORTING_VAULT_DATABASE_URL"
	}
	return strings.ToUpper(name) + "_DATABASE_URL"
}

// external reads `<NAME>_OWNER_DATABASE_URL` and the variable of the service, which stand for a real cluster.
func external(name string) (urls, bool) {
	u := urls{os.Getenv(strings.ToUpper(name) + "_OWNER_DATABASE_URL"), os.Getenv(variable(name))}
	return u, u.owner != "" && u.app != ""
}

// ensure makes the databases on the embedded cluster and migrates all of them.
func (h Home) ensure(ctx context.Context, adminURL string, told func(string)) (map[string]urls, error) {
	out := map[string]urls{}
	for _, db := range databases() {
		u, given := external(db.name)
		if !given {
			var err error
			if u, err = h.create(ctx, adminURL, db.name); err != nil {
				return nil, err
			}
		}
		told("migrating " + db.name)
		if err := postgres.Migrate(ctx, u.owner, db.migrations); err != nil {
			return nil, fmt.Errorf("%s: %w", db.name, err)
		}
		out[db.name] = u
	}
	return out, nil
}

func (h Home) create(ctx context.Context, adminURL, name string) (urls, error) {
	a := postgres.Access{Database: "lianhu_" + name, Owner: "lianhu_" + name + "_owner", App: "lianhu_" + name + "_app"}
	for file, password := range map[string]*string{a.Owner: &a.OwnerPassword, a.App: &a.AppPassword} {
		path, err := h.secret(file)
		if err != nil {
			return urls{}, err
		}
		if *password, err = text(path); err != nil {
			return urls{}, err
		}
	}
	if err := postgres.Ensure(ctx, adminURL, a); err != nil {
		return urls{}, err
	}
	owner, err := postgres.URL(adminURL, a.Database, a.Owner, a.OwnerPassword)
	if err != nil {
		return urls{}, err
	}
	app, err := postgres.URL(adminURL, a.Database, a.App, a.AppPassword)
	return urls{owner, app}, err
}

// Migrate brings the database of one service to the newest version: the address of its owner role comes from
// `<NAME>_OWNER_DATABASE_URL`, for reporting also from `VAULT_OWNER_DATABASE_URL`.
func Migrate(ctx context.Context, name string) error {
	found := false
	for _, db := range databases() {
		if db.name != name && !(name == "reporting" && db.name == "vault") {
			continue
		}
		found = true
		variable := strings.ToUpper(db.name) + "_OWNER_DATABASE_URL"
		url := os.Getenv(variable)
		if url == "" {
			return fmt.Errorf("set %s to the address of the database as its owner role", variable)
		}
		if err := postgres.Migrate(ctx, url, db.migrations); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("no service %q has a database; choose registry, reporting, referral or relief", name)
	}
	return nil
}
