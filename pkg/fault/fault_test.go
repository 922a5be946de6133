package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

func TestFaultCarriesKindAndTextOfTheContract(t *testing.T) {
	t.Parallel()
	err := fault.New(faultv1.Reason_REASON_ETAG_MISMATCH, "stale", "etag", "3")
	if err.Reason() != "ETAG_MISMATCH" || err.Kind() != faultv1.Kind_KIND_CONFLICT || err.ZH() == "" {
		t.Errorf("reason %q kind %v zh %q", err.Reason(), err.Kind(), err.ZH())
	}
	if err.Metadata()["etag"] != "3" {
		t.Errorf("metadata = %v", err.Metadata())
	}
}

func TestIsSeesThroughWrappingAndTellsReasonsApart(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("outer: %w", fault.NotFound())
	if !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) || fault.Is(err, faultv1.Reason_REASON_ETAG_MISMATCH) {
		t.Error("Is does not tell the reasons apart")
	}
	if fault.ReasonOf(errors.New("disk")) != "INTERNAL" {
		t.Error("an error without a fault must be INTERNAL")
	}
}

func TestCauseNeverReachesTheText(t *testing.T) {
	t.Parallel()
	err := fault.NotFound().Wrap(errors.New("张三 320411201506010019"))
	if err.Error() != "NOT_FOUND: not found" {
		t.Errorf("Error() = %q leaks its cause", err.Error())
	}
}

func TestEverySharedReasonHasKindAndText(t *testing.T) {
	t.Parallel()
	if missing := fault.CheckReasons(faultv1.Reason(0).Descriptor()); len(missing) > 0 {
		t.Error(missing)
	}
}
