package rpc

import (
	"context"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

func submitted(a *reliefv1.Application) *reliefv1.SubmitApplicationResponse {
	return &reliefv1.SubmitApplicationResponse{Standing: a.GetStanding(), State: a.GetState()}
}

// SubmitApplication implements the contract.
func (s *Service) SubmitApplication(ctx context.Context, q *reliefv1.SubmitApplicationRequest) (*reliefv1.SubmitApplicationResponse, error) {
	var tried *reliefv1.Application
	if q.GetApplicationId() != "" {
		answer, err := command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Applications, q.GetApplicationId(), func(c *command.Change, a *reliefv1.Application) error {
			tried = a
			if err := seePlace(ctx, a, actionSubmit); err != nil {
				return err
			}
			p, err := rules.Programme(s.District, a.GetProgramme(), calendar.Today(c.Now))
			if err != nil {
				return err
			}
			c.Happened("submitted", s.District.TownshipUnit(a.GetDivision()))
			return rules.Submit(s.District, p, a, q, s.who(ctx), act(ctx, c.Now))
		}, submitted)
		return answer, s.named(ctx, err, tried)
	}
	if bad := s.District.CheckDivision("division", q.GetDivision(), s.today()); bad != nil {
		return nil, bad
	}
	if err := access.FromContext(ctx).See(actionSubmit, access.Facts{Division: q.GetDivision()}); err != nil {
		return nil, err
	}
	answer, err := command.Create(ctx, s.Engine, callOf(ctx, q), s.Tables.Applications, func(c *command.Change) (*reliefv1.Application, error) {
		p, err := rules.Programme(s.District, q.GetProgramme(), calendar.Today(c.Now))
		if err != nil {
			return nil, err
		}
		a := &reliefv1.Application{
			Standing: &custodyv1.Standing{Id: c.ID(""), MatterId: c.ID("")}, State: reliefv1.Application_STATE_OPEN,
			Division: s.District.TownshipOf(q.GetDivision()), PlaceDivision: q.GetDivision(), Programme: p.Code,
		}
		tried = a
		c.Happened("submitted", s.District.TownshipUnit(q.GetDivision()))
		return a, rules.Submit(s.District, p, a, q, s.who(ctx), act(ctx, c.Now))
	}, submitted)
	return answer, s.named(ctx, err, tried)
}

// named adds to the schema's refusal what stands in the way of an application: the other open one, or the period that is paid.
func (s *Service) named(ctx context.Context, refusal error, tried *reliefv1.Application) error {
	switch {
	case fault.Is(refusal, reliefv1.Reason_REASON_PAYMENT_EXISTS):
		return fault.New(reliefv1.Reason_REASON_PAYMENT_EXISTS, "the period is paid or being paid already", "period", tried.GetPeriod()).Wrap(refusal)
	case fault.Is(refusal, reliefv1.Reason_REASON_APPLICATION_EXISTS):
		id, err := store.OpenApplication(ctx, s.Engine.DB, tried.GetProgramme(), tried.GetBeneficiaryId(), tried.GetPeriod())
		if err != nil {
			return err
		}
		return fault.New(reliefv1.Reason_REASON_APPLICATION_EXISTS, "there is an open application for the same period", "application_id", id).Wrap(refusal)
	}
	return refusal
}

