package rpc

import (
	"context"
	"strconv"

	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/store"
)

// chunk is how many bytes of a file one message carries.
const chunk = 64 << 10

// GetApplication implements the contract.
func (s *Service) GetApplication(ctx context.Context, q *reliefv1.GetApplicationRequest) (*reliefv1.GetApplicationResponse, error) {
	a, err := read(ctx, s, s.Tables.Applications, q.GetApplicationId(), actionRead)
	return &reliefv1.GetApplicationResponse{Application: a}, err
}

// ListApplications implements the contract.
func (s *Service) ListApplications(ctx context.Context, q *reliefv1.ListApplicationsRequest) (*reliefv1.ListApplicationsResponse, error) {
	var divisions []string
	if q.GetDivision() != "" {
		if bad := s.District.CheckFilter("division", q.GetDivision(), s.today()); bad != nil {
			return nil, bad
		}
		divisions = s.District.DivisionsIn(q.GetDivision(), s.today())
	}
	filters := []store.Filter{
		{Column: "state", Value: int32(q.GetState())}, {Column: "programme", Value: q.GetProgramme()}, {Column: "matter_id::text", Value: q.GetMatterId()},
		{Column: "referral_id::text", Value: q.GetReferralId()}, {Column: "division", Value: divisions},
	}
	rows, token, err := list(ctx, s, s.Tables.Applications, actionRead, filters, q)
	return &reliefv1.ListApplicationsResponse{Applications: rows, NextPageToken: token}, err
}

// ExplainDecision implements the contract.
func (s *Service) ExplainDecision(ctx context.Context, q *reliefv1.ExplainDecisionRequest) (*reliefv1.ExplainDecisionResponse, error) {
	a, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Applications, q.GetApplicationId())
	if err == nil {
		err = see(ctx, s.Tables.Applications, a, actionRead)
	}
	if err != nil {
		return nil, err
	}
	if a.GetDecisionId() == "" {
		return nil, fault.New(reliefv1.Reason_REASON_DECISION_PENDING, "there is no decision yet", "state", row.StateName(a.ProtoReflect()))
	}
	d, err := row.Get(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Decisions, a.GetDecisionId())
	if err != nil {
		return nil, err
	}
	return &reliefv1.ExplainDecisionResponse{Decision: d}, show(ctx, s, s.Tables.Decisions, actionRead, d)
}

// GetPayment implements the contract.
func (s *Service) GetPayment(ctx context.Context, q *reliefv1.GetPaymentRequest) (*reliefv1.GetPaymentResponse, error) {
	p, err := read(ctx, s, s.Tables.Payments, q.GetPaymentId(), actionPayment)
	return &reliefv1.GetPaymentResponse{Payment: p}, err
}

// ListPayments implements the contract.
func (s *Service) ListPayments(ctx context.Context, q *reliefv1.ListPaymentsRequest) (*reliefv1.ListPaymentsResponse, error) {
	filters := []store.Filter{
		{Column: "state", Value: int32(q.GetState())}, {Column: "programme", Value: q.GetProgramme()},
		{Column: "application_id::text", Value: q.GetApplicationId()}, {Column: "batch_id::text", Value: q.GetBatchId()},
	}
	rows, token, err := list(ctx, s, s.Tables.Payments, actionPayment, filters, q)
	return &reliefv1.ListPaymentsResponse{Payments: rows, NextPageToken: token}, err
}

// GetBatch implements the contract.
func (s *Service) GetBatch(ctx context.Context, q *reliefv1.GetBatchRequest) (*reliefv1.GetBatchResponse, error) {
	b, err := read(ctx, s, s.Tables.Batches, q.GetBatchId(), actionPayment)
	return &reliefv1.GetBatchResponse{Batch: b}, err
}

// ListBatches implements the contract.
func (s *Service) ListBatches(ctx context.Context, q *reliefv1.ListBatchesRequest) (*reliefv1.ListBatchesResponse, error) {
	filters := []store.Filter{{Column: "state", Value: int32(q.GetState())}, {Column: "programme", Value: q.GetProgramme()}}
	rows, token, err := list(ctx, s, s.Tables.Batches, actionPayment, filters, q)
	return &reliefv1.ListBatchesResponse{Batches: rows, NextPageToken: token}, err
}

