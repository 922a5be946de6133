//go:build twin_two_branches

package store

import (
	"fmt"
	"strings"

	"github.com/lianhu/lianhu/pkg/command"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Net has a branch of one statement for each payment, all on the account's row. The storm must catch it.
func Net(c *command.Change, account *command.Loaded[*reliefv1.BudgetAccount], paid []int64, _ ...string) error {
	branches, args := make([]string, len(paid)), []any{account.M.GetId()}
	for i, fen := range paid {
		args = append(args, fen)
		branches[i] = fmt.Sprintf("p%d AS (UPDATE budget_account SET reserved_fen = reserved_fen - $%d, paid_fen = paid_fen + $%d WHERE id = $1::uuid)", i, i+2, i+2)
	}
	c.Exec("WITH "+strings.Join(branches, ", ")+" SELECT 1", args...)
	return nil
}
