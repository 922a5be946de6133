package command

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/row"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// namespace of the ids derived from requests.
var namespace = uuid.MustParse("6f0c6c0e-5f0c-5a63-9f3c-3f2f6d9f7c11")

// Change is what one attempt of a command is about to do. A rule uses it; it lives no longer than the attempt.
type Change struct {
	// Engine gives rules that must look at further rows its DB and Keys.
	Engine *Engine
	// Now is the business time of the effect, in microseconds; never before the subject's last change.
	Now time.Time

	call     Call
	digest   []byte
	span     trace.Span
	happened happened
	writes   []*write
	further  []Statement
}

// happened is what a write is called in custody and feed, and who may see its event.
type happened struct {
	what     string
	audience []string
}

// ID derives an id from the request and a suffix, so that a retry makes the same one. Use "" for the row the command is about.
func (c *Change) ID(suffix string) string {
	return uuid.NewSHA1(namespace, []byte(c.call.Caller+"\x00"+c.call.Method+"\x00"+c.call.RequestID+"\x00"+suffix)).String()
}

// Happened names the change of the command's own row: the custody reason, and with the kind in front the event type. The
// audience are units beside holder and offered_to, before and after, who may see the event. Each rule calls it once.
func (c *Change) Happened(what string, audience ...string) {
	c.happened = happened{what, audience}
}

// Exec adds a statement to the command's transaction; it must affect at least one row, else the attempt starts again. For
// append-only lines and derived rows that are no subject of their own.
func (c *Change) Exec(sql string, args ...any) {
	c.further = append(c.further, Statement{sql, args})
}

// Insert adds a further new row to the command, with its own custody point, event and audit row.
func Insert[M proto.Message](c *Change, t *row.Table[M], m M, what string, audience ...string) error {
	return insert(c, t, m, &happened{what, audience})
}

// Update adds a further changed row to the command. Load it with Load: its version and its former holder are remembered there.
func (l *Loaded[M]) Update(c *Change, what string, audience ...string) error {
	return change(c, l.table, l.M, l.version, l.stood, &happened{what, audience})
}

// Loaded is a row read by a rule in order to change it together with the command's own.
type Loaded[M proto.Message] struct {
	// M is the row; change it in place.
	M M

	table   *row.Table[M]
	version int64
	stood   stood
}

// stood is how an item stood before a change: with whom, and under which clocks.
type stood struct {
	units  []string
	clocks []*custodyv1.Clock
}

func stoodAt(head row.Head) stood {
	return stood{standingUnits(head), clocks.Copy(head.Standing)}
}

// Remember takes a row as read and keeps what Loaded.Update needs to notice a concurrent change.
func Remember[M proto.Message](t *row.Table[M], m M) *Loaded[M] {
	head := t.Head(m)
	return &Loaded[M]{M: m, table: t, version: head.Version, stood: stoodAt(head)}
}

// write is one row of the effect, ready to be composed into a statement.
type write struct {
	table        string
	kind         string
	item         bool
	names, types []string
	args         []any
	head         row.Head
	expected     int64 // version before; 0 for an insert
	what         string
	audience     []string
	clocks       []*custodyv1.Clock // those that the effect changed
}

func insert[M proto.Message](c *Change, t *row.Table[M], m M, h *happened) error {
	return plan(c, t, m, 0, stood{}, h)
}

func change[M proto.Message](c *Change, t *row.Table[M], m M, version int64, before stood, h *happened) error {
	return plan(c, t, m, version, before, h)
}

func plan[M proto.Message](c *Change, t *row.Table[M], m M, version int64, before stood, h *happened) error {
	if h.what == "" {
		return fmt.Errorf("command: %s: the rule of %s did not say what happened", c.call.Method, t.Name)
	}
	t.Stamp(m, version+1, later(c.Now, t.Head(m).UpdateTime))
	head := t.Head(m)
	if t.IsItem() && (head.Standing.GetHolder() == "") != (head.Standing.GetDeadline() == nil) {
		return fmt.Errorf("command: %s %s: holder and deadline go together", c.call.Method, t.Name)
	}
	if err := clocks.Check(head.Standing); err != nil {
		return fmt.Errorf("command: %s %s: %w", c.call.Method, t.Name, err)
	}
	c.Engine.markBlind(head)
	ran := clocks.Changed(head.Standing, before.clocks)
	if t.IsItem() {
		clocks.Forget(head.Standing)
	}
	args, err := t.Encode(m, c.Engine.Keys)
	if err != nil {
		return err
	}
	for _, earlier := range c.writes {
		if earlier.table == t.Name && earlier.head.ID == head.ID {
			return fmt.Errorf("command: %s writes one row of %s twice", c.call.Method, t.Name)
		}
	}
	c.writes = append(c.writes, &write{
		table: t.Name, kind: t.Kind, item: t.IsItem(), names: t.Names(), types: t.Types(), args: args,
		head: head, expected: version, what: h.what, audience: audience(before.units, standingUnits(head), h.audience), clocks: ran,
	})
	return nil
}

// standingUnits are the units an item is with: its holder and whom it is offered to.
func standingUnits(head row.Head) []string {
	if head.Standing == nil {
		return nil
	}
	return []string{head.Standing.GetHolder(), head.Standing.GetOfferedTo()}
}

// audience joins lists of units, sorted and without repetition.
func audience(lists ...[]string) []string {
	all := append([]string{}, slices.Sorted(slices.Values(slices.Concat(lists...)))...) // never nil, which would be NULL
	return slices.DeleteFunc(slices.Compact(all), func(unit string) bool { return unit == "" })
}
