// Package store keeps children, bindings, guardianships, entrusted care and visits.
package store

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/schema"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the runtime's tables and this service's own.
func Migrations() fs.FS {
	own, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the path is a constant of this file
	}
	return schema.With(own)
}

// Tables of the service.
type Tables struct {
	Children *row.Table[*registryv1.Child]
	// Early are the children that only a report knows so far: no part of the ledger.
	Early         *row.Table[*registryv1.Child]
	Bindings      *row.Table[*registryv1.Binding]
	Guardianships *row.Table[*registryv1.Guardianship]
	Agreements    *row.Table[*registryv1.CareAgreement]
	Plans         *row.Table[*registryv1.VisitPlan]
}

// idNumberColumn is the use under which identity numbers are indexed.
const idNumberColumn = "child.id_number"

// NewTables plans the mapping of the contract's messages.
func NewTables() *Tables {
	return &Tables{
		Children: row.NewTable("child", "child",
			row.Column[*registryv1.Child]{Name: "birth_date", Path: "person.birth_date", Type: "date"},
			row.Column[*registryv1.Child]{Name: "sex", Path: "person.sex"},
			row.Column[*registryv1.Child]{Name: "colour", Path: "colour"},
			row.Column[*registryv1.Child]{Name: "origin", Path: "origin"},
			byNumber(),
			row.Column[*registryv1.Child]{Name: "statuses", Type: "integer[]", Value: func(m *registryv1.Child, _ *seal.Keys) any {
				codes := []int32{}
				for _, s := range m.GetStatuses() {
					if s.GetOutcome() == registryv1.DerivedStatus_OUTCOME_APPLIES && s.GetTo() == "" {
						codes = append(codes, int32(s.GetCode()))
					}
				}
				return codes
			}},
		),
		Early: row.NewTable("early_child", "early_child", byNumber()),
		Bindings: row.NewTable("binding", "binding",
			row.Column[*registryv1.Binding]{Name: "child_id", Path: "child_id", Type: "uuid"},
			row.Column[*registryv1.Binding]{Name: "release_time", Path: "release_time"},
			row.Column[*registryv1.Binding]{Name: "earlier_child_ids", Type: "uuid[]", Value: func(m *registryv1.Binding, _ *seal.Keys) any {
				return append([]string{}, m.GetEarlierChildIds()...)
			}},
		),
		Guardianships: row.NewTable("guardianship", "guardianship",
			row.Column[*registryv1.Guardianship]{Name: "child_id", Path: "child_id", Type: "uuid"},
			row.Column[*registryv1.Guardianship]{Name: "slot", Path: "slot"},
			row.Column[*registryv1.Guardianship]{Name: "from_day", Path: "from", Type: "date"},
			row.Column[*registryv1.Guardianship]{Name: "to_day", Path: "to", Type: "date"},
		),
		Agreements: row.NewTable("care_agreement", "care_agreement",
			row.Column[*registryv1.CareAgreement]{Name: "child_id", Path: "child_id", Type: "uuid"},
			row.Column[*registryv1.CareAgreement]{Name: "from_day", Path: "from", Type: "date"},
			row.Column[*registryv1.CareAgreement]{Name: "to_day", Path: "to", Type: "date"},
			row.Column[*registryv1.CareAgreement]{Name: "last_day", Type: "date", Value: func(m *registryv1.CareAgreement, _ *seal.Keys) any {
				return lastDay(m)
			}},
		),
		Plans: row.NewTable("visit_plan", "visit_plan",
			row.Column[*registryv1.VisitPlan]{Name: "child_id", Path: "child_id", Type: "uuid"},
			row.Column[*registryv1.VisitPlan]{Name: "colour", Path: "colour"},
		),
	}
}

// byNumber is the blind index by which a child is found.
func byNumber() row.Column[*registryv1.Child] {
	return row.Column[*registryv1.Child]{Name: "id_number_index", Type: "bytea", Value: func(m *registryv1.Child, keys *seal.Keys) any {
		return keys.Index(idNumberColumn, m.GetPerson().GetIdNumber())
	}}
}

// lastDay is the last day on which an agreement really holds: the one agreed, or the one it ended early, but never before its
// first.
func lastDay(m *registryv1.CareAgreement) string {
	last := m.GetTo()
	if m.GetEndTime() != nil {
		if ended := calendar.Today(m.GetEndTime().AsTime()).String(); ended < last {
			last = ended
		}
	}
	return max(last, m.GetFrom())
}

