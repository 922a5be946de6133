package rules_test

import (
	"testing"

	"github.com/lianhu/lianhu/pkg/clocks"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	"github.com/lianhu/lianhu/services/relief/internal/rules"
)

// Money waits by one clock from the moment it is granted until the bank has the file: neither freezing a batch nor approving it wins time, and what
// was missed on the way stays so until the export.
func TestFreezingAndApprovingWinNoTime(t *testing.T) {
	t.Parallel()
	d := load(t)
	a := application(100)
	p := rules.Pay(d, a, &reliefv1.BudgetAccount{AmountFen: 100}, "p", noon)
	clocks.Stamp(p.GetStanding(), 1, noon)
	due := d.Deadline(district.ClockPaymentApprove, noon)
	at := func(hours int, officer string) rules.Act {
		return rules.Act{Unit: "finance", Officer: officer, Now: noon.AddDate(0, 0, 1+hours/24)}
	}
	b, err := rules.Freeze(d, "b", []*reliefv1.Payment{p}, at(0, "finance-2"))
	if err != nil {
		t.Fatal(err)
	}
	clocks.Stamp(b.GetStanding(), 1, at(0, "").Now)
	if s := p.GetStanding(); s.GetClock() != district.ClockPaymentApprove || !s.GetDeadline().AsTime().Equal(due) {
		t.Errorf("frozen: %v", s)
	}
	frozen := b.GetStanding().GetDeadline().AsTime()
	for _, officer := range []string{"finance-3", "finance-4"} {
		if err := rules.Approve(d, b, b.GetDigest(), at(24, officer)); err != nil {
			t.Fatal(err)
		}
	}
	if !b.GetStanding().GetDeadline().AsTime().Equal(frozen) {
		t.Errorf("approved: %v", b.GetStanding())
	}
	if got := rules.Expire(d, p.GetStanding(), due); got != "overdue" || !custody.Overdue(p.GetStanding()) || p.GetStanding().GetClock() != district.ClockOverdueReview {
		t.Errorf("%s, %v", got, p.GetStanding())
	}
	clocks.Stamp(p.GetStanding(), 3, due)
	if _, err := rules.Export(d, b, []*reliefv1.Payment{p}, false, rules.Act{Unit: "finance", Officer: "finance-2", Now: due}); err != nil {
		t.Fatal(err)
	}
	if s := p.GetStanding(); custody.Overdue(s) || s.GetClock() != district.ClockBankReturn {
		t.Errorf("exported: %v", s)
	}
}
