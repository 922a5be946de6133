package rules_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// loadXinbei reads the district once for all tests; it never changes.
var loadXinbei = sync.OnceValues(func() (*district.District, error) { return district.Load("../../../../districts/xinbei") })

func xinbei(t testing.TB) *district.District {
	t.Helper()
	d, err := loadXinbei()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	village  = "320411101201"
	station  = "police/320411101000"
	other    = "police/320411103000"
	township = "township/320411101000"
	lead     = "civil_affairs"
	reportID = "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001"
	childID  = "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a002"
	itemID   = "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a003"
)

var noon = time.Date(2026, 3, 5, 4, 0, 0, 0, time.UTC)

// openReports carry what they are linked to.
var openReports = rules.Carriers{reportID: {Holder: station}, otherID: {Holder: station}}

// submission is a report that nothing is wrong with: a boy of ten who lives alone.
func submission(change ...func(*reportingv1.SubmitReportRequest)) *reportingv1.SubmitReportRequest {
	req := &reportingv1.SubmitReportRequest{
		Child:             &personv1.Person{Name: "陆小舟", Sex: personv1.Sex_SEX_MALE, BirthDate: "2015-06-01", IdNumber: "320411201506010019"},
		ResidenceDivision: village,
		Situations:        []string{"LIVING_ALONE"},
		OccurTime:         timestamppb.New(noon.Add(-time.Hour)),
		DiscoverTime:      timestamppb.New(noon.Add(-30 * time.Minute)),
		Narrative:         "独自居住已两周",
	}
	for _, c := range change {
		c(req)
	}
	return req
}

// ids makes the ids of a report and what belongs to it: known ones for the report and its first child.
func ids(word string) string {
	switch word {
	case "":
		return reportID
	case "child":
		return childID
	}
	return uuid.NewSHA1(uuid.MustParse(reportID), []byte(word)).String()
}

func newReport(t testing.TB, change ...func(*reportingv1.SubmitReportRequest)) *reportingv1.Report {
	t.Helper()
	d := xinbei(t)
	req := submission(change...)
	if err := rules.CheckSubmission(d, req, noon); err != nil {
		t.Fatal(err)
	}
	r, _ := rules.NewReport(d, req, ids, noon)
	return r
}

// responding is a report that the station has accepted.
func responding(t testing.TB) *reportingv1.Report {
	t.Helper()
	r := newReport(t)
	if err := rules.Accept(xinbei(t), r, rules.Actor{Unit: station}, noon); err != nil {
		t.Fatal(err)
	}
	return r
}

func measure(code string) *reportingv1.RecordMeasureRequest {
	return &reportingv1.RecordMeasureRequest{Measure: code, Text: "已办", TakeTime: timestamppb.New(noon)}
}

// refused checks that err has the reason and that the message was left as it was.
func refused(t *testing.T, err error, reason fault.Reason, before, after proto.Message) {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Errorf("answered %v, want %v", err, reason)
	}
	if !proto.Equal(before, after) {
		t.Error("a refused verb changed the item")
	}
}

func TestTheDistrictHasEveryClockOfThisService(t *testing.T) {
	t.Parallel()
	if err := rules.CheckDistrict(xinbei(t)); err != nil {
		t.Error(err)
	}
}
