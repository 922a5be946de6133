//go:build holders

package matter

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/services/suite/journey"
)

// held is an open item as custody has it.
type held struct {
	ID, Kind, State, Holder, OfferedTo, Clock string
	Area                                      string `db:"-"`
}

// situation is what is the same for all items that stand alike: two towns differ in nothing here.
func (h held) situation(d *district.District) string {
	offer := ""
	if h.OfferedTo != "" {
		offer = ", offered to " + sort(d, h.OfferedTo)
	}
	return fmt.Sprintf("%s %s, held by %s%s, clock %s", h.Kind, h.State, sort(d, h.Holder), offer, h.Clock)
}

// sort names a unit by its kind, a member unit by itself.
func sort(d *district.District, unit string) string {
	u, ok := d.Unit(unit)
	if !ok || u.Kind == district.KindMember || u.Kind == district.KindOperator {
		return unit
	}
	return string(u.Kind)
}

// watch looks at every open item after each thing that happens, and tries what units can do with one that stands as none did before.
type watch struct {
	probe
	t         *testing.T
	verbs     *verbTable
	databases map[string]*pgx.Conn
	seen      map[string]bool
	known     map[string]bool
}

const openItems = `SELECT item::text AS id, kind, state, holder, coalesce(offered_to, '') AS offered_to, coalesce(clock, '') AS clock
	FROM (SELECT DISTINCT ON (item) * FROM custody ORDER BY item, version DESC) latest WHERE holder IS NOT NULL`

// look tries every open item that stands as none did before. It answers whether there was one.
func (w *watch) look(ctx context.Context, now time.Time) (news bool) {
	w.t.Helper()
	w.now = now
	for _, area := range slices.Sorted(maps.Keys(w.databases)) {
		for _, i := range collect(ctx, w, area, openItems, pgx.RowToStructByName[held]) {
			i.Area = area
			name := i.situation(w.District)
			if !w.seen[name] {
				w.seen[name], news = true, true
				w.judge(ctx, i, name)
			}
		}
	}
	return news
}

