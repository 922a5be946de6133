package rpc_test

import (
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/promise"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// ownerExec plants what only the owner of the database may.
func (h *house) ownerExec(statements ...string) {
	h.t.Helper()
	owner := h.database.OpenOwner(h.t)
	for _, sql := range statements {
		must(h.t, func() error { _, err := owner.Exec(h.t.Context(), sql); return err })
	}
}

// breakReports makes every write of a report fail, after the vault has been written; mend ends it.
func (h *house) breakReports() (mend func()) {
	h.t.Helper()
	h.ownerExec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''planted''; END'`,
		"CREATE TRIGGER refuse BEFORE INSERT ON report FOR EACH ROW EXECUTE FUNCTION refuse()")
	return func() { h.ownerExec("DROP TRIGGER refuse ON report") }
}

// records counts the vault's records.
func (h *house) records() int {
	h.t.Helper()
	var n int
	must(h.t, func() error { return h.vault.QueryRow(h.t.Context(), "SELECT count(*) FROM reporter").Scan(&n) })
	return n
}

// keeps checks whose report it is: the vault holds the record of the accepted request, and its content.
func (h *house) keeps(report, reporter string) {
	h.t.Helper()
	tag, err := store.ReporterTag(h.t.Context(), h.db, report)
	must(h.t, func() error { return err })
	var sealed []byte
	must(h.t, func() error {
		return h.vault.QueryRow(h.t.Context(), "SELECT sealed_reporter FROM reporter WHERE report_id = $1::uuid AND tag = $2", report, tag).Scan(&sealed)
	})
	if !strings.Contains(string(sealed), reporter) {
		h.t.Errorf("the record that counts does not name %s", reporter)
	}
	complete, err := store.VaultComplete(h.t.Context(), h.db, h.vault)
	if err != nil || complete.Violations != 0 || complete.Checked == 0 {
		h.t.Errorf("vault.complete: %+v, %v", complete, err)
	}
}

// aged makes the vault's records old enough to be orphans.
func (h *house) aged(by string) {
	h.t.Helper()
	owner := h.vaultDatabase.OpenOwner(h.t)
	must(h.t, func() error {
		_, err := owner.Exec(h.t.Context(), "UPDATE reporter SET write_time = write_time - $1::interval", by)
		return err
	})
}

// The first try fails after the vault was written. The retry says who really reported: that is what counts, and the first record is removed.
func TestAFailedTryDoesNotDecideWhoReported(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mend := h.breakReports()
	req := submission(func(r *reportingv1.SubmitReportRequest) { r.Reporter.Name = "误填之人" })
	if _, err := h.do(school).SubmitReport(t.Context(), req); err == nil {
		t.Fatal("the first try did not fail")
	}
	if h.records() != 1 {
		t.Fatal("the first try left no record: this test tests nothing")
	}
	mend()
	corrected := proto.CloneOf(req)
	corrected.Reporter.Name, corrected.Narrative = "贺知秋", "更正后的叙述"
	got, err := h.do(school).SubmitReport(t.Context(), corrected)
	must(t, func() error { return err })
	h.keeps(got.GetStanding().GetId(), "贺知秋")
	h.aged("20 minutes")
	vault := &store.Vault{DB: h.vault, Keys: h.keys("vault", 9)}
	if orphans, err := store.VaultOrphans(t.Context(), h.db, h.vault); err != nil || orphans.Violations != 1 || orphans.Checked != 2 {
		t.Errorf("before it is removed: %+v, %v", orphans, err)
	}
	must(t, func() error { return vault.Reconcile(t.Context(), h.db) })
	if orphans, err := store.VaultOrphans(t.Context(), h.db, h.vault); err != nil || orphans.Violations != 0 || h.records() != 1 {
		t.Errorf("after: %+v, %v, %d records", orphans, err, h.records())
	}
	h.keeps(got.GetStanding().GetId(), "贺知秋")
	status, err := h.read(school).GetReportStatus(t.Context(), &reportingv1.GetReportStatusRequest{ReportId: got.GetStanding().GetId()})
	if err != nil || status.GetReportId() == "" {
		t.Errorf("the reporter asks: %v, %v", status, err)
	}
}

// The process dies between vault and report: the same request again makes the report with the record that is there. Nothing is lost.
func TestACrashBetweenVaultAndReportLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mend := h.breakReports()
	req := submission()
	for range 2 { // also an orphan that has nearly waited its time out is the retry's again
		if _, err := h.do(school).SubmitReport(t.Context(), req); err == nil {
			t.Fatal("the try did not fail")
		}
		h.aged("20 minutes")
	}
	mend()
	got, err := h.do(school).SubmitReport(t.Context(), req)
	must(t, func() error { return err })
	vault := &store.Vault{DB: h.vault, Keys: h.keys("vault", 9)}
	must(t, func() error { return vault.Reconcile(t.Context(), h.db) })
	h.aged("20 minutes")
	must(t, func() error { return vault.Reconcile(t.Context(), h.db) })
	h.keeps(got.GetStanding().GetId(), req.GetReporter().GetName())
	if h.records() != 1 {
		t.Errorf("%d records of one report", h.records())
	}
}

