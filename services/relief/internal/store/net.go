//go:build !twin_two_branches

package store

import (
	"github.com/lianhu/lianhu/pkg/command"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Net writes an account once, however many payments of a return file it has paid: of two branches of one statement that touch the same row
// PostgreSQL does one and says nothing. The amounts (fen) are booked on the account as it was read, before. The audience hears of it.
func Net(c *command.Change, account *command.Loaded[*reliefv1.BudgetAccount], _ []int64, audience ...string) error {
	return account.Update(c, "paid", audience...)
}