// DecideApplication implements the contract. Decision, payment, reservation and ledger entry are one effect: the account is changed
// by its version, so of two decisions on the last money one is made on what the other has left.
func (s *Service) DecideApplication(ctx context.Context, q *reliefv1.DecideApplicationRequest) (*reliefv1.DecideApplicationResponse, error) {
	answer := &reliefv1.DecideApplicationResponse{}
	var tried *reliefv1.Application
	decided, err := command.Update(ctx, s.Engine, callOf(ctx, q), s.Tables.Applications, q.GetApplicationId(), func(c *command.Change, a *reliefv1.Application) error {
		answer, tried = &reliefv1.DecideApplicationResponse{}, a
		if err := see(ctx, s.Tables.Applications, a, actionDecide); err != nil {
			return err
		}
		p, err := s.programmeOf(a, calendar.Today(c.Now))
		if err != nil {
			return err
		}
		known := rules.Known{Production: s.Production}
		if known.Child, err = s.who(ctx)(a.GetBeneficiaryId()); err != nil {
			return err
		}
		known.Account, err = s.Tables.Account(ctx, s.Engine.DB, s.Engine.Keys, a.GetProgramme(), a.GetDivision(), calendar.Today(c.Now).Year)
		if err != nil && !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
			return err
		}
		rules.Confirm(a, q.GetFacts(), c.Now)
		if known.GrantedSameReason, err = store.Granted(ctx, s.Engine.DB, a.GetProgramme(), known.Child.IDs(), a.GetPeriod()); err != nil {
			return err
		}
		decision, err := rules.Decide(s.District, p, a, c.ID("decision"), q.GetFacts(), q.GetNote(), known, act(ctx, c.Now))
		if err != nil {
			return err
		}
		answer.Outcome, answer.DecisionId = decision.GetOutcome(), decision.GetId()
		if err := command.Insert(c, s.Tables.Decisions, decision, "made", s.District.TownshipUnit(a.GetDivision())); err != nil {
			return err
		}
		if decision.GetOutcome() == reliefv1.Outcome_OUTCOME_REFUSED {
			c.Happened("refused", s.District.TownshipUnit(a.GetDivision()))
			return nil
		}
		c.Happened("approved", s.District.TownshipUnit(a.GetDivision()))
		answer.PaymentId = c.ID("payment")
		return s.reserve(c, a, known.Account, answer.GetPaymentId())
	}, func(a *reliefv1.Application) *reliefv1.DecideApplicationResponse {
		answer.Standing, answer.State = a.GetStanding(), a.GetState()
		return answer
	})
	return decided, s.named(ctx, err, tried)
}

// programmeOf is the version of the programme an application was submitted under; a later version decides later applications.
func (s *Service) programmeOf(a *reliefv1.Application, today calendar.Date) (district.Programme, error) {
	if p, ok := s.District.ProgrammeVersion(a.GetProgramme(), int(a.GetProgrammeVersion())); ok {
		return p, nil
	}
	return rules.Programme(s.District, a.GetProgramme(), today)
}

// reserve adds the payment of an approved application, and takes its money from the account.
func (s *Service) reserve(c *command.Change, a *reliefv1.Application, account *reliefv1.BudgetAccount, id string) error {
	loaded := command.Remember(s.Tables.Accounts, account)
	payment := rules.Pay(s.District, a, account, id, c.Now)
	if err := store.Reserve(c, loaded, payment.GetAmountFen(), finance, s.District.LeadOffice()); err != nil {
		return err
	}
	if err := command.Insert(c, s.Tables.Payments, payment, "approved", "finance"); err != nil {
		return err
	}
	entry := rules.Entry(c.ID("entry"), reliefv1.LedgerEntry_KIND_RESERVE, account, payment.GetAmountFen(), payment, c.Now)
	c.Exec(store.InsertEntry(), store.EntryArgs(entry)...)
	return nil
}

// OpenBudget implements the contract.
func (s *Service) OpenBudget(ctx context.Context, q *reliefv1.OpenBudgetRequest) (*reliefv1.OpenBudgetResponse, error) {
	if err := rules.OpenAccount(act(ctx, s.Engine.Now())); err != nil {
		return nil, err
	}
	if _, err := rules.Programme(s.District, q.GetProgramme(), s.today()); err != nil {
		return nil, err
	}
	if bad := s.District.CheckDivision("division", q.GetDivision(), s.today()); bad != nil {
		return nil, bad
	}
	return Open(ctx, s.Engine, s.Tables, callOf(ctx, q), &reliefv1.BudgetAccount{
		Division: s.District.TownshipOf(q.GetDivision()), Programme: q.GetProgramme(), Year: q.GetYear(), AmountFen: q.GetAmountFen(),
	})
}

// Open opens a budget account with its first ledger entry.
func Open(ctx context.Context, e *command.Engine, t *store.Tables, call command.Call, account *reliefv1.BudgetAccount) (*reliefv1.OpenBudgetResponse, error) {
	return command.Create(ctx, e, call, t.Accounts, func(c *command.Change) (*reliefv1.BudgetAccount, error) {
		account.Id, account.Version, account.CreateTime = c.ID(""), 0, nil
		entry := rules.Entry(c.ID("entry"), reliefv1.LedgerEntry_KIND_OPEN, account, account.GetAmountFen(), nil, c.Now)
		c.Exec(store.InsertEntry(), store.EntryArgs(entry)...)
		c.Happened("opened", "finance")
		return account, nil
	}, func(a *reliefv1.BudgetAccount) *reliefv1.OpenBudgetResponse {
		return &reliefv1.OpenBudgetResponse{BudgetAccountId: a.GetId(), Etag: a.GetEtag()}
	})
}
