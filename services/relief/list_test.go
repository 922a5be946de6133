package relief_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/identity"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
)

// Each filter of the list of applications keeps what it names and nothing else.
func TestApplicationsAreFoundByWhatIsKnown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	opened := h.opened(t, uuid.NewString())
	submitted := h.submit(t, 1000)
	q := asking(uuid.NewString(), 1000)
	q.Division = "320411122201"
	answer, err := h.at(t, "township/320411122000").SubmitApplication(deciding(t), q)
	ok(t, err)
	elsewhere, referred := answer.GetStanding().GetId(), opened.GetStanding().GetId()
	service := h.as(t, identity.OfService(domain, "referral"))
	for name, c := range map[string]struct {
		q    *reliefv1.ListApplicationsRequest
		want []string
	}{
		"all":                  {&reliefv1.ListApplicationsRequest{}, []string{elsewhere, submitted, referred}},
		"of the township":      {&reliefv1.ListApplicationsRequest{Division: town}, []string{submitted, referred}},
		"of the district":      {&reliefv1.ListApplicationsRequest{Division: "320411000000"}, []string{elsewhere, submitted, referred}},
		"of a state":           {&reliefv1.ListApplicationsRequest{State: reliefv1.Application_STATE_OPEN}, []string{referred}},
		"of a matter":          {&reliefv1.ListApplicationsRequest{MatterId: opened.GetStanding().GetMatterId()}, []string{referred}},
		"of a referral":        {&reliefv1.ListApplicationsRequest{ReferralId: opened.GetReferralId()}, []string{referred}},
		"of a programme":       {&reliefv1.ListApplicationsRequest{Programme: programme, State: reliefv1.Application_STATE_SUBMITTED}, []string{elsewhere, submitted}},
		"of another programme": {&reliefv1.ListApplicationsRequest{Programme: "care_month"}, nil},
	} {
		listed, err := service.read.ListApplications(t.Context(), c.q)
		ok(t, err)
		var got []string
		for _, a := range listed.GetApplications() {
			got = append(got, a.GetStanding().GetId())
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	_, err = service.read.ListApplications(t.Context(), &reliefv1.ListApplicationsRequest{Division: "110101001001"})
	refused(t, err, "DIVISION_UNKNOWN")
}

// The lead office's work list holds what the money waits for, by deadline.
func TestTheMoneyWaitsOnTheLeadOfficesList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	frozen, waiting := h.approved(t, 1000), h.approved(t, 2000)
	batch := h.freeze(t, frozen).GetStanding().GetId()
	listed, err := h.at(t, lead).read.ListWork(paying(t, ""), &reliefv1.ListWorkRequest{Filter: &custodyv1.WorkFilter{}})
	ok(t, err)
	got := map[string]bool{}
	for i, item := range listed.GetItems() {
		got[item.GetStanding().GetId()] = true
		if i > 0 && item.GetStanding().GetDeadline().AsTime().Before(listed.GetItems()[i-1].GetStanding().GetDeadline().AsTime()) {
			t.Errorf("item %d is due before the one above it", i)
		}
	}
	if diff := cmp.Diff(map[string]bool{frozen: true, waiting: true, batch: true}, got); diff != "" {
		t.Error(diff)
	}
	h.history(t, frozen, []string{"approved", "frozen"})
	version, err := h.at(t, village).read.GetVersion(deciding(t), &reliefv1.GetVersionRequest{})
	ok(t, err)
	if version.GetVersion().GetService() != "relief" {
		t.Errorf("runs %v", version.GetVersion())
	}
}

// Accounts come by programme, year and township, and each the district sets aside is open once, however many replicas have started.
func TestAccountsComeInOrderAndOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	again := newDesk(h.dial(t, h.replica(t), "relief", identity.OfUnit(domain, finance, "main")))
	_, err := again.OpenBudget(paying(t, preparer), &reliefv1.OpenBudgetRequest{RequestId: request(), Programme: programme, Division: town, Year: 2025, AmountFen: 1})
	ok(t, err)
	var got, want []string
	token := ""
	for {
		page, err := again.read.ListBudgets(paying(t, ""), &reliefv1.ListBudgetsRequest{PageSize: 4, PageToken: token})
		ok(t, err)
		for _, a := range page.GetBudgetAccounts() {
			got = append(got, fmt.Sprint(a.GetProgramme(), " ", a.GetYear(), " ", a.GetDivision()))
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	d, err := district.Load(districtDir)
	ok(t, err)
	for _, b := range d.Budgets() {
		want = append(want, fmt.Sprint(b.Programme, " ", b.Year, " ", b.Township))
	}
	want = append(want, programme+" 2025 "+town)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What was opened for one programme is not handed in for another.
func TestAnOpenedApplicationKeepsItsProgramme(t *testing.T) {
	t.Parallel()
	h := newHouseIn(t, twoProgrammes(t))
	q := care("", 1000)
	q.ApplicationId = h.opened(t, uuid.NewString()).GetStanding().GetId()
	refused(t, h.unchanged(t, "another programme", h.submitting(t, q)), "FIELD_INVALID")
}
