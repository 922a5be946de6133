package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// finance sees every step of the money beside the units that hold it.
const finance = "finance"

// FreezeBatch implements the contract.
func (s *Service) FreezeBatch(ctx context.Context, q *reliefv1.FreezeBatchRequest) (*reliefv1.FreezeBatchResponse, error) {
	return command.Create(ctx, s.Engine, callOf(ctx, q), s.Tables.Batches, func(c *command.Change) (*reliefv1.Batch, error) {
		var payments []*reliefv1.Payment
		var loaded []*command.Loaded[*reliefv1.Payment]
		for _, id := range q.GetPaymentIds() {
			p, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Payments, id)
			if err == nil {
				err = see(ctx, s.Tables.Payments, p, actionPayment)
			}
			if err != nil {
				return nil, err
			}
			payments, loaded = append(payments, p), append(loaded, command.Remember(s.Tables.Payments, p))
		}
		b, err := rules.Freeze(s.District, c.ID(""), payments, act(ctx, c.Now))
		if err != nil {
			return nil, err
		}
		for _, l := range loaded {
			if err := l.Update(c, "frozen", finance); err != nil {
				return nil, err
			}
		}
		c.Happened("frozen", finance)
		return b, nil
	}, func(b *reliefv1.Batch) *reliefv1.FreezeBatchResponse {
		return &reliefv1.FreezeBatchResponse{
			Standing: b.GetStanding(), State: b.GetState(), Digest: b.GetDigest(), LineCount: b.GetLineCount(), TotalFen: b.GetTotalFen(),
		}
	})
}

// ApproveBatch implements the contract.
func (s *Service) ApproveBatch(ctx context.Context, q *reliefv1.ApproveBatchRequest) (*reliefv1.ApproveBatchResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Batches, q.GetBatchId(), func(c *command.Change, b *reliefv1.Batch) error {
		if err := see(ctx, s.Tables.Batches, b, actionPayment); err != nil {
			return err
		}
		c.Happened("approved", finance)
		return rules.Approve(s.District, b, q.GetDigest(), act(ctx, c.Now))
	}, func(b *reliefv1.Batch) *reliefv1.ApproveBatchResponse {
		return &reliefv1.ApproveBatchResponse{Standing: b.GetStanding(), State: b.GetState()}
	})
}

// ExportBatch implements the contract.
func (s *Service) ExportBatch(ctx context.Context, q *reliefv1.ExportBatchRequest) (*reliefv1.ExportBatchResponse, error) {
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Batches, q.GetBatchId(), func(c *command.Change, b *reliefv1.Batch) error {
		if err := see(ctx, s.Tables.Batches, b, actionPayment); err != nil {
			return err
		}
		payments, err := s.lines(ctx, q.GetBatchId())
		if err != nil {
			return err
		}
		loaded := s.remember(payments)
		content, err := rules.Export(s.District, b, payments, s.Production, act(ctx, c.Now))
		if err != nil {
			return err
		}
		for _, l := range loaded {
			if err := l.Update(c, "exported", finance); err != nil {
				return err
			}
		}
		args, err := store.FileArgs(s.Engine.Keys, q.GetBatchId(), content)
		if err != nil {
			return err
		}
		c.Exec(store.InsertFile(), args...)
		c.Happened("exported", finance)
		return nil
	}, func(b *reliefv1.Batch) *reliefv1.ExportBatchResponse {
		return &reliefv1.ExportBatchResponse{Standing: b.GetStanding(), State: b.GetState(), File: b.GetFile()}
	})
}

func (s *Service) remember(payments []*reliefv1.Payment) []*command.Loaded[*reliefv1.Payment] {
	loaded := make([]*command.Loaded[*reliefv1.Payment], len(payments))
	for i, p := range payments {
		loaded[i] = command.Remember(s.Tables.Payments, p)
	}
	return loaded
}

