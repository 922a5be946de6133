package custody

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// actingRelations are those by which a holder comes by a right.
var actingRelations = []district.Relation{
	district.RelationHolder, district.RelationInvolved, district.RelationTerritorial, district.RelationSupervising,
}

// actions of a kind are those of the contract's methods that change such an item: those whose subject it or any item is, those named after it, and
// what its source adds.
func (s Source) actions() []string {
	actions := slices.Clone(s.Actions)
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if f.Package() != s.States.ParentFile().Package() {
			return true
		}
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				rule, _ := proto.GetExtension(m.Options(), accessv1.E_Rule).(*accessv1.MethodRule)
				reads := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
				if about := rule.GetSubjectField() == s.Kind+"_id" || rule.GetSubjectField() == "item_id" || strings.HasPrefix(rule.GetAction(), s.Kind+"."); about && !reads {
					actions = append(actions, rule.GetAction())
				}
			}
		}
		return true
	})
	return actions
}

// acting lists the units that may act on items of a kind which they hold.
func acting(d *district.District, s Source) (units []district.Unit) {
	actions := s.actions()
	for _, u := range d.Units() {
		may := slices.ContainsFunc(actions, func(action string) bool {
			return slices.ContainsFunc(d.Allowed(u.Roles(), action), func(p district.Permission) bool { return p.Write && p.Related(actingRelations...) })
		})
		if may {
			units = append(units, u)
		}
	}
	return units
}

// Beginner begins a transaction.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// WriteActing writes down who may act on which kind of item. Replicas that start together write the same.
func WriteActing(ctx context.Context, db Beginner, d *district.District, sources ...Source) error {
	var kinds, units []string
	var opens, closes []*string
	for _, s := range sources {
		for _, u := range acting(d, s) {
			from, to := u.Life()
			kinds, units, opens, closes = append(kinds, s.Kind), append(units, u.ID), append(opens, day(from)), append(closes, day(to))
		}
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM acting_unit a WHERE NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS n (kind, unit) WHERE (n.kind, n.unit) = (a.kind, a.unit))", kinds, units); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO acting_unit (kind, unit, opens, closes)
			SELECT kind, unit, opens::date, closes::date FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n (kind, unit, opens, closes) ORDER BY kind, unit
			ON CONFLICT ON CONSTRAINT acting_unit_key DO UPDATE SET opens = excluded.opens, closes = excluded.closes`, kinds, units, opens, closes)
		return err
	})
	if err != nil {
		return fmt.Errorf("custody: who may act: %w", err)
	}
	return nil
}

// day is a date as SQL reads it, nil where none is set.
func day(d calendar.Date) *string {
	if d.IsZero() {
		return nil
	}
	text := d.String()
	return &text
}
