package storm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"

	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// linearizable asks porcupine whether operations could have taken effect one after the other, each at some moment between its first attempt
// and its answer. Undecided within the time is no finding, but it is said.
func (s *Storm) linearizable(checker string, model porcupine.Model, ops []porcupine.Operation) {
	switch porcupine.CheckOperationsTimeout(model, ops, 20*time.Second) {
	case porcupine.Illegal:
		s.report(checker, "no order of the operations explains their answers")
	case porcupine.Unknown:
		s.tell(checker + ": undecided within its time")
	}
	s.checked(checker, int64(len(ops)))
}

// registration is one step of a child's number: a registration or a search, and the child that was answered; empty for none.
type registration struct {
	number  string
	makes   bool
	refused bool
	child   string
}

// childrenLinearizable: of all who register a child one makes the record, and from then on everybody finds it.
func (s *Storm) childrenLinearizable(_ context.Context, ops []*Op, _ time.Time) error {
	var steps []porcupine.Operation
	for i, op := range ops {
		if op.Outcome != Acknowledged && op.Outcome != Refused {
			continue
		}
		r := registration{refused: op.Outcome == Refused}
		switch request := op.Request.(type) {
		case *registryv1.RegisterChildRequest:
			r.number, r.makes = request.GetChild().GetPerson().GetIdNumber(), true
			if answer, ok := op.Answer.(*registryv1.RegisterChildResponse); ok {
				r.child = answer.GetChildId()
			}
			if r.refused && op.Reason != "CHILD_EXISTS" {
				s.report("children.linearizable", "a registration was refused for "+op.Reason)
			}
		case *registryv1.FindChildRequest:
			r.number = request.GetIdNumber()
			if answer, ok := op.Answer.(*registryv1.FindChildResponse); ok {
				r.child = answer.GetChildId()
			}
			if r.refused && op.Reason != "NOT_FOUND" {
				s.report("children.linearizable", "a search was refused for "+op.Reason)
			}
		default:
			continue
		}
		steps = append(steps, porcupine.Operation{ClientId: i, Input: r, Call: int64(op.Begin), Return: int64(op.End)})
	}
	s.linearizable("children.linearizable", porcupine.Model{
		Partition: partition(func(op porcupine.Operation) string { return op.Input.(registration).number }),
		Init:      func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			r, child := input.(registration), state.(string)
			switch {
			case r.makes && r.refused:
				return child != "", child
			case r.makes:
				return child == "", r.child
			case r.refused:
				return child == "", child
			}
			return child == r.child, child
		},
	}, steps)
	return nil
}

// partition splits a history by a key.
func partition(key func(porcupine.Operation) string) func([]porcupine.Operation) [][]porcupine.Operation {
	return func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
		by := map[string][]porcupine.Operation{}
		for _, op := range all {
			by[key(op)] = append(by[key(op)], op)
		}
		for _, part := range by {
			parts = append(parts, part)
		}
		return parts
	}
}

// balance of an account.
type balance struct{ reserved, paid int64 }

// movement is one step of an account: a reservation, a refusal for want of money, a payment, or a look.
type movement struct {
	account             string
	reserve, lacks, pay int64
	look                *balance
}

// account as the database has it, with what it held when the round began.
type account struct {
	ID, Division           string
	Year                   int
	Amount, Reserved, Paid int64
}

// budgetsLinearizable: decisions, payments and looks at an account took effect one after the other, and none beyond the money.
func (s *Storm) budgetsLinearizable(ctx context.Context, ops []*Op, _ time.Time) error {
	accounts, payments, err := s.books(ctx)
	if err != nil {
		return err
	}
	first := s.balances
	s.balances = map[string]balance{}
	for id, a := range accounts {
		s.balances[id] = balance{a.Reserved, a.Paid}
	}
	asked := map[string]*reliefv1.SubmitApplicationRequest{}
	for _, op := range ops {
		if request, ok := op.Request.(*reliefv1.SubmitApplicationRequest); ok && op.Outcome == Acknowledged {
			asked[standingOf(op).GetId()] = request
		}
	}
	var steps []porcupine.Operation
	step := func(i int, op *Op, m movement) {
		steps = append(steps, porcupine.Operation{ClientId: i, Input: m, Call: int64(op.Begin), Return: int64(op.End)})
	}
	for i, op := range ops {
		switch request := op.Request.(type) {
		case *reliefv1.DecideApplicationRequest:
			if answer, ok := op.Answer.(*reliefv1.DecideApplicationResponse); ok && answer.GetPaymentId() != "" {
				p := payments[answer.GetPaymentId()]
				step(i, op, movement{account: p.account, reserve: p.amount})
			}
			application := asked[request.GetApplicationId()]
			if op.Outcome == Refused && op.Reason == "BUDGET_EXHAUSTED" && application != nil {
				for _, a := range accounts { // the year is that of the decision: a storm may go on into the next one
					if a.Division == op.Metadata["division"] && strconv.Itoa(a.Year) == op.Metadata["year"] {
						step(i, op, movement{account: a.ID, lacks: application.GetAmountFen()})
					}
				}
			}
		case *reliefv1.RecordBankReturnRequest:
			if op.Outcome != Acknowledged {
				continue
			}
			by := map[string]int64{}
			for _, id := range s.settledBy(request.GetSha256()) {
				by[payments[id].account] += payments[id].amount
			}
			for id, sum := range by {
				step(i, op, movement{account: id, pay: sum})
			}
		case *reliefv1.GetBudgetRequest:
			if answer, ok := op.Answer.(*reliefv1.GetBudgetResponse); ok {
				b := answer.GetBudgetAccount()
				step(i, op, movement{account: b.GetId(), look: &balance{b.GetReservedFen(), b.GetPaidFen()}})
			}
		}
	}
	byAccount := partition(func(op porcupine.Operation) string { return op.Input.(movement).account })
	for _, part := range byAccount(steps) {
		id := part[0].Input.(movement).account
		amount := accounts[id].Amount
		s.linearizable("budget.linearizable", porcupine.Model{
			Init: func() any { return first[id] },
			Step: func(state, input, _ any) (bool, any) {
				b, m := state.(balance), input.(movement)
				switch {
				case m.look != nil:
					return *m.look == b, b
				case m.lacks > 0:
					return b.reserved+b.paid+m.lacks > amount, b
				}
				b.reserved += m.reserve - m.pay
				b.paid += m.pay
				return b.reserved+b.paid <= amount && b.reserved >= 0, b
			},
		}, part)
	}
	return nil
}

type payment struct {
	account string
	amount  int64
}

// books reads accounts and payments.
func (s *Storm) books(ctx context.Context) (map[string]account, map[string]payment, error) {
	accounts, payments := map[string]account{}, map[string]payment{}
	err := s.world.inDatabase(ctx, "lianhu_relief", func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT id::text, division, year, amount_fen, reserved_fen, paid_fen FROM budget_account")
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[account])
		if err != nil {
			return err
		}
		for _, a := range found {
			accounts[a.ID] = a
		}
		if rows, err = c.Query(ctx, "SELECT id::text, budget_account_id::text, amount_fen FROM payment"); err != nil {
			return err
		}
		var id string
		var p payment
		_, err = pgx.ForEachRow(rows, []any{&id, &p.account, &p.amount}, func() error { payments[id] = p; return nil })
		return err
	})
	if err != nil {
		err = fmt.Errorf("storm: read the books: %w", err)
	}
	return accounts, payments, err
}

// settledBy are the payments that a return file settles.
func (s *Storm) settledBy(sha256 string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.settled[sha256])
}
