package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// ReturnApplication implements the contract.
func (s *Service) ReturnApplication(ctx context.Context, q *reliefv1.ReturnApplicationRequest) (*reliefv1.ReturnApplicationResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Applications, q.GetApplicationId(), func(c *command.Change, a *reliefv1.Application) error {
		if err := see(ctx, s.Tables.Applications, a, actionReturn); err != nil {
			return err
		}
		p, err := s.programmeOf(a, calendar.Today(c.Now))
		if err != nil {
			return err
		}
		c.Happened("handed_back", s.District.TownshipUnit(a.GetDivision()))
		return rules.Return(s.District, p, a, q.GetNote(), act(ctx, c.Now))
	}, func(a *reliefv1.Application) *reliefv1.ReturnApplicationResponse {
		return &reliefv1.ReturnApplicationResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}

// WithdrawApplication implements the contract. Application, payment, account and ledger change together, or not at all.
func (s *Service) WithdrawApplication(ctx context.Context, q *reliefv1.WithdrawApplicationRequest) (*reliefv1.WithdrawApplicationResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Applications, q.GetApplicationId(), func(c *command.Change, a *reliefv1.Application) error {
		if err := seePlace(ctx, a, actionEnd); err != nil {
			return err
		}
		payments, err := s.Tables.Paying(ctx, s.Engine.DB, s.Engine.Keys, q.GetApplicationId())
		if err != nil {
			return err
		}
		var paying *reliefv1.Payment
		var loaded []*command.Loaded[*reliefv1.Payment]
		if len(payments) > 0 {
			paying, loaded = payments[0], s.remember(payments[:1])
		}
		c.Happened("withdrawn", s.District.TownshipUnit(a.GetDivision()))
		if err := rules.Withdraw(a, paying, rules.Why{Grounds: q.GetGrounds(), Note: q.GetNote()}, act(ctx, c.Now)); err != nil || paying == nil {
			return err
		}
		if err := loaded[0].Update(c, "cancelled", finance); err != nil {
			return err
		}
		return s.release(ctx, c, paying)
	}, func(a *reliefv1.Application) *reliefv1.WithdrawApplicationResponse {
		return &reliefv1.WithdrawApplicationResponse{Standing: a.GetStanding(), State: a.GetState()}
	})
}

// CancelPayment implements the contract.
func (s *Service) CancelPayment(ctx context.Context, q *reliefv1.CancelPaymentRequest) (*reliefv1.CancelPaymentResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Payments, q.GetPaymentId(), func(c *command.Change, p *reliefv1.Payment) error {
		if err := see(ctx, s.Tables.Payments, p, actionPayment); err != nil {
			return err
		}
		a, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Applications, p.GetApplicationId())
		if err != nil {
			return err
		}
		closed := command.Remember(s.Tables.Applications, a)
		if err := rules.CancelFor(a, p, rules.Why{Grounds: q.GetGrounds(), Note: q.GetNote()}, act(ctx, c.Now)); err != nil {
			return err
		}
		c.Happened("cancelled", finance)
		if err := closed.Update(c, "withdrawn", s.District.TownshipUnit(a.GetDivision())); err != nil {
			return err
		}
		return s.release(ctx, c, p)
	}, func(p *reliefv1.Payment) *reliefv1.CancelPaymentResponse {
		return &reliefv1.CancelPaymentResponse{Standing: p.GetStanding(), State: p.GetState()}
	})
}

// release gives the money of a cancelled payment back to its account.
func (s *Service) release(ctx context.Context, c *command.Change, p *reliefv1.Payment) error {
	account, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Accounts, p.GetBudgetAccountId())
	if err != nil {
		return err
	}
	loaded := command.Remember(s.Tables.Accounts, account)
	account.ReservedFen -= p.GetAmountFen()
	entry := rules.Entry(c.ID("entry/release"), reliefv1.LedgerEntry_KIND_RELEASE, account, p.GetAmountFen(), p, c.Now)
	c.Exec(store.InsertEntry(), store.EntryArgs(entry)...)
	return loaded.Update(c, "released", finance, s.District.LeadOffice())
}

// CancelBatch implements the contract.
func (s *Service) CancelBatch(ctx context.Context, q *reliefv1.CancelBatchRequest) (*reliefv1.CancelBatchResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Batches, q.GetBatchId(), func(c *command.Change, b *reliefv1.Batch) error {
		if err := see(ctx, s.Tables.Batches, b, actionPayment); err != nil {
			return err
		}
		payments, err := s.lines(ctx, q.GetBatchId())
		if err != nil {
			return err
		}
		loaded := s.remember(payments)
		if err := rules.CancelBatch(s.District, b, payments, rules.Why{Grounds: q.GetGrounds(), Note: q.GetNote()}, act(ctx, c.Now)); err != nil {
			return err
		}
		for _, l := range loaded {
			if err := l.Update(c, "unfrozen", finance); err != nil {
				return err
			}
		}
		c.Happened("cancelled", finance)
		return nil
	}, func(b *reliefv1.Batch) *reliefv1.CancelBatchResponse {
		return &reliefv1.CancelBatchResponse{Standing: b.GetStanding(), State: b.GetState()}
	})
}
