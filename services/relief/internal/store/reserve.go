//go:build !twin_budget_check_then_insert

package store

import (
	"github.com/lianhu/lianhu/pkg/command"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Reserve books a reservation on the account as it was read: when somebody else has booked meanwhile, the command starts again and the rule
// looks at what is left then. The audience hears of it.
func Reserve(c *command.Change, account *command.Loaded[*reliefv1.BudgetAccount], _ int64, audience ...string) error {
	return account.Update(c, "reserved", audience...)
}
