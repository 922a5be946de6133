package rules

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Children are those a report is about. A report stored when there could be only one names it in fields of its own alone.
func Children(r *reportingv1.Report) []*reportingv1.ReportedChild {
	if len(r.GetChildren()) == 0 && r.GetProvisionalChildId() != "" {
		r.Children = []*reportingv1.ReportedChild{{ProvisionalChildId: r.GetProvisionalChildId(), ChildId: r.GetChildId(), AssessmentId: r.GetAssessmentId()}}
	}
	return r.GetChildren()
}

// described are the children of a submission, the first one first.
func described(req *reportingv1.SubmitReportRequest) []*reportingv1.ChildDescription {
	if req.GetChild() == nil {
		return nil
	}
	first := &reportingv1.ChildDescription{Person: req.GetChild(), SchoolUnit: req.GetSchoolUnit()}
	return append([]*reportingv1.ChildDescription{first}, req.GetFurtherChildren()...)
}

// checkChild refuses a description that cannot be true, and the same child twice. path is that of the description, school that of its school.
func checkChild(d *district.District, path, school string, child *reportingv1.ChildDescription, others []string, now time.Time) error {
	if err := checkPerson(path, child.GetPerson(), now); err != nil {
		return err
	}
	if number := child.GetPerson().GetIdNumber(); number != "" && slices.Contains(others, number) {
		field := path + ".id_number"
		return fault.New(reportingv1.Reason_REASON_CHILD_PRESENT, field+": the report is about this child already", "field", field).
			Field(field, "the report is about this child already")
	}
	return checkUnit(d, school, child.GetSchoolUnit(), now)
}

// checkChildren checks all children somebody describes. paths gives where the person and the school of each stand in the request.
func checkChildren(d *district.District, children []*reportingv1.ChildDescription, paths func(int) (person, school string), now time.Time) error {
	var numbers []string
	for i, child := range children {
		person, school := paths(i)
		if err := checkChild(d, person, school, child, numbers, now); err != nil {
			return err
		}
		numbers = append(numbers, child.GetPerson().GetIdNumber())
	}
	return nil
}

// enter makes the records of the children a new report names, and flags what is odd about it.
func enter(d *district.District, r *reportingv1.Report, described []*reportingv1.ChildDescription, id func(string) string, now time.Time) []*reportingv1.ProvisionalChild {
	var children []*reportingv1.ProvisionalChild
	for i, child := range described {
		word := "child"
		if i > 0 {
			word = fmt.Sprintf("child.%d", i)
		}
		children = append(children, newChild(r, child, &reportingv1.ReportedChild{ProvisionalChildId: id(word)}))
	}
	late(d, r, now)
	Flag(d, r, children)
	return children
}

// newChild makes the record of a described child and enters it in the report.
func newChild(r *reportingv1.Report, child *reportingv1.ChildDescription, entry *reportingv1.ReportedChild) *reportingv1.ProvisionalChild {
	person := proto.CloneOf(child.GetPerson())
	complete(person)
	r.Children = append(Children(r), entry)
	if r.GetProvisionalChildId() == "" {
		r.ProvisionalChildId = entry.GetProvisionalChildId()
	}
	return &reportingv1.ProvisionalChild{
		Id: entry.GetProvisionalChildId(), MatterId: r.GetStanding().GetId(), Division: r.GetDivision(), Person: person, SchoolUnit: child.GetSchoolUnit(),
	}
}

// AddChild enters a child found later. Where the township has begun to assess, the child's own assessment opens at once: nobody would open it
// afterwards. Otherwise it is nil. present are the children the report has.
func AddChild(d *district.District, r *reportingv1.Report, present []*reportingv1.ProvisionalChild, by Actor, req *reportingv1.AddChildRequest, id, assessmentID string, now time.Time) (*reportingv1.ProvisionalChild, *reportingv1.Assessment, error) {
	if err := checkChild(d, "child.person", "child.school_unit", req.GetChild(), numbersOf(present), now); err != nil {
		return nil, nil, err
	}
	entry := &reportingv1.ReportedChild{ProvisionalChildId: id, Unit: by.Unit, Officer: by.Officer, Text: req.GetText(), AddTime: stamp(now)}
	child := newChild(r, req.GetChild(), entry)
	Flag(d, r, append(slices.Clone(present), child))
	if r.GetState() != reportingv1.Report_STATE_CLOSED {
		return child, nil, nil
	}
	return child, assess(d, r, entry, r.GetBulletinId(), assessmentID, now), nil
}

// numbersOf lists the identity numbers of children.
func numbersOf(children []*reportingv1.ProvisionalChild) []string {
	var numbers []string
	for _, child := range children {
		numbers = append(numbers, child.GetPerson().GetIdNumber())
	}
	return numbers
}

// assess opens the assessment of one child of a report; the unit that took the children over holds it. Reports closed by an earlier release do
// not name it: then it is the township of the residence.
func assess(d *district.District, r *reportingv1.Report, child *reportingv1.ReportedChild, bulletin, id string, now time.Time) *reportingv1.Assessment {
	child.AssessmentId = id
	if child.GetProvisionalChildId() == r.GetProvisionalChildId() {
		r.AssessmentId = id
	}
	responsible := r.GetAssessUnit()
	if responsible == "" {
		responsible = assessorOf(d, r.GetDivision(), now)
	}
	a := &reportingv1.Assessment{
		Standing: &custodyv1.Standing{Id: id, MatterId: r.GetStanding().GetMatterId()},
		State:    reportingv1.Assessment_STATE_OPEN, Division: placeWith(d, r.GetDivision(), responsible),
		ReportId: r.GetStanding().GetId(), BulletinId: bulletin, ProvisionalChildId: child.GetProvisionalChildId(), ChildId: child.GetChildId(),
		Township: responsible,
	}
	custody.Hold(a.Standing, a.GetTownship())
	begin(d, a.Standing, district.ClockAssessmentStart, now)
	begin(d, a.Standing, district.ClockAssessmentDone, now)
	return a
}

// Bind writes who a child is into its report.
func Bind(r *reportingv1.Report, provisional, child string) {
	for _, entry := range Children(r) {
		if entry.GetProvisionalChildId() == provisional {
			entry.ChildId = child
		}
	}
	if r.GetProvisionalChildId() == provisional {
		r.ChildId = child
	}
}

// childOf is the child of a report that a request is about: the one it names, or the only one there is.
func childOf(r *reportingv1.Report, named string) (string, error) {
	children := Children(r)
	if named == "" && len(children) == 1 {
		return children[0].GetProvisionalChildId(), nil
	}
	if slices.ContainsFunc(children, func(c *reportingv1.ReportedChild) bool { return c.GetProvisionalChildId() == named }) {
		return named, nil
	}
	return "", fault.New(reportingv1.Reason_REASON_CHILD_UNKNOWN, "provisional_child_id: not a child of the report", "field", "provisional_child_id").
		Field("provisional_child_id", "not a child of the report")
}

// nameless lets a response end without a child only when an officer answers for it, and with children only without such a word.
func nameless(r *reportingv1.Report, by Actor, text string) error {
	switch none := len(Children(r)) == 0; {
	case none && text == "":
		return fault.New(reportingv1.Reason_REASON_CHILD_REQUIRED, "no_child_text: add the child, or say why none was found", "field", "no_child_text").
			Field("no_child_text", "add the child, or say why none was found")
	case none && by.Officer == "":
		return officerRequired()
	case !none && text != "":
		return fault.Invalid("no_child_text", "the report is about a child")
	}
	return nil
}
