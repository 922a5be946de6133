package relief_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/lianhu/lianhu/pkg/fault"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// reasonOf gives the wire reason of a refusal, with its metadata.
func reasonOf(err error) (string, map[string]string) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == fault.Domain {
			return info.GetReason(), info.GetMetadata()
		}
	}
	return "", nil
}

func refused(t *testing.T, err error, want string) map[string]string {
	t.Helper()
	reason, metadata := reasonOf(err)
	if reason != want {
		t.Errorf("refused with %q (%v), want %s", reason, err, want)
	}
	return metadata
}

// dump is everything a refusal must leave alone.
func (h *house) dump(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for name, sql := range map[string]string{
		"rows": `SELECT (SELECT count(*) FROM application) + (SELECT count(*) FROM decision) + (SELECT count(*) FROM payment) +
			(SELECT count(*) FROM batch) + (SELECT count(*) FROM batch_file) + (SELECT count(*) FROM budget_account)`,
		"versions": `SELECT (SELECT coalesce(sum(version), 0) FROM application) + (SELECT coalesce(sum(version), 0) FROM payment) +
			(SELECT coalesce(sum(version), 0) FROM batch) + (SELECT sum(version) FROM budget_account)`,
		"ledger":      "SELECT count(*) FROM ledger_entry",
		"custody":     "SELECT count(*) FROM custody",
		"events":      "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM feed)",
		"idempotency": "SELECT count(*) FROM idempotency",
		"effects":     "SELECT count(*) FROM audit WHERE effect",
	} {
		var n int64
		ok(t, h.db.QueryRow(t.Context(), sql).Scan(&n))
		counts[name] = n
	}
	return counts
}

// unchanged demands that a call, refused or not, leaves everything as it was.
func (h *house) unchanged(t *testing.T, what string, call func() error) error {
	t.Helper()
	before := h.dump(t)
	err := call()
	if diff := cmp.Diff(before, h.dump(t)); diff != "" {
		t.Errorf("%s changed something: %s", what, diff)
	}
	return err
}

// told demands what a partner is told with a refusal: the contract's text in Chinese, and the field where one is named.
func told(t *testing.T, err error, reason reliefv1.Reason, metadata map[string]string) {
	t.Helper()
	got := refused(t, err, reason.String()[len("REASON_"):])
	if diff := cmp.Diff(metadata, got); diff != "" {
		t.Errorf("%s: %s", reason, diff)
	}
	var chinese, field string
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.LocalizedMessage:
			chinese = d.GetLocale() + ":" + d.GetMessage()
		case *errdetails.BadRequest:
			field = d.GetFieldViolations()[0].GetField()
		}
	}
	if want := "zh-CN:" + fault.New(reason, "").ZH(); chinese != want {
		t.Errorf("%s says %q, want %q", reason, chinese, want)
	}
	if field != metadata["field"] {
		t.Errorf("%s: the violation names %q, the metadata %q", reason, field, metadata["field"])
	}
}
