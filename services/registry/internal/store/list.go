package store

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

func visitPlace(id string) seal.Place {
	return seal.Place{Table: "visit", ID: id, Class: accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY}
}

// Filter narrows a list of children. Zero values do not.
type Filter struct {
	// Divisions of residence; nil means all.
	Divisions []string
	// Colour and Status by number.
	Colour, Status int32
	// BornSince, YYYY-MM-DD, leaves out who was born before; who has no birth date stays in.
	BornSince string
}

// ListChildren gives at most limit children in scope that pass the filter, newest first.
func (t *Tables) ListChildren(ctx context.Context, q Querier, keys *seal.Keys, scope access.Scope, f Filter, after *pagetoken.After, limit int) ([]*registryv1.Child, error) {
	condition, args := ofMatters(scope)
	and := func(before string, value any, behind string) {
		args = append(args, value)
		condition += " AND " + before + "$" + strconv.Itoa(len(args)) + behind
	}
	if f.Divisions != nil {
		and("child.division = ANY (", f.Divisions, ")")
	}
	if f.Colour != 0 {
		and("child.colour = ", f.Colour, "")
	}
	if f.Status != 0 {
		and("", f.Status, "::integer = ANY (child.statuses)")
	}
	if f.BornSince != "" {
		and("(child.birth_date IS NULL OR child.birth_date >= ", f.BornSince, "::date)")
	}
	return page(ctx, q, keys, t.Children, condition, args, after, limit)
}

// ofMatters is the scope as a condition on the ledger. Which matters a child has a part in stands in its bindings, not in its record.
func ofMatters(scope access.Scope) (string, []any) {
	matters := scope.Matters && !scope.All
	scope.Matters = false
	condition, args := scope.Where("child", true, 1)
	if !matters {
		return condition, args
	}
	args = append(args, scope.Unit)
	return "(" + condition + " OR EXISTS (SELECT FROM binding b JOIN access_grant g ON g.matter_id = b.matter_id WHERE b.child_id = child.id AND g.unit = $" +
		strconv.Itoa(len(args)) + "))", args
}

// AfterDay is the sort key of the last interval of a page: its first day, YYYY-MM-DD, and its id.
type AfterDay struct {
	Day, ID string
}

// OfChild gives at most limit intervals of a child by first day, then id; condition narrows further, with arguments from $2.
func OfChild[M proto.Message](ctx context.Context, q Querier, keys *seal.Keys, t *row.Table[M], child, condition string, more []any, after *AfterDay, limit int) ([]M, error) {
	where, args := t.Name+".child_id = $1::uuid", append([]any{child}, more...)
	if condition != "" {
		where += " AND " + condition
	}
	if after != nil {
		args = append(args, after.Day, after.ID)
		where += " AND (" + t.Name + ".from_day, " + t.Name + ".id) > ($" + strconv.Itoa(len(args)-1) + "::date, $" + strconv.Itoa(len(args)) + "::uuid)"
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t, "WHERE "+where+" ORDER BY "+t.Name+".from_day, "+t.Name+".id LIMIT $"+strconv.Itoa(len(args)), args...)
}

func page[M proto.Message](ctx context.Context, q Querier, keys *seal.Keys, t *row.Table[M], condition string, args []any, after *pagetoken.After, limit int) ([]M, error) {
	if after != nil {
		args = append(args, after.Time, after.ID)
		condition += " AND (" + t.Name + ".create_time, " + t.Name + ".id) < ($" + strconv.Itoa(len(args)-1) + ", $" + strconv.Itoa(len(args)) + "::uuid)"
	}
	args = append(args, limit)
	return row.Select(ctx, q, keys, t, "WHERE "+condition+" ORDER BY "+t.Name+".create_time DESC, "+t.Name+".id DESC LIMIT $"+strconv.Itoa(len(args)), args...)
}
