package rules_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// legal says which states of a report can follow which.
var legal = map[reportingv1.Report_State][]reportingv1.Report_State{
	reportingv1.Report_STATE_SUBMITTED:       {reportingv1.Report_STATE_TRANSFERRING, reportingv1.Report_STATE_RESPONDING},
	reportingv1.Report_STATE_TRANSFERRING:    {reportingv1.Report_STATE_RESPONDING, reportingv1.Report_STATE_SUBMITTED},
	reportingv1.Report_STATE_RESPONDING:      {reportingv1.Report_STATE_TRANSFERRING, reportingv1.Report_STATE_RESPONSE_CLOSED},
	reportingv1.Report_STATE_RESPONSE_CLOSED: {reportingv1.Report_STATE_NOTIFIED},
	reportingv1.Report_STATE_NOTIFIED:        {reportingv1.Report_STATE_CLOSED},
	reportingv1.Report_STATE_CLOSED:          nil,
}

// mayHold says who can be the holder of a report at all: a reporter never is.
var mayHold = []string{station, other, rules.Bureau, lead}

// Whatever units do, in whatever order, a report has one holder who is of the police or the lead office and one deadline ahead, takes only
// legal steps, is closed only over its measures, and is changed by no refusal. Each of its children - none, one or several, named or found later -
// has one assessment once the township has taken over, and before that none.
func TestAReportTakesLegalStepsOnly(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	rapid.Check(t, func(rt *rapid.T) {
		named := rapid.IntRange(0, 3).Draw(rt, "children")
		r, now := newReport(t, func(req *reportingv1.SubmitReportRequest) { nameChildren(req, named) }), noon
		var b *reportingv1.Bulletin
		children, assessed := named, map[string]string{} // assessment of each child
		met := map[string]bool{}                         // the model of the response: what LIVING_ALONE asks for
		units := []string{station, other, rules.Bureau, lead, township, "health"}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "hours")) * time.Hour)
			before := proto.CloneOf(r)
			turn := r.GetStanding().GetHolder() // whose turn it is acts more often, so that the end is reached
			if b != nil {
				turn = township
			}
			by := rules.Actor{
				Unit:    rapid.SampledFrom(append(slices.Repeat([]string{turn}, 8), append(units, r.GetStanding().GetOfferedTo())...)).Draw(rt, "unit"),
				Officer: "police-320411101000-1",
			}
			var refusal error
			switch rapid.IntRange(0, 9).Draw(rt, "verb") {
			case 0:
				refusal = rules.Accept(d, r, by, now)
			case 1:
				refusal = rules.Transfer(d, r, by, rapid.SampledFrom(units).Draw(rt, "to"), "", now)
			case 2:
				refusal = rules.Decline(d, r, by, "", now)
			case 3, 4:
				code := rapid.SampledFrom([]string{"ORDER_PARENTS_RETURN", "DESIGNATE_ENTRUSTED_CARER", "ADMONISH_PARENTS", "STOP_HARM"}).Draw(rt, "measure")
				if refusal = rules.RecordMeasure(d, r, by, measure(code), code, now); refusal == nil {
					met[code] = true
				}
			case 5:
				nobody := rapid.SampledFrom([]string{"", "到场未发现儿童"}).Draw(rt, "nobody")
				if refusal = rules.CloseResponse(d, r, by, nobody, now); refusal == nil && !(met["ADMONISH_PARENTS"] && met["ORDER_PARENTS_RETURN"] != met["DESIGNATE_ENTRUSTED_CARER"]) {
					rt.Fatalf("closed over %v", met)
				}
				if refusal == nil && (children == 0) != (nobody != "") {
					rt.Fatalf("closed over %d children with %q", children, nobody)
				}
			case 6:
				var issued *reportingv1.Bulletin
				if issued, refusal = rules.IssueBulletin(d, r, by, &reportingv1.IssueBulletinRequest{}, childID, now); refusal == nil {
					b = issued
				}
			case 7:
				if b != nil {
					var opened []*reportingv1.Assessment
					opened, refusal = rules.Acknowledge(d, b, r, by, ids, now)
					for _, a := range opened {
						noteAssessment(rt, assessed, a)
					}
				}
			case 8:
				if deadline := r.GetStanding().GetDeadline(); deadline != nil {
					now = latest(now, deadline.AsTime())
					refusal = rules.ExpireReport(d, r, now)
				}
			case 9:
				id := uuid.NewSHA1(uuid.MustParse(childID), []byte{byte(children)}).String()
				added, opened, err := rules.AddChild(d, r, nil, by, &reportingv1.AddChildRequest{Child: someChild(), Text: "在现场"}, id, ids(id), now)
				if err != nil || added.GetId() != id {
					rt.Fatalf("%v, %v", added, err)
				}
				children++
				if opened != nil {
					noteAssessment(rt, assessed, opened)
				}
			}
			checkReport(rt, before, r, refusal, now)
			if closed := r.GetState() == reportingv1.Report_STATE_CLOSED; len(r.GetChildren()) != children || closed && len(assessed) != children || !closed && len(assessed) != 0 {
				rt.Fatalf("%v: %d children, want %d; %d assessed", r.GetState(), len(r.GetChildren()), children, len(assessed))
			}
		}
		if r.GetState() < reportingv1.Report_STATE_RESPONSE_CLOSED {
			silent(rt, r.GetStanding(), func(at time.Time) error { return rules.ExpireReport(d, r, at) })
		}
	})
}