func collect[T any](ctx context.Context, w *watch, area, sql string, to pgx.RowToFunc[T], args ...any) []T {
	w.t.Helper()
	rows, err := w.databases[area].Query(ctx, sql, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, to)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// judge holds an item against the four demands: who holds it and whoever it is offered to can read it, each has a verb that moves it on, an offer
// can be declined, and somebody can end it.
func (w *watch) judge(ctx context.Context, i held, name string) {
	w.t.Helper()
	vars := w.facts(ctx, i)
	w.part(ctx, i, name, "holder", i.Holder, vars)
	if i.OfferedTo != "" && i.OfferedTo != i.Holder {
		w.part(ctx, i, name, "offered", i.OfferedTo, vars)
	}
	for _, unit := range w.concerned(i) {
		if w.can(ctx, i, unit, vars, func(v verb) bool { return v.Ends }) == "" {
			return
		}
	}
	w.hole(name+": nobody can end it", "")
}

func (w *watch) hole(what, why string) {
	w.t.Helper()
	if w.known[what] {
		w.t.Log("known: " + what)
		return
	}
	w.t.Errorf("%s: %s", what, why)
}

func (w *watch) part(ctx context.Context, i held, name, part, unit string, vars map[string]string) {
	w.t.Helper()
	name += ": " + part + " " + sort(w.District, unit)
	if _, refusal := w.read(ctx, i, unit, vars); refusal != "" {
		w.hole(name+" cannot read it", refusal)
	}
	if why := w.can(ctx, i, unit, vars, func(v verb) bool { return !v.Corrects }); why != "" {
		w.hole(name+" can do nothing that moves it on", why)
	}
	if why := w.can(ctx, i, unit, vars, func(v verb) bool { return v.Declines }); why != "" && part == "offered" && !w.verbs.kept(i.Kind, unit) {
		w.hole(name+" cannot decline it", why)
	}
}

// can tries the verbs of an item, and of those through which it moves. It answers nothing when one was answered, else why each was refused.
func (w *watch) can(ctx context.Context, i held, unit string, vars map[string]string, which func(verb) bool) string {
	w.t.Helper()
	refusals := []string{"of " + i.Kind}
	vars["superior"] = w.superior(unit)
	for _, v := range w.verbs.of(i.Kind) {
		if !which(v) {
			continue
		}
		_, refusal := w.tried(ctx, unit, v.method, v.example(i), vars)
		if refusal == "" {
			return ""
		}
		refusals = append(refusals, v.name()+" "+refusal)
	}
	if sql := w.verbs.Items[i.Kind].Through; sql != "" {
		for _, other := range collect(ctx, w, i.Area, sql, pgx.RowToStructByNameLax[held], i.ID) {
			other.Area, other.Holder, other.OfferedTo = i.Area, i.Holder, i.OfferedTo
			why := w.can(ctx, other, unit, w.facts(ctx, other), which)
			if why == "" {
				return ""
			}
			refusals = append(refusals, why)
		}
	}
	slices.Sort(refusals[1:])
	return strings.Join(refusals, "; ")
}

// concerned are the units that may have a part in the end of an item: holder and offered first.
func (w *watch) concerned(i held) []string {
	units := []string{i.Holder, i.OfferedTo}
	for _, u := range w.District.Units() {
		if u.Kind == district.KindMember || u.Kind == district.KindOperator {
			units = append(units, u.ID)
		}
	}
	units = append(units, "police/320411101000", "township/320411101000", "village/320411101201")
	return slices.DeleteFunc(units, func(u string) bool { return u == "" })
}

func (w *watch) read(ctx context.Context, i held, unit string, vars map[string]string) (*dynamicpb.Message, string) {
	get := w.verbs.gets[i.Kind]
	if get == nil {
		return nil, "the contract has no method that reads it"
	}
	request := w.verbs.Items[i.Kind].Request
	if request == nil {
		request = map[string]any{i.Kind + "_id": i.ID}
	}
	return w.tried(ctx, unit, get, request, vars)
}

// In every situation that journeys and silence bring about, the holder of an item and whoever it is offered to can read it and do something
// that moves it on, an offer can be declined, and somebody can end the item.
func TestWhoHoldsCanAct(t *testing.T) {
	verbs := loadVerbs(t)
	s, home := prepare(t)
	run(t, s, func(ctx context.Context) error {
		w := &watch{t: t, verbs: verbs, databases: map[string]*pgx.Conn{}, seen: map[string]bool{}, known: knownHoles(t)}
		for _, area := range []string{"registry", "reporting", "referral", "relief"} {
			w.databases[area] = administrator(ctx, t, home, "lianhu_"+area)
		}
		world, closer, err := s.World(1)
		if err != nil {
			return err
		}
		defer closer()
		w.World = world
		if err := w.walk(ctx); err != nil {
			return err
		}
		return w.silence(ctx)
	})
}

// walk plays each journey and looks after each step. Then it begins it anew up to each step after which something new stood there, and leaves it
// lying.
func (w *watch) walk(ctx context.Context) error {
	journeys, err := journey.LoadAll(filepath.Join(root, "e2e", "journeys"))
	if err != nil {
		return err
	}
	world := w.World
	for _, j := range journeys {
		var turns []int
		world.Seed++
		world.Told = func(told journey.Told) {
			if w.look(ctx, told.Now) {
				turns = append(turns, told.Number)
			}
		}
		if _, err := j.Play(ctx, world); err != nil {
			return err
		}
		world.Told = nil
		for _, steps := range turns {
			world.Seed++
			begun := *j
			begun.Steps = j.Steps[:steps]
			if _, err := begun.Play(ctx, world); err != nil {
				return err
			}
		}
	}
	return nil
}

// silence lets time pass over all that lies open: hours at first, then days, then weeks.
func (w *watch) silence(ctx context.Context) error {
	for _, span := range []struct {
		by    time.Duration
		times int
	}{{2 * time.Hour, 36}, {24 * time.Hour, 30}, {10 * 24 * time.Hour, 40}} {
		for range span.times {
			now, err := w.Advance(ctx, span.by)
			if err != nil {
				return err
			}
			w.look(ctx, now)
		}
	}
	w.t.Logf("%d situations", len(w.seen))
	return nil
}
