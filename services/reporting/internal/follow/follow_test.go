package follow

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

var noon = time.Date(2026, 3, 5, 4, 0, 0, 0, time.UTC)

// shop is a database with one report whose assessment is concluded.
type shop struct {
	*command.Engine
	tables                 *store.Tables
	report, child, sibling string
	assessment, bulletin   string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	keys, err := seal.New(Service, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{
		Engine: &command.Engine{DB: pgtest.Database(t, store.Migrations()), Keys: keys, Service: Service, Now: func() time.Time { return noon }, Constraints: store.Constraints()},
		tables: store.NewTables(), report: uuid.NewString(), child: uuid.NewString(), sibling: uuid.NewString(),
		assessment: uuid.NewString(), bulletin: uuid.NewString(),
	}
	_, err = command.Create(t.Context(), s.Engine, s.call("open"), s.tables.Reports, func(c *command.Change) (*reportingv1.Report, error) {
		c.Happened("submitted")
		child := &reportingv1.ProvisionalChild{Id: s.child, MatterId: s.report, Division: "320411101201", Person: &personv1.Person{Name: "陆小舟"}}
		if err := command.Insert(c, s.tables.Children, child, "created"); err != nil {
			return nil, err
		}
		child = &reportingv1.ProvisionalChild{Id: s.sibling, MatterId: s.report, Division: "320411101201", Person: &personv1.Person{Name: "陆小溪"}}
		if err := command.Insert(c, s.tables.Children, child, "created"); err != nil {
			return nil, err
		}
		bulletin := &reportingv1.Bulletin{Standing: &custodyv1.Standing{Id: s.bulletin, MatterId: s.report}, State: reportingv1.Bulletin_STATE_ACKNOWLEDGED, ReportId: s.report, ProvisionalChildId: s.child}
		if err := command.Insert(c, s.tables.Bulletins, bulletin, "issued"); err != nil {
			return nil, err
		}
		assessment := &reportingv1.Assessment{
			Standing: &custodyv1.Standing{Id: s.assessment, MatterId: s.report},
			State:    reportingv1.Assessment_STATE_CONCLUDED, ReportId: s.report, ProvisionalChildId: s.child,
		}
		custody.Set(assessment.GetStanding(), "township/320411101000", noon.Add(time.Hour), "assessment.handover")
		if err := command.Insert(c, s.tables.Assessments, assessment, "concluded"); err != nil {
			return nil, err
		}
		return &reportingv1.Report{
			Standing: &custodyv1.Standing{Id: s.report, MatterId: s.report}, State: reportingv1.Report_STATE_CLOSED, ReceiptNumber: "R-1", ProvisionalChildId: s.child,
			Children: []*reportingv1.ReportedChild{{ProvisionalChildId: s.child}, {ProvisionalChildId: s.sibling}},
		}, nil
	}, func(*reportingv1.Report) *reportingv1.SubmitReportResponse {
		return &reportingv1.SubmitReportResponse{}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shop) call(method string) command.Call {
	return command.Call{Caller: "service/reporting", Method: method, RequestID: uuid.NewString(), Actor: command.Actor{Unit: "service/reporting"}}
}

// Once the registry knows who the child is, everything of the matter that others read tells it, and again when it finds out better.
func TestABindingReachesReportChildAndAssessment(t *testing.T) {
	t.Parallel()
	s, known := newShop(t), uuid.NewString()
	call := s.call("follow")
	for range 2 { // an event may come twice
		if err := bind(t.Context(), s.Engine, s.tables, call, &registryv1.Binding{Id: s.child, ChildId: known}); err != nil {
			t.Fatal(err)
		}
	}
	if err := bind(t.Context(), s.Engine, s.tables, s.call("sibling"), &registryv1.Binding{Id: s.sibling, ChildId: uuid.NewString()}); err != nil {
		t.Fatal(err)
	}
	report, err := row.Get(t.Context(), s.DB, s.Keys, s.tables.Reports, s.report)
	if err != nil || report.GetChildId() != known || report.GetStanding().GetVersion() != 3 || report.GetChildren()[1].GetChildId() == known {
		t.Errorf("report %v, %v", report, err)
	}
	child, err := row.Get(t.Context(), s.DB, s.Keys, s.tables.Children, s.child)
	if err != nil || child.GetChildId() != known || child.GetPerson().GetName() != "陆小舟" {
		t.Errorf("child at version %d, %v", child.GetVersion(), err)
	}
	assessment, err := row.Get(t.Context(), s.DB, s.Keys, s.tables.Assessments, s.assessment)
	if err != nil || assessment.GetChildId() != known || assessment.GetStanding().GetHolder() == "" {
		t.Errorf("assessment %v, %v", assessment, err)
	}
	bulletin, err := row.Get(t.Context(), s.DB, s.Keys, s.tables.Bulletins, s.bulletin)
	if err != nil || bulletin.GetChildId() != known {
		t.Errorf("bulletin %v, %v", bulletin, err)
	}
	better := uuid.NewString()
	if err := bind(t.Context(), s.Engine, s.tables, s.call("anew"), &registryv1.Binding{Id: s.child, ChildId: better, EarlierChildIds: []string{known}}); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"provisional_child": 1, "report": 1, "assessment": 1} {
		var got int
		if err := s.DB.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE child_id = $1::uuid", better).Scan(&got); err != nil || got != want {
			t.Errorf("%d rows of %s name the child bound anew, %v", got, table, err)
		}
	}
}

// The assessment stays somebody's until the case is open; then it closes, once.
func TestAnOpenCaseClosesTheAssessment(t *testing.T) {
	t.Parallel()
	s, caseID := newShop(t), uuid.NewString()
	opened := &referralv1.Case{Standing: &custodyv1.Standing{Id: caseID}, AssessmentId: s.assessment}
	if err := handOver(t.Context(), s.Engine, s.tables, s.call("first"), opened); err != nil {
		t.Fatal(err)
	}
	assessment, err := row.Get(t.Context(), s.DB, s.Keys, s.tables.Assessments, s.assessment)
	if err != nil || assessment.GetCaseId() != caseID || assessment.GetState() != reportingv1.Assessment_STATE_HANDED_OVER || assessment.GetStanding().GetHolder() != "" {
		t.Errorf("assessment %v, %v", assessment, err)
	}
	if err := handOver(t.Context(), s.Engine, s.tables, s.call("second"), opened); !errors.Is(err, feed.Skip) {
		t.Errorf("another event about the same case: %v", err)
	}
}
