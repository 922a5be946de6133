package access_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lianhu/lianhu/pkg/access"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

func TestScopeOfAList(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim  access.Claim
		action string
		want   access.Scope
	}{
		"station":       {unit("police/"+town, emergency), "report.read", access.Scope{Unit: "police/" + town, Holder: true, Offered: true, Matters: true, Divisions: []string{"320411101"}}},
		"bureau":        {unit("police", emergency), "report.read", access.Scope{Unit: "police", Holder: true, Offered: true, Matters: true, Divisions: []string{"320411"}}},
		"village":       {unit("village/"+village, keeping), "child.read", access.Scope{Unit: "village/" + village, Divisions: []string{village}}},
		"service unit":  {unit("health", none), "referral.read", access.Scope{Unit: "health", Holder: true, Offered: true, Matters: true}},
		"service":       {access.Claim{Service: "relief"}, "referral.read", access.Scope{Unit: "service/relief", All: true}},
		"not allowed":   {unit("health", none), "report.read", access.Scope{Unit: "health"}},
		"wrong purpose": {unit("police", assess), "report.read", access.Scope{Unit: "police"}},
		"approval":      {unit("police", emergency), "vault.reveal", access.Scope{Unit: "police"}},
		"no relation":   {unit("finance", accessv1.Purpose_PURPOSE_PAYMENT), "budget.read", access.Scope{Unit: "finance", All: true}},
	} {
		if diff := cmp.Diff(c.want, caller(t, c.claim).Scope(c.action)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestScopeInSQL(t *testing.T) {
	t.Parallel()
	grant := "EXISTS (SELECT FROM access_grant g WHERE g.unit = $3 AND g.matter_id = report.matter_id)"
	for name, c := range map[string]struct {
		scope access.Scope
		plain bool
		sql   string
		args  []any
	}{
		"nothing":   {access.Scope{Unit: "health"}, false, "false", nil},
		"all":       {access.Scope{Unit: "finance", All: true, Holder: true}, false, "true", nil},
		"item":      {access.Scope{Unit: "police", Holder: true, Offered: true, Matters: true}, false, "(report.holder = $3 OR report.offered_to = $3 OR " + grant + ")", []any{"police"}},
		"plain":     {access.Scope{Unit: "police", Holder: true, Matters: true}, true, "(" + grant + ")", []any{"police"}},
		"no holder": {access.Scope{Unit: "police", Holder: true, Offered: true}, true, "false", nil},
		"territory": {access.Scope{Unit: "police", Divisions: []string{"320411101", "320411103"}}, false, "(report.division LIKE $3 OR report.division LIKE $4)", []any{"320411101%", "320411103%"}},
		"mixed":     {access.Scope{Unit: "police", Holder: true, Divisions: []string{"320411"}}, false, "(report.holder = $3 OR report.division LIKE $4)", []any{"police", "320411%"}},
	} {
		sql, args := c.scope.Where("report", c.plain, 3)
		if diff := cmp.Diff(c.sql, sql) + cmp.Diff(c.args, args); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A list filters by Scope and a single look by See: for every division the two must agree.
func TestTerritoryInListsAndLooksIsTheSame(t *testing.T) {
	t.Parallel()
	d := load(t)
	for _, id := range []string{"police/" + town, "police", "village/" + village, "township/" + otherTown, "civil_affairs"} {
		for _, action := range []string{"report.read", "child.read"} {
			c := caller(t, unit(id, none))
			scope := c.Scope(action)
			for _, division := range d.Divisions() {
				listed := false
				for _, prefix := range scope.Divisions {
					listed = listed || division.Code[:len(prefix)] == prefix
				}
				if seen := c.See(action, access.Facts{Division: division.Code}) == nil; seen != listed {
					t.Errorf("%s %s %s: seen %v, listed %v", id, action, division.Code, seen, listed)
				}
			}
		}
	}
}