// nameChildren lets a submission name that many children.
func nameChildren(req *reportingv1.SubmitReportRequest, n int) {
	if n == 0 {
		req.Child = nil
	}
	for range n - 1 {
		req.FurtherChildren = append(req.FurtherChildren, someChild())
	}
}

func someChild() *reportingv1.ChildDescription {
	return &reportingv1.ChildDescription{Person: &personv1.Person{Name: "陆小溪", NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNKNOWN_IDENTITY}}
}

// noteAssessment notes an assessment that was opened: the township holds it or is asked to, and its child had none.
func noteAssessment(rt *rapid.T, assessed map[string]string, a *reportingv1.Assessment) {
	rt.Helper()
	s := a.GetStanding()
	inStead := s.GetHolder() == lead && s.GetOfferedTo() == township // the lead office acknowledged what it held
	if assessed[a.GetProvisionalChildId()] != "" || s.GetHolder() != township && !inStead || s.GetDeadline() == nil || a.GetBulletinId() == "" {
		rt.Fatalf("opened %v", a)
	}
	assessed[a.GetProvisionalChildId()] = a.GetStanding().GetId()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func checkReport(rt *rapid.T, before, r *reportingv1.Report, refusal error, now time.Time) {
	rt.Helper()
	s := r.GetStanding()
	switch {
	case refusal != nil && !proto.Equal(before, r):
		rt.Fatalf("a refusal changed the report: %v", refusal)
	case before.GetState() != r.GetState() && !slices.Contains(legal[before.GetState()], r.GetState()):
		rt.Fatalf("from %v to %v", before.GetState(), r.GetState())
	case (r.GetState() == reportingv1.Report_STATE_CLOSED) != (s.GetHolder() == ""):
		rt.Fatalf("%v held by %q", r.GetState(), s.GetHolder())
	case (s.GetHolder() == "") != (s.GetDeadline() == nil) || (s.GetHolder() == "") != (s.GetClock() == ""):
		rt.Fatalf("%v", s)
	case s.GetHolder() != "" && !slices.Contains(mayHold, s.GetHolder()):
		rt.Fatalf("held by %s", s.GetHolder())
	case r.GetState() == reportingv1.Report_STATE_TRANSFERRING && s.GetOfferedTo() == "":
		rt.Fatal("transferring to nobody")
	case !proto.Equal(before.GetStanding(), s) && s.GetDeadline() != nil && !s.GetDeadline().AsTime().After(now) && !clockOf(s, s.GetClock()).GetLasting():
		rt.Fatalf("a change at %v left the deadline %v", now, s.GetDeadline().AsTime())
	}
}

// silent lets every deadline pass: the lead office must be the holder before long, and no deadline is replaced by an earlier one.
func silent(rt *rapid.T, s *custodyv1.Standing, expire func(time.Time) error) {
	rt.Helper()
	for range 6 { // the law's clock and four steps, whatever is on its way
		at := s.GetDeadline().AsTime()
		if err := expire(at); err != nil || !s.GetDeadline().AsTime().After(at) {
			rt.Fatalf("a passed deadline was not replaced by a later one: %v", err)
		}
		written(s, at)
	}
	if s.GetHolder() != lead {
		rt.Fatalf("six silences and %s still holds", s.GetHolder())
	}
}

// highest is the model of an incident: the update that stands highest, by what the contract says decides.
type highest struct {
	version, epoch, sequence int64
	source, division         string
	report                   string // linked to it, and so nobody's any more
	closed                   bool
}

// above compares two updates field by field, as a stranger would who reads the contract.
func (a highest) above(b highest) bool {
	if a.version != b.version {
		return a.version > b.version
	}
	if a.epoch != b.epoch {
		return a.epoch > b.epoch
	}
	if a.sequence != b.sequence {
		return a.sequence > b.sequence
	}
	return a.source > b.source
}

// An incident shows what its highest update says whatever came when, is held while it is open and by nobody else than the station of its
// division, the bureau and the lead office, and goes up when it is left lying.
func TestAnIncidentIsWhatItsHighestUpdateSays(t *testing.T) {
	t.Parallel()
	d := xinbei(t)
	rapid.Check(t, func(rt *rapid.T) {
		i, now, model := rules.NewIncident(itemID, "J1", 1, "police:dispatch"), noon, highest{}
		for n := range rapid.IntRange(1, 20).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 9).Draw(rt, "hours")) * time.Hour)
			if s := i.GetStanding(); s.GetDeadline() != nil && rapid.Bool().Draw(rt, "silence") {
				now = latest(now, s.GetDeadline().AsTime())
				if err := rules.ExpireIncident(d, i, now); err != nil {
					rt.Fatal(err)
				}
			} else {
				u := drawUpdate(rt, n)
				u.Envelope.SourceTime = timestamppb.New(now)
				u.Envelope.Sequence = int64(rapid.IntRange(1, 5).Draw(rt, "sequence"))
				said := highest{
					u.Envelope.GetIncidentVersion(), u.Epoch, u.Envelope.GetSequence(), u.Source, u.Content.GetDivision(), u.Content.GetReportId(),
					u.Content.GetReportId() == "" && u.Content.GetStatus() == reportingv1.IncidentContent_STATUS_CLOSED,
				}
				rules.Fold(d, i, []rules.Update{u}, openReports, now)
				if said.above(model) {
					model = said
				}
			}
			checkIncident(rt, i, model, now)
		}
	})
}

