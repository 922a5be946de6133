package registry_test

import (
	"testing"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// A committee that is merged leaves a child nobody visits; the operator hands the plan to the township, and nobody else may.
func TestAVisitPlanOfAUnitThatIsGoneIsRepaired(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, p := h.graded(t, 1, personv1.RiskColour_RISK_COLOUR_YELLOW)
	repair := func(unit string) (*registryv1.RepairCustodyResponse, error) {
		return h.at(t, unit).operations.RepairCustody(t.Context(), &registryv1.RepairCustodyRequest{
			RequestId: request(), Repair: &custodyv1.Repair{
				Kind: "visit_plan", ItemId: p.GetStanding().GetId(), Grounds: custodyv1.RepairGrounds_REPAIR_GROUNDS_HOLDER_GONE, Holder: township,
			},
		})
	}
	_, err := repair("operations")
	refused(t, err, "CUSTODY_NOT_BROKEN")
	_, err = h.owner.Exec(t.Context(), "UPDATE visit_plan SET holder = 'township/320411099000' WHERE id = $1::uuid", p.GetStanding().GetId())
	ok(t, err)
	_, err = repair(lead)
	refused(t, err, "METHOD_NOT_ALLOWED")
	got, err := repair("operations")
	ok(t, err)
	if got.GetStanding().GetHolder() != township || got.GetStanding().GetClock() != "custody.repair" {
		t.Errorf("the item stands at %v", got.GetStanding())
	}
	h.promises(t)
}
