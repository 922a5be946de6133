package rpc_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// edited is Xinbei with one file changed.
func edited(t *testing.T, changes map[string]func(string) string) *district.District {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../../districts/xinbei")); err != nil {
		t.Fatal(err)
	}
	for name, change := range changes {
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(change(string(content))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := district.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// lines changes the lines that begin or contain a text; an empty answer drops the line.
func lines(part string, change func(string) string) func(string) string {
	return func(content string) string {
		var out []string
		for line := range strings.Lines(content) {
			if strings.Contains(line, part) {
				line = change(line)
			}
			out = append(out, line)
		}
		return strings.Join(out, "")
	}
}

// withClosedVillage is the district after the village was abolished.
func withClosedVillage(t *testing.T) *district.District {
	t.Helper()
	return edited(t, map[string]func(string) string{
		"divisions.csv": lines(village+",", func(line string) string { return strings.TrimSuffix(line, "\n") + "2024-12-31\n" }),
		"officers.yaml": lines("village/"+village, func(string) string { return "" }),
	})
}

// An abolished village is not an unknown one: the report is taken, is with the township's station, and says that the code was out of date.
func TestAReportForAClosedDivisionIsTakenAndFlagged(t *testing.T) {
	t.Parallel()
	h := newHouseIn(t, withClosedVillage(t))
	given, err := h.do(school).SubmitReport(t.Context(), submission())
	if err != nil {
		t.Fatal(err)
	}
	report := h.whole(given.GetStanding().GetId()).GetReport()
	if report.GetStanding().GetHolder() != station || report.GetDivision() != "320411101000" || report.GetStaleDivision() != village {
		t.Errorf("held by %s, in %s, named %q", report.GetStanding().GetHolder(), report.GetDivision(), report.GetStaleDivision())
	}
	if !slices.Contains(report.GetFlags(), reportingv1.Flag_FLAG_DIVISION_CLOSED) {
		t.Errorf("flags %v", report.GetFlags())
	}
	if _, err := h.read(station).ListReports(emergency(t), &reportingv1.ListReportsRequest{Division: village}); err != nil {
		t.Errorf("old rows of the village cannot be looked for: %v", err)
	}
	_, err = h.read(station).ListReports(emergency(t), &reportingv1.ListReportsRequest{Division: "999999999999"})
	if r := refusalOf(t, err); r.reason != "DIVISION_UNKNOWN" {
		t.Errorf("%+v", r)
	}
	h.wantPromises()
}

func TestADistrictWithoutAClockOfOursIsRefused(t *testing.T) {
	t.Parallel()
	d := edited(t, map[string]func(string) string{"clocks.yaml": lines("id: report.immediate,", func(string) string { return "" })})
	if err := rules.CheckDistrict(d); err == nil || !strings.Contains(err.Error(), "report.immediate") {
		t.Errorf("answered %v", err)
	}
}