func checkIncident(rt *rapid.T, i *reportingv1.Incident, model highest, now time.Time) {
	rt.Helper()
	s, open := i.GetStanding(), !model.closed && model.report == ""
	shown := highest{
		i.GetIncidentVersion(), i.GetEpoch(), i.GetSequence(), i.GetSource(), i.GetDivision(), i.GetContent().GetReportId(), i.GetState() == reportingv1.Incident_STATE_CLOSED,
	}
	holders := []string{rules.Bureau, lead, station, other} // news that moves it offers it; whoever holds it stays until then
	if model.division != "" && s.GetHolder() != "" && !slices.Contains([]string{s.GetHolder(), s.GetOfferedTo()}, "police/"+model.division[:9]+"000") && len(i.GetOffers()) == 0 {
		holders = []string{rules.Bureau, lead}
	}
	switch {
	case shown != model:
		rt.Fatalf("shown %+v, the highest update is %+v", shown, model)
	case (model.report != "") != (i.GetState() == reportingv1.Incident_STATE_LINKED) || s.GetMatterId() != model.report && model.report != "":
		rt.Fatalf("%v with report %q, the highest update names %q", i.GetState(), s.GetMatterId(), model.report)
	case open != (s.GetHolder() != "") || open != (s.GetDeadline() != nil):
		rt.Fatalf("open is %v with %v", open, s)
	case open && !slices.Contains(holders, s.GetHolder()):
		rt.Fatalf("held by %s, of %v", s.GetHolder(), holders)
	case open && s.GetDeadline().AsTime().Before(noon):
		rt.Fatalf("due at %v, now %v", s.GetDeadline().AsTime(), now)
	}
}
