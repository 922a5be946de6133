package rpc_test

import (
	"testing"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

func TestOperatorsSeeParkedEventsAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	operator := reportingv1.NewReportingOperationsServiceClient(h.as("operations"))
	if got, err := operator.ListParkedEvents(t.Context(), &reportingv1.ListParkedEventsRequest{}); err != nil || len(got.GetParkedEvents()) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	_, err := operator.RetryParkedEvent(t.Context(), &reportingv1.RetryParkedEventRequest{RequestId: id(), Follower: "reporting.registry", Seq: 4})
	if r := refusalOf(t, err); r.reason != "PARKED_EVENT_NOT_FOUND" {
		t.Errorf("%+v", r)
	}
	report := h.submitted().GetStanding().GetId()
	_, err = h.read("operations").GetReport(t.Context(), &reportingv1.GetReportRequest{ReportId: report})
	if r := refusalOf(t, err); r.reason != "METHOD_NOT_ALLOWED" {
		t.Errorf("an operator reads a report: %+v", r)
	}
	if got, err := h.read("operations").GetVersion(t.Context(), &reportingv1.GetVersionRequest{}); err != nil || got.GetVersion().GetService() != "reporting" {
		t.Errorf("%v, %v", got, err)
	}
}

// Each look at a child's identity is on record with its purpose before the answer leaves.
func TestALookIsOnRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted().GetStanding().GetId()
	ctx := client.By(client.For(t.Context(), accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), officer)
	must(t, func() error {
		_, err := h.read(station).GetReport(ctx, &reportingv1.GetReportRequest{ReportId: report})
		return err
	})
	must(t, func() error {
		_, err := h.read(station).ListReports(ctx, &reportingv1.ListReportsRequest{})
		return err
	})
	var looks int
	must(t, func() error {
		return h.db.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE NOT effect AND subject_id = $1::uuid AND unit = $2 AND officer = $3 AND purpose = $4 AND class = $5`,
			report, station, officer, int32(accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE), int32(accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL)).Scan(&looks)
	})
	if looks != 2 {
		t.Errorf("%d looks on record, want 2", looks)
	}
}

// A station that is closed leaves a report nobody can act on; the operator hands it to the bureau, and nobody else may.
func TestAReportOfAStationThatIsGoneIsRepaired(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.submitted().GetStanding().GetId()
	repair := func(unit string) (*reportingv1.RepairCustodyResponse, error) {
		return reportingv1.NewReportingOperationsServiceClient(h.as(unit)).RepairCustody(t.Context(), &reportingv1.RepairCustodyRequest{
			RequestId: id(), Repair: &custodyv1.Repair{Kind: "report", ItemId: report, Grounds: custodyv1.RepairGrounds_REPAIR_GROUNDS_HOLDER_GONE, Holder: bureau},
		})
	}
	_, err := repair("operations")
	if r := refusalOf(t, err); r.reason != "CUSTODY_NOT_BROKEN" {
		t.Errorf("a healthy report: %+v", r)
	}
	must(t, func() error {
		_, err := h.database.OpenOwner(t).Exec(t.Context(), "UPDATE report SET holder = 'police/320411099000' WHERE id = $1::uuid", report)
		return err
	})
	_, err = repair(lead)
	if r := refusalOf(t, err); r.reason != "METHOD_NOT_ALLOWED" {
		t.Errorf("the lead office: %+v", r)
	}
	got, err := repair("operations")
	if err != nil || got.GetStanding().GetHolder() != bureau {
		t.Errorf("%v, %v", got, err)
	}
	h.wantPromises()
	for _, item := range h.tables.Items() { // every kind that can be held can be repaired
		_, err := reportingv1.NewReportingOperationsServiceClient(h.as("operations")).RepairCustody(t.Context(), &reportingv1.RepairCustodyRequest{
			RequestId: id(), Repair: &custodyv1.Repair{Kind: item.Kind, ItemId: id(), Grounds: custodyv1.RepairGrounds_REPAIR_GROUNDS_DEADLINE_STUCK},
		})
		if r := refusalOf(t, err); r.reason != "NOT_FOUND" {
			t.Errorf("%s: %+v", item.Kind, r)
		}
	}
}
