// Package row maps a contract message to a database row in one place. A row is typed columns for what SQL filters,
// joins, sums or constrains, plus the rest of the message as binary protobuf: `body` for what is PUBLIC or INTERNAL and
// one `sealed_…` column for each class above. A field an older replica does not know survives in the part it came in.
//
// Two shapes of message exist. An item carries a custody.v1.Standing in `standing`, with state, division and overdue;
// a plain record carries id, etag, version, matter_id and division itself.
package row

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/pkg/seal"
)

// Column is a typed column beside the standard ones. Give either Path or Value.
type Column[M proto.Message] struct {
	// Name of the column.
	Name string
	// Path of the field kept in the column instead of the body, dot separated, singular fields only.
	Path string
	// Type is the SQL type when it does not follow from the field: `uuid` or `date` for string fields; always for Value.
	Type string
	// Value derives a column that is only written, for example a blind index. NULL when it returns nil.
	Value func(m M, keys *seal.Keys) any
}

// Table says how the messages of type M are kept.
type Table[M proto.Message] struct {
	// Name of the table.
	Name string
	// Kind of subject in events, custody points and work lists, for example `report`.
	Kind string
	item bool

	columns []column
	values  []Column[M]
}

// column is one stored field: where it is in the message and how it looks in SQL.
type column struct {
	name    string
	path    []protoreflect.FieldDescriptor
	sqlType string
}

// NewTable plans the mapping of M. It panics on a column that the message does not have: a mistake in the program text
// that no input can cause, found by the first test that touches the package.
func NewTable[M proto.Message](name, kind string, columns ...Column[M]) *Table[M] {
	var zero M
	message := zero.ProtoReflect().Descriptor()
	t := &Table[M]{Name: name, Kind: kind, item: message.Fields().ByName("standing") != nil}
	for _, standard := range t.standard() {
		t.columns = append(t.columns, mustColumn(message, standard[0], standard[1], standard[2]))
	}
	for _, c := range columns {
		if c.Value != nil {
			t.values = append(t.values, c)
			continue
		}
		t.columns = append(t.columns, mustColumn(message, c.Name, c.Path, c.Type))
	}
	return t
}

// standard lists the columns that come by themselves: name, path, SQL type.
func (t *Table[M]) standard() [][3]string {
	if t.item {
		return [][3]string{
			{"id", "standing.id", "uuid"},
			{"version", "standing.version", ""},
			{"matter_id", "standing.matter_id", "uuid"},
			{"holder", "standing.holder", ""},
			{"offered_to", "standing.offered_to", ""},
			{"deadline", "standing.deadline", ""},
			{"clock", "standing.clock", ""},
			{"state", "state", ""},
			{"division", "division", ""},
			{"overdue", "overdue", ""},
			{"create_time", "create_time", ""},
			{"update_time", "update_time", ""},
		}
	}
	return [][3]string{
		{"id", "id", "uuid"},
		{"version", "version", ""},
		{"matter_id", "matter_id", "uuid"},
		{"division", "division", ""},
		{"create_time", "create_time", ""},
		{"update_time", "update_time", ""},
	}
}

// IsItem reports whether rows of the table have a holder and a deadline.
func (t *Table[M]) IsItem() bool { return t.item }

// New makes an empty message.
func (t *Table[M]) New() M {
	var zero M
	return zero.ProtoReflect().New().Interface().(M)
}

// Names lists every stored column, in the order of Encode's arguments.
func (t *Table[M]) Names() []string {
	names := make([]string, 0, len(t.columns)+len(t.values)+1+len(sealedColumns))
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	for _, c := range t.values {
		names = append(names, c.Name)
	}
	names = append(names, "body")
	for _, s := range sealedColumns {
		names = append(names, s.name)
	}
	return names
}

// Types lists the SQL types, in the order of Names.
func (t *Table[M]) Types() []string {
	types := make([]string, 0, len(t.columns)+len(t.values)+1+len(sealedColumns))
	for _, c := range t.columns {
		types = append(types, c.sqlType)
	}
	for _, c := range t.values {
		types = append(types, c.Type)
	}
	for range 1 + len(sealedColumns) {
		types = append(types, "bytea")
	}
	return types
}

// Read is the select list that Scan expects, each column qualified with the table's name.
func (t *Table[M]) Read() string {
	parts := make([]string, 0, len(t.columns)+1+len(sealedColumns))
	for _, c := range t.columns {
		name := t.Name + "." + c.name
		if c.sqlType == "uuid" || c.sqlType == "date" {
			name += "::text"
		}
		parts = append(parts, name)
	}
	parts = append(parts, t.Name+".body")
	for _, s := range sealedColumns {
		parts = append(parts, t.Name+"."+s.name)
	}
	return strings.Join(parts, ", ")
}

func mustColumn(message protoreflect.MessageDescriptor, name, path, sqlType string) column {
	c := column{name: name, sqlType: sqlType}
	for _, step := range strings.Split(path, ".") {
		if message == nil {
			panic(fmt.Sprintf("row: column %s: %s is not a message path", name, path))
		}
		field := message.Fields().ByName(protoreflect.Name(step))
		if field == nil || field.IsList() || field.IsMap() {
			panic(fmt.Sprintf("row: column %s: %s has no singular field %s", name, message.FullName(), step))
		}
		c.path = append(c.path, field)
		message = field.Message()
	}
	if c.sqlType == "" {
		c.sqlType = sqlTypeOf(c.path[len(c.path)-1])
	}
	return c
}

func sqlTypeOf(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.StringKind:
		return "text"
	case protoreflect.BoolKind:
		return "boolean"
	case protoreflect.EnumKind, protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "integer"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "bigint"
	case protoreflect.BytesKind:
		return "bytea"
	case protoreflect.MessageKind:
		if field.Message().FullName() == "google.protobuf.Timestamp" {
			return "timestamptz"
		}
	}
	panic(fmt.Sprintf("row: %s cannot be a column", field.FullName()))
}
