package access_test

import (
	"sync"
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

const (
	town      = "320411101000"
	village   = "320411101201"
	otherTown = "320411103000"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, calendar.Zone())

var xinbei = sync.OnceValues(func() (*district.District, error) { return district.Load("../../districts/xinbei") })

func load(t *testing.T) *district.District {
	t.Helper()
	d, err := xinbei()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func caller(t *testing.T, claim access.Claim) *access.Caller {
	t.Helper()
	c, err := access.NewCaller(load(t), claim, calendar.Today(now))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func unit(id string, purpose accessv1.Purpose) access.Claim {
	return access.Claim{Unit: id, System: "main", Purpose: purpose}
}

const (
	none      = accessv1.Purpose_PURPOSE_UNSPECIFIED
	emergency = accessv1.Purpose_PURPOSE_EMERGENCY_RESPONSE
	assess    = accessv1.Purpose_PURPOSE_ASSESSMENT
	keeping   = accessv1.Purpose_PURPOSE_LEDGER_KEEPING
)

// What the access table says in words, asked of the code.
func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	school := "org/1232041171001137XA"
	for _, c := range []struct {
		claim  access.Claim
		action string
		writes bool
		want   bool
	}{
		{unit(school, accessv1.Purpose_PURPOSE_MANDATORY_REPORTING), "report.submit", true, true},
		{unit(school, none), "report.submit", true, true},
		{unit(school, assess), "report.submit", true, false}, // a purpose the rule does not name
		{unit(school, none), "report.accept", true, false},
		{unit("police/"+town, emergency), "report.accept", true, true},
		{unit("police", emergency), "report.accept", true, true},
		{unit("education", none), "report.accept", true, false},
		{unit("police/"+town, emergency), "report.read", false, true},
		{unit("police/"+town, emergency), "report.read", true, false}, // allowed to read, not to write
		{access.Claim{Unit: "police", System: "dispatch"}, "incident.push", true, true},
		{unit("police", emergency), "incident.push", true, false}, // the bureau, but not its dispatch system
		{access.Claim{Unit: "health", System: "dispatch"}, "incident.push", true, false},
		{unit("township/"+town, keeping), "child.register", true, true},
		{unit("village/"+village, keeping), "child.register", true, true},
		{unit("civil_affairs", keeping), "child.register", true, false},
		{unit("court", none), "court_matter.open", true, true}, // court_matter.* covers every verb
		{unit("court", none), "court_matter", true, false},
		{unit("operations", none), "operate.retry", true, true},
		{unit("operations", none), "report.read", false, false},
		{unit("operations", none), "reference.read", false, true},
		{unit("health", none), "no.such_action", false, false},
		{unit("health", none), "", false, false},
		{access.Claim{Service: "registry", Purpose: accessv1.Purpose_PURPOSE_FOLLOW_UP}, "report.read", false, true},
		{access.Claim{Service: "registry", Purpose: assess}, "report.read", false, false},
		{access.Claim{Service: "registry"}, "report.accept", true, false}, // services read each other and never command
		{access.Claim{Service: "gateway"}, "report.read", false, false},   // the gateway has no rights of its own
		{access.Claim{Service: "devclock"}, "report.read", false, false},
	} {
		err := caller(t, c.claim).Admit(c.action, c.writes)
		if (err == nil) != c.want {
			t.Errorf("%+v %s writes=%v: %v", c.claim, c.action, c.writes, err)
		}
		if err != nil && !fault.Is(err, faultv1.Reason_REASON_METHOD_NOT_ALLOWED) {
			t.Errorf("%+v %s: %v", c.claim, c.action, err)
		}
	}
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	station, police := "police/"+town, unit("police/"+town, emergency)
	const public, detail = accessv1.DataClass_DATA_CLASS_PUBLIC, accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL
	const minor, personal = accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY, accessv1.DataClass_DATA_CLASS_PERSONAL
	service := accessv1.Purpose_PURPOSE_SERVICE_DELIVERY
	for name, c := range map[string]struct {
		claim  access.Claim
		action string
		facts  access.Facts
		want   accessv1.DataClass // PUBLIC: not at all
	}{
		"station holds":                    {police, "report.read", access.Facts{Holder: station, Division: otherTown}, detail},
		"station of the place":             {police, "report.read", access.Facts{Holder: "police", Division: village}, detail},
		"station of another place":         {police, "report.read", access.Facts{Holder: "police", Division: otherTown}, public},
		"station involved":                 {police, "report.read", access.Facts{Involved: true, Division: otherTown}, detail},
		"station is offered":               {police, "report.read", access.Facts{OfferedTo: station, Division: otherTown}, detail},
		"offered does not open reading":    {unit("village/"+village, keeping), "child.read", access.Facts{OfferedTo: "village/" + village, Division: otherTown}, public},
		"bureau is responsible everywhere": {unit("police", emergency), "report.read", access.Facts{Division: otherTown}, detail},
		"reporter reads its status":        {unit("org/1232041171001137XA", none), "report.status", access.Facts{Reporter: true}, accessv1.DataClass_DATA_CLASS_INTERNAL},
		"a reporter is not the holder":     {unit("org/1232041171001137XA", none), "report.status", access.Facts{Holder: "org/1232041171001137XA"}, public},
		"township holds an assessment":     {unit("township/"+town, assess), "assessment.read", access.Facts{Holder: "township/" + town}, detail},
		"territory is not enough for it":   {unit("township/"+town, assess), "assessment.read", access.Facts{Division: village}, public},
		"village keeps its children":       {unit("village/"+village, keeping), "child.read", access.Facts{Division: village}, minor},
		"village and its town":             {unit("village/"+village, keeping), "child.read", access.Facts{Division: town}, public},
		"town and its village":             {unit("township/"+town, keeping), "child.read", access.Facts{Division: village}, minor},
		"no division is nobody's":          {unit("township/"+town, keeping), "child.read", access.Facts{}, public},
		"service unit is offered":          {unit("womens_federation", service), "referral.read", access.Facts{OfferedTo: "womens_federation"}, personal},
		"empty holder matches nobody":      {unit("womens_federation", service), "referral.read", access.Facts{}, public},
		"procuratorate supervises":         {unit("procuratorate", accessv1.Purpose_PURPOSE_LEGAL_SUPERVISION), "report.read", access.Facts{Supervising: true}, detail},
		"procuratorate for another aim":    {unit("procuratorate", assess), "report.read", access.Facts{Supervising: true}, public},
		"feed audience":                    {unit("health", none), "feed.read", access.Facts{Audience: true}, accessv1.DataClass_DATA_CLASS_INTERNAL},
		"a following service":              {access.Claim{Service: "registry"}, "report.read", access.Facts{}, detail},
		"reveal without approval":          {police, "vault.reveal", access.Facts{Holder: station}, public},
		"reveal with approval":             {police, "vault.reveal", access.Facts{Holder: station, Approved: true}, accessv1.DataClass_DATA_CLASS_REPORTER_IDENTITY},
	} {
		got := caller(t, c.claim)
		if class := got.Class(c.action, c.facts); class != c.want {
			t.Errorf("%s: class %v, want %v", name, class, c.want)
		}
		err := got.See(c.action, c.facts)
		if (err == nil) != (c.want != public) {
			t.Errorf("%s: See %v", name, err)
		}
		if err != nil && err.Error() != fault.NotFound().Error() {
			t.Errorf("%s: %v does not read like absence", name, err)
		}
	}
}

// The table file is the oracle: every role and every action of it, each decision derived a second way.
func TestEveryPairOfRoleAndAction(t *testing.T) {
	t.Parallel()
	d := load(t)
	for _, u := range d.Units() {
		if u.Kind == district.KindService {
			continue
		}
		c, err := access.NewCaller(d, access.Claim{Unit: u.ID, System: "main"}, calendar.Today(now))
		if err != nil {
			continue // closed units are another test's
		}
		for _, p := range d.Permissions() {
			action := p.Action
			want := false
			for _, other := range d.Permissions() {
				for _, role := range other.Roles {
					want = want || other.Covers(action) && u.Has(role)
				}
			}
			if got := c.Admit(action, false) == nil; got != want {
				t.Fatalf("%s %s: admitted %v", u.ID, action, got)
			}
		}
	}
}

func TestUnknownUnitsAndOfficersAreRefused(t *testing.T) {
	t.Parallel()
	d := load(t)
	for name, c := range map[string]struct {
		claim access.Claim
		want  faultv1.Reason
	}{
		"unit":                     {access.Claim{Unit: "treasury"}, faultv1.Reason_REASON_UNIT_UNKNOWN},
		"nobody":                   {access.Claim{}, faultv1.Reason_REASON_UNIT_UNKNOWN},
		"service":                  {access.Claim{Service: "treasury"}, faultv1.Reason_REASON_UNIT_UNKNOWN},
		"unit posing as a service": {access.Claim{Unit: "service/registry"}, faultv1.Reason_REASON_UNIT_UNKNOWN},
		"officer":                  {access.Claim{Unit: "court", Officer: "court-999"}, faultv1.Reason_REASON_OFFICER_UNKNOWN},
		"officer of another unit":  {access.Claim{Unit: "court", Officer: "justice-1"}, faultv1.Reason_REASON_OFFICER_UNKNOWN},
	} {
		if _, err := access.NewCaller(d, c.claim, calendar.Today(now)); !fault.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := calendar.Today(now).AddDays(-3000)
	if _, err := access.NewCaller(d, access.Claim{Unit: "court", Officer: "court-1"}, before); !fault.Is(err, faultv1.Reason_REASON_OFFICER_UNKNOWN) {
		t.Errorf("an officer acts before taking the post: %v", err)
	}
	if c := caller(t, access.Claim{Unit: "court", Officer: "court-1"}); c.Officer != "court-1" {
		t.Errorf("officer %q", c.Officer)
	}
}

func TestOutsideOfACallNobodyMayAnything(t *testing.T) {
	t.Parallel()
	c := access.FromContext(t.Context())
	if c.Admit("reference.read", false) == nil || c.See("report.read", access.Facts{Involved: true}) == nil || c.Scope("report.read").All {
		t.Error("a context without a caller has rights")
	}
}

// A unit answers for those below it, and for nobody else: not for itself, not for its own superior, not for what is not there.
func TestWhoIsAboveWhom(t *testing.T) {
	t.Parallel()
	d := load(t)
	village := ""
	for _, u := range d.Units() {
		if u.Kind == district.KindVillageCommittee && u.Parent == "township/320411101000" {
			village = u.ID
		}
	}
	if village == "" {
		t.Fatal("the town has no village")
	}
	for _, c := range []struct {
		unit, other string
		above       bool
	}{
		{"police", "police/320411101000", true}, {"police/320411101000", "police", false}, {"police", "police", false},
		{"police/320411101000", "police/320411002000", false}, {"township/320411101000", village, true}, {village, "township/320411101000", false},
		{"township/320411002000", village, false}, {"civil_affairs", "police/320411101000", false}, {"police", "police/none", false}, {"police", "", false},
	} {
		if got := caller(t, unit(c.unit, accessv1.Purpose_PURPOSE_UNSPECIFIED)).Above(c.other); got != c.above {
			t.Errorf("%s above %s: %t", c.unit, c.other, got)
		}
	}
}
