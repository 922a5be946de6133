package rules

import (
	"maps"
	"slices"
	"strconv"

	"github.com/lianhu/lianhu/pkg/calendar"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// The rule that tells a rural left-behind child (农村留守儿童, policy R1.1): under sixteen, of a rural household, both parents working
// away, or one working away and the other unable to care.
const (
	leftBehindRule    = "left_behind"
	leftBehindVersion = 1
	leftBehindSource  = "R1.1"
	leftBehindBelow   = 16
)

// Derive derives the statuses of a child on a day and keeps what they were before. A status that a rule decides anew ends its
// predecessor on the same day; one that says the same goes on.
func Derive(c *registryv1.Child, today calendar.Date) {
	outcome, facts := leftBehind(c, today)
	var last *registryv1.DerivedStatus
	for _, s := range c.GetStatuses() {
		if s.GetCode() == registryv1.StatusCode_STATUS_CODE_LEFT_BEHIND && s.GetTo() == "" {
			last = s
		}
	}
	if last != nil {
		if last.GetOutcome() == outcome && maps.Equal(last.GetFacts(), facts) && last.GetRuleVersion() == leftBehindVersion {
			return
		}
		last.To = today.String()
	}
	c.Statuses = append(c.Statuses, &registryv1.DerivedStatus{
		Code: registryv1.StatusCode_STATUS_CODE_LEFT_BEHIND, Outcome: outcome, From: today.String(),
		RuleId: leftBehindRule, RuleVersion: leftBehindVersion, Source: leftBehindSource, Facts: facts,
	})
}

// Grow brings the statuses of a record as it was stored up to the day it is read: on the sixteenth birthday nobody is left behind any more,
// whether something was written that day or not. Only the answer changes.
func Grow(c *registryv1.Child, today calendar.Date) {
	birth, err := calendar.ParseDate(c.GetPerson().GetBirthDate())
	if err != nil {
		return
	}
	birthday := birth.AddMonths(12 * leftBehindBelow)
	open := slices.ContainsFunc(c.GetStatuses(), func(s *registryv1.DerivedStatus) bool {
		return s.GetTo() == "" && s.GetOutcome() != registryv1.DerivedStatus_OUTCOME_DOES_NOT_APPLY
	})
	if open && !today.Before(birthday) {
		Derive(c, birthday)
	}
}

// LeftBehindSince is the first birth date with which a child can still be left behind on a day.
func LeftBehindSince(today calendar.Date) calendar.Date {
	return today.AddMonths(-12 * leftBehindBelow).AddDays(1)
}

// leftBehind applies the rule. A fact that is not known decides nothing unless another one already excludes the status.
func leftBehind(c *registryv1.Child, today calendar.Date) (registryv1.DerivedStatus_Outcome, map[string]string) {
	father, mother := parentState(c, registryv1.Parent_RELATION_FATHER), parentState(c, registryv1.Parent_RELATION_MOTHER)
	facts := map[string]string{
		"registration": c.GetRegistration().String(), "father": father.String(), "mother": mother.String(), "under_sixteen": "unknown",
	}
	years, known := age(c, today)
	if known {
		facts["under_sixteen"] = strconv.FormatBool(years < leftBehindBelow)
	}
	no, undecided := registryv1.DerivedStatus_OUTCOME_DOES_NOT_APPLY, registryv1.DerivedStatus_OUTCOME_UNDECIDED
	switch {
	case known && years >= leftBehindBelow, c.GetRegistration() == registryv1.Registration_REGISTRATION_URBAN:
		return no, facts
	case father == registryv1.ParentState_PARENT_STATE_AT_HOME, mother == registryv1.ParentState_PARENT_STATE_AT_HOME:
		return no, facts
	case !known, c.GetRegistration() == registryv1.Registration_REGISTRATION_UNSPECIFIED,
		father == registryv1.ParentState_PARENT_STATE_UNSPECIFIED, mother == registryv1.ParentState_PARENT_STATE_UNSPECIFIED:
		return undecided, facts
	case away(father) || away(mother):
		return registryv1.DerivedStatus_OUTCOME_APPLIES, facts // the other one is away as well, or unable
	}
	return no, facts
}

func away(s registryv1.ParentState) bool {
	return s == registryv1.ParentState_PARENT_STATE_WORKING_AWAY
}

func parentState(c *registryv1.Child, relation registryv1.Parent_Relation) registryv1.ParentState {
	for _, parent := range c.GetParents() {
		if parent.GetRelation() == relation {
			return parent.GetState()
		}
	}
	return registryv1.ParentState_PARENT_STATE_UNSPECIFIED
}
