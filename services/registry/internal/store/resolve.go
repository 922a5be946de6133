package store

import (
	"context"
	"slices"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// mostSteps bounds how often a child may have turned out to be another one.
const mostSteps = 100

// Resolve gives the record that stands for a child; fault NOT_FOUND when the ledger has none. A record that was made for a report is
// superseded when the report's child turned out to be another one and nothing else refers to it.
func (t *Tables) Resolve(ctx context.Context, q Querier, keys *seal.Keys, id string) (string, error) {
	for range mostSteps {
		next, err := t.supersededBy(ctx, q, keys, id)
		if err != nil {
			return "", err
		}
		if next == "" {
			_, err := row.Get(ctx, q, keys, t.Children, id)
			return id, err
		}
		id = next
	}
	return "", fault.NotFound()
}

// Earlier gives the ids that resolve to a record, at most mostSteps.
func (t *Tables) Earlier(ctx context.Context, q Querier, keys *seal.Keys, id string) ([]string, error) {
	found, asked := []string{}, []string{id}
	for len(asked) > 0 && len(found) < mostSteps {
		bindings, err := row.Select(ctx, q, keys, t.Bindings, "WHERE child_id = $1::uuid ORDER BY id", asked[0])
		if err != nil {
			return nil, err
		}
		asked = asked[1:]
		for _, b := range bindings {
			for _, earlier := range b.GetEarlierChildIds() {
				if earlier == id || slices.Contains(found, earlier) {
					continue
				}
				stands, err := t.Resolve(ctx, q, keys, earlier)
				if err == nil && stands == id {
					found, asked = append(found, earlier), append(asked, earlier)
				}
				if err != nil && !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
					return nil, err
				}
			}
		}
	}
	return found, nil
}

// supersededBy gives the child that a binding names now instead of this one; empty when this one stands for itself.
func (t *Tables) supersededBy(ctx context.Context, q Querier, keys *seal.Keys, id string) (string, error) {
	moved, err := row.Select(ctx, q, keys, t.Bindings,
		"WHERE earlier_child_ids @> ARRAY[$1::uuid] OR (earlier_child_ids IS NULL AND version > 1) ORDER BY update_time DESC, id", id)
	moved = slices.DeleteFunc(moved, func(b *registryv1.Binding) bool { return !slices.Contains(b.GetEarlierChildIds(), id) })
	if err != nil || len(moved) == 0 {
		return "", err
	}
	named, err := row.Select(ctx, q, keys, t.Bindings, "WHERE child_id = $1::uuid LIMIT 1", id)
	if err != nil || len(named) > 0 {
		return "", err
	}
	child, err := row.Get(ctx, q, keys, t.Children, id)
	switch {
	case fault.Is(err, faultv1.Reason_REASON_NOT_FOUND):
	case err != nil:
		return "", err
	case child.GetOrigin() != registryv1.Origin_ORIGIN_REPORTED || child.GetPerson().GetIdNumber() != "":
		return "", nil // a child of its own
	}
	return moved[0].GetChildId(), nil
}
