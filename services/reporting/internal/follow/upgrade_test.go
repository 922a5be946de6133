package follow

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/postgres"
	"github.com/lianhu/lianhu/pkg/promise"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// beforeClocks are the migrations up to the version that knew one deadline of an item only.
func beforeClocks(t *testing.T) fs.FS {
	t.Helper()
	all, old := store.Migrations(), fstest.MapFS{}
	names, err := fs.Glob(all, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == "00001_runtime.sql" || name == "00002_sequencer.sql" || strings.HasPrefix(name, "001") {
			content, err := fs.ReadFile(all, name)
			if err != nil {
				t.Fatal(err)
			}
			old[name] = &fstest.MapFile{Data: content}
		}
	}
	return old
}

// Items that were open when their database was migrated have a running clock, which fires once; what they were overdue of stays outstanding until
// somebody acts; and they can be moved on and closed.
func TestItemsFromBeforeClocksGoOn(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, beforeClocks(t))
	owner := db.OpenOwner(t)
	const fresh, late, over = "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a001", "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a002", "4f0a9c21-b7d3-4c55-8a11-9a3f5be0a003"
	const columns = "id, version, matter_id, holder, deadline, clock, state, division, overdue, create_time, update_time, receipt_number, trace, body"
	for id, values := range map[string]string{
		fresh: "3, $1, 'police/320411101000', $2, 'report.accept', 1, '320411101201', false, $3, $3, 'R-1', '', ''",
		late:  "5, $1, 'civil_affairs', $2, 'lead.resolve', 1, '320411101201', true, $3, $3, 'R-2', '', ''",
	} {
		if _, err := owner.Exec(t.Context(), "INSERT INTO report ("+columns+") VALUES ($1, "+values+")", id, noon.Add(time.Hour), noon); err != nil {
			t.Fatal(err)
		}
		point := `INSERT INTO custody (item, version, kind, since, holder, deadline, clock, reason, state)
			SELECT id, n, 'report', update_time, holder, deadline, clock, 'submitted', 'SUBMITTED' FROM report, generate_series(1, version) n WHERE id = $1::uuid`
		if _, err := owner.Exec(t.Context(), point, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := owner.Exec(t.Context(), "INSERT INTO report ("+strings.NewReplacer("holder, deadline, clock, ", "").Replace(columns)+
		") VALUES ($1, 9, $1, 6, '320411101201', false, $2, $2, 'R-3', '', '')", over, noon); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), db.OwnerURL, store.Migrations()); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.New(Service, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	d, err := district.Load("../../../../districts/xinbei")
	if err != nil {
		t.Fatal(err)
	}
	now, tables := noon, store.NewTables()
	e := &command.Engine{DB: db.Open(t), Keys: keys, Service: Service, Now: func() time.Time { return now }, Constraints: store.Constraints()}
	count := func(when string) {
		t.Helper()
		counts, err := promise.Run(t.Context(), owner, append(promise.Items(now, tables.ReportItems()), promise.Runtime()...)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.Violations != 0 && c.Name != "report.history" { // the points above are not all those of a life
				t.Errorf("%s: %s has %d violations among %d", when, c.Name, c.Violations, c.Checked)
			}
		}
	}
	count("migrated")
	get := func(id string) *reportingv1.Report {
		t.Helper()
		r, err := row.Get(t.Context(), e.DB, keys, tables.Reports, id)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if s := get(late).GetStanding(); !custody.Overdue(s) || s.GetClock() != "lead.resolve" || !custody.Running(s) {
		t.Errorf("%v", s)
	}
	now = noon.Add(2 * time.Hour)
	for range 2 {
		if err := custody.NewSweeper(e.DB, e.Now, Expiries(e, tables, d)...).Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	count("swept")
	for id, version := range map[string]int64{fresh: 4, late: 6, over: 9} {
		if r := get(id); r.GetStanding().GetVersion() != version || r.GetOverdue() != (id != over) {
			t.Errorf("%v", r)
		}
	}
	call := command.Call{Caller: "police/main", Method: "accept", RequestID: "4f0a9c21-b7d3-4c55-8a11-9a3f5be0aaaa", Actor: command.Actor{Unit: rules.Bureau}}
	if _, err := command.Update(t.Context(), e, call, tables.Reports, fresh, func(c *command.Change, r *reportingv1.Report) error {
		c.Happened("accepted")
		return rules.Accept(d, r, rules.Actor{Unit: rules.Bureau}, c.Now)
	}, func(*reportingv1.Report) *emptypb.Empty { return &emptypb.Empty{} }); err != nil {
		t.Fatal(err)
	}
	if r := get(fresh); r.GetOverdue() || r.GetStanding().GetClock() != "report.response" {
		t.Errorf("%v", r)
	}
	ran, err := custody.Clocks(t.Context(), e.DB, fresh)
	if err != nil || len(ran) != 3 || ran[0].GetClock() != "report.accept" || ran[0].GetMissedTime() == nil || ran[0].GetEndTime() == nil {
		t.Errorf("%v, %v", ran, err)
	}
	count("accepted")
}