// A real cut: the connection to the reports' database breaks while the report is being written, after the vault has its record.
func TestTheDatabaseIsCutOffAfterTheVaultWasWritten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.ownerExec(`CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'`,
		"CREATE TRIGGER cut BEFORE INSERT ON reporter_tag FOR EACH ROW EXECUTE FUNCTION cut()")
	req := submission(func(r *reportingv1.SubmitReportRequest) { r.Reporter.Name = "误填之人" })
	if _, err := h.do(school).SubmitReport(t.Context(), req); err == nil {
		t.Fatal("the try did not fail")
	}
	h.ownerExec("DROP TRIGGER cut ON reporter_tag")
	var reports int
	must(t, func() error { return h.db.QueryRow(t.Context(), "SELECT count(*) FROM report").Scan(&reports) })
	if reports != 0 || h.records() == 0 {
		t.Fatalf("%d reports and %d records after the cut", reports, h.records())
	}
	req.Reporter.Name = "贺知秋"
	got, err := h.do(school).SubmitReport(t.Context(), req)
	must(t, func() error { return err })
	h.keeps(got.GetStanding().GetId(), "贺知秋")
}

// Two tries under one request_id that name different reporters race: one report, and the vault's record that counts is the accepted one's.
func TestTwoReportersRaceUnderOneRequest(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 5 {
		base := submission()
		names := []string{"甲老师", "乙老师", "丙老师"}
		answers, errs := make([]*reportingv1.SubmitReportResponse, len(names)), make([]error, len(names))
		var group sync.WaitGroup
		for i, name := range names {
			req := proto.CloneOf(base)
			req.Reporter.Name = name
			group.Go(func() { answers[i], errs[i] = h.do(school).SubmitReport(t.Context(), req) })
		}
		group.Wait()
		won := 0
		for i, err := range errs {
			if err != nil {
				if r := refusalOf(t, err); r.reason != "REQUEST_ID_REUSED" {
					t.Errorf("%s: %v", names[i], err)
				}
				continue
			}
			won++
			h.keeps(answers[i].GetStanding().GetId(), names[i])
		}
		if won != 1 {
			t.Errorf("%d tries were accepted", won)
		}
	}
}

// countOf is what one query over the promises counts.
func (h *house) countOf(name string) int64 {
	h.t.Helper()
	counts, err := promise.Run(h.t.Context(), h.db, store.Promises(h.tables, h.clock())...)
	must(h.t, func() error { return err })
	for _, c := range counts {
		if c.Name == name {
			return c.Violations
		}
	}
	h.t.Fatalf("no query %s", name)
	return 0
}

// What the trace of the call knows - where it came from - leads nowhere: not from the rows, not from the feed, not from the outbox. The gateway's
// own trace of the call counts as such a trace here: it has the caller's address.
func TestAReportsTraceLeadsToNobody(t *testing.T) {
	t.Parallel()
	otel.SetTracerProvider(sdktrace.NewTracerProvider()) // records nothing, but gives ids as in service
	h := newHouse(t)
	const call = "0af7651916cd43dd8448eb211c80319c"
	principal, err := proto.Marshal(&accessv1.Principal{Unit: school, System: "main", Method: "mtls"})
	must(t, func() error { return err })
	ctx := metadata.AppendToOutgoingContext(client.For(t.Context(), accessv1.Purpose_PURPOSE_MANDATORY_REPORTING),
		access.KeyPrincipal, string(principal), "traceparent", "00-"+call+"-b7ad6b7169203331-01")
	traces := map[string]bool{}
	for range 2 {
		got, err := h.do("service/gateway").SubmitReport(ctx, submission())
		must(t, func() error { return err })
		must(t, func() error { return h.sequencer.Drain(t.Context()) })
		var own string
		must(t, func() error {
			return h.db.QueryRow(t.Context(), "SELECT traceparent FROM feed WHERE subject_id = $1::uuid", got.GetStanding().GetId()).Scan(&own)
		})
		if len(own) != 55 || traces[own[3:35]] {
			t.Errorf("the report's own trace is %q", own)
		}
		traces[own[3:35]] = true
	}
	h.search([]string{call})
	if n := h.countOf("reporter.untraced"); n != 0 {
		t.Errorf("reporter.untraced counts %d", n)
	}
	h.ownerExec("UPDATE feed SET traceparent = '00-" + call + "-b7ad6b7169203331-01'")
	if n := h.countOf("reporter.untraced"); n != 2 {
		t.Errorf("reporter.untraced counts %d of two reports in one trace", n)
	}
}
