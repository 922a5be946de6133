package storm

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite/journey"
)

// needs that the matters of a storm have, each for whoever has the one before it; relief is a need that becomes an application.
var needs = []string{"psychological_support", relief, "family_education", "after_school_care"}

const relief = "temporary_relief"

// matters plays matters from the report to the last confirmation, one after the other. Some are left lying half way, so that the
// deadlines have something to do, and where several officers may act they act at once.
func matters(s *Storm, a *actor) {
	for n := 0; !a.over(); n++ {
		m := &matter{Storm: s, actor: a, place: s.world.places[a.n(len(s.world.places))], patience: 4 + a.n(24)}
		m.play(fmt.Sprintf("%s-%d", a.name, n))
	}
}

type matter struct {
	*Storm
	*actor
	place

	// patience is how many steps are taken before the matter is forgotten.
	patience int
	now      time.Time
}

// goes on after a step that was acknowledged.
func (m *matter) goes(ok bool) bool {
	m.patience--
	return ok && m.patience > 0 && !m.over()
}

func (m *matter) play(mark string) {
	now, err := m.world.now(m.ctx)
	if err != nil {
		return
	}
	m.now = now
	seed := uint64(m.n(1 << 30))
	child := journey.Invent(map[string]journey.Person{"child": {Age: 6 + m.n(9), Sex: "F", Area: m.division[:6]}}, seed, now)["child"].(map[string]any)
	submitted, ok := mutate(m.actor, who{m.school, m.teacher, "MANDATORY_REPORTING"}, reportingv1.ReportingService_SubmitReport_FullMethodName,
		&reportingv1.SubmitReportRequest{
			Child: &personv1.Person{
				Name: child["name"].(string), Sex: personv1.Sex_SEX_FEMALE, BirthDate: child["birth_date"].(string), IdNumber: child["id_number"].(string),
			},
			ResidenceDivision: m.village, Situations: []string{"LIVING_ALONE"}, DiscoverTime: timestamppb.New(now), Narrative: mark,
		}, &reportingv1.SubmitReportResponse{})
	if !m.goes(ok) {
		return
	}
	if bulletin, ok := m.respond(submitted.GetStanding().GetId()); ok {
		if m.assess(bulletin) {
			m.serve(submitted.GetStanding().GetMatterId())
		}
	}
}

// respond is the police's part; two officers record their measures at the same time.
func (m *matter) respond(report string) (bulletin string, ok bool) {
	police := who{m.station, m.constable, "EMERGENCY_RESPONSE"}
	_, ok = mutate(m.actor, police, reportingv1.ReportingService_AcceptReport_FullMethodName,
		&reportingv1.AcceptReportRequest{ReportId: report}, &reportingv1.AcceptReportResponse{})
	if !m.goes(ok) {
		return "", false
	}
	var wait sync.WaitGroup
	for _, measure := range []string{"DESIGNATE_ENTRUSTED_CARER", "ADMONISH_PARENTS", "ADMONISH_PARENTS"} {
		wait.Go(func() {
			mutate(m.actor, police, reportingv1.ReportingService_RecordMeasure_FullMethodName, &reportingv1.RecordMeasureRequest{
				ReportId: report, Measure: measure, Text: m.id(), TakeTime: timestamppb.New(m.now),
			}, &reportingv1.RecordMeasureResponse{})
		})
	}
	wait.Wait()
	if !m.goes(true) {
		return "", false
	}
	_, ok = mutate(m.actor, police, reportingv1.ReportingService_CloseResponse_FullMethodName,
		&reportingv1.CloseResponseRequest{ReportId: report}, &reportingv1.CloseResponseResponse{})
	if !m.goes(ok) {
		return "", false
	}
	issued, ok := mutate(m.actor, police, reportingv1.ReportingService_IssueBulletin_FullMethodName,
		&reportingv1.IssueBulletinRequest{ReportId: report, Text: "请启动评估帮扶。"}, &reportingv1.IssueBulletinResponse{})
	return issued.GetStanding().GetId(), m.goes(ok)
}

