package registry_test

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/idcode"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

const closed = "320411101299"

// withClosed is the district with a village that was closed last year.
func withClosed(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	ok(t, os.CopyFS(dir, os.DirFS(districtDir)))
	file := filepath.Join(dir, "divisions.csv")
	rows, err := os.ReadFile(file)
	ok(t, err)
	ok(t, os.WriteFile(file, append(rows, []byte(closed+",旧村村委会,village,320411101000,2023-06-30,2025-06-30\n")...), 0o600))
	return dir
}

func TestWrongInputIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouseOf(t, withClosed(t))
	child := h.register(t, invented(1))
	resident := func(division string) proto.Message {
		return registration(func(c *registryv1.Child) { c.Division = division })
	}
	guardian := func(from, to string) proto.Message {
		return with(mother(child), func(q *registryv1.RecordGuardianshipRequest) { q.From, q.To = from, to })
	}
	care := func(from, to string) proto.Message {
		return with(grandmother(child), func(q *registryv1.RecordCareAgreementRequest) { q.From, q.To = from, to })
	}
	interval, err := h.at(t, village).RecordGuardianship(keeping(t), with(mother(child), func(q *registryv1.RecordGuardianshipRequest) {
		q.RequestId, q.Slot = request(), registryv1.Guardianship_SLOT_FATHER
	}))
	ok(t, err)
	for _, r := range []refusal{
		{"DIVISION_UNKNOWN", in("child.division", "division", "320411999201"), resident("320411999201")},
		{"DIVISION_CLOSED", in("child.division", "division", closed, "closed", "2025-06-30", "successor", "320411101000"), resident(closed)},
		{"NOT_FOUND", nil, resident("320411122201")}, // another village's
		{"FIELD_INVALID", in("child"), &registryv1.RegisterChildRequest{}},
		{"FIELD_INVALID", in("child"), registration(func(c *registryv1.Child) { c.Person.IdNumber = "" })},
		{"FIELD_INVALID", in("update_mask"), update(child, &registryv1.Child{})},
		{"MASKED_VALUE", in("child.person.name"), registration(func(c *registryv1.Child) { c.Person.Name = "※" })},
		{"MASKED_VALUE", in("child.person.id_number"), update(child, &registryv1.Child{Person: &personv1.Person{IdNumber: "3204※"}}, "person")},
		{"FIELD_INVALID", in("from"), guardian("2026-02-30", "")},
		{"FIELD_INVALID", in("to"), guardian("2026-02-01", "2026-13-01")},
		{"FIELD_INVALID", in("to"), &registryv1.EndGuardianshipRequest{GuardianshipId: interval.GetGuardianshipId(), To: "2026-04-31"}},
		{"FIELD_INVALID", in("from"), care("2026-00-01", "2026-04-30")},
		{"FIELD_INVALID", in("to"), care("2026-03-01", "2026-04-31")},
	} {
		h.refuse(t, r)
	}
	before := h.dump(t)
	_, err = h.at(t, village).RegisterChild(keeping(t), registration(func(*registryv1.Child) {}))
	refused(t, err, "REQUEST_ID_REQUIRED")
	_, err = h.at(t, "health").RegisterChild(keeping(t), with(registration(func(*registryv1.Child) {}), func(q *registryv1.RegisterChildRequest) { q.RequestId = request() }))
	refused(t, err, "METHOD_NOT_ALLOWED")
	_, err = h.at(t, township).read.ListGuardianships(keeping(t), &registryv1.ListGuardianshipsRequest{ChildId: child, OnDay: "2026-02-30"})
	refused(t, err, "FIELD_INVALID")
	_, err = h.at(t, township).read.FindChild(keeping(t), &registryv1.FindChildRequest{IdNumber: "320411201602300016"})
	if metadata := refused(t, err, "ID_NUMBER_INVALID"); metadata["field"] != "id_number" || metadata["rule"] != "birth_date" {
		t.Errorf("metadata %v", metadata)
	}
	h.unchanged(t, before)
}

// One day before the eighteenth birthday a person is a child still.
func TestTheLastDayOfChildhood(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	eve := idcode.MakeIDNumber("320411", calendar.Date{Year: 2008, Month: 3, Day: 3}, 1)
	id := h.register(t, with(invented(1), func(c *registryv1.Child) { c.Person.IdNumber = eve }))
	if p := h.child(t, id).GetPerson(); p.GetBirthDate() != "2008-03-03" || p.GetSex() != personv1.Sex_SEX_MALE {
		t.Errorf("born %s, sex %v", p.GetBirthDate(), p.GetSex())
	}
}

func TestARequestHasOneContentAndOneVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	q := with(registration(func(*registryv1.Child) {}), func(q *registryv1.RegisterChildRequest) { q.RequestId = request() })
	made, err := h.at(t, village).RegisterChild(keeping(t), q)
	ok(t, err)
	before := h.dump(t)
	q.Child.Ethnicity = "回"
	_, err = h.at(t, village).RegisterChild(keeping(t), q)
	refused(t, err, "REQUEST_ID_REUSED")
	h.unchanged(t, before)
	change := update(made.GetChildId(), &registryv1.Child{Ethnicity: "回", Registration: registryv1.Registration_REGISTRATION_URBAN}, "ethnicity", "registration")
	change.RequestId, change.Etag = request(), made.GetEtag()
	updated, err := h.at(t, township).UpdateChild(keeping(t), change)
	ok(t, err)
	c := h.child(t, made.GetChildId())
	if c.GetEtag() != updated.GetEtag() || c.GetEthnicity() != "回" || c.GetSchooling().GetSchoolUnit() != school || len(c.GetStatuses()) != 2 {
		t.Errorf("version %d with %d statuses", c.GetVersion(), len(c.GetStatuses()))
	}
	before = h.dump(t)
	again, err := h.at(t, township).UpdateChild(keeping(t), change)
	ok(t, err)
	if !proto.Equal(updated, again) {
		t.Error("the retry answers otherwise")
	}
	change.RequestId = request()
	_, err = h.at(t, township).UpdateChild(keeping(t), change)
	if metadata := refused(t, err, "ETAG_MISMATCH"); metadata["etag"] != updated.GetEtag() {
		t.Errorf("metadata %v", metadata)
	}
	h.unchanged(t, before)
	h.promises(t)
}
