package storm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/custody"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// areas are the services with a database.
var areas = [...]string{"registry", "reporting", "referral", "relief"}

// areaOf is the service of a method.
func areaOf(method string) string {
	parts := strings.Split(method, ".")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// acknowledgedKept: whatever was acknowledged is there as it was told - the request's own row, its effect, and the point of custody with the
// holder, offer and deadline of the answer; what was refused has none.
func (s *Storm) acknowledgedKept(ctx context.Context, ops []*Op, _ time.Time) error {
	for _, area := range areas {
		var mutations []*Op
		for _, op := range ops {
			if op.RequestID != "" && areaOf(op.Method) == area && (op.Outcome == Acknowledged || op.Outcome == Refused) {
				mutations = append(mutations, op)
			}
		}
		if err := s.world.inDatabase(ctx, "lianhu_"+area, func(c *pgx.Conn) error { return s.keptIn(ctx, c, mutations) }); err != nil {
			return err
		}
	}
	return nil
}

// kept is what a database has of one request.
type kept struct {
	// Replayable: the request has its own row; HasEffect: the audit knows its effect; Point: custody has the version told.
	Replayable, HasEffect bool
	Point                 bool
	Holder, OfferedTo     string
	Deadline              *time.Time
}

func (s *Storm) keptIn(ctx context.Context, c *pgx.Conn, ops []*Op) error {
	n := len(ops)
	ids, methods, items, versions := make([]string, n), make([]string, n), make([]*string, n), make([]int64, n)
	for i, op := range ops {
		ids[i], methods[i] = op.RequestID, op.Method
		if standing := standingOf(op); standing != nil {
			items[i], versions[i] = new(standing.GetId()), standing.GetVersion()
		}
	}
	rows, err := c.Query(ctx, `
		WITH effects AS (SELECT DISTINCT method, request_id FROM audit WHERE effect)
		SELECT i.request_id IS NOT NULL, e.request_id IS NOT NULL, p.item IS NOT NULL, coalesce(p.holder, ''), coalesce(p.offered_to, ''), p.deadline
		FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[]) WITH ORDINALITY AS r (request_id, method, item, version, place)
		LEFT JOIN idempotency i USING (request_id, method) LEFT JOIN effects e USING (request_id, method)
		LEFT JOIN custody p ON p.item = r.item AND p.version = r.version ORDER BY place`, ids, methods, items, versions)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (k kept, err error) {
		err = r.Scan(&k.Replayable, &k.HasEffect, &k.Point, &k.Holder, &k.OfferedTo, &k.Deadline)
		return k, err
	})
	if err != nil {
		return err
	}
	for i, op := range ops {
		k, standing := found[i], standingOf(op)
		told := fmt.Sprintf("operation %d %s %s", op.N, op.Method, op.RequestID)
		switch {
		case op.Outcome == Refused && (k.Replayable || k.HasEffect):
			s.report("refused.without_effect", told+" was refused and had an effect")
		case op.Outcome == Refused:
		case !k.Replayable || !k.HasEffect:
			s.report("acknowledged.kept", told+" was acknowledged and has no effect")
		case standing != nil && (!k.Point || !agree(k, standing)):
			s.report("acknowledged.kept", told+" was answered with another standing than is kept")
		}
	}
	s.checked("acknowledged.kept", int64(n))
	return nil
}

// standingOf is the standing in an operation's answer; nil when it has none.
func standingOf(op *Op) *custodyv1.Standing {
	if a, ok := op.Answer.(interface{ GetStanding() *custodyv1.Standing }); ok && op.Outcome == Acknowledged && a.GetStanding().GetId() != "" {
		return a.GetStanding()
	}
	return nil
}

func agree(k kept, standing *custodyv1.Standing) bool {
	deadline := k.Deadline == nil && standing.GetDeadline() == nil ||
		k.Deadline != nil && standing.GetDeadline() != nil && k.Deadline.Equal(standing.GetDeadline().AsTime())
	return deadline && k.Holder == standing.GetHolder() && k.OfferedTo == standing.GetOfferedTo()
}

// effectsAnnounced: every effect has its event in the feed, once, and nothing waits in the outbox for ever.
func (s *Storm) effectsAnnounced(ctx context.Context, _ []*Op, _ time.Time) error {
	return s.inEach(ctx, "feed.complete", "effects have no event in the feed, or two, or wait in the outbox", `
		SELECT count(*), count(*) FILTER (WHERE f.events IS DISTINCT FROM 1) + (SELECT count(*) FROM outbox)
		FROM (SELECT DISTINCT subject_kind, subject_id, subject_version FROM audit WHERE effect) a
		LEFT JOIN (SELECT subject_kind, subject_id, subject_version, count(*) AS events FROM feed GROUP BY 1, 2, 3) f
			USING (subject_kind, subject_id, subject_version)`)
}

