package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/telemetry"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// commit makes the effect, all of it or nothing. One row and nothing else is one statement that commits by itself; anything more is
// one short transaction.
func (c *Change) commit(ctx context.Context, answer []byte) error {
	return acknowledge(ctx, func(ctx context.Context) error { return c.write(ctx, answer) })
}

func (c *Change) write(ctx context.Context, answer []byte) error {
	first := c.statement(ctx, c.writes[0], answer)
	if len(c.writes) == 1 && len(c.further) == 0 && len(c.call.Also) == 0 && !c.call.ValidateOnly {
		var rows int64
		if err := c.Engine.DB.QueryRow(ctx, first.SQL, first.Args...).Scan(&rows, nil); err != nil {
			return err
		}
		return oneRow(rows)
	}
	return c.transaction(ctx, first)
}

// transaction writes several rows. Rows of access_grant come last and in order, as they are the only ones that different
// items share.
func (c *Change) transaction(ctx context.Context, first Statement) error {
	tx, err := c.Engine.DB.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after a commit this does nothing
	batch := &pgx.Batch{}
	counted := func(s Statement) {
		batch.Queue(s.SQL, s.Args...).QueryRow(func(r pgx.Row) error {
			var rows int64
			var before *string
			if err := r.Scan(&rows, &before); err != nil {
				return err
			}
			if before != nil {
				c.linkBack(*before)
			}
			return oneRow(rows)
		})
	}
	counted(first)
	for _, w := range c.writes[1:] {
		counted(c.statement(ctx, w, nil))
	}
	for _, s := range c.further {
		queue(batch, s, func(rows int64) error {
			if rows == 0 {
				return errAgain
			}
			return nil
		})
	}
	if units, matters := c.grants(); len(units) > 0 {
		batch.Queue(`INSERT INTO access_grant (matter_id, unit, create_time)
			SELECT matter, unit, $3 FROM unnest($1::uuid[], $2::text[]) AS held (matter, unit) ON CONFLICT DO NOTHING`, matters, units, c.Now)
	}
	for _, s := range c.call.Also {
		queue(batch, s, func(rows int64) error {
			if rows != 1 {
				return ErrSuperseded
			}
			return nil
		})
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	if c.call.ValidateOnly {
		return nil
	}
	return tx.Commit(ctx)
}

func queue(batch *pgx.Batch, s Statement, check func(rows int64) error) {
	batch.Queue(s.SQL, s.Args...).Query(func(rows pgx.Rows) error {
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		return check(rows.CommandTag().RowsAffected())
	})
}

func oneRow(rows int64) error {
	switch rows {
	case 1:
		return nil
	case 0:
		return errAgain
	default:
		return errors.New("command: one statement changed several rows")
	}
}

// grants lists the pairs of matter and holder that the effect creates, sorted by matter and unit.
func (c *Change) grants() (units, matters []string) {
	type pair struct{ matter, unit string }
	var pairs []pair
	for _, w := range c.writes {
		if w.grants() {
			pairs = append(pairs, pair{w.head.MatterID, w.head.Standing.GetHolder()})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return strings.Compare(a.matter+a.unit, b.matter+b.unit)
	})
	for _, p := range slices.Compact(pairs) {
		matters, units = append(matters, p.matter), append(units, p.unit)
	}
	return units, matters
}

func (w *write) grants() bool {
	return w.item && w.head.MatterID != "" && w.head.Standing.GetHolder() != ""
}

// builder numbers the arguments of a statement as they are mentioned.
type builder struct {
	args []any
}

// of mentions an argument with its SQL type; without the cast PostgreSQL would guess in a select list.
func (b *builder) of(value any, sqlType string) string {
	b.args = append(b.args, value)
	return fmt.Sprintf("$%d::%s", len(b.args), sqlType)
}

// statement composes the effect on one row with everything that hangs on it. Every branch reads FROM u and so does nothing
// when the row was not written. Only the command's own row carries the idempotency branch (answer not nil), unless
// the call is recognised otherwise.
func (c *Change) statement(ctx context.Context, w *write, answer []byte) Statement {
	b := &builder{}
	var sql strings.Builder
	sql.WriteString("WITH u AS (" + w.effect(b, telemetry.Traceparent(ctx), answer == nil) + ")")
	branch := func(name, body string) { sql.WriteString(",\n" + name + " AS (" + body + ")") }
	if answer != nil && !c.call.Recognised {
		branch("i", fmt.Sprintf("INSERT INTO idempotency (caller, method, request_id, digest, answer) SELECT %s, %s, %s, %s, %s"+hang,
			b.of(c.call.Caller, "text"), b.of(c.call.Method, "text"), b.of(c.call.RequestID, "uuid"), b.of(c.digest, "bytea"), b.of(answer, "bytea")))
	}
	id, version, now := b.of(w.head.ID, "uuid"), b.of(w.head.Version, "bigint"), b.of(w.head.UpdateTime, "timestamptz")
	matter := b.of(orNull(w.head.MatterID), "uuid")
	if w.item {
		s := w.head.Standing
		var deadline any
		if s.GetDeadline() != nil {
			deadline = s.GetDeadline().AsTime()
		}
		branch("c", fmt.Sprintf(`INSERT INTO custody (item, version, kind, since, holder, offered_to, deadline, clock, reason, state)
			SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s FROM u`, id, version, b.of(w.kind, "text"), now,
			b.of(orNull(s.GetHolder()), "text"), b.of(orNull(s.GetOfferedTo()), "text"), b.of(deadline, "timestamptz"),
			b.of(orNull(s.GetClock()), "text"), b.of(w.what, "text"), b.of(w.head.State, "text")))
	}
	if len(w.clocks) > 0 {
		branch("k", clockRows(b, id, w))
	}
	branch("o", fmt.Sprintf(`INSERT INTO outbox (type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent)
		SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s FROM u`, b.of(w.kind+"."+w.what, "text"), b.of(w.kind, "text"), id, version, matter,
		b.of(w.head.Division, "text"), b.of(w.audience, "text[]"), now, b.of(telemetry.Traceparent(ctx), "text")))
	if w.grants() && len(c.writes) == 1 {
		branch("g", fmt.Sprintf("INSERT INTO access_grant (matter_id, unit, create_time) SELECT %s, %s, %s FROM u ON CONFLICT DO NOTHING",
			matter, b.of(w.head.Standing.GetHolder(), "text"), now))
	}
	actor := c.call.Actor
	branch("a", fmt.Sprintf(`INSERT INTO audit (time, unit, system, officer, purpose, method, request_id, effect, class, subject_kind, subject_id, subject_version, matter_id)
		SELECT %s, %s, %s, %s, %s, %s, %s, true, %s, %s, %s, %s, %s FROM u`, now, b.of(actor.Unit, "text"), b.of(actor.System, "text"),
		b.of(actor.Officer, "text"), b.of(int32(actor.Purpose), "integer"), b.of(c.call.Method, "text"), b.of(c.call.RequestID, "uuid"),
		b.of(int32(max(c.call.Class, accessv1.DataClass_DATA_CLASS_INTERNAL)), "integer"), b.of(w.kind, "text"), id, version, matter))
	sql.WriteString("\nSELECT count(*), min(before) FROM u")
	return Statement{sql.String(), b.args}
}

// effect is the INSERT or UPDATE of the row itself. It returns the trace context of the change before this one, of a further row
// only: the command's own had it read together with it.
func (w *write) effect(b *builder, traceparent string, further bool) string {
	if w.expected == 0 {
		values := make([]string, len(w.names))
		for i := range w.names {
			values[i] = b.of(w.args[i], w.types[i])
		}
		trace := b.of(traceparent, "text")
		return fmt.Sprintf("INSERT INTO %s (%s, trace) VALUES (%s, %s) RETURNING NULL::text AS before", w.table, strings.Join(w.names, ", "), strings.Join(values, ", "), trace)
	}
	var sets []string
	for i, name := range w.names[1:] { // the first is the id
		sets = append(sets, name+" = "+b.of(w.args[i+1], w.types[i+1]))
	}
	from, before := "", "NULL::text"
	if further {
		from, before = "FROM "+w.table+" AS old", "old.trace"
	}
	sql := fmt.Sprintf("UPDATE %s AS present SET %s, trace = %s %s WHERE present.id = %s AND "+unchanged, w.table, strings.Join(sets, ", "),
		b.of(traceparent, "text"), from, b.of(w.head.ID, "uuid"), b.of(w.expected, "bigint"))
	if further {
		sql += " AND old.id = present.id"
	}
	return sql + " RETURNING " + before + " AS before"
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
