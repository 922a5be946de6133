//go:build twin_budget_check_then_insert

package store

import (
	"github.com/lianhu/lianhu/pkg/command"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Reserve books on whatever the account holds by now, after the rule has looked at what it held before. The storm, which also takes the
// schema's CHECK away, must catch it.
func Reserve(c *command.Change, account *command.Loaded[*reliefv1.BudgetAccount], fen int64, _ ...string) error {
	c.Exec("UPDATE budget_account SET reserved_fen = reserved_fen + $2 WHERE id = $1::uuid", account.M.GetId(), fen)
	return nil
}