// causalOrder: what was acknowledged before something else was asked for comes before it in the feed, whatever the two are about.
func (s *Storm) causalOrder(ctx context.Context, ops []*Op, _ time.Time) error {
	for _, area := range areas {
		type span struct{ first, last int64 }
		places := map[string]span{}
		err := s.world.inDatabase(ctx, "lianhu_"+area, func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, `SELECT a.method || ' ' || a.request_id, min(f.seq), max(f.seq)
				FROM audit a JOIN feed f USING (subject_kind, subject_id, subject_version) WHERE a.effect AND a.request_id IS NOT NULL GROUP BY 1`)
			if err != nil {
				return err
			}
			var request string
			var at span
			_, err = pgx.ForEachRow(rows, []any{&request, &at.first, &at.last}, func() error {
				places[request] = at
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
		var begun []*Op
		for _, op := range ops {
			if _, ok := places[op.Method+" "+op.RequestID]; ok && op.Outcome == Acknowledged {
				begun = append(begun, op)
			}
		}
		ended := slices.Clone(begun)
		slices.SortFunc(begun, func(a, b *Op) int { return cmp.Compare(a.Begin, b.Begin) })
		slices.SortFunc(ended, func(a, b *Op) int { return cmp.Compare(a.End, b.End) })
		var latest int64 // place of the last event of all that was acknowledged so far
		for _, op := range begun {
			for len(ended) > 0 && ended[0].End < op.Begin {
				latest, ended = max(latest, places[ended[0].Method+" "+ended[0].RequestID].last), ended[1:]
			}
			if first := places[op.Method+" "+op.RequestID].first; first <= latest {
				s.report("feed.causal", fmt.Sprintf("%s: operation %d %s was asked for when an event at %[5]d had been acknowledged, and is announced at %[4]d", area, op.N, op.Method, first, latest))
			}
		}
		s.checked("feed.causal", int64(len(begun)))
	}
	return nil
}

// inEach runs a query of (checked, violations) in every database.
func (s *Storm) inEach(ctx context.Context, checker, text, sql string, args ...any) error {
	for _, area := range areas {
		var looked, wrong int64
		err := s.world.inDatabase(ctx, "lianhu_"+area, func(c *pgx.Conn) error { return c.QueryRow(ctx, sql, args...).Scan(&looked, &wrong) })
		if err != nil {
			return fmt.Errorf("storm: %s in %s: %w", checker, area, err)
		}
		s.checked(checker, looked)
		if wrong != 0 {
			s.report(checker, fmt.Sprintf("%s: %d of %d %s", area, wrong, looked, text))
		}
	}
	return nil
}

// legal says which states of an item can follow which; a state can always follow itself. The first is where an item begins.
var legal = map[string]map[string]string{
	"report": {
		"": "SUBMITTED", "SUBMITTED": "RESPONDING TRANSFERRING", "TRANSFERRING": "RESPONDING SUBMITTED",
		"RESPONDING": "RESPONSE_CLOSED TRANSFERRING", "RESPONSE_CLOSED": "NOTIFIED", "NOTIFIED": "CLOSED",
	},
	"bulletin":   {"": "ISSUED", "ISSUED": "ACKNOWLEDGED"},
	"assessment": {"": "OPEN", "OPEN": "IN_PROGRESS CONCLUDED CLOSED", "IN_PROGRESS": "CONCLUDED CLOSED", "CONCLUDED": "HANDED_OVER"},
	"incident":   {"": "OPEN LINKED CLOSED", "OPEN": "LINKED CLOSED", "LINKED": "OPEN CLOSED", "CLOSED": "OPEN LINKED"},
	"referral": {
		"": "OFFERED", "OFFERED": "ACCEPTED ESCALATED", "ACCEPTED": "IN_PROGRESS DELIVERED ESCALATED", "IN_PROGRESS": "DELIVERED ESCALATED",
		"ESCALATED": "OFFERED DELIVERED", "DELIVERED": "CONFIRMED ACCEPTED ESCALATED OFFERED",
	},
	"case":               {"": "OPEN", "OPEN": "CLOSED"},
	"application":        {"": "OPEN SUBMITTED", "OPEN": "SUBMITTED WITHDRAWN", "SUBMITTED": "APPROVED REFUSED WITHDRAWN", "APPROVED": "PAID"},
	"payment":            {"": "APPROVED", "APPROVED": "FROZEN", "FROZEN": "EXPORTED APPROVED", "EXPORTED": "SETTLED RETURNED", "RETURNED": "REPLACED"},
	"batch":              {"": "FROZEN", "FROZEN": "APPROVED CANCELLED", "APPROVED": "EXPORTED CANCELLED", "EXPORTED": "SETTLED"},
	"visit_plan":         {"": "DUE", "DUE": "ENDED"},
	"search":             {"": "SEARCHING", "SEARCHING": "ENDED"},
	"quarantined_update": {"": "OPEN", "OPEN": "REPLAYED REJECTED"},
}

// statesLegal: no item took a step that its life does not know.
func (s *Storm) statesLegal(ctx context.Context, _ []*Op, _ time.Time) error {
	for _, area := range areas {
		err := s.world.inDatabase(ctx, "lianhu_"+area, func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, `SELECT kind, before, state, count(*), min(item::text) FROM (
					SELECT kind, item, state, coalesce(lag(state) OVER (PARTITION BY item ORDER BY version), '') AS before FROM custody) steps
				WHERE before <> state GROUP BY 1, 2, 3`)
			if err != nil {
				return err
			}
			var kind, before, state, item string
			var n int64
			_, err = pgx.ForEachRow(rows, []any{&kind, &before, &state, &n, &item}, func() error {
				s.checked("states.legal", n)
				if !slices.Contains(strings.Fields(legal[kind][before]), state) {
					s.report("states.legal", fmt.Sprintf("%s %s went from %q to %q, and %d others", kind, item, before, state, n-1))
				}
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// custodyComplete: points without a gap, time that never goes back, a reason for each change, and holders that are open units.
func (s *Storm) custodyComplete(ctx context.Context, _ []*Op, now time.Time) error {
	err := s.inEach(ctx, "custody.complete", "points leave a gap, go back in time or have no reason", `
		SELECT count(*), count(*) FILTER (WHERE version <> place OR since < before OR reason = '')
		FROM (SELECT version, since, reason, row_number() OVER w AS place, lag(since) OVER w AS before
		      FROM custody WINDOW w AS (PARTITION BY item ORDER BY version)) points`)
	if err != nil {
		return err
	}
	day := calendar.Today(now)
	for _, area := range areas {
		err := s.world.inDatabase(ctx, "lianhu_"+area, func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, "SELECT DISTINCT unit FROM custody, unnest(ARRAY[holder, offered_to]) AS unit WHERE unit IS NOT NULL")
			if err != nil {
				return err
			}
			units, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, id := range units {
				if u, ok := s.world.district.Unit(id); !ok || !u.OpenOn(day) {
					s.report("custody.complete", area+": "+id+" holds something and is no open unit")
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deadlinesOnce: each deadline fired at most once, not before it was due, and under the request id that all replicas share. That none is
// overdue beyond the sweeper's tolerance is counted by the promise `*.unswept`.
func (s *Storm) deadlinesOnce(ctx context.Context, _ []*Op, _ time.Time) error {
	for _, area := range areas {
		err := s.world.inDatabase(ctx, "lianhu_"+area, func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, `SELECT a.subject_kind, a.subject_id::text, a.subject_version - 1, a.request_id::text, p.deadline IS NOT NULL AND p.deadline <= a.time
				FROM audit a LEFT JOIN custody p ON p.item = a.subject_id AND p.version = a.subject_version - 1
				WHERE a.effect AND a.method = 'sweep/' || a.subject_kind`)
			if err != nil {
				return err
			}
			var kind, item, request string
			var version int64
			var due bool
			fired := map[string]bool{}
			_, err = pgx.ForEachRow(rows, []any{&kind, &item, &version, &request, &due}, func() error {
				s.checked("deadlines.once", 1)
				key := fmt.Sprint(item, version)
				if fired[key] || !due || custody.ExpiryCall(area, kind, item, version).RequestID != request {
					s.report("deadlines.once", fmt.Sprintf("%s %s version %d fired again, too early or outside the command rule", kind, item, version))
				}
				fired[key] = true
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// handedOver: an assessment that was handed over has its case, one that is concluded was handed over by the time all followers rest, and a
// referral that was accepted for relief has its application.
func (s *Storm) handedOver(ctx context.Context, _ []*Op, _ time.Time) error {
	var given, waiting, cases, accepted, applications []string
	ids := func(database, sql string, into *[]string) error {
		return s.world.inDatabase(ctx, database, func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, sql)
			if err != nil {
				return err
			}
			*into, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
	}
	for sql, into := range map[string]*[]string{"SELECT id::text FROM assessment WHERE state = 4": &given, "SELECT id::text FROM assessment WHERE state = 3": &waiting} {
		if err := ids("lianhu_reporting", sql, into); err != nil {
			return err
		}
	}
	if err := ids("lianhu_referral", "SELECT assessment_id::text FROM support_case", &cases); err != nil {
		return err
	}
	if err := ids("lianhu_referral", "SELECT DISTINCT r.id::text FROM referral r JOIN custody c ON c.item = r.id WHERE c.reason = 'accepted' AND r.need = '"+relief+"'", &accepted); err != nil {
		return err
	}
	if err := ids("lianhu_relief", "SELECT referral_id::text FROM application WHERE referral_id IS NOT NULL", &applications); err != nil {
		return err
	}
	slices.Sort(applications)
	for _, id := range accepted {
		if _, ok := slices.BinarySearch(applications, id); !ok {
			s.report("handover.target", "referral "+id+" was accepted for relief and has no application")
		}
	}
	slices.Sort(cases)
	for _, id := range given {
		if _, ok := slices.BinarySearch(cases, id); !ok {
			s.report("handover.target", "assessment "+id+" was handed over to a case that is not there")
		}
	}
	for _, id := range waiting {
		s.report("handover.target", "assessment "+id+" is concluded and nobody has taken it over")
	}
	s.checked("handover.target", int64(len(given)+len(waiting)+len(accepted)))
	return nil
}