// Constraints maps what the schema guards to the refusals of the contract.
func Constraints() map[string]func() *fault.Error {
	refuse := func(reason registryv1.Reason, message, field string) func() *fault.Error {
		return func() *fault.Error {
			if field == "" {
				return fault.New(reason, message)
			}
			return fault.New(reason, message, "field", field).Field(field, message)
		}
	}
	contention := func() *fault.Error {
		return fault.New(faultv1.Reason_REASON_CONTENTION, "another report of the child was faster; repeat with the same request_id").RetryAfter(time.Second)
	}
	return map[string]func() *fault.Error{
		"early_child_id_number":   contention,
		"child_id_number":         refuse(registryv1.Reason_REASON_CHILD_EXISTS, "another record has this identity number", ""),
		"guardianship_overlap":    refuse(registryv1.Reason_REASON_GUARDIANSHIP_OVERLAP, "overlaps another interval of the slot", "from"),
		"guardianship_interval":   refuse(registryv1.Reason_REASON_INTERVAL_INVALID, "the last day lies before the first", "to"),
		"care_agreement_overlap":  refuse(registryv1.Reason_REASON_CARE_AGREEMENT_OVERLAP, "overlaps another agreement of the child", "from"),
		"care_agreement_interval": refuse(registryv1.Reason_REASON_INTERVAL_INVALID, "the last day lies before the first", "to"),
	}
}

// namespace of ids that follow from others.
var namespace = uuid.MustParse("c7a1e7a2-58f7-5f1e-9a52-3f0d4bb6a4d9")

// ChildID is the id of the record made for a provisional child, so that the same report makes the same record.
func ChildID(provisional string) string {
	return uuid.NewSHA1(namespace, []byte("child/"+provisional)).String()
}

// PlanID is the id of a child's visit plan.
func PlanID(child string) string {
	return uuid.NewSHA1(namespace, []byte("visit_plan/"+child)).String()
}

// Sources describe the item tables for work lists, sweeping and the promises.
func (t *Tables) Sources() []custody.Source {
	plans := custody.SourceOf(t.Plans, registryv1.VisitPlan_STATE_ENDED)
	plans.Actions = []string{"child.visit"}
	return []custody.Source{plans}
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Grant gives a unit the rights that come from a matter, as a statement that a command adds to its own.
func Grant() string {
	return `WITH given AS (INSERT INTO access_grant (matter_id, unit, create_time) VALUES ($1::uuid, $2::text, $3::timestamptz) ON CONFLICT DO NOTHING) SELECT 1`
}

// InsertVisit is the statement that keeps a visit; VisitArgs are its arguments.
func InsertVisit() string {
	return `INSERT INTO visit (id, child_id, visit_plan_id, record_time, sealed_minor_identity) VALUES ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz, $5::bytea)`
}

// VisitArgs are the arguments of InsertVisit.
func VisitArgs(keys *seal.Keys, v *registryv1.Visit) ([]any, error) {
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(v)
	if err != nil {
		return nil, err
	}
	sealed, err := keys.Seal(visitPlace(v.GetId()), plain)
	return []any{v.GetId(), v.GetChildId(), v.GetVisitPlanId(), v.GetRecordTime().AsTime(), sealed}, err
}

// ListVisits gives at most limit visits of a child, newest first.
func ListVisits(ctx context.Context, q Querier, keys *seal.Keys, child string, after *pagetoken.After, limit int) ([]*registryv1.Visit, error) {
	when, id := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), uuid.Max.String()
	if after != nil {
		when, id = after.Time, after.ID
	}
	rows, err := q.Query(ctx, `
		SELECT id::text, sealed_minor_identity FROM visit WHERE child_id = $1::uuid AND (record_time, id) < ($2, $3::uuid)
		ORDER BY record_time DESC, id DESC LIMIT $4`, child, when, id, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*registryv1.Visit, error) {
		var id string
		var sealed []byte
		if err := r.Scan(&id, &sealed); err != nil {
			return nil, err
		}
		plain, err := keys.Open(visitPlace(id), sealed)
		if err != nil {
			return nil, err
		}
		v := &registryv1.Visit{}
		return v, proto.Unmarshal(plain, v)
	})
}
