package rpc_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// clocks gives the clocks of an item's custody history, one line each: id, hours after noon it ran from and until, state, unit that had to act.
func (h *house) clocks(unit, item string) []string {
	h.t.Helper()
	history, err := h.read(unit).GetCustodyHistory(h.t.Context(), &reportingv1.GetCustodyHistoryRequest{Id: item})
	if err != nil {
		h.t.Fatal(err)
	}
	var lines []string
	for _, c := range history.GetClocks() {
		lines = append(lines, fmt.Sprintf("%s %v-%v %s %s", c.GetClock(), c.GetStartTime().AsTime().Sub(noon).Hours(), c.GetDueTime().AsTime().Sub(noon).Hours(),
			c.GetState().String()[len("STATE_"):], c.GetUnit()))
	}
	return lines
}

// A report goes from station to station for a day: acceptance ran from the receipt, the response runs from the first acceptance, each transfer has an
// hour of its own, what was missed is marked, and the custody history shows each of them.
func TestTheHistoryShowsEachClock(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	report := h.accepted()
	hand := func(from, to string, accept time.Duration) {
		t.Helper()
		must(t, func() error {
			_, err := h.do(from).TransferReport(t.Context(), &reportingv1.TransferReportRequest{RequestId: id(), ReportId: report, ToUnit: to, Text: "移送"})
			return err
		})
		h.advance(accept)
		must(t, func() error {
			_, err := h.do(to).AcceptReport(t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
			return err
		})
	}
	hand(station, other, 3*time.Hour)
	hand(other, station, 3*time.Hour)
	h.advance(17 * time.Hour)
	must(t, func() error {
		_, err := h.do(station).TransferReport(t.Context(), &reportingv1.TransferReportRequest{RequestId: id(), ReportId: report, ToUnit: other, Text: "移送"})
		return err
	})
	h.advance(time.Hour) // the day is over while the other station is asked
	if r := h.whole(report).GetReport(); !r.GetOverdue() || r.GetStanding().GetClock() != "report.transfer" || !r.GetAcceptTime().AsTime().Equal(noon) || len(r.GetStanding().GetClocks()) != 2 {
		t.Errorf("%v, accepted at %v", r.GetStanding(), r.GetAcceptTime().AsTime())
	}
	want := []string{
		"report.accept 0-1 MET " + station, "report.transfer 0-4 MET " + other, "report.response 0-24 MISSED " + station,
		"report.transfer 3-7 MET " + station, "report.transfer 23-27 RUNNING " + other,
	}
	if diff := cmp.Diff(want, h.clocks(station, report)); diff != "" {
		t.Error(diff)
	}
	must(t, func() error {
		_, err := h.do(other).AcceptReport(t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	work, err := h.read(other).ListWork(t.Context(), &reportingv1.ListWorkRequest{Filter: &custodyv1.WorkFilter{}})
	if err != nil || len(work.GetItems()) != 1 || !work.GetItems()[0].GetOverdue() || work.GetItems()[0].GetStanding().GetClock() != "response.measures" {
		t.Errorf("%v, %v", work, err)
	}
	h.wantPromises()
}

// A clock that was counted through a year whose calendar is missing says so, wherever it is told; 1 January itself is free without any notice.
func TestAClockThroughAnUnknownYearSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.advance(time.Date(2026, 12, 31, 1, 0, 0, 0, time.UTC).Sub(noon))
	report := h.submitted().GetStanding().GetId()
	h.advance(time.Hour) // station and bureau are silent, and the lead office has five working days
	h.advance(4 * time.Hour)
	history, err := h.read(lead).GetCustodyHistory(t.Context(), &reportingv1.GetCustodyHistoryRequest{Id: report})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range history.GetClocks() {
		if blind := c.GetClock() == "lead.resolve"; blind != c.GetCalendarIncomplete() {
			t.Errorf("%v", c)
		}
		if c.GetClock() == "lead.resolve" && !c.GetDueTime().AsTime().Equal(time.Date(2027, 1, 8, 16, 0, 0, 0, time.UTC)) {
			t.Errorf("five working days from Thursday, 31 December end at %v", c.GetDueTime().AsTime())
		}
	}
}