// assess is the township's part.
func (m *matter) assess(bulletin string) bool {
	township := who{m.township, m.supervisor, "ASSESSMENT"}
	acknowledged, ok := mutate(m.actor, township, reportingv1.ReportingService_AcknowledgeBulletin_FullMethodName,
		&reportingv1.AcknowledgeBulletinRequest{BulletinId: bulletin}, &reportingv1.AcknowledgeBulletinResponse{})
	if !m.goes(ok) {
		return false
	}
	_, ok = mutate(m.actor, township, reportingv1.ReportingService_RecordAssessment_FullMethodName, &reportingv1.RecordAssessmentRequest{
		AssessmentId: acknowledged.GetAssessmentId(), Findings: []*reportingv1.Finding{{
			Dimension: reportingv1.Dimension_DIMENSION_GUARDIANSHIP, Risk: personv1.RiskColour_RISK_COLOUR_YELLOW, Text: "监护人缺位。",
		}},
	}, &reportingv1.RecordAssessmentResponse{})
	if !m.goes(ok) {
		return false
	}
	found := make([]*reportingv1.NeedFinding, 1+m.n(len(needs)))
	for i := range found {
		found[i] = &reportingv1.NeedFinding{Code: needs[i]}
	}
	_, ok = mutate(m.actor, township, reportingv1.ReportingService_ConcludeAssessment_FullMethodName, &reportingv1.ConcludeAssessmentRequest{
		AssessmentId: acknowledged.GetAssessmentId(), Colour: personv1.RiskColour_RISK_COLOUR_YELLOW, Summary: "监护缺位。", Needs: found,
	}, &reportingv1.ConcludeAssessmentResponse{})
	return m.goes(ok)
}

// serve waits for the referrals and is every unit that is asked: some accept and deliver, some decline, some are silent.
func (m *matter) serve(matterID string) {
	var referrals []*referralv1.Referral
	for range 40 { // the followers need a moment, and longer in a storm
		listed, ok := read(m.actor, who{m.township, "", "SERVICE_DELIVERY"}, referralv1.ReferralReadService_ListReferrals_FullMethodName,
			&referralv1.ListReferralsRequest{MatterId: matterID}, &referralv1.ListReferralsResponse{})
		if referrals = listed.GetReferrals(); !ok || len(referrals) > 0 || m.over() {
			break
		}
		m.rest(250 * time.Millisecond)
	}
	for _, r := range referrals {
		if m.goes(true) {
			m.deliver(r.GetStanding().GetId(), r.GetStanding().GetOfferedTo(), r.GetNeed())
		}
	}
}

func (m *matter) deliver(referral, unit, need string) {
	asked := who{unit, m.officerOf(unit), "SERVICE_DELIVERY"}
	if m.n(4) == 0 {
		declined, ok := mutate(m.actor, asked, referralv1.ReferralService_DeclineReferral_FullMethodName, &referralv1.DeclineReferralRequest{
			ReferralId: referral, Grounds: referralv1.DeclineGrounds_DECLINE_GROUNDS_NO_CAPACITY, Note: "本月已排满。",
		}, &referralv1.DeclineReferralResponse{})
		if unit = declined.GetStanding().GetOfferedTo(); !m.goes(ok) || unit == "" {
			return
		}
		asked = who{unit, m.officerOf(unit), "SERVICE_DELIVERY"}
	}
	_, ok := mutate(m.actor, asked, referralv1.ReferralService_AcceptReferral_FullMethodName,
		&referralv1.AcceptReferralRequest{ReferralId: referral}, &referralv1.AcceptReferralResponse{})
	if !m.goes(ok) {
		return
	}
	if need == relief && !m.relieve(referral) {
		return
	}
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			mutate(m.actor, asked, referralv1.ReferralService_RecordProgress_FullMethodName,
				&referralv1.RecordProgressRequest{ReferralId: referral, HappenDate: today(m.now), Note: "面谈。"}, &referralv1.RecordProgressResponse{})
		})
	}
	wait.Wait()
	_, ok = mutate(m.actor, asked, referralv1.ReferralService_DeliverReferral_FullMethodName, &referralv1.DeliverReferralRequest{
		ReferralId: referral, Outcome: referralv1.DeliveryOutcome_DELIVERY_OUTCOME_PROVIDED, DeliverDate: today(m.now), Note: "已完成。",
	}, &referralv1.DeliverReferralResponse{})
	if !m.goes(ok) {
		return
	}
	mutate(m.actor, who{m.hamlet, m.director, "SERVICE_DELIVERY"}, referralv1.ReferralService_ConfirmReferral_FullMethodName,
		&referralv1.ConfirmReferralRequest{ReferralId: referral, Note: "属实。"}, &referralv1.ConfirmReferralResponse{})
}

// relieve waits for the application that the accepted referral opens, and has it decided.
func (m *matter) relieve(referral string) bool {
	asking := who{m.township, m.supervisor, "RELIEF_DECISION"}
	for range 40 {
		listed, ok := read(m.actor, asking, reliefv1.ReliefReadService_ListApplications_FullMethodName,
			&reliefv1.ListApplicationsRequest{ReferralId: referral}, &reliefv1.ListApplicationsResponse{})
		if !ok || m.over() {
			return false
		}
		for _, application := range listed.GetApplications() {
			return m.decide(m.actor, m.place, application.GetStanding().GetId(), "", int64(500+m.n(2000)))
		}
		m.rest(250 * time.Millisecond)
	}
	return false
}

func (s *Storm) officerOf(unit string) string {
	for _, o := range s.world.district.OfficersOf(unit) {
		return o.ID
	}
	return ""
}
