package relief_test

import (
	"testing"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// A township that is merged leaves an application nobody decides; the operator hands it to the lead office, and nobody else may.
func TestAnApplicationOfATownshipThatIsGoneIsRepaired(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	application := h.submit(t, 1000)
	repair := func(unit string) (*reliefv1.RepairCustodyResponse, error) {
		return h.at(t, unit).operations.RepairCustody(t.Context(), &reliefv1.RepairCustodyRequest{
			RequestId: request(), Repair: &custodyv1.Repair{
				Kind: "application", ItemId: application, Grounds: custodyv1.RepairGrounds_REPAIR_GROUNDS_HOLDER_GONE, Holder: lead,
			},
		})
	}
	_, err := repair("operations")
	refused(t, err, "CUSTODY_NOT_BROKEN")
	_, err = h.owner.Exec(t.Context(), "UPDATE application SET holder = 'township/320411099000' WHERE id = $1::uuid", application)
	ok(t, err)
	_, err = repair(lead)
	refused(t, err, "METHOD_NOT_ALLOWED")
	got, err := repair("operations")
	ok(t, err)
	if got.GetStanding().GetHolder() != lead || got.GetStanding().GetClock() != "custody.repair" {
		t.Errorf("the item stands at %v", got.GetStanding())
	}
	h.promises(t)
}
