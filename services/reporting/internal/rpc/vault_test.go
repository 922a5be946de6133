package rpc_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// A boss who reads the whole database - every row, log of requests, audit and feed - must not find out which of his people reported.
func TestTheReporterIsNowhereButInTheVault(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := client.For(t.Context(), accessv1.Purpose_PURPOSE_MANDATORY_REPORTING)
	req := submission(func(r *reportingv1.SubmitReportRequest) { r.SchoolUnit = "" }) // the school as such may be known
	got, err := h.do(school).SubmitReport(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	report := got.GetStanding().GetId()
	must(t, func() error { _, err := h.do(school).SubmitReport(ctx, req); return err })
	must(t, func() error {
		_, err := h.read(school).GetReportStatus(ctx, &reportingv1.GetReportStatusRequest{ReceiptNumber: got.GetReceipt().GetReceiptNumber()})
		return err
	})
	must(t, func() error {
		_, err := h.do(station).AcceptReport(emergency(t), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	must(t, func() error { return h.sequencer.Drain(t.Context()) })

	needles := []string{school, strings.TrimPrefix(school, "org/"), req.GetReporter().GetOfficer(), req.GetReporter().GetName(), req.GetReporter().GetPhone()}
	searched := h.search(needles)
	if searched < 50 {
		t.Errorf("only %d columns were searched", searched)
	}
	var sealed []byte
	must(t, func() error {
		return h.vault.QueryRow(t.Context(), "SELECT sealed_reporter FROM reporter").Scan(&sealed)
	})
	for _, needle := range []string{school, req.GetReporter().GetName()} {
		if !bytes.Contains(sealed, []byte(needle)) {
			t.Errorf("the vault does not hold %q", needle)
		}
	}
}

// emergency is the station's call, with the purpose of its own work.
func emergency(t *testing.T) context.Context {
	t.Helper()
	return client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE)
}

// search looks through every column of every row of the service's database and answers how many columns that were.
func (h *house) search(needles []string) int {
	h.t.Helper()
	rows, err := h.db.Query(h.t.Context(), `
		SELECT table_name, column_name FROM information_schema.columns JOIN pg_tables ON tablename = table_name
		WHERE table_schema = 'public' ORDER BY 1, 2`)
	if err != nil {
		h.t.Fatal(err)
	}
	type column struct{ Table, Name string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range columns {
		for _, needle := range needles {
			// As text, and as the bytes inside binary columns, whose text form is hexadecimal.
			var found int
			must(h.t, func() error {
				return h.db.QueryRow(h.t.Context(), fmt.Sprintf("SELECT count(*) FROM %s WHERE strpos(%s::text, $1) > 0 OR strpos(%s::text, $2) > 0", c.Table, c.Name, c.Name),
					needle, fmt.Sprintf("%x", needle)).Scan(&found)
			})
			if found > 0 {
				h.t.Errorf("%s.%s tells who reported", c.Table, c.Name)
			}
		}
	}
	return len(columns)
}

func TestOnlyTheReporterIsToldHowItsReportGoesOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted()
	for name, req := range map[string]*reportingv1.GetReportStatusRequest{
		"by id":      {ReportId: report.GetStanding().GetId()},
		"by receipt": {ReceiptNumber: report.GetReceipt().GetReceiptNumber()},
	} {
		if got, err := h.read(school).GetReportStatus(t.Context(), req); err != nil || got.GetReceipt().GetReceiveUnit() != station {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		_, err := h.read(hospital).GetReportStatus(t.Context(), req)
		if r := refusalOf(t, err); r.reason != "NOT_FOUND" {
			t.Errorf("the hospital %s: %+v", name, r)
		}
	}
	_, err := h.read(school).GetReportStatus(t.Context(), &reportingv1.GetReportStatusRequest{})
	if r := refusalOf(t, err); r.reason != "FIELD_INVALID" {
		t.Errorf("neither id nor receipt: %+v", r)
	}
}
