package access_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
)

// stored is a ticket in the database and what is known of it.
type stored struct {
	id      string
	facts   access.Facts
	granted string
}

// For every caller a list answers exactly the subjects it may look at one by one.
func TestListsAndLooksAgreeOnRealRows(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t, specimen.Migrations())
	keys, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	var all []stored
	for _, holder := range []string{"police", "police/" + town, "township/" + town, "health"} {
		for _, offered := range []string{"", "police/" + otherTown, "womens_federation"} {
			for _, division := range []string{village, town, otherTown, "320411000000"} {
				granted := []string{"", "health", "police"}[len(all)%3]
				s := stored{uuid.NewString(), access.Facts{Holder: holder, OfferedTo: offered, Division: division}, granted}
				insert(t, db, keys, s)
				all = append(all, s)
			}
		}
	}
	for _, id := range []string{"police", "police/" + town, "police/" + otherTown, "township/" + town, "village/" + village, "health", "womens_federation", "civil_affairs", "finance"} {
		for _, action := range []string{"report.read", "child.read", "referral.read", "case.read", "budget.read"} {
			c := caller(t, unit(id, none))
			listed := list(t, db, keys, c.Scope(action))
			for _, s := range all {
				s.facts.Involved = s.granted == id
				if seen := c.See(action, s.facts) == nil; seen != listed[s.id] {
					t.Errorf("%s %s %+v: seen %v, listed %v", id, action, s.facts, seen, listed[s.id])
				}
			}
		}
	}
}

func insert(t *testing.T, db *pgxpool.Pool, keys *seal.Keys, s stored) {
	t.Helper()
	table := specimen.Tickets()
	m := specimen.Ticket(s.id, s.id, s.facts.Holder, nil)
	m.Standing.OfferedTo, m.Division, m.State = s.facts.OfferedTo, s.facts.Division, specimenv1.Ticket_STATE_OPEN
	m.Standing.Clock = ""
	table.Stamp(m, 1, now)
	args, err := table.Encode(m, keys)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for i, sqlType := range append(table.Types(), "text") {
		values = append(values, "$"+strconv.Itoa(i+1)+"::"+sqlType)
	}
	sql := "INSERT INTO ticket (" + strings.Join(append(table.Names(), "trace"), ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
	if _, err := db.Exec(t.Context(), sql, append(args, "")...); err != nil {
		t.Fatal(err)
	}
	if s.granted == "" {
		return
	}
	if _, err := db.Exec(t.Context(), "INSERT INTO access_grant (matter_id, unit, create_time) VALUES ($1, $2, $3)", s.id, s.granted, now); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, db *pgxpool.Pool, keys *seal.Keys, scope access.Scope) map[string]bool {
	t.Helper()
	where, args := scope.Where("ticket", false, 1)
	rows, err := row.Select(t.Context(), db, keys, specimen.Tickets(), "WHERE "+where, args...)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range rows {
		found[m.GetStanding().GetId()] = true
	}
	return found
}
