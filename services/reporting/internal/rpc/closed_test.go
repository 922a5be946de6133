package rpc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func TestAReportForAClosedDivisionIsRefused(t *testing.T) {
	t.Parallel()
	d := edited(t, map[string]func(string) string{
		"divisions.csv": lines(village+",", func(line string) string { return strings.TrimSuffix(line, "\n") + "2024-12-31\n" }),
		"officers.yaml": lines("village/"+village, func(string) string { return "" }),
	})
	h := newHouseIn(t, d)
	before := h.tally()
	_, err := h.do(school).SubmitReport(t.Context(), submission())
	if r := refusalOf(t, err); r.reason != "DIVISION_CLOSED" || r.metadata["closed"] != "2024-12-31" || r.zh == "" {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff(before, h.tally()); diff != "" {
		t.Error(diff)
	}
	township := submission(func(r *reportingv1.SubmitReportRequest) { r.ResidenceDivision = "320411101000" })
	if _, err := h.do(school).SubmitReport(t.Context(), township); err != nil {
		t.Errorf("its township is open: %v", err)
	}
}

func TestADistrictWithoutAClockOfOursIsRefused(t *testing.T) {
	t.Parallel()
	d := edited(t, map[string]func(string) string{"clocks.yaml": lines("id: report.immediate,", func(string) string { return "" })})
	if err := rules.CheckDistrict(d); err == nil || !strings.Contains(err.Error(), "report.immediate") {
		t.Errorf("answered %v", err)
	}
}