// file reads a batch and its file for a caller who may export it; the look is on record.
func (s *Service) file(ctx context.Context, batch string) (*reliefv1.Batch, []byte, error) {
	b, err := read(ctx, s, s.Tables.Batches, batch, actionPayment)
	if err != nil {
		return nil, nil, err
	}
	if b.GetFile() == nil {
		return nil, nil, fault.StateForbids(row.StateName(b.ProtoReflect()), "download")
	}
	content, err := store.File(ctx, s.Engine.DB, s.Engine.Keys, batch)
	return b, content, err
}

// DownloadBatchFile implements the contract.
func (s *Service) DownloadBatchFile(q *reliefv1.DownloadBatchFileRequest, stream grpc.ServerStreamingServer[reliefv1.DownloadBatchFileResponse]) error {
	b, content, err := s.file(stream.Context(), q.GetBatchId())
	if err != nil {
		return err
	}
	for offset := 0; offset < len(content); offset += chunk {
		part := &reliefv1.DownloadBatchFileResponse{Offset: int64(offset), Content: content[offset:min(offset+chunk, len(content))]}
		if offset == 0 {
			part.File = b.GetFile()
		}
		if err := stream.Send(part); err != nil {
			return err
		}
	}
	return nil
}

// GetBatchFile implements the contract.
func (s *Service) GetBatchFile(ctx context.Context, q *reliefv1.GetBatchFileRequest) (*reliefv1.GetBatchFileResponse, error) {
	b, content, err := s.file(ctx, q.GetBatchId())
	if err != nil {
		return nil, err
	}
	size := int64(len(content))
	if q.GetOffset() > size {
		return nil, fault.New(reliefv1.Reason_REASON_FILE_OFFSET_OUTSIDE, "behind the end of the file", "size_bytes", strconv.FormatInt(size, 10))
	}
	return &reliefv1.GetBatchFileResponse{File: b.GetFile(), Content: content[q.GetOffset():min(q.GetOffset()+chunk, size)]}, nil
}

// GetBudget implements the contract.
func (s *Service) GetBudget(ctx context.Context, q *reliefv1.GetBudgetRequest) (*reliefv1.GetBudgetResponse, error) {
	a, err := read(ctx, s, s.Tables.Accounts, q.GetBudgetAccountId(), actionBudget)
	return &reliefv1.GetBudgetResponse{BudgetAccount: a}, err
}

// ListBudgets implements the contract.
func (s *Service) ListBudgets(ctx context.Context, q *reliefv1.ListBudgetsRequest) (*reliefv1.ListBudgetsResponse, error) {
	if q.GetDivision() != "" {
		if bad := s.District.CheckFilter("division", q.GetDivision(), s.today()); bad != nil {
			return nil, bad
		}
	}
	filters := []store.Filter{
		{Column: "division", Value: q.GetDivision()}, {Column: "programme", Value: q.GetProgramme()}, {Column: "year", Value: q.GetYear()},
	}
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 1)
	if err != nil {
		return nil, err
	}
	after := ""
	if page.Key != nil {
		after = page.Key[0]
	}
	condition, args := access.FromContext(ctx).Scope(actionBudget).Where(s.Tables.Accounts.Name, true, 1)
	rows, err := s.Tables.ListAccounts(ctx, s.Engine.DB, s.Engine.Keys, condition, args, filters, after, page.Size+1)
	if err != nil {
		return nil, err
	}
	rows, next := pagetoken.Show(page, rows, func(a *reliefv1.BudgetAccount) []string { return []string{a.GetId()} })
	return &reliefv1.ListBudgetsResponse{BudgetAccounts: rows, NextPageToken: next}, show(ctx, s, s.Tables.Accounts, actionBudget, rows...)
}

// ListLedgerEntries implements the contract.
func (s *Service) ListLedgerEntries(ctx context.Context, q *reliefv1.ListLedgerEntriesRequest) (*reliefv1.ListLedgerEntriesResponse, error) {
	if _, err := read(ctx, s, s.Tables.Accounts, q.GetBudgetAccountId(), actionBudget); err != nil {
		return nil, err
	}
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 1)
	if err != nil {
		return nil, err
	}
	var after int64
	if page.Key != nil {
		if after, err = strconv.ParseInt(page.Key[0], 10, 64); err != nil {
			return nil, err
		}
	}
	entries, err := store.ListEntries(ctx, s.Engine.DB, q.GetBudgetAccountId(), after, page.Size+1)
	if err != nil {
		return nil, err
	}
	entries, next := pagetoken.Show(page, entries, func(e *reliefv1.LedgerEntry) []string { return []string{strconv.FormatInt(e.GetSequence(), 10)} })
	return &reliefv1.ListLedgerEntriesResponse{Entries: entries, NextPageToken: next}, nil
}
