package registry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lianhu/lianhu/pkg/identity"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// walk reads a list to its end, two rows at a time.
func walk(t *testing.T, page func(ctx context.Context, token string) (ids []string, next string, err error)) (all []string) {
	t.Helper()
	for token := ""; ; {
		ids, next, err := page(keeping(t), token)
		ok(t, err)
		all = append(all, ids...)
		if next == "" {
			return all
		}
		if len(ids) != 2 {
			t.Fatalf("a page of %d that is not the last", len(ids))
		}
		token = next
	}
}

func TestListsArePagedToTheirEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, plan := h.graded(t, 1, personv1.RiskColour_RISK_COLOUR_RED)
	child := plan.GetChildId()
	unit := h.at(t, village)
	children, intervals, agreements, visits := []string{child}, make([]string, 5), make([]string, 5), []string{}
	for i := range 5 {
		h.later(t, time.Minute)
		children = append([]string{h.register(t, invented(10+i))}, children...)
		nth := i * 3 % 5 // recorded in another order than that of their days
		interval, err := unit.RecordGuardianship(keeping(t), with(mother(child), func(q *registryv1.RecordGuardianshipRequest) {
			q.RequestId, q.From, q.To = request(), fmt.Sprintf("202%d-01-01", nth), fmt.Sprintf("202%d-12-31", nth)
		}))
		ok(t, err)
		intervals[nth] = interval.GetGuardianshipId()
		agreement, err := unit.RecordCareAgreement(keeping(t), with(grandmother(child), func(q *registryv1.RecordCareAgreementRequest) {
			q.RequestId, q.From, q.To = request(), fmt.Sprintf("2026-0%d-01", 3+nth), fmt.Sprintf("2026-0%d-28", 3+nth)
		}))
		ok(t, err)
		agreements[nth] = agreement.GetCareAgreementId()
		visited, err := unit.RecordVisit(keeping(t), with(visit(child, h.now(t)), func(q *registryv1.RecordVisitRequest) { q.RequestId = request() }))
		ok(t, err)
		visits = append([]string{visited.GetVisitId()}, visits...)
	}
	read := h.at(t, township).read
	for name, list := range map[string]struct {
		want []string
		page func(ctx context.Context, token string) (ids []string, next string, err error)
	}{
		"children": {children, func(ctx context.Context, token string) (ids []string, next string, err error) {
			page, err := read.ListChildren(ctx, &registryv1.ListChildrenRequest{PageSize: 2, PageToken: token, Division: "320411101000"})
			for _, c := range page.GetChildren() {
				ids = append(ids, c.GetId())
			}
			return ids, page.GetNextPageToken(), err
		}},
		"guardianships": {intervals, func(ctx context.Context, token string) (ids []string, next string, err error) {
			page, err := read.ListGuardianships(ctx, &registryv1.ListGuardianshipsRequest{PageSize: 2, PageToken: token, ChildId: child})
			for _, g := range page.GetGuardianships() {
				ids = append(ids, g.GetId())
			}
			return ids, page.GetNextPageToken(), err
		}},
		"agreements": {agreements, func(ctx context.Context, token string) (ids []string, next string, err error) {
			page, err := read.ListCareAgreements(ctx, &registryv1.ListCareAgreementsRequest{PageSize: 2, PageToken: token, ChildId: child})
			for _, a := range page.GetCareAgreements() {
				ids = append(ids, a.GetId())
			}
			return ids, page.GetNextPageToken(), err
		}},
		"visits": {visits, func(ctx context.Context, token string) (ids []string, next string, err error) {
			page, err := read.ListVisits(ctx, &registryv1.ListVisitsRequest{PageSize: 2, PageToken: token, ChildId: child})
			for _, v := range page.GetVisits() {
				ids = append(ids, v.GetId())
			}
			return ids, page.GetNextPageToken(), err
		}},
	} {
		if diff := cmp.Diff(list.want, walk(t, list.page)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	on, err := read.ListGuardianships(keeping(t), &registryv1.ListGuardianshipsRequest{ChildId: child, OnDay: "2022-12-31"})
	ok(t, err)
	if len(on.GetGuardianships()) != 1 || on.GetGuardianships()[0].GetFrom() != "2022-01-01" {
		t.Errorf("%d were responsible on that day", len(on.GetGuardianships()))
	}
	red, err := read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{Colour: personv1.RiskColour_RISK_COLOUR_RED})
	ok(t, err)
	left, err := read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{Status: registryv1.StatusCode_STATUS_CODE_LEFT_BEHIND})
	ok(t, err)
	if len(red.GetChildren()) != 1 || red.GetChildren()[0].GetId() != child || len(left.GetChildren()) != 5 {
		t.Errorf("%d red children, %d left behind", len(red.GetChildren()), len(left.GetChildren()))
	}
}

// A page token belongs to its caller, call and filter.
func TestAForeignPageTokenIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var child string
	for i := range 3 {
		child = h.register(t, invented(i))
	}
	page, err := h.at(t, township).read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{PageSize: 2})
	ok(t, err)
	token := page.GetNextPageToken()
	list := func(unit, token, division string) error {
		_, err := h.at(t, unit).read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{PageSize: 2, PageToken: token, Division: division})
		return err
	}
	middle := len(token) / 2
	other := map[bool]string{true: "B", false: "A"}[token[middle] == 'A']
	for name, err := range map[string]error{
		"another caller's": list(lead, token, ""),
		"another filter's": list(township, token, "320411101000"),
		"tampered":         list(township, token[:middle]+other+token[middle+1:], ""),
		"cut":              list(township, token[:10], ""),
		"no token at all":  list(township, "翻页", ""),
	} {
		if reason, metadata := reasonOf(err); reason != "PAGE_TOKEN_INVALID" || metadata["field"] != "page_token" {
			t.Errorf("%s: refused with %q, %v", name, reason, metadata)
		}
	}
	_, err = h.at(t, township).read.ListGuardianships(keeping(t), &registryv1.ListGuardianshipsRequest{ChildId: child, PageToken: token})
	refused(t, err, "PAGE_TOKEN_INVALID")
	refused(t, list(township, "", "320411999000"), "DIVISION_UNKNOWN")
	_, err = h.at(t, township).read.ListChildren(keeping(t), &registryv1.ListChildrenRequest{PageSize: -1})
	refused(t, err, "FIELD_INVALID")
}

// A vendor reads what its codes mean here, page by page, and nobody else's when it asks so.
func TestTheCodesOfDispatchSystemsAreListed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	reference := registryv1.NewRegistryReferenceServiceClient(h.dial(t, h.address, "registry", identity.OfUnit(domain, village, "main")))
	var codes []string
	for token := ""; ; {
		got, err := reference.ListDispatchCodes(t.Context(), &registryv1.ListDispatchCodesRequest{PageSize: 3, PageToken: token, Source: "police/320411101000:dispatch"})
		ok(t, err)
		for _, c := range got.GetCodes() {
			codes = append(codes, fmt.Sprint(c.GetCode(), c.GetSituations(), c.GetMeasures()))
		}
		if token = got.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"ZS-01[MISSING] []", "JB-02[DOMESTIC_VIOLENCE] []", "DJ-03[LIVING_ALONE] []", "CZ-SY[] [HELP_MEDICAL]"}, codes); diff != "" {
		t.Error(diff)
	}
}
