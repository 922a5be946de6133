package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/services/referral"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/relief"
	"github.com/lianhu/lianhu/services/reporting"
)

// Counted is one count of one service's database.
type Counted struct {
	// Service whose database was asked.
	Service string
	promise.Count
}

// Promises counts violations of the five promises over all databases of a suite, at business time now. The sessions only read: a role that
// may do no more suffices.
func (s *Suite) Promises(ctx context.Context, now time.Time) ([]Counted, error) {
	return promises(ctx, s.databases, now)
}

func promises(ctx context.Context, databases map[string]urls, now time.Time) (out []Counted, err error) {
	pools := map[string]*pgxpool.Pool{}
	for name, u := range databases {
		pool, err := postgres.Open(ctx, u.app, postgres.Options{Application: "promises", MaxConns: 2, ReadOnly: true})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable(name), err)
		}
		defer pool.Close()
		pools[name] = pool
	}
	for _, each := range []struct {
		service string
		count   func() ([]promise.Count, error)
	}{
		{"registry", func() ([]promise.Count, error) { return registry.Promises(ctx, pools["registry"], now) }},
		{"reporting", func() ([]promise.Count, error) { return reporting.Promises(ctx, pools["reporting"], now) }},
		{"reporting", func() ([]promise.Count, error) {
			return reporting.VaultPromises(ctx, pools["reporting"], pools["vault"])
		}},
		{"registry", func() ([]promise.Count, error) { return toldByBulletin(ctx, pools["registry"], pools["reporting"]) }},
		{"referral", func() ([]promise.Count, error) { return referral.Promises(ctx, pools["referral"], now) }},
		{"relief", func() ([]promise.Count, error) { return relief.Promises(ctx, pools["relief"], now) }},
		{"relief", func() ([]promise.Count, error) { return payees(ctx, pools["registry"], pools["relief"]) }},
	} {
		counts, err := each.count()
		if err != nil {
			return nil, fmt.Errorf("%s: %w%s", each.service, postgres.Sanitize(err), advice(each.service, err))
		}
		for _, c := range counts {
			out = append(out, Counted{each.service, c})
		}
	}
	acted, err := followers(ctx, pools)
	if err != nil {
		return nil, postgres.Sanitize(err)
	}
	return append(out, acted...), nil
}

// toldByBulletin counts the children that a report's matter let into the ledger although reporting knows of no assessment in it: the township was not
// told. Neither database alone can tell.
func toldByBulletin(ctx context.Context, ledger, reports *pgxpool.Pool) ([]promise.Count, error) {
	matters, err := registry.ReleasedMatters(ctx, ledger)
	if err != nil {
		return nil, err
	}
	told, err := reporting.AssessedMatters(ctx, reports, matters)
	if err != nil {
		return nil, err
	}
	count := promise.Count{Promise: promise.NoLookWithoutAReason, Name: "child.told_by_bulletin", Checked: int64(len(matters))}
	for _, matter := range matters {
		if !told[matter] {
			count.Violations++
		}
	}
	return []promise.Count{count}, nil
}

// advice says what to do about a database that cannot be counted.
func advice(service string, err error) string {
	var e *pgconn.PgError
	if postgres.IsConnection(err) || errors.As(err, &e) && strings.HasPrefix(e.Code, "28") {
		return "\nnext: see that the address in " + variable(service) + " is right, lets its role in, and can be reached from here"
	}
	if e == nil {
		return ""
	}
	switch e.Code {
	case "42501":
		return "\nnext: let the role read every table, as docs/operating.md says under Counting the promises"
	case "42P01", "42703":
		return "\nnext: the database is not that of this release; see that " + variable(service) + " names the right one, or run: lianhu migrate " + service
	}
	return ""
}