// RecordBankReturn implements the contract. Payments, accounts and applications change together with the batch, or not at all.
func (s *Service) RecordBankReturn(ctx context.Context, q *reliefv1.RecordBankReturnRequest) (*reliefv1.RecordBankReturnResponse, error) {
	if sum := sha256.Sum256(q.GetContent()); hex.EncodeToString(sum[:]) != q.GetSha256() {
		return nil, fault.New(reliefv1.Reason_REASON_RETURN_FILE_CORRUPTED, "the file's digest is another one", "field", "sha256").
			Field("sha256", "is not that of the content")
	}
	answers, err := rules.ReadReturn(s.District.Bank(), q.GetContent())
	if err != nil {
		return nil, err
	}
	var settled, returned, repeated int32 // the first two before this file
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Batches, q.GetBatchId(), func(c *command.Change, b *reliefv1.Batch) error {
		if err := see(ctx, s.Tables.Batches, b, actionPayment); err != nil {
			return err
		}
		if err := rules.Returning(b, act(ctx, c.Now)); err != nil {
			return err
		}
		settled, returned = b.GetSettledCount(), b.GetReturnedCount()
		payments, err := s.lines(ctx, q.GetBatchId())
		if err != nil {
			return err
		}
		matched, err := rules.Match(answers, payments, calendar.Today(b.GetFile().GetExportTime().AsTime()), calendar.Today(c.Now))
		if err != nil {
			return err
		}
		repeated = matched.Repeated
		if err := s.settle(ctx, c, b, matched.Payments, matched.Answers); err != nil {
			return err
		}
		if rules.Answered(b) {
			c.Happened("settled", finance)
			return nil
		}
		c.Happened("returned", finance)
		return nil
	}, func(b *reliefv1.Batch) *reliefv1.RecordBankReturnResponse {
		return &reliefv1.RecordBankReturnResponse{
			Standing: b.GetStanding(), State: b.GetState(), SettledCount: b.GetSettledCount() - settled, ReturnedCount: b.GetReturnedCount() - returned,
			OpenCount: b.GetLineCount() - b.GetSettledCount() - b.GetReturnedCount(), RepeatedCount: repeated,
		}
	})
}

// settle applies the bank's answers to payments, closes the applications that are paid, and nets each account once.
func (s *Service) settle(ctx context.Context, c *command.Change, b *reliefv1.Batch, payments []*reliefv1.Payment, answers []rules.Answer) error {
	accounts := map[string]*command.Loaded[*reliefv1.BudgetAccount]{}
	amounts := map[string][]int64{}
	for i, p := range payments {
		loaded := command.Remember(s.Tables.Payments, p)
		if !rules.Settle(s.District, b, p, answers[i], c.Now) {
			if err := loaded.Update(c, "returned", finance); err != nil {
				return err
			}
			continue
		}
		if err := loaded.Update(c, "settled", finance); err != nil {
			return err
		}
		application, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Applications, p.GetApplicationId())
		if err != nil {
			return err
		}
		paid := command.Remember(s.Tables.Applications, application)
		rules.Paid(application)
		if err := paid.Update(c, "paid", s.District.TownshipUnit(application.GetDivision()), finance); err != nil {
			return err
		}
		account, ok := accounts[p.GetBudgetAccountId()]
		if !ok {
			found, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Accounts, p.GetBudgetAccountId())
			if err != nil {
				return err
			}
			account = command.Remember(s.Tables.Accounts, found)
			accounts[p.GetBudgetAccountId()] = account
		}
		account.M.ReservedFen -= p.GetAmountFen()
		account.M.PaidFen += p.GetAmountFen()
		amounts[account.M.GetId()] = append(amounts[account.M.GetId()], p.GetAmountFen())
		entry := rules.Entry(c.ID("entry/"+p.GetStanding().GetId()), reliefv1.LedgerEntry_KIND_PAY, account.M, p.GetAmountFen(), p, c.Now)
		c.Exec(store.InsertEntry(), store.EntryArgs(entry)...)
	}
	for id, account := range accounts {
		if err := store.Net(c, account, amounts[id], finance, s.District.LeadOffice()); err != nil {
			return err
		}
	}
	return nil
}

// RepayPayment implements the contract. The returned payment is what the command is about: of two corrections one finds it replaced.
func (s *Service) RepayPayment(ctx context.Context, q *reliefv1.RepayPaymentRequest) (*reliefv1.RepayPaymentResponse, error) {
	var corrected *reliefv1.Payment
	return command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Payments, q.GetPaymentId(), func(c *command.Change, old *reliefv1.Payment) (err error) {
		if err := see(ctx, s.Tables.Payments, old, actionPayment); err != nil {
			return err
		}
		if corrected, err = rules.Repay(s.District, old, c.ID("payment"), q.GetPayee(), act(ctx, c.Now)); err != nil {
			return err
		}
		c.Happened("replaced", finance)
		return command.Insert(c, s.Tables.Payments, corrected, "approved", finance)
	}, func(*reliefv1.Payment) *reliefv1.RepayPaymentResponse {
		return &reliefv1.RepayPaymentResponse{Standing: corrected.GetStanding(), State: corrected.GetState()}
	})
}
