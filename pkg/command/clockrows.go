package command

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/row"
)

// clockRows is the branch that writes the clocks an effect started, ended or marked as missed. A clock that ran before has its row already; what
// was missed there stays missed.
func clockRows(b *builder, id string, w *write) string {
	n := len(w.clocks)
	names, versions, units := make([]string, n), make([]int64, n), make([]*string, n)
	lasting, blind := make([]bool, n), make([]bool, n)
	started, due, ended, missed := make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	for i, c := range w.clocks {
		names[i], versions[i], lasting[i], blind[i] = c.GetClock(), c.GetStartVersion(), c.GetLasting(), c.GetCalendarIncomplete()
		started[i], due[i], ended[i], missed[i] = instant(c.GetStartTime()), instant(c.GetDueTime()), instant(c.GetEndTime()), instant(c.GetMissedTime())
		if unit := c.GetUnit(); unit != "" {
			units[i] = &unit
		}
	}
	return fmt.Sprintf(`INSERT INTO custody_clock (item, kind, clock, start_version, lasting, start_time, due_time, end_time, missed_time, unit, calendar_incomplete)
		SELECT %s, %s, k.* FROM u, unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s) AS k
		ON CONFLICT (item, clock, start_version) DO UPDATE
		SET end_time = excluded.end_time, missed_time = coalesce(custody_clock.missed_time, excluded.missed_time), unit = excluded.unit`,
		id, b.of(w.kind, "text"), b.of(names, "text[]"), b.of(versions, "bigint[]"), b.of(lasting, "boolean[]"), b.of(started, "timestamptz[]"),
		b.of(due, "timestamptz[]"), b.of(ended, "timestamptz[]"), b.of(missed, "timestamptz[]"), b.of(units, "text[]"), b.of(blind, "boolean[]"))
}

// markBlind marks the clocks that a change starts and that were counted without a calendar. It stays a fact of the clock: a calendar that is
// loaded later moves no deadline.
func (e *Engine) markBlind(head row.Head) {
	if e.CalendarIncomplete == nil {
		return
	}
	for _, c := range head.Standing.GetClocks() {
		if c.GetStartVersion() == head.Version {
			c.CalendarIncomplete = e.CalendarIncomplete(c.GetClock(), c.GetStartTime().AsTime(), c.GetDueTime().AsTime())
		}
	}
}

func instant(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}
