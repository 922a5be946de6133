// Package store keeps reports, bulletins, assessments, incidents and the reporter vault. What a row looks like is said once,
// in the tables of this file; statements that are more than a row by its id are one file per aggregate.
package store

import (
	"embed"
	"io/fs"
	"time"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/schema"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed vault/*.sql
var vaultMigrations embed.FS

// Migrations of the service's database.
func Migrations() fs.FS { return schema.With(inside(migrations, "migrations")) }

// VaultMigrations of the vault's database.
func VaultMigrations() fs.FS { return inside(vaultMigrations, "vault") }

func inside(all embed.FS, folder string) fs.FS {
	sub, err := fs.Sub(all, folder)
	if err != nil {
		panic("store: " + err.Error()) // only for a folder name that is not valid
	}
	return sub
}

// Tables says how each message is kept. It never changes after NewTables.
type Tables struct {
	Reports     *row.Table[*reportingv1.Report]
	Children    *row.Table[*reportingv1.ProvisionalChild]
	Bulletins   *row.Table[*reportingv1.Bulletin]
	Assessments *row.Table[*reportingv1.Assessment]
	Incidents   *row.Table[*reportingv1.Incident]
	Sources     *row.Table[*reportingv1.DispatchSource]
	Quarantine  *row.Table[*reportingv1.QuarantinedUpdate]
	Searches    *row.Table[*reportingv1.Search]
	Placements  *row.Table[*reportingv1.Placement]
	Filings     *row.Table[*reportingv1.Filing]

	Supervisions *row.Table[*reportingv1.Supervision]
}

// NewTables plans the mapping of every message of this service.
func NewTables() *Tables {
	type report = row.Column[*reportingv1.Report]
	type child = row.Column[*reportingv1.ProvisionalChild]
	type assessment = row.Column[*reportingv1.Assessment]
	type incident = row.Column[*reportingv1.Incident]
	type source = row.Column[*reportingv1.DispatchSource]
	type quarantined = row.Column[*reportingv1.QuarantinedUpdate]
	type search = row.Column[*reportingv1.Search]
	type placement = row.Column[*reportingv1.Placement]
	type filing = row.Column[*reportingv1.Filing]
	return &Tables{
		Reports: row.NewTable("report", "report",
			report{Name: "receipt_number", Path: "receipt_number"},
			report{Name: "provisional_child_id", Path: "provisional_child_id", Type: "uuid"},
			report{Name: "child_id", Path: "child_id", Type: "uuid"},
		),
		Children: row.NewTable("provisional_child", "provisional_child",
			child{Name: "birth_date", Path: "person.birth_date", Type: "date"},
			child{Name: "sex", Path: "person.sex"},
			child{Name: "child_id", Path: "child_id", Type: "uuid"},
			child{Name: "id_number_index", Type: "bytea", Value: func(m *reportingv1.ProvisionalChild, keys *seal.Keys) any {
				return keys.Index("child.id_number", m.GetPerson().GetIdNumber())
			}},
			child{Name: "name_index", Type: "bytea", Value: func(m *reportingv1.ProvisionalChild, keys *seal.Keys) any {
				return keys.Index("child.name", m.GetPerson().GetName())
			}},
		),
		Bulletins: row.NewTable("bulletin", "bulletin",
			row.Column[*reportingv1.Bulletin]{Name: "report_id", Path: "report_id", Type: "uuid"},
		),
		Assessments: row.NewTable("assessment", "assessment",
			assessment{Name: "report_id", Path: "report_id", Type: "uuid"},
			assessment{Name: "provisional_child_id", Path: "provisional_child_id", Type: "uuid"},
			assessment{Name: "child_id", Path: "child_id", Type: "uuid"},
			assessment{Name: "case_id", Path: "case_id", Type: "uuid"},
		),
		Incidents: row.NewTable("incident", "incident",
			incident{Name: "incident_number", Path: "incident_number"},
			incident{Name: "life", Path: "life"},
			incident{Name: "owner", Path: "owner"},
		),
		Sources: row.NewTable("dispatch_source", "dispatch_source",
			source{Name: "source", Path: "source"},
			source{Name: "epoch", Path: "epoch"},
			source{Name: "durable_through", Path: "durable_through"},
		),
		Quarantine: row.NewTable("quarantined_update", "quarantined_update",
			quarantined{Name: "source", Path: "source"},
			quarantined{Name: "epoch", Path: "epoch"},
			quarantined{Name: "sequence", Path: "sequence"},
			quarantined{Name: "cause", Path: "cause"},
		),
		Searches: row.NewTable("search", "search",
			search{Name: "report_id", Path: "report_id", Type: "uuid"},
			search{Name: "provisional_child_id", Path: "provisional_child_id", Type: "uuid"},
			search{Name: "incident_number", Path: "incident_number"},
		),
		Placements: row.NewTable("placement", "placement",
			placement{Name: "report_id", Path: "report_id", Type: "uuid"},
			placement{Name: "provisional_child_id", Path: "provisional_child_id", Type: "uuid"},
		),
		Filings: row.NewTable("filing", "filing",
			filing{Name: "report_id", Path: "report_id", Type: "uuid"},
			filing{Name: "kind", Path: "kind"},
			filing{Name: "decision", Path: "decision"},
		),
		Supervisions: row.NewTable("supervision", "supervision",
			row.Column[*reportingv1.Supervision]{Name: "report_id", Path: "report_id", Type: "uuid"},
			row.Column[*reportingv1.Supervision]{Name: "filing_id", Path: "filing_id", Type: "uuid"},
		),
	}
}

// Items describes the item tables, for work lists, sweeping and the promises.
func (t *Tables) Items() []custody.Source {
	return []custody.Source{t.ReportItems(), t.BulletinItems(), t.AssessmentItems(), t.IncidentItems(), t.QuarantineItems(), t.SearchItems(), t.PlacementItems(), t.FilingItems(), t.SupervisionItems()}
}

// ReportItems describes the reports.
func (t *Tables) ReportItems() custody.Source {
	return custody.SourceOf(t.Reports, reportingv1.Report_STATE_CLOSED, reportingv1.Report_STATE_ENDED, reportingv1.Report_STATE_HANDED_OVER)
}

// BulletinItems describes the bulletins.
func (t *Tables) BulletinItems() custody.Source {
	return custody.SourceOf(t.Bulletins, reportingv1.Bulletin_STATE_ACKNOWLEDGED, reportingv1.Bulletin_STATE_RECALLED)
}

// AssessmentItems describes the assessments.
func (t *Tables) AssessmentItems() custody.Source {
	return custody.SourceOf(t.Assessments, reportingv1.Assessment_STATE_HANDED_OVER, reportingv1.Assessment_STATE_CLOSED, reportingv1.Assessment_STATE_ENDED)
}

// IncidentItems describes the incidents.
func (t *Tables) IncidentItems() custody.Source {
	return custody.SourceOf(t.Incidents, reportingv1.Incident_STATE_LINKED, reportingv1.Incident_STATE_CLOSED)
}

// QuarantineItems describes the quarantined updates.
func (t *Tables) QuarantineItems() custody.Source {
	return custody.SourceOf(t.Quarantine, reportingv1.QuarantinedUpdate_STATE_REPLAYED, reportingv1.QuarantinedUpdate_STATE_REJECTED)
}

// SearchItems describes the searches.
func (t *Tables) SearchItems() custody.Source {
	return custody.SourceOf(t.Searches, reportingv1.Search_STATE_ENDED)
}

// PlacementItems describes the placements.
func (t *Tables) PlacementItems() custody.Source {
	return custody.SourceOf(t.Placements, reportingv1.Placement_STATE_ENDED, reportingv1.Placement_STATE_WITHDRAWN)
}

// FilingItems describes the filings.
func (t *Tables) FilingItems() custody.Source {
	return custody.SourceOf(t.Filings, reportingv1.Filing_STATE_CLOSED)
}

// SupervisionItems describes the supervisions.
func (t *Tables) SupervisionItems() custody.Source {
	return custody.SourceOf(t.Supervisions, reportingv1.Supervision_STATE_REASONS_ACCEPTED, reportingv1.Supervision_STATE_FILED, reportingv1.Supervision_STATE_WITHDRAWN)
}

// Constraints maps what two racing calls can violate to what the loser is told: come back and see what the winner did.
func Constraints() map[string]func() *fault.Error {
	contention := func() *fault.Error {
		return fault.New(faultv1.Reason_REASON_CONTENTION, "another call was faster; repeat with the same request_id").RetryAfter(time.Second)
	}
	return map[string]func() *fault.Error{
		"incident_pkey":           contention,
		"incident_number_life":    contention,
		"dispatch_source_pkey":    contention,
		"dispatch_source_source":  contention,
		"dispatch_update_key":     contention,
		"quarantined_update_pkey": contention,
		"search_running":          contention,
		"placement_running":       contention,
		"filing_running":          contention,
		"supervision_running":     contention,
	}
}
