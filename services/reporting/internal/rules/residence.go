package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// provinces are the first two digits of the division codes in use (GB/T 2260).
const provinces = "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82"

// outside reports whether a code is that of a division outside the district. One that begins like the district's own never is: where the register
// does not have it, it is a slip.
func outside(d *district.District, code string) bool {
	return len(code) == 12 && code[:6] != d.Code()[:6] && slices.Contains(strings.Fields(provinces), code[:2])
}

// residence is the division a report stands under: the one given, in the district or outside it, the one that answers for it where it is closed, or
// the district itself where none is known. No report is refused because the child lives elsewhere.
func residence(d *district.District, field, code string, now time.Time) (district.Located, error) {
	if code == "" {
		return district.Located{Code: d.Code()}, nil
	}
	if outside(d, code) {
		return district.Located{Code: code}, nil
	}
	place, err := d.TakeIn(field, code, calendar.Today(now))
	if err != nil {
		return district.Located{}, err
	}
	return place, nil
}

// found is the division of the place where a child was found; one in which no station of the district can look is refused.
func found(d *district.District, code string, now time.Time) (string, error) {
	if code == "" {
		return "", nil
	}
	place, err := d.TakeIn("found_division", code, calendar.Today(now))
	if err != nil {
		return "", err
	}
	return place.Code, nil
}

// responder is the police unit that acts: the station of the residence, else that of the place where the child was found, else the bureau.
func responder(d *district.District, division, found string) string {
	for _, code := range []string{division, found} {
		if station := d.StationFor(code); station != "" && station != Bureau {
			return station
		}
	}
	return Bureau
}

// flagsOfResidence says what is odd about where a child lives.
func flagsOfResidence(d *district.District, division string) []reportingv1.Flag {
	switch {
	case division == d.Code():
		return []reportingv1.Flag{reportingv1.Flag_FLAG_RESIDENCE_UNKNOWN}
	case outside(d, division):
		return []reportingv1.Flag{reportingv1.Flag_FLAG_RESIDENCE_OUTSIDE}
	default:
		return nil
	}
}

// moveReport offers a report that nobody has accepted to the station of its new residence. One that is being responded to stays: whoever is with the
// child goes on, and transfers it when that is better for the child.
func moveReport(d *district.District, r *reportingv1.Report, text string, now time.Time) {
	station := responder(d, r.GetDivision(), r.GetFoundDivision())
	if r.GetState() == reportingv1.Report_STATE_SUBMITTED && station != r.GetStanding().GetHolder() && station != r.GetStanding().GetOfferedTo() {
		offerTo(d, r, station, text, now)
	}
}

// MoveBulletin lets a bulletin follow its report to another residence: one that is not acknowledged is offered to the township there.
func MoveBulletin(d *district.District, b *reportingv1.Bulletin, r *reportingv1.Report, by Actor, text string, now time.Time) {
	b.Division = r.GetDivision()
	to := assessorOf(d, b.GetDivision(), now)
	if b.GetState() != reportingv1.Bulletin_STATE_ISSUED || to == b.GetStanding().GetOfferedTo() || to == b.GetStanding().GetHolder() {
		return
	}
	answerOffer(b.GetOffers(), by, reportingv1.Offer_OUTCOME_WITHDRAWN, text, now)
	address(d, b, by.Unit, to, text, now)
}

// MoveAssessment lets an assessment follow its report to another residence: the township there is asked to take it over, and the one that has it
// stays the holder until it does.
func MoveAssessment(d *district.District, a *reportingv1.Assessment, r *reportingv1.Report, by Actor, text string, now time.Time) {
	a.Division = r.GetDivision()
	to := assessorOf(d, a.GetDivision(), now)
	if !slices.Contains(openAssessment, a.GetState()) || to == a.GetStanding().GetOfferedTo() || to == a.GetStanding().GetHolder() {
		return
	}
	answerOffer(a.GetOffers(), by, reportingv1.Offer_OUTCOME_WITHDRAWN, text, now)
	offerAssessment(d, a, by.Unit, to, text, now)
}

// MoveChild writes where a child lives now, and keeps where it was said to live.
func MoveChild(child *reportingv1.ProvisionalChild, division string, by Actor, text string, now time.Time) {
	child.Earlier = append(child.Earlier, &reportingv1.EarlierDescription{
		Person: child.GetPerson(), EstimatedAge: child.GetEstimatedAge(), Division: child.GetDivision(),
		Text: text, Unit: by.Unit, Officer: by.Officer, RecordTime: stamp(now),
	})
	child.Division = division
}

// occurredInOrder refuses what is said to have happened after it was found out.
func occurredInOrder(field string, occurred, discovered time.Time) error {
	if occurred.After(discovered) {
		return fault.Invalid(field, "lies after it was found out")
	}
	return nil
}
