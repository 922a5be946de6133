package suite

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/relief"
)

// payees counts what only registry and relief together can tell: a payment for nobody, and two payments of one programme and period for one
// child under two ids.
func payees(ctx context.Context, ledger, money *pgxpool.Pool) ([]promise.Count, error) {
	grants, err := relief.Grants(ctx, money)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, g := range grants {
		if uuid.Validate(g.Beneficiary) == nil {
			ids = append(ids, g.Beneficiary)
		}
	}
	stands, err := registry.Stand(ctx, ledger, ids)
	if err != nil {
		return nil, err
	}
	toNobody := promise.Count{Promise: promise.MoneyAddsUp, Name: "payment.to_a_child", Checked: int64(len(grants))}
	twice := promise.Count{Promise: promise.MoneyAddsUp, Name: "payment.once_per_child", Checked: int64(len(grants))}
	paid := map[relief.Grant]bool{}
	for _, g := range grants {
		child, known := stands[g.Beneficiary]
		if !known {
			toNobody.Violations++
			continue
		}
		g.Beneficiary = child
		if paid[g] {
			twice.Violations++
		}
		paid[g] = true
	}
	return []promise.Count{toNobody, twice}, nil
}
