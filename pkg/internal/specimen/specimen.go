// Package specimen gives the runtime's tests a small service's store: one table of items and one of plain records.
package specimen

import (
	"embed"
	"io/fs"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/schema"
	"github.com/lianhu/lianhu/pkg/seal"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

//go:embed *.sql
var migrations embed.FS

// Migrations are the runtime's tables and the specimen's own.
func Migrations() fs.FS { return schema.With(migrations) }

// Tickets is the item table.
func Tickets() *row.Table[*specimenv1.Ticket] {
	return row.NewTable("ticket", "ticket",
		row.Column[*specimenv1.Ticket]{Name: "number", Path: "number"},
		row.Column[*specimenv1.Ticket]{Name: "amount_fen", Path: "amount_fen"},
		row.Column[*specimenv1.Ticket]{Name: "day", Path: "day", Type: "date"},
		row.Column[*specimenv1.Ticket]{Name: "found_time", Path: "found_time"},
		row.Column[*specimenv1.Ticket]{Name: "child_name_index", Type: "bytea", Value: func(m *specimenv1.Ticket, keys *seal.Keys) any {
			return keys.Index("child.name", m.GetChild().GetName())
		}},
	)
}

// Notes is the table of plain records.
func Notes() *row.Table[*specimenv1.Note] {
	return row.NewTable[*specimenv1.Note]("note", "note")
}

// Source describes the item table.
func Source() custody.Source { return custody.SourceOf(Tickets(), specimenv1.Ticket_STATE_CLOSED) }

// Ticket makes an open ticket that is held, and due if there is a deadline.
func Ticket(id, number, holder string, deadline *timestamppb.Timestamp) *specimenv1.Ticket {
	m := &specimenv1.Ticket{
		Standing: &custodyv1.Standing{Id: id, MatterId: id},
		State:    specimenv1.Ticket_STATE_OPEN, Division: "320411101000", Number: number,
	}
	custody.Hold(m.GetStanding(), holder)
	if deadline != nil {
		custody.Extend(m.GetStanding(), deadline.AsTime(), "report.accept")
	}
	return m
}
