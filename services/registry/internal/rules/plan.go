package rules

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/idcode"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// EndPlan ends the visits to a child, by a unit that answers for it.
//
// Errors: OFFICER_REQUIRED, NOTE_REQUIRED, STATE_FORBIDS.
func EndPlan(p *registryv1.VisitPlan, end *registryv1.PlanEnding) error {
	switch {
	case end.GetOfficer() == "":
		return fault.New(registryv1.Reason_REASON_OFFICER_REQUIRED, "name the officer")
	case p.GetState() != registryv1.VisitPlan_STATE_DUE:
		return fault.StateForbids("ENDED", "end")
	case end.GetGrounds() == registryv1.PlanEnding_GROUNDS_OTHER && strings.TrimSpace(end.GetNote()) == "":
		return fieldFault(registryv1.Reason_REASON_NOTE_REQUIRED, "note", "must say why when the grounds are OTHER")
	}
	p.State, p.Ending = registryv1.VisitPlan_STATE_ENDED, end
	custody.Close(p.GetStanding())
	return nil
}

// Ending makes the record of an end that somebody decided.
func Ending(unit, officer string, q *registryv1.EndVisitPlanRequest, now *timestamppb.Timestamp) *registryv1.PlanEnding {
	return &registryv1.PlanEnding{Unit: unit, Officer: officer, EndTime: now, Grounds: q.GetGrounds(), Note: q.GetNote()}
}

// CheckFrom refuses what begins before the child was born.
//
// Errors: INTERVAL_INVALID.
func CheckFrom(child *registryv1.Child, from string) error {
	birth := child.GetPerson().GetBirthDate()
	if number, err := idcode.CheckIDNumber(child.GetPerson().GetIdNumber()); birth == "" && err == nil {
		birth = number.Birth.String()
	}
	if birth != "" && from < birth { // both are YYYY-MM-DD
		return fieldFault(registryv1.Reason_REASON_INTERVAL_INVALID, "from", "lies before the child's birth")
	}
	return nil
}
